"""Images in, embeddings out: the one loop that looks at many images."""

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from cvlib.backbones import Backbone
from cvlib.devices import pick_batch_size, pick_device
from cvlib.images import load_images


def embed(
    images: Tensor | Sequence[Tensor] | Sequence[str | PathLike[str]],
    backbone: Backbone,
    *,
    image_size: int | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Embeddings of images: float32 [N, D] on the CPU, each of unit length.

    `images` are files, or [3, H, W] tensors of one size (bytes, or floats in 0–1).
    Files are decoded once, by threads, to squares of `image_size` (the backbone's own
    unless given). Without `batch_size`, `devices.pick_batch_size` chooses. Raises
    ValueError for tensors of other shapes. Used in book/classification/train.
    """
    look = backbone.module
    outputs = _outputs(images, backbone, look, image_size, batch_size, device)
    batches = [nn.functional.normalize(features.float()).cpu() for features in outputs]
    return torch.cat(batches) if batches else torch.empty(0, backbone.embedding_dim)


def embed_places(
    images: Tensor | Sequence[Tensor] | Sequence[str | PathLike[str]],
    backbone: Backbone,
    *,
    image_size: int | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Features of each place in each image: float16 [N, places, D] on the CPU.

    The backbone's last feature map before pooling, row by row; of a 384 px image
    EfficientNet-Lite0 keeps 12 × 12 places. Not normalised. `images` as in `embed`.
    Raises TypeError for a backbone whose maps cannot be had (timm's can). Used in
    book/classification/multilabel.
    """
    look = getattr(backbone.module, "forward_features", None)
    if look is None:
        raise TypeError(f"a timm backbone wanted, got {backbone.name}: no feature maps")
    outputs = _outputs(images, backbone, look, image_size, batch_size, device)
    batches = [maps.flatten(2).transpose(1, 2).half().cpu() for maps in outputs]
    return torch.cat(batches) if batches else torch.empty(0, 0, backbone.embedding_dim)


def _outputs(
    images: Any,
    backbone: Backbone,
    look: Callable[[Tensor], Tensor],
    image_size: int | None,
    batch_size: int | None,
    device: torch.device | str | None,
) -> Iterator[Tensor]:
    """What `look` makes of each batch, normalised, on the device."""
    where = pick_device(str(device) if device else None)
    size = image_size or backbone.image_size
    step = batch_size or pick_batch_size(_canvas_size(images, size), where)
    backbone.module.to(where).to(memory_format=torch.channels_last).eval()
    for start in range(0, len(images), step):
        batch = _as_batch(images[start : start + step], size).to(where)
        with torch.inference_mode():
            inputs = backbone.normalize(batch)
            yield look(inputs.contiguous(memory_format=torch.channels_last))


def _canvas_size(images: Any, size: int) -> Sequence[int]:
    """Height and width of tensors, or of the squares that files become."""
    first = images[0] if len(images) else None
    return first.shape[-2:] if isinstance(first, Tensor) else (size, size)


def _as_batch(images: Any, size: int) -> Tensor:
    """Files or tensors → one batch, [B, 3, H, W]."""
    if not isinstance(images[0], Tensor):
        return load_images(images, size=size)
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        raise ValueError(f"images must share one size, got {sorted(shapes)[:3]}")
    shape = shapes.pop()
    if len(shape) != 3 or shape[0] != 3:
        raise ValueError(f"images must be [3, H, W], got {shape}")
    return images if isinstance(images, Tensor) else torch.stack(list(images))
