"""Images of one label each → splits, and data sets that training loops read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cvlib.datasets import load
from cvlib.datasets.registry import DatasetError
from cvlib.datasets.samples import SPLITS, ImageSet
from cvlib.images import to_float


@dataclass(frozen=True)
class Split:
    """Files and their labels, int64 [N]; `class_names[label]` is the folder's name."""

    paths: list[Path]
    labels: Tensor
    class_names: list[str]

    def __len__(self) -> int:
        return len(self.paths)


def read_splits(data: str | Path | ImageSet) -> dict[str, Split]:
    """Images of one label each → {"train": Split, "valid": …, "test": …}.

    `data` is a data set's name, a folder in any format with one label an image, or what
    `cvlib.datasets.load` gave. A folder without a split gets one, see there. A class
    without training images cannot be learned and is an error, as is a set with boxes or
    several tags an image. Used in book/classification/train.
    """
    found = data if isinstance(data, ImageSet) else load(data)
    odd = [s for s in found.samples if len(s.labels) != 1 or s.boxes is not None]
    if odd:
        kind = "boxes" if odd[0].boxes is not None else f"{len(odd[0].labels)} labels"
        raise DatasetError(
            f"wanted one label for each image, got {kind} for {odd[0].path}; "
            f"{found.root} was read as {found.format!r}"
        )
    return {name: _split_of(found, name) for name in SPLITS}


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


def _split_of(found: ImageSet, name: str) -> Split:
    samples = found.split(name).samples
    labels = torch.tensor([int(s.labels[0]) for s in samples], dtype=torch.int64)
    counts = labels.bincount(minlength=len(found.class_names))
    missing = [found.class_names[i] for i in torch.where(counts == 0)[0].tolist()]
    if missing and (name == "train" or not len(samples)):
        raise DatasetError(
            f"{found.root}: {name} has no images of {', '.join(missing)}; add some, "
            "or remove the class"
        )
    return Split([s.path for s in samples], labels, list(found.class_names))
