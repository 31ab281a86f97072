"""A pretrained backbone whose output is compared, not classified; saved and loaded."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from cvlib.backbones import Backbone, load_backbone
from cvlib.checkpoints import read_checkpoint, save_checkpoint
from cvlib.devices import pick_batch_size
from cvlib.images import ImagePath, load_images, to_float


class Embedder(nn.Module):
    """Images in 0–1, [B, 3, H, W] → embeddings of unit length, [B, embedding_dim].

    It normalises its input by itself, and carries its backbone's name and the size of
    image it was made for. There is no dropout before the embedding: it would move
    queries at random. With a `dim` a linear projection shortens the backbone's features
    to that many numbers.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, *, dim: int | None = None) -> None:
        super().__init__()
        self.backbone_name = backbone.name
        self.image_size = backbone.image_size
        self.dim = dim
        self.embedding_dim = dim or backbone.embedding_dim
        self.register_buffer("mean", torch.tensor(backbone.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.std).view(3, 1, 1))
        self.features = backbone.module
        self.projection: nn.Module = nn.Identity()
        if dim is not None:
            # No bias: it would pull all embeddings towards one direction.
            self.projection = nn.Linear(backbone.embedding_dim, dim, bias=False)
            nn.init.orthogonal_(self.projection.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings, [B, embedding_dim]; images may also be bytes."""
        features = self.features(self.normalize(images))
        return nn.functional.normalize(self.projection(features))

    def normalize(self, images: Tensor) -> Tensor:
        """Images in 0–1, or bytes → what the backbone was trained on."""
        images = (to_float(images) - self.mean) / self.std
        return images.contiguous(memory_format=torch.channels_last)


def build_embedder(
    backbone: Backbone, *, dim: int | None = None, image_size: int | None = None
) -> Embedder:
    """An embedder with the backbone's own weights, which training will change.

    Without `dim` it gives at once what `cvlib.embeddings.embed` gives: pretrained
    embeddings. With one it starts from a random orthogonal projection, which roughly
    keeps angles. `image_size` is the side in pixels of the images it will see. Raises
    ValueError for a `dim` that is not 1 to the backbone's. Used in
    book/similarity/train.
    """
    if dim is not None and not 1 <= dim <= backbone.embedding_dim:
        raise ValueError(
            f"dim must be 1 to {backbone.embedding_dim}, the numbers {backbone.name} "
            f"gives, got {dim}"
        )
    if image_size is not None:
        backbone = replace(backbone, image_size=image_size)
    return Embedder(backbone, dim=dim).to(memory_format=torch.channels_last)


def embed_images(
    model: Embedder,
    images: Tensor | Sequence[ImagePath],
    *,
    batch_size: int | None = None,
) -> Tensor:
    """Embeddings, float32 [N, embedding_dim], on the CPU, each of unit length.

    `images` are files, read as squares of the model's `image_size`, or decoded
    [N, 3, H, W]. Computed where the model is; without `batch_size`,
    `devices.pick_batch_size` chooses. Used in book/similarity/train.
    """
    model.eval()
    embeddings = torch.empty(len(images), model.embedding_dim)
    side = (model.image_size, model.image_size)
    size = images.shape[-2:] if isinstance(images, Tensor) else side
    step = batch_size or pick_batch_size(size, model.mean.device)
    for start in range(0, len(images), step):
        part = images[start : start + step]
        if not isinstance(part, Tensor):
            part = load_images(part, size=model.image_size)
        with torch.inference_mode():
            found = model(part.to(model.mean.device)).cpu()
        embeddings[start : start + step] = found
    return embeddings


def parameter_groups(model: Embedder) -> list[list[nn.Parameter]]:
    """[early layers, late layers, projection], for fastai's `splitter`.

    The early third finds edges and textures, which serve any task: left frozen it needs
    no backward pass. The last group is empty without a projection. Used in
    book/similarity/train.
    """
    backbone = list(model.features.parameters())
    third = len(backbone) // 3
    projection = list(model.projection.parameters())
    return [backbone[:third], backbone[third:], projection]


def save_embedder(model: Embedder, path: str | Path) -> Path:
    """One safetensors file: weights, and in its header what they need to be used.

    Used in book/similarity/train.
    """
    facts = {
        "backbone": model.backbone_name,
        "dim": model.dim,
        "image_size": model.image_size,
    }
    return save_checkpoint(model, path, facts)


def load_embedder(path: str | Path) -> Embedder:
    """An embedder from `save_embedder`'s file, in evaluation mode, on the CPU.

    Raises FileNotFoundError, or ValueError for a file that is not ours. Used in
    book/similarity/train.
    """
    facts, weights = read_checkpoint(path, "dim")
    backbone = load_backbone(facts["backbone"], pretrained=False)
    model = build_embedder(backbone, dim=facts["dim"], image_size=facts["image_size"])
    model.load_state_dict(weights)
    return model.eval()
