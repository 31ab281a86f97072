"""A data set of images of one label each → its splits."""

from pathlib import Path

import torch

from cvlib.datasets.loading import load
from cvlib.datasets.registry import DatasetError
from cvlib.labelled import ImageDataset as ImageDataset
from cvlib.labelled import Split
from cvlib.labelled import groups_from_names as groups_from_names
from cvlib.labelled import with_shuffled_labels as with_shuffled_labels
from cvlib.samples import SPLITS, ImageSet


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
