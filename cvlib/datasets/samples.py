"""One form for annotated images, whatever file format they came in.

An `ImageSet` is a list of `Sample`s and the names of their classes. Arrays are
NumPy's, so reading and checking a folder never waits for torch; `Sample.target` gives
the tensors that torchvision's detectors train on. Used in book/data/annotate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
# COCO's run-length coding of one mask: {"size": [height, width], "counts": bytes}.
Rle = dict[str, Any]

SPLITS = ("train", "valid", "test")
# The same as cvlib.images.SUFFIXES, which would bring torch along.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Sample:
    """One image file and what is known of it.

    canvas_size: (height, width) in pixels, as stored, before EXIF turning.
    labels: int64 [N]. With `boxes`, one an object; without, the image's class (N = 1)
        or its tags (N ≥ 0). They count from 0; a detector adds its background itself.
    boxes: float32 [N, 4], XYXY pixels; None when the format has no objects.
    rles: a mask an object, run-length coded; None without masks.
    keypoints: float32 [N, K, 3], x, y and visibility (0 unlabelled, 1 hidden, 2 seen).
    crowd: bool [N], COCO's `iscrowd`; ignored in training and evaluation.
    label_map: the file of an index PNG, a class a pixel, 255 ignored.
    split: train, valid or test; empty when nobody has decided.
    group: images of one scene or thing share it and must share a split.
    """

    path: Path
    canvas_size: tuple[int, int]
    labels: Labels = field(default_factory=lambda: np.zeros(0, np.int64))
    boxes: Floats | None = None
    rles: tuple[Rle, ...] | None = None
    keypoints: Floats | None = None
    crowd: NDArray[np.bool_] | None = None
    label_map: Path | None = None
    split: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        count = len(self.labels)
        shapes = {"boxes": self.boxes, "keypoints": self.keypoints}
        wanted = {"boxes": (count, 4), "keypoints": (count, "K", 3)}
        for name, array in shapes.items():
            fits = array is None or (
                len(array) == count and array.shape[-1] == wanted[name][-1]
            )
            if array is not None and not (fits and array.ndim == len(wanted[name])):
                raise ValueError(
                    f"{self.path.name}: {name} must be {list(wanted[name])}, "
                    f"got {list(array.shape)}"
                )
        if self.rles is not None and len(self.rles) != count:
            raise ValueError(
                f"{self.path.name}: wanted a mask for each of {count} labels, "
                f"got {len(self.rles)}"
            )

    @property
    def masks(self) -> NDArray[np.uint8]:
        """The objects' masks, uint8 [N, H, W], decoded anew: ask once, and keep it."""
        if not self.rles:
            return np.zeros((0, *self.canvas_size), np.uint8)
        from pycocotools import mask as coco_mask

        decoded = coco_mask.decode(list(self.rles))
        return np.ascontiguousarray(decoded.transpose(2, 0, 1))

    def target(self) -> dict[str, Tensor]:
        """Tensors by their names in STYLE: boxes, labels and, where known, the rest."""
        import torch

        known: dict[str, Any] = {"labels": self.labels, "boxes": self.boxes}
        known |= {"keypoints": self.keypoints}
        if self.rles is not None:
            known["masks"] = self.masks
        return {
            name: torch.from_numpy(np.array(value))
            for name, value in known.items()
            if value is not None
        }


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Samples and the names their numbers stand for.

    format: the key in `cvlib.datasets.formats.FORMATS` that was read.
    keypoint_names: K names; flip_pairs: pairs of their numbers that a mirror swaps.
    """

    root: Path
    format: str
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    keypoint_names: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def split(self, name: str) -> ImageSet:
        """The samples of one split, under the same class names."""
        return self.having(s for s in self.samples if s.split == name)

    def having(self, samples: Iterable[Sample]) -> ImageSet:
        """The same set with other samples."""
        return replace(self, samples=tuple(samples))

    def counts(self) -> NDArray[np.int64]:
        """How many labels there are of each class, int64 [classes]."""
        every = [s.labels for s in self.samples]
        labels = np.concatenate(every) if every else np.zeros(0, np.int64)
        return np.bincount(labels, minlength=len(self.class_names))


@dataclass(frozen=True)
class Problem:
    """One fault of a data set, as `cvlib doctor` lists it.

    kind: a short name that never changes, as `box-outside` or `truncated`.
    paths: the files concerned, the one to look at first.
    message: what is wrong, with its numbers. severity: `error` or `warning`.
    index: the object within the image's annotation, None when it is about the image.
    """

    kind: str
    paths: tuple[Path, ...]
    message: str
    severity: str = "error"
    index: int | None = None


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
