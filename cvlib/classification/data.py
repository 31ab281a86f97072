"""A data set of images of one label each → its splits."""

from pathlib import Path

import numpy as np

from cvlib.datasets.loading import load_classes
from cvlib.datasets.registry import DatasetError
from cvlib.samples import SPLITS, ImageSet
from cvlib.samples import with_shuffled_labels as with_shuffled_labels


def read_splits(
    data: str | Path | ImageSet, *, group_by: str | None = None
) -> dict[str, ImageSet]:
    """Images of one label each → {"train": ImageSet, "valid": …, "test": …}.

    `data` is a data set's name, a folder in any format with one label an image, or what
    `cvlib.datasets.load` gave; `group_by` as there. A folder without a split gets one,
    see there. A class without training images cannot be learned and is an error, as is
    a set with boxes or several tags an image. Used in book/classification/train.
    """
    images = load_classes(data, group_by=group_by)
    return {name: _part_of(images, name) for name in SPLITS}


def _part_of(images: ImageSet, name: str) -> ImageSet:
    own = images.split(name)
    missing = [images.class_names[i] for i in np.flatnonzero(own.counts() == 0)]
    if missing and (name == "train" or not len(own)):
        raise DatasetError(
            f"{images.root}: {name} has no images of {', '.join(missing)}; add some, "
            "or remove the class"
        )
    return own
