"""What every portable model shares: its normalisation, its size, its file.

A portable model carries what must never be guessed: how its input is normalised, the
size of image it was made for, and what *kind* of model it is. So it takes images in
0–1, or bytes, and its file can be opened without knowing anything else.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor, nn

from cvlib.backbones import Backbone, load_backbone
from cvlib.checkpoints import read_model, save_model
from cvlib.images import batches, to_float

M = TypeVar("M", bound=nn.Module)


class ImageModel(nn.Module):
    """A backbone and what a scenario puts on it; images in 0–1, or bytes, go in.

    The backbone is **copied**: training the model changes neither the one it was built
    from nor another model built from that. A subclass says its `kind`, what `forward`
    gives, and in `settings` what its constructor needs beside the backbone.
    """

    kind: ClassVar[str] = "model"
    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, *, image_size: int | None = None) -> None:
        super().__init__()
        size = backbone.image_size if image_size is None else image_size
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"image_size must be a number of pixels, got {size!r}")
        self.backbone_name, self.image_size = backbone.name, size
        self.embedding_dim = backbone.embedding_dim
        self.register_buffer("mean", torch.tensor(backbone.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.std).view(3, 1, 1))
        network = copy.deepcopy(backbone.module)
        self.features = network.to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        """Where the model is, and computes."""
        return self.mean.device

    def normalize(self, images: Tensor) -> Tensor:
        """Images in 0–1, or bytes, [B, 3, H, W] → what the backbone was trained on."""
        images = (to_float(images) - self.mean) / self.std
        return images.contiguous(memory_format=torch.channels_last)

    def embeddings(self, images: Tensor) -> Tensor:
        """Embeddings of unit length, [B, embedding_dim], of images [B, 3, H, W].

        For many images, or files, use `cvlib.embeddings.embed`.
        """
        return nn.functional.normalize(self.features(self.normalize(images)))

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """[early layers, late layers, what the scenario added], for a `splitter`.

        The early third of the backbone finds edges and textures, which serve any task:
        left frozen it needs no backward pass. Used in book/classification/train.
        """
        backbone = list(self.features.parameters())
        own = {id(parameter) for parameter in backbone}
        third = len(backbone) // 3
        added = [p for p in self.parameters() if id(p) not in own]
        return [backbone[:third], backbone[third:], added]

    def settings(self) -> dict[str, Any]:
        """What the constructor needs, for JSON; the backbone by its name."""
        return {"backbone": self.backbone_name, "image_size": self.image_size}

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file: weights, and in its header kind and settings.

        The file appears when it is complete. Used in book/classification/train.
        """
        facts = {"kind": self.kind, **self.settings()}
        return save_model(path, self.state_dict(), facts)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The model in a file of `save`'s, in evaluation mode, on the CPU.

        Raises FileNotFoundError, and ValueError for a file that is no model, is
        damaged, or holds another kind. Used in book/classification/train.
        """
        settings, weights = read_model(path, cls.kind)
        try:
            backbone = load_backbone(settings.pop("backbone"), pretrained=False)
            model = cls(backbone, **settings)
            model.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            cause = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise ValueError(
                f"{path} says that it holds kind {cls.kind!r}, and does not fit it: "
                f"{cause}"
            ) from error
        return model.eval()


def look_at(
    module: M,
    images: Any,
    look: Callable[[M, Tensor], Tensor],
    *,
    size: int,
    device: torch.device,
    batch_size: int | None = None,
) -> list[Tensor]:
    """What `look(module, batch)` makes of each batch of images, on the CPU.

    Images in any form, see `cvlib.images.batches`; pictures become squares of `size`.
    The module is as before afterwards, see `evaluating`. Raises ValueError where the
    network takes no images of this size.
    """
    with evaluating(module, device) as ready, torch.inference_mode():
        found = []
        for batch in batches(images, size=size, device=device, batch_size=batch_size):
            with _sizes_explained(batch):
                found.append(look(ready, batch).cpu())
    return found


@contextmanager
def evaluating(module: M, device: torch.device | None = None) -> Iterator[M]:
    """The module in evaluation mode on a device; afterwards each part is as it was.

    Where it is elsewhere a copy looks, so weights do not move. Without a device it
    stays where it is.
    """
    placed = next(chain(module.parameters(), module.buffers()), None)
    if device is not None and placed is not None and not _is_on(placed, device):
        yield copy.deepcopy(module).to(device).eval()
        return
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def _sizes_explained(images: Tensor) -> Iterator[None]:
    """Transformers refuse a size by an assertion, or stumble over it."""
    try:
        yield
    except (AssertionError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "must match the size" not in str(error):
            raise
        raise ValueError(
            f"the network takes no images of {list(images.shape[-2:])} pixels: "
            f"{error}; use the size it was made for"
        ) from error


def _is_on(tensor: Tensor, device: torch.device) -> bool:
    where = tensor.device
    return where.type == device.type and device.index in (None, where.index)
