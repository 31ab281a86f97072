"""Images of one label each: their files, their labels, what training loops read.

Shared by classification and similarity, whose labels are classes and things.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cvlib.images import to_float


@dataclass(frozen=True)
class Split:
    """Files and their labels, int64 [N]; `class_names[label]` is the folder's name."""

    paths: list[Path]
    labels: Tensor
    class_names: list[str]

    def __len__(self) -> int:
        return len(self.paths)


def with_shuffled_labels(split: Split, *, seed: int) -> Split:
    """The same files under each other's labels: a model must now fail to learn."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    return replace(split, labels=split.labels[order])


def groups_from_names(paths: Sequence[Path]) -> list[str]:
    """The object each image shows, read from the file name: `mug-03-07` → `mug-03`.

    Images of one object succeed or fail together, so they are fewer than they look; see
    `evaluate.grouped_interval`. A name without a trailing number is its own object.
    """
    return [str(path.parent / re.sub(r"-\d+$", "", path.stem)) for path in paths]


class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Decoded images, uint8 [N, 3, H, W], and labels → (image in 0–1, label).

    `transform` sees the bytes (torchvision's transforms are fastest there) and may
    change the size. Used in book/classification/train.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if len(images) != len(labels):
            raise ValueError(
                f"one label an image wanted, got {len(labels)} labels for "
                f"{len(images)} images"
            )
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.images[index]
        if self.transform is not None:
            image = self.transform(image)
        return to_float(image), self.labels[index]
