"""A data set with boxes → its splits; and what of it a detector can learn from."""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvlib.datasets.groups import grouped
from cvlib.datasets.loading import load
from cvlib.datasets.registry import DatasetError
from cvlib.masks import encode_masks
from cvlib.samples import SPLITS, ImageSet, Sample, relative_path

log = logging.getLogger("cvlib")

LEAST_SIDE = 1.0  # pixels; a thinner box holds nothing to learn
ORIENTATION = 0x0112  # the EXIF note that says how a picture is to be turned


def read_splits(
    data: str | Path | ImageSet, *, group_by: str | None = None
) -> dict[str, ImageSet]:
    """Images with boxes → {"train": ImageSet, "valid": …, "test": …}.

    `data` is a data set's name, a folder in any format with boxes, or what
    `cvlib.datasets.load` gave; `group_by` as there. A folder without a split gets one,
    see there. Splits of images without objects that the set keeps apart, as
    `negatives_test`, follow under their names. Images without objects belong to any
    split; a class without training boxes is logged. Pictures that a camera stored lying
    come `upright`. Raises DatasetError for a set whose
    labels are about whole images. Used in book/detection/train.
    """
    if isinstance(data, ImageSet):
        images = grouped(data, group_by) if group_by else data
    else:
        images = load(data, group_by=group_by)
    odd = next((s for s in images if s.boxes is None), None)
    if odd is not None:
        raise DatasetError(
            f"wanted boxes, got {len(odd.labels)} labels of the whole image for "
            f"{odd.path}; {images.root} was read as {images.format!r}"
        )
    images = upright(images)
    apart = {s.split for s in images} - {*SPLITS, ""}
    splits = {name: images.split(name) for name in [*SPLITS, *sorted(apart)]}
    for missing in np.flatnonzero(splits["train"].counts() == 0):
        log.warning(
            "%s: no training boxes of %r", images.root, images.class_names[missing]
        )
    return splits


def upright(images: ImageSet) -> ImageSet:
    """The set in the pixels of upright pictures, which are what a detector sees.

    Annotations count pixels as stored; where a file's EXIF note turns or mirrors its
    picture, boxes, masks, keypoints and canvas size are turned with it; an index PNG
    beside it is not. A file that cannot be opened stays as it is, for its reader to
    name.
    """
    return images.having(
        _turned(sample, _orientation(sample.path)) for sample in images
    )


def _orientation(path: Path) -> int:
    """The EXIF note, 1 to 8; 1 for a picture that stands."""
    try:
        with Image.open(path) as picture:
            note = picture.getexif().get(ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 1
    return note if note in range(2, 9) else 1


def _turned(sample: Sample, note: int) -> Sample:
    """The sample with everything where the note puts it.

    Each of the eight notes is a mirror left to right, one top to bottom, and a swap of
    rows and columns, or not. Source: EXIF 2.3, orientation, tag 0112 hex.
    """
    if note == 1:
        return sample
    mirrored, flipped, swapped = note in (2, 3, 7, 8), note in (3, 4, 6, 7), note > 4
    height, width = sample.canvas_size

    def moved(points: NDArray[np.float32]) -> NDArray[np.float32]:
        x, y = points[..., 0], points[..., 1]
        x, y = width - x if mirrored else x, height - y if flipped else y
        return np.stack([y, x] if swapped else [x, y], axis=-1)

    changed: dict[str, Any] = {}
    changed["canvas_size"] = (width, height) if swapped else (height, width)
    if sample.boxes is not None:
        corners = moved(sample.boxes.reshape(-1, 2, 2))
        ends = [corners.min(axis=1), corners.max(axis=1)]
        changed["boxes"] = np.concatenate(ends, axis=1)
    if sample.keypoints is not None:
        points = sample.keypoints.copy()
        marked = points[..., 2] > 0
        points[marked, :2] = moved(points[marked])
        changed["keypoints"] = points
    if sample.rles is not None:
        masks = sample.masks[:, :: -1 if flipped else 1, :: -1 if mirrored else 1]
        masks = masks.swapaxes(1, 2) if swapped else masks
        changed["rles"] = tuple(encode_masks(list(masks)))
    return replace(sample, **changed)


def trainable(images: ImageSet) -> ImageSet:
    """The set with the boxes that a detector can learn from.

    Crowds are left out; boxes are cut at the frame, and those left out of which less
    than a pixel a side remains. What is cut or left out is logged with the image's
    path, and so are images of one name, which other tools mix up. Used in
    book/detection/train.
    """
    names = Counter(sample.path.name for sample in images)
    twice = [relative_path(images, s) for s in images if names[s.path.name] > 1]
    if twice:
        log.warning("images of one name: %s; told apart by folder", ", ".join(twice))
    return images.having(_usable(images, sample) for sample in images)


def describe_boxes(images: ImageSet) -> dict[str, NDArray[np.float64]]:
    """Figures of every box, [N] each: `label`, `width`, `height`, `side`, `share`.

    Sides are in pixels of the file, `side` is √(width · height), `share` that in parts
    of the picture's √(width · height): what a detector that resizes pictures sees. Used
    in book/detection/train.
    """
    rows = [
        (label, *(box[2:] - box[:2]), *sample.canvas_size)
        for sample in images
        for label, box in zip(sample.labels, _boxes(sample), strict=True)
    ]
    table = np.array(rows, np.float64).reshape(-1, 5)
    label, width, height, rows_of, columns_of = table.T
    side = np.sqrt(np.maximum(width * height, 0))
    share = side / np.sqrt(rows_of * columns_of)
    return {
        "label": label,
        "width": width,
        "height": height,
        "side": side,
        "share": share,
    }


def _usable(images: ImageSet, sample: Sample) -> Sample:
    boxes, path = _boxes(sample), relative_path(images, sample)
    crowd = np.zeros(len(boxes), bool) if sample.crowd is None else sample.crowd
    height, width = sample.canvas_size
    inside = boxes.clip(0, np.array([width, height] * 2, np.float32))
    with np.errstate(invalid="ignore"):
        sides = inside[:, 2:] - inside[:, :2]
    whole = np.isfinite(boxes).all(axis=1) & (sides >= LEAST_SIDE).all(axis=1)
    if cut := int((np.abs(inside - boxes).max(axis=1, initial=0) > 1)[whole].sum()):
        log.warning("%s: %d boxes reach out of the frame; cut there", path, cut)
    if lost := int((~whole & ~crowd).sum()):
        log.warning("%s: %d boxes without area in the frame; left out", path, lost)
    sample = sample.keeping(whole & ~crowd)
    return replace(sample, boxes=inside[whole & ~crowd])


def _boxes(sample: Sample) -> NDArray[np.float32]:
    none = np.zeros((0, 4), np.float32)
    return none if sample.boxes is None else np.asarray(sample.boxes, np.float32)
