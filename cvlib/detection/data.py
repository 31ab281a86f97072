"""A data set with boxes → its splits; and what of it a detector can learn from."""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvlib.datasets.groups import grouped
from cvlib.datasets.loading import load
from cvlib.datasets.registry import DatasetError
from cvlib.samples import SPLITS, ImageSet, Sample, relative_path

log = logging.getLogger("cvlib")

LEAST_SIDE = 1.0  # pixels; a thinner box holds nothing to learn


def read_splits(
    data: str | Path | ImageSet, *, group_by: str | None = None
) -> dict[str, ImageSet]:
    """Images with boxes → {"train": ImageSet, "valid": …, "test": …}.

    `data` is a data set's name, a folder in any format with boxes, or what
    `cvlib.datasets.load` gave; `group_by` as there. A folder without a split gets one,
    see there. Splits of images without objects that the set keeps apart, as
    `negatives_test`, follow under their names. Images without objects belong to any
    split; a class without training boxes is logged. Raises DatasetError for a set whose
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
    apart = {s.split for s in images} - {*SPLITS, ""}
    splits = {name: images.split(name) for name in [*SPLITS, *sorted(apart)]}
    for missing in np.flatnonzero(splits["train"].counts() == 0):
        log.warning(
            "%s: no training boxes of %r", images.root, images.class_names[missing]
        )
    return splits


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
