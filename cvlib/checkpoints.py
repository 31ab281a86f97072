"""Weights and what they need to be used, in one safetensors file, without pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cvlib.files import replacing

MODEL = "cvlib"  # where the header of a model's file holds its facts


def save_model(
    path: str | Path, weights: Mapping[str, Tensor], facts: dict[str, Any]
) -> Path:
    """Weights, and in the file's header `facts`, which JSON must hold, with a "kind".

    `cvlib.models.ImageModel.save` calls it.
    """
    tensors = {key: value.contiguous() for key, value in weights.items()}
    return write_tensors(path, tensors, {MODEL: json.dumps(facts)})


def read_model(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The facts, less the kind, and the weights of `save_model`'s file.

    Raises FileNotFoundError, and ValueError for a file that is no model or holds one
    of another kind than `kind`.
    """
    facts, weights = read_tensors(path, MODEL)
    got = facts.pop("kind", None)
    if got != kind:
        held = f"kind {got!r}" if got else f"no kind, with {', '.join(facts)}"
        raise ValueError(f"{path} holds a model of {held}; wanted kind {kind!r}")
    return facts, weights


def write_tensors(
    path: str | Path, tensors: dict[str, Tensor], header: dict[str, str]
) -> Path:
    """A safetensors file, written beside `path` and renamed.

    So a reader never meets half a file, and a crash leaves the file that was there.
    Used in book/similarity/fast-search.
    """
    with replacing(path) as partial:
        save_file(tensors, partial, metadata=header)
    return Path(path)


def read_tensors(
    path: str | Path, key: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The JSON object under `key` in a safetensors file's header, and its tensors.

    Raises FileNotFoundError, and ValueError for a file that is not safetensors, is cut
    short, or has no such object.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a safetensors file, or is cut short: {error}"
        ) from error
    return _facts(path, header, key), tensors


def _facts(path: Path, header: dict[str, str], key: str) -> dict[str, Any]:
    if key not in header:
        raise ValueError(
            f"{path} was not written by cvlib for this: wanted {key!r} in its header, "
            f"got {', '.join(sorted(header)) or 'an empty one'}"
        )
    try:
        facts = json.loads(header[key])
    except ValueError as error:
        raise ValueError(
            f"{path}: {key!r} in its header is no JSON: {error}"
        ) from error
    if not isinstance(facts, dict):
        raise ValueError(
            f"{path}: {key!r} in its header must be an object, got {facts!r}"
        )
    return facts
