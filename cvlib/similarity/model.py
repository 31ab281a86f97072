"""A pretrained backbone whose output is compared, not classified; saved and loaded."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cvlib.backbones import Backbone
from cvlib.models import ImageModel


class Embedder(ImageModel):
    """Images in 0–1, [B, 3, H, W] → embeddings of unit length, [B, embedding_dim].

    It normalises its input by itself, and carries its backbone's name and the size of
    image it was made for. There is no dropout before the embedding: it would move
    queries at random. With a `dim` a linear projection shortens the backbone's features
    to that many numbers. `cvlib.embeddings.embed` asks it for many images, or files.
    """

    kind = "embedder"

    def __init__(
        self,
        backbone: Backbone,
        *,
        dim: int | None = None,
        image_size: int | None = None,
    ) -> None:
        super().__init__(backbone, image_size=image_size)
        self.dim = dim
        self.projection: nn.Module = nn.Identity()
        if dim is not None:
            if not 1 <= dim <= backbone.embedding_dim:
                raise ValueError(
                    f"dim must be 1 to {backbone.embedding_dim}, the numbers "
                    f"{backbone.name} gives, got {dim}"
                )
            # No bias: it would pull all embeddings towards one direction.
            self.projection = nn.Linear(backbone.embedding_dim, dim, bias=False)
            nn.init.orthogonal_(self.projection.weight)
            self.embedding_dim = dim

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings, [B, embedding_dim]; images may also be bytes."""
        features = self.features(self.normalize(images))
        return nn.functional.normalize(self.projection(features))

    def embeddings(self, images: Tensor) -> Tensor:
        """The same as calling it: [B, embedding_dim] of images [B, 3, H, W]."""
        return self(images)

    def settings(self) -> dict[str, Any]:
        """What the constructor needs, the length of the embedding among it."""
        return {**super().settings(), "dim": self.dim}


def build_embedder(
    backbone: Backbone, *, dim: int | None = None, image_size: int | None = None
) -> Embedder:
    """An embedder with a copy of the backbone, which training will change.

    Without `dim` it gives at once what `cvlib.embeddings.embed` gives: pretrained
    embeddings. With one it starts from a random orthogonal projection, which roughly
    keeps angles. `image_size` is the side in pixels of the images it will see. Raises
    ValueError for a `dim` that is not 1 to the backbone's. Used in
    book/similarity/train.
    """
    return Embedder(backbone, dim=dim, image_size=image_size)


def load_embedder(path: str | Path) -> Embedder:
    """An embedder from the file that its `save` wrote, in evaluation mode, on the CPU.

    Raises FileNotFoundError, or ValueError for a file that holds none. Used in
    book/similarity/train.
    """
    return Embedder.load(path)
