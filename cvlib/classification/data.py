"""A folder of images per class → splits, and data sets that training loops read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cvlib.images import SUFFIXES, to_float

# The folder names in use for each split; the first is ours.
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class Split:
    """Files and their labels, int64 [N]; `class_names[label]` is the folder's name."""

    paths: list[Path]
    labels: Tensor
    class_names: list[str]

    def __len__(self) -> int:
        return len(self.paths)


def read_splits(root: str | Path) -> dict[str, Split]:
    """`root/<train|valid|test>/<class>/<image>` → {"train": Split, "valid": …, …}.

    A class is a folder of `train`; its label is its place in alphabetical order. Raises
    FileNotFoundError for a missing folder, ValueError for a class without images in any
    split or one that `train` does not have. Used in book/classification/train.
    """
    folders = {split: _split_folder(Path(root), split) for split in SPLIT_FOLDERS}
    class_names = sorted(path.name for path in _subfolders(folders["train"]))
    if len(class_names) < 2:
        raise ValueError(
            f"{folders['train']} must hold a folder per class, at least two, "
            f"got {class_names}"
        )
    return {
        split: _read_split(folder, class_names) for split, folder in folders.items()
    }


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


def _split_folder(root: Path, split: str) -> Path:
    for name in SPLIT_FOLDERS[split]:
        if (root / name).is_dir():
            return root / name
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}; it should hold train, valid, test")
    found = sorted(path.name for path in root.iterdir())[:8]
    wanted = " or ".join(SPLIT_FOLDERS[split])
    raise FileNotFoundError(f"{root} must hold a folder {wanted}, it holds {found}")


def _read_split(folder: Path, class_names: list[str]) -> Split:
    extra = {path.name for path in _subfolders(folder)} - set(class_names)
    if extra:
        raise ValueError(f"{folder} holds {sorted(extra)}, classes train does not have")
    paths, labels = [], []
    for label, name in enumerate(class_names):
        images = _images(folder / name)
        if not images:
            raise ValueError(
                f"no images of class {name!r} in {folder / name}; "
                f"endings read: {', '.join(SUFFIXES)}"
            )
        paths += images
        labels += [label] * len(images)
    return Split(paths, torch.tensor(labels), class_names)


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _subfolders(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
