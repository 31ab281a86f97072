"""Weights and what they need to be used, in one safetensors file, without pickle."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cvlib.files import replacing


def save_checkpoint(module: nn.Module, path: str | Path, facts: dict[str, Any]) -> Path:
    """Weights, and in the file's header `facts`, which JSON must hold.

    Used in book/classification/train.
    """
    weights = {key: value.contiguous() for key, value in module.state_dict().items()}
    return write_tensors(path, weights, {"cvlib": json.dumps(facts)})


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


def read_checkpoint(
    path: str | Path, wanted: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The facts and the weights of `save_checkpoint`'s file.

    Raises FileNotFoundError and, for a file that is not ours or lacks the fact
    `wanted`, ValueError.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no saved model at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["cvlib"])
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} is not a model saved by cvlib: {error}") from error
    if wanted not in facts:
        raise ValueError(
            f"{path} holds another kind of model: wanted one with {wanted}, "
            f"it has {', '.join(facts)}"
        )
    return facts, weights
