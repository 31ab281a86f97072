"""Masks of objects: COCO's run-length codes, polygons, and the boxes around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# COCO's run-length coding of one mask: {"size": [height, width], "counts": bytes}.
Rle = dict[str, Any]


def boxes_of_masks(masks: NDArray[np.uint8]) -> Floats:
    """The tightest XYXY boxes, float32 [N, 4], of masks [N, H, W]; zeros for empty."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
        if len(rows):
            box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def encode_polygons(polygons: Sequence[Any], canvas_size: tuple[int, int]) -> Rle:
    """Polygons, each [x, y, x, y, …] in pixels → the COCO code of their union.

    Points far outside are brought near the frame: the code's cost grows with them.
    Raises ValueError for fewer than three points, or one that is not finite.
    """
    from pycocotools import mask as coco_mask

    far = 2.0 * max(canvas_size)
    parts = [np.asarray(polygon, np.float64).ravel() for polygon in polygons]
    for part in parts:
        if len(part) < 6 or len(part) % 2 or not np.isfinite(part).all():
            raise ValueError(f"wanted 3 or more points x, y, got {part.tolist()!r:.60}")
    near = [part.clip(-far, far).tolist() for part in parts]
    return coco_mask.merge(coco_mask.frPyObjects(near, *canvas_size))


def count_pixels(code: bytes) -> int:
    """How many pixels, set or not, a compressed COCO code speaks of; -1 for none.

    pycocotools itself reads past the end of a code that is too short. Source: the
    description of the code in its maskApi.h: base 32, each run as the difference from
    the last but one.
    """
    runs: list[int] = []
    value = shift = 0
    for digit in (byte - 48 for byte in code):
        if not 0 <= digit < 64:
            return -1
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            value -= (1 << shift) if digit & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return -1 if shift or min(runs, default=-1) < 0 else sum(runs)


def encode_masks(masks: Sequence[NDArray[np.uint8]]) -> tuple[Rle, ...]:
    """Masks, each uint8 [H, W] of 0 and 1 → COCO's run-length codes."""
    from pycocotools import mask as coco_mask

    return tuple(coco_mask.encode(np.asfortranarray(mask)) for mask in masks)
