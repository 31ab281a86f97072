"""Named outlines, as drawing tools export them, → an `ImageSet`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cvlib.datasets.formats.checks import checked
from cvlib.datasets.formats.folder import Folder
from cvlib.masks import Rle, encode_polygons
from cvlib.samples import ImageSet, Sample

Shape = tuple[str, Any]
Outlined = tuple[str, list[Shape], str]


def outlined(folder: Folder, format: str, found: list[Outlined]) -> ImageSet:
    """(image, shapes, split) of every image → samples.

    A shape is a name and points, [P, 2] pixels: two are a box's corners, more a
    polygon, None a label of the whole image. Masks are kept when any polygon was drawn.
    Where anything was drawn, labels of whole images are left out, with a warning: a
    sample has objects or tags, not both.
    """
    found = [(image, _sound(folder, image, own), split) for image, own, split in found]
    every = [points for _, shapes, _ in found for _, points in shapes]
    drawn = any(points is not None for points in every)
    if drawn:
        found = _drawn(folder, found)
    masked = any(points is not None and len(points) > 2 for points in every)
    names = sorted({name for _, shapes, _ in found for name, _ in shapes})
    samples = []
    for image, shapes, split in found:
        labels = np.array([names.index(name) for name, _ in shapes], np.int64)
        sample = Sample(
            folder.root / image, folder.canvas_size(image), labels, split=split
        )
        if drawn or not every:
            sample = _with_objects(sample, [points for _, points in shapes], masked)
        samples.append(checked(folder, sample))
    return ImageSet(folder.root, format, tuple(names), tuple(samples))


def _drawn(folder: Folder, found: list[Outlined]) -> list[Outlined]:
    """The shapes with points; warnings name the others."""
    unused: dict[str, str] = {}
    for image, shapes, _ in found:
        whole = ", ".join(repr(name) for name, points in shapes if points is None)
        if whole:
            said = "of the whole image, left out because the set has objects"
            unused[image] = f"is labelled {whole}, {said}"
    folder.warn("label-unused", unused)
    return [
        (image, [(name, points) for name, points in shapes if points is not None], own)
        for image, shapes, own in found
    ]


def _with_objects(sample: Sample, outlines: list[Any], masked: bool) -> Sample:
    """The sample with a box an outline, and with a mask where the set has masks."""
    ends = [np.concatenate([p.min(axis=0), p.max(axis=0)]) for p in outlines]
    boxes = np.array(ends, np.float32).reshape(-1, 4)
    rles = tuple(_rle(points, sample.canvas_size) for points in outlines)
    return replace(sample, boxes=boxes, rles=rles if masked else None)


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
