"""Images in, embeddings out."""

from typing import Any

import torch
from torch import Tensor, nn

from cvlib.backbones import Backbone
from cvlib.devices import pick_device
from cvlib.models import ImageModel, look_at


def embed(
    model: Backbone | ImageModel,
    images: Any,
    *,
    image_size: int | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Embeddings of images: float32 [N, D] on the CPU, each of unit length.

    `images` are a set, files, PIL images, arrays [H, W, 3] or tensors [3, H, W]; one or
    several, see `cvlib.images.as_sequence`. All but tensors become squares of
    `image_size` (the model's own unless given), decoded once, by threads.

    A model computes where it is, a backbone on `devices.pick_device()`, unless `device`
    says otherwise. Neither is changed: a copy goes where it is not. Without
    `batch_size`, `devices.pick_batch_size` chooses. Raises TypeError for what is no
    image, and ValueError for tensors of other shapes and for a size that the network
    does not take. Used in book/classification/train.
    """
    _check_order(model)
    options = _options(model, image_size, batch_size, device)
    if isinstance(model, ImageModel):
        found = look_at(model, images, lambda m, batch: m.embeddings(batch), **options)
    else:
        found = look_at(
            model.module,
            images,
            lambda module, batch: nn.functional.normalize(
                module(_prepared(model, batch)).float()
            ),
            **options,
        )
    return torch.cat(found) if found else torch.empty(0, model.embedding_dim)


def embed_places(
    backbone: Backbone,
    images: Any,
    *,
    image_size: int | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Features of each place in each image: float16 [N, places, D] on the CPU.

    The backbone's last feature map before pooling, row by row; of a 384 px image
    EfficientNet-Lite0 keeps 12 × 12 places. Not normalised. Arguments as in `embed`.
    Raises TypeError for a network whose maps cannot be had (timm's convolutional ones
    can). Used in book/classification/multilabel.
    """
    _check_order(backbone)

    def look(module: nn.Module, batch: Tensor) -> Tensor:
        forward: Any = getattr(module, "forward_features", None)
        flat = getattr(module, "output_fmt", "NCHW") != "NCHW"
        maps = (
            torch.empty(0) if forward is None else forward(_prepared(backbone, batch))
        )
        if maps.ndim != 4 or flat:
            raise TypeError(
                f"a timm backbone wanted, got {backbone.name}: no feature maps"
            )
        return maps.flatten(2).transpose(1, 2).half()

    options = _options(backbone, image_size, batch_size, device)
    found = look_at(backbone.module, images, look, **options)
    return torch.cat(found) if found else torch.empty(0, 0, backbone.embedding_dim)


def _check_order(model: Any) -> None:
    if not isinstance(model, Backbone | ImageModel):
        raise TypeError(
            "first a backbone or a model, then the images; got a "
            f"{type(model).__name__} first"
        )


def _options(
    model: Backbone | ImageModel,
    image_size: int | None,
    batch_size: int | None,
    device: torch.device | str | None,
) -> dict[str, Any]:
    """How `look_at` is to look: `size`, `batch_size` and `device`."""
    own = model.device if isinstance(model, ImageModel) else None
    return {
        "size": image_size or model.image_size,
        "batch_size": batch_size,
        "device": own if own and device is None else pick_device(device),
    }


def _prepared(backbone: Backbone, images: Tensor) -> Tensor:
    normalized = backbone.normalize(images)
    return normalized.contiguous(memory_format=torch.channels_last)
