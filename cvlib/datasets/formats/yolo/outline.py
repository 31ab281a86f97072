"""A mask's outline as YOLO writes it, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvlib.masks import boxes_of_masks, encode_polygons

Floats = NDArray[np.float64]


def encode_outlines(
    outlines: list[Floats | None], boxes: list[Floats], size: tuple[int, int]
) -> tuple[Any, ...] | None:
    """Masks where any outline was drawn; () for an image without objects."""
    if outlines and all(outline is None for outline in outlines):
        return None
    pairs = zip(outlines, boxes, strict=True)
    return tuple(_rle(outline, box, *size) for outline, box in pairs)


def _rle(outline: Floats | None, box: Floats, height: int, width: int) -> Any:
    """A polygon's mask; a box's own area where there is no polygon."""
    if outline is None:
        left, top, right, bottom = box
        outline = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return encode_polygons([outline], (height, width))


def outline_of(mask: NDArray[np.uint8]) -> Floats | None:
    """A polygon [P, 2] around a mask; lines without width join several parts."""
    from contourpy import contour_generator

    if not mask.any():
        return None
    left, top, right, bottom = boxes_of_masks(mask[None])[0].astype(int)
    framed = np.pad(mask[top:bottom, left:right].astype(float), 1)
    parts = contour_generator(z=framed).lines(0.5)
    # A pixel's value stands at its middle: half a pixel in, and one for the frame.
    origin = np.array([left - 0.5, top - 0.5])
    points = [np.asarray(part)[:-1] + origin for part in parts]
    rings = [np.concatenate([part, part[:1]]) for part in points]
    if len(rings) == 1:
        return points[0]
    back = [ring[:1] for ring in rings[-2::-1]]
    return np.concatenate([*rings, *back])
