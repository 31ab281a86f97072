"""Pictures with and without defects, read, and a black-on-white mask of each defect.

`Defects/a.bmp`, its mask in `Defects/GroundTruth/`, and `NoDefects/b.bmp`, in folders
of materials. A mask is called as its picture, with `_GT_` where that has `_D_`; black
is defect. Each spot of black that hangs together, corners included, is an object with
a box and a mask. The PIPED set of papers with impurities is in this form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.split_names import split_of_path
from cvlib.masks import boxes_of_masks, encode_masks
from cvlib.samples import ImageSet, Sample

LOOKS_LIKE = "Defects/ with masks in Defects/GroundTruth/, and NoDefects/"
FAULTY = re.compile(r"defects?", re.IGNORECASE)
FAULTLESS = re.compile(r"no_?defects?|good", re.IGNORECASE)
TRUTH = re.compile(r"ground_?th?ruth", re.IGNORECASE)  # PIPED writes both


def recognise(folder: Folder) -> bool:
    """Whether a folder of defects has masks below it."""
    return any(
        is_mask(image) and FAULTY.fullmatch(_home(image, 2)) for image in folder.images
    )


def read(folder: Folder) -> ImageSet:
    """Every picture; those without a defect have no objects."""
    masks = {_stem(mask): mask for mask in folder.images if is_mask(mask)}
    samples = tuple(
        _sample(folder, image, masks.get(_stem(image)))
        for image in folder.images
        if FAULTY.fullmatch(_home(image, 1)) or FAULTLESS.fullmatch(_home(image, 1))
    )
    return ImageSet(folder.root, "defect-masks", ("defect",), samples)


def is_mask(image: str) -> bool:
    """Whether a file lies where masks of defects do."""
    return bool(TRUTH.fullmatch(_home(image, 1)))


def _sample(folder: Folder, image: str, mask: str | None) -> Sample:
    size = folder.canvas_size(image)
    spots = np.zeros((0, *size), np.uint8)
    if FAULTY.fullmatch(_home(image, 1)):
        if mask is None:
            folder.fault("annotation-missing", image, "is in Defects, without a mask")
        else:
            spots = np.array([*spots, *_spots(folder, mask, size)], np.uint8)
            spots = spots.reshape(-1, *size)
    return Sample(
        folder.root / image,
        size,
        np.zeros(len(spots), np.int64),
        boxes_of_masks(spots),
        encode_masks(list(spots)),
        split=split_of_path(image),
    )


def _spots(
    folder: Folder, mask: str, size: tuple[int, int]
) -> Iterator[NDArray[np.uint8]]:
    """A mask's black spots, each uint8 [H, W] of 0 and 1."""
    from PIL import Image
    from scipy.ndimage import label

    try:
        with Image.open(folder.root / mask) as file:
            black = np.array(file.convert("L")) < 128
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        folder.fault("annotation-unreadable", mask, f"is no image to be read: {error}")
        return
    if black.shape != size:
        said = (
            f"is {black.shape[1]} × {black.shape[0]}, its image {size[1]} × {size[0]}"
        )
        folder.fault("mask-size", mask, said)
        return
    numbers, count = label(black, structure=np.ones((3, 3)))
    for number in range(1, count + 1):
        yield (numbers == number).astype(np.uint8)


def _stem(name: str) -> str:
    """What a picture and its mask share: the folder of defects, and the name."""
    path = PurePosixPath(name)
    home = path.parent.parent if is_mask(name) else path.parent
    return f"{home}/{path.stem.replace('_GT_', '_D_')}"


def _home(name: str, up: int) -> str:
    """The name of the folder that is `up` levels above a file; "" for none."""
    parts = PurePosixPath(name).parts
    return parts[-1 - up] if len(parts) > up else ""
