"""One form for annotated images, whatever file format they came in.

An `ImageSet` is a list of `Sample`s and the names of their classes. Arrays are
NumPy's, so reading and checking a folder never waits for torch; `Sample.target` gives
the tensors that torchvision's detectors train on. Used in book/data/annotate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

from cvlib.masks import Floats, Rle

Labels = NDArray[np.int64]

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
