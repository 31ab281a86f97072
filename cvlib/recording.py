"""Numbers a chapter stands on: shown on the page, judged by tests, cited in prose."""

import math
import numbers
import sys
from typing import Any

MIME_TYPE = "application/vnd.cvlib.record+json"


def record(**values: float) -> None:
    """Record plain numbers, `record(accuracy=0.93, test_images=320)`.

    In a notebook this displays one object, name → number, of the type MIME_TYPE with a
    readable text beside it; the book's engine merges all records of a chapter. Outside
    a notebook it only checks the values. Raises TypeError for what is no number (a bool
    is none) and ValueError for NaN and infinities. Used in every chapter that computes.
    """
    plain = {name: _plain_number(name, value) for name, value in values.items()}
    if not plain or not _in_notebook():
        return
    from IPython.display import display

    bundle = {MIME_TYPE: plain, "text/plain": as_text(plain)}
    display(bundle, raw=True)  # type: ignore[no-untyped-call]


def as_text(values: dict[str, float]) -> str:
    """One `name  value` line a number, names padded to the same width."""
    width = max(map(len, values), default=0)
    return "\n".join(
        f"{name:<{width}}  {value:,d}"
        if isinstance(value, int)
        else f"{name:<{width}}  {value:.4g}"
        for name, value in values.items()
    )


def _plain_number(name: str, value: Any) -> float:
    """`value` as an int or a float that JSON can hold; NumPy and torch scalars too."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        kind = type(value).__name__
        raise TypeError(f"record({name}=…) must be a number, got {kind}: {value!r:.60}")
    if isinstance(value, numbers.Integral):
        return int(value)
    if not math.isfinite(value):
        raise ValueError(f"record({name}=…) must be finite, got {value}")
    return float(value)


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this; never imports IPython to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")
