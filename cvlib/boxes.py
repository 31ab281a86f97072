"""Boxes as NumPy arrays, float32 [N, 4], XYXY pixels: their overlaps, their matches.

For tensors on a device torchvision.ops has the same; this serves annotation files,
where nothing else needs torch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating[Any]]


def areas(boxes: Boxes) -> Boxes:
    """Areas in square pixels, [N], of boxes [N, 4]. Used in book/data/annotate.

    >>> areas(np.array([[0, 0, 2, 3]], dtype=float)).tolist()
    [6.0]
    """
    _check(boxes)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def ious(
    boxes: Boxes, others: Boxes, *, crowd: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Intersection over union, [N, M], of boxes [N, 4] with others [M, 4].

    Where `crowd`, [M], is true, the share of the box that lies in the other, as COCO
    has it for crowds. Computed by pycocotools, which also judges detectors. Used in
    book/data/annotate.

    >>> ious(np.array([[0, 0, 2, 2.0]]), np.array([[1, 0, 3, 2.0]])).round(3).tolist()
    [[0.333]]
    """
    from pycocotools import mask as coco_mask

    _check(boxes)
    _check(others)
    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)))
    flags = np.zeros(len(others)) if crowd is None else np.asarray(crowd)
    return np.asarray(
        coco_mask.iou(to_xywh(boxes), to_xywh(others), flags.astype(np.uint8))
    )


def match(
    boxes: Boxes, others: Boxes, *, iou_threshold: float = 0.5
) -> NDArray[np.int64]:
    """Pairs (row of `boxes`, row of `others`), [P, 2], that show the same object.

    Each box has at most one partner. Of all such pairings this is the one of the
    highest total IoU (the assignment problem, solved by SciPy), less the pairs below
    `iou_threshold`. Used in book/data/annotate.
    """
    from scipy.optimize import linear_sum_assignment

    overlap = ious(boxes, others)
    overlap[overlap < iou_threshold] = 0
    rows, columns = linear_sum_assignment(-overlap)
    pairs = np.column_stack([rows, columns])
    return pairs[overlap[rows, columns] > 0]


def to_xywh(boxes: Boxes) -> NDArray[np.float64]:
    """XYXY [N, 4] → left, top, width and height [N, 4], as COCO writes boxes."""
    _check(boxes)
    found = np.asarray(boxes, dtype=np.float64).copy()
    found[:, 2:] -= found[:, :2]
    return found


def _check(boxes: Boxes) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be [N, 4], got {list(boxes.shape)}")
