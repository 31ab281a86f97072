"""Named outlines, as drawing tools export them, → an `ImageSet`."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvlib.datasets.formats.folder import Folder
from cvlib.masks import Rle, encode_polygons
from cvlib.samples import ImageSet, Sample

Shape = tuple[str, Any]


def outlined(
    folder: Folder, format: str, found: list[tuple[str, list[Shape], str]]
) -> ImageSet:
    """(image, shapes, split) of every image → samples.

    A shape is a name and points, [P, 2] pixels: two are a box's corners, more a
    polygon, None a label of the whole image. Masks are kept when any polygon was drawn.
    """
    found = [(image, _sound(folder, image, own), split) for image, own, split in found]
    names = sorted({name for _, shapes, _ in found for name, _ in shapes})
    every = [points for _, shapes, _ in found for _, points in shapes]
    masked = any(points is not None and len(points) > 2 for points in every)
    whole = bool(every) and all(points is None for points in every)
    samples = []
    for image, shapes, split in found:
        size = folder.canvas_size(image)
        labels = np.array([names.index(name) for name, _ in shapes], np.int64)
        drawn = [
            np.array([[0, 0], size[::-1]], np.float64) if points is None else points
            for _, points in shapes
        ]
        ends = [np.concatenate([p.min(axis=0), p.max(axis=0)]) for p in drawn]
        boxes = np.array(ends, np.float32).reshape(-1, 4)
        sample = Sample(
            folder.root / image,
            size,
            labels,
            None if whole else boxes,
            tuple(_rle(points, size) for points in drawn) if masked else None,
            split=split,
        )
        samples.append(folder.checked(sample))
    return ImageSet(folder.root, format, tuple(names), tuple(samples))


def _sound(folder: Folder, image: str, shapes: list[Shape]) -> list[Shape]:
    """The shapes whose points, where they have any, are two or more and finite."""
    kept = []
    for name, points in shapes:
        if points is None or (
            points.ndim == 2
            and points.shape[0] > 1
            and points.shape[1] == 2
            and np.isfinite(points).all()
        ):
            kept.append((name, points))
        else:
            said = f"wanted points x, y of {name!r}, got {points.tolist()!r:.60}"
            folder.fault("annotation-unreadable", image, said)
    return kept


def _rle(points: Any, size: tuple[int, int]) -> Rle:
    if len(points) == 2:
        (left, top), (right, bottom) = points
        points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return encode_polygons([points], size)
