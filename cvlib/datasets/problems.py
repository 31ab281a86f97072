"""What is wrong with a data set: readers find it, the doctor lists it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One fault of a data set, as `cvlib doctor` lists it.

    kind: a short name that never changes, as `box-outside` or `truncated`.
    paths: the files concerned, the one to look at first.
    message: what is wrong, with its numbers. severity: `error` or `warning`.
    index: the object within the image's annotation, None when it is about the image.
    """

    kind: str
    paths: tuple[Path, ...]
    message: str
    severity: str = "error"
    index: int | None = None
