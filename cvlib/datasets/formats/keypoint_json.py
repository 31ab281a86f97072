"""Boxes with keypoints, read: a JSON file an image, with `bboxes` and `keypoints`.

As tutorials of torchvision's Keypoint R-CNN have them: `annotations/a.json` beside
`images/a.jpg`, in folders of splits. `bboxes` are XYXY pixels; `keypoints` has a list
of [x, y, visibility] for each, where 1 is visible, COCO's 2. `labels`, where there are
any, name the objects.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np

from cvlib.datasets.formats.checks import checked
from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.split_names import split_of_path
from cvlib.samples import ImageSet, Sample

LOOKS_LIKE = "annotations/*.json with `bboxes` and `keypoints`, one an image"
OBJECT = "object"  # the class of what has no label


def recognise(folder: Folder) -> bool:
    """Whether a JSON file has `bboxes` and `keypoints`."""
    return any(_is_sheet(folder.json(name, quiet=True)) for name in _sheets(folder))


def read(folder: Folder) -> ImageSet:
    """Every JSON file's image; all objects have as many keypoints as the first."""
    known: list[tuple[str, list[str], Any, Any, str]] = []
    for sheet in _sheets(folder):
        document = folder.json(sheet)
        image = folder.image(PurePosixPath(sheet).stem, sheet) if document else ""
        objects = _objects(folder, sheet, document) if image else None
        if objects:
            known.append((image, *objects, split_of_path(sheet)))
    names = sorted({name for _, own, *_ in known for name in own})
    points = max((found.shape[1] for *_, found, _ in known if len(found)), default=0)
    samples = []
    for image, own, boxes, found, split in known:
        if len(found) and found.shape[1] != points:
            said = f"wanted {points} keypoints an object, got {found.shape[1]}"
            folder.fault("annotation-unreadable", image, said)
            continue
        sample = Sample(
            folder.root / image,
            folder.canvas_size(image),
            np.array([names.index(name) for name in own], np.int64),
            boxes,
            keypoints=found.reshape(-1, points, 3),
            split=split,
        )
        samples.append(checked(folder, sample))
    point_names = tuple(f"point {i}" for i in range(points))
    classes = tuple(names)
    return ImageSet(folder.root, "keypoint-json", classes, tuple(samples), point_names)


def _sheets(folder: Folder) -> list[str]:
    return [name for name in folder.files if name.endswith(".json")]


def _is_sheet(document: Any) -> bool:
    return isinstance(document, dict) and all(
        isinstance(document.get(key), list) for key in ("bboxes", "keypoints")
    )


def _objects(
    folder: Folder, sheet: str, document: Any
) -> tuple[list[str], Any, Any] | None:
    """Names, boxes [N, 4] and keypoints [N, K, 3] of a sheet; None and a fault."""
    try:
        boxes = np.array(document["bboxes"], np.float32).reshape(-1, 4)
        points = np.array(document["keypoints"], np.float32)
        points = points if points.size else np.zeros((0, 1, 3), np.float32)
        names = [str(name) for name in document.get("labels", [OBJECT] * len(boxes))]
        if not (points.ndim == 3 and points.shape[2] == 3):
            raise ValueError(f"keypoints must be [N, K, 3], got {points.shape}")
        if not len(boxes) == len(points) == len(names):
            counts = (
                f"{len(boxes)} bboxes, {len(points)} keypoints, {len(names)} labels"
            )
            raise ValueError(f"wanted as many of each, got {counts}")
        if not (np.isfinite(boxes).all() and np.isfinite(points).all()):
            raise ValueError("wanted finite numbers")
    except (KeyError, TypeError, ValueError) as error:
        folder.fault("annotation-unreadable", sheet, str(error)[:120])
        return None
    points[..., 2] = np.where(points[..., 2] > 0, 2, 0)
    return names, boxes, points
