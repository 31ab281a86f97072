"""One form for annotated images, whatever file format they came in.

An `ImageSet` is a sequence of `Sample`s under one list of class names, from a folder to
a training loop: it has a length, an order, slices and splits, and nothing that a reader
knew is lost on the way. Arrays are NumPy's, so reading and checking a folder never
waits for torch; `ImageSet.labels` and `Sample.target` give tensors. Used in
book/data/annotate.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

from cvlib.masks import Floats, Rle

Labels = NDArray[np.int64]

SPLITS = ("train", "valid", "test")
SPLIT_NAMES = {
    "training": "train",
    "val": "valid",
    "validation": "valid",
    "testing": "test",
}
# How files of images end, as far as this house looks for them.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def split_name(name: str) -> str:
    """A split as we call it: `val`, `validation` and `val2017` are `valid`."""
    plain = name.lower().removeprefix("instances_").rstrip("0123456789")
    return SPLIT_NAMES.get(plain, plain)


def known_split(name: str) -> str:
    """One of train, valid and test, or `negatives_` and one of them; else ""."""
    head, _, last = split_name(name).rpartition("_")
    found = SPLIT_NAMES.get(last, last)
    if found not in SPLITS or head not in ("", "negatives"):
        return ""
    return f"{head}_{found}" if head else found


@dataclass(frozen=True, eq=False, repr=False)
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
        for name, of_objects in (("mask", self.rles), ("crowd flag", self.crowd)):
            if of_objects is not None and len(of_objects) != count:
                raise ValueError(
                    f"{self.path.name}: wanted a {name} for each of {count} labels, "
                    f"got {len(of_objects)}"
                )

    def __repr__(self) -> str:
        """One line, however many objects there are."""
        height, width = self.canvas_size
        said = [f"{self.path.name!r}", f"{width} × {height} pixels"]
        numbers = textwrap.shorten(str(self.labels.tolist()), 40, placeholder=" …]")
        said += [f"labels {numbers}", *_kinds([self])]
        said += [f"{n} {v!r}" for n, v in _named(split=self.split, group=self.group)]
        return f"Sample({', '.join(said)})"

    @property
    def masks(self) -> NDArray[np.uint8]:
        """The objects' masks, uint8 [N, H, W], decoded anew: ask once, and keep it."""
        if not self.rles:
            return np.zeros((0, *self.canvas_size), np.uint8)
        from pycocotools import mask as coco_mask

        decoded = coco_mask.decode(list(self.rles))
        return np.ascontiguousarray(decoded.transpose(2, 0, 1))

    @property
    def areas(self) -> Floats:
        """Square pixels of each object, float32 [N]: its mask's, else its box's."""
        if self.rles:
            from pycocotools import mask as coco_mask

            return np.asarray(coco_mask.area(list(self.rles)), np.float32)
        if self.boxes is None:
            return np.zeros(0, np.float32)
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return np.asarray(sides.prod(axis=1), np.float32)

    def keeping(self, objects: NDArray[np.bool_]) -> Sample:
        """The sample with some of its objects, bool [N], and all that is theirs."""
        rles = self.rles
        if rles is not None:
            rles = tuple(r for r, stays in zip(rles, objects, strict=True) if stays)
        return replace(
            self,
            labels=self.labels[objects],
            boxes=None if self.boxes is None else self.boxes[objects],
            rles=rles,
            keypoints=None if self.keypoints is None else self.keypoints[objects],
            crowd=None if self.crowd is None else self.crowd[objects],
        )

    def target(self) -> dict[str, Tensor]:
        """What is known, as tensors under the names of torchvision's detectors.

        Always `labels`, int64 [N]: places in the set's `class_names`, counted **from
        0**; a detector whose 0 is the background adds 1 itself, and takes 1 off what it
        predicts. With boxes also `boxes` float32 [N, 4], `area` float32 [N] and
        `iscrowd` int64 [N]: whoever trains leaves crowds out, whoever evaluates
        ignores them. Where known, `masks` uint8 [N, H, W] and `keypoints`.
        """
        import torch

        known: dict[str, Any] = {"labels": self.labels, "boxes": self.boxes}
        known |= {"keypoints": self.keypoints}
        if self.rles is not None:
            known["masks"] = self.masks
        if self.boxes is not None:
            crowd = np.zeros(len(self.labels)) if self.crowd is None else self.crowd
            known |= {"area": self.areas, "iscrowd": np.asarray(crowd, np.int64)}
        return {
            name: torch.from_numpy(np.array(value))
            for name, value in known.items()
            if value is not None
        }


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet(Sequence[Sample]):
    """Samples in their order, and the names their numbers stand for.

    `images[0]` is a Sample, `images[:9]` and `images.split("test")` are sets, a loop
    gives samples. What stands below is kept in each of them.

    root: the folder that paths are told from. name: what was asked for, as "clothing".
    format: the key in `cvlib.datasets.formats.FORMATS` that was read.
    keypoint_names: K names; flip_pairs: pairs of their numbers that a mirror swaps.
    grouping: how it is known which images belong together, in words.
    """

    root: Path
    format: str
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    keypoint_names: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    name: str = ""
    grouping: str = ""

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> ImageSet: ...
    def __getitem__(self, index: int | slice) -> Sample | ImageSet:
        """One sample, or the set of a slice."""
        if isinstance(index, slice):
            return self.having(self.samples[index])
        return self.samples[index]

    def __repr__(self) -> str:
        """At most five lines, however large the set."""
        read = f", read as {self.format}" if self.format else ""
        labels = sum(len(s.labels) for s in self.samples)
        lines = [
            f"ImageSet {self.name or str(self.root)!r}{read}",
            f"{len(self):,} images: {self._split_counts()}",
            f"{len(self.class_names)} classes: {', '.join(self.class_names)}",
            f"{len(set(self.groups)):,} groups{self.grouping and ': '}{self.grouping}",
        ]
        kinds = _kinds(self.samples)
        lines += [f"{labels:,} labels, with {', '.join(kinds)}"] if kinds else []
        return "\n".join(textwrap.shorten(x, 88, placeholder=" …") for x in lines)

    @cached_property
    def paths(self) -> list[Path]:
        """The image files, in order."""
        return [sample.path for sample in self.samples]

    @cached_property
    def labels(self) -> Tensor:
        """The one label of each image, int64 [N]; `class_names[label]` names it.

        Raises ValueError, with the file, where an image has none or several.
        """
        import torch

        odd = next((s for s in self.samples if len(s.labels) != 1), None)
        if odd is not None:
            raise ValueError(
                f"wanted one label for each image, got {len(odd.labels)} for "
                f"{relative_path(self, odd)}; go through the samples' own labels"
            )
        return torch.tensor([int(s.labels[0]) for s in self.samples], dtype=torch.int64)

    @cached_property
    def groups(self) -> list[str]:
        """What each image belongs to: its group, or its own path where it has none.

        Give it to the functions of `cvlib.intervals`, and to scikit-learn's GroupKFold.
        """
        return [sample.group or relative_path(self, sample) for sample in self.samples]

    def split(self, name: str) -> ImageSet:
        """The samples of one split, under the same class names.

        `val` and `validation` mean `valid`. One of train, valid and test without images
        is an empty set; a ValueError lists what there is when the name is none.
        """
        own = {sample.split for sample in self.samples}
        wanted = name if name in own else known_split(name)
        if not wanted:
            raise ValueError(f"no split {name!r}; there are {self._split_counts()}")
        return self.having(s for s in self.samples if s.split == wanted)

    def having(self, samples: Iterable[Sample]) -> ImageSet:
        """The same set with other samples."""
        return replace(self, samples=tuple(samples))

    def counts(self) -> NDArray[np.int64]:
        """How many labels there are of each class, int64 [classes]."""
        every = [s.labels for s in self.samples]
        labels = np.concatenate(every) if every else np.zeros(0, np.int64)
        return np.bincount(labels, minlength=len(self.class_names))

    def _split_counts(self) -> str:
        """`480 train, 160 valid, 5 in no split`, in that order."""
        counted = Counter(sample.split for sample in self.samples)
        order = [s for s in SPLITS if s in counted]
        order += sorted(counted.keys() - {*order, ""})
        said = [f"{counted[split]:,} {split}" for split in order]
        return ", ".join(said + [f"{counted['']:,} in no split"] * ("" in counted))


def with_shuffled_labels(images: ImageSet, *, seed: int) -> ImageSet:
    """The same files under each other's labels: a model must now fail to learn.

    Raises ValueError for labels of boxes, which would be of another image's. Used in
    book/classification/train.
    """
    import torch

    if any(sample.boxes is not None for sample in images):
        raise ValueError("labels of images can be shuffled, those of boxes cannot")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    labels = [images[index].labels for index in order.tolist()]
    pairs = zip(images, labels, strict=True)
    return images.having(replace(sample, labels=other) for sample, other in pairs)


def relative_path(images: ImageSet, sample: Sample) -> str:
    """A sample's path below the set's root, with forward slashes."""
    if sample.path.is_relative_to(images.root):
        return sample.path.relative_to(images.root).as_posix()
    return sample.path.name


def _kinds(samples: Sequence[Sample]) -> list[str]:
    """What is known beside labels, in words."""
    has = {
        "boxes": any(s.boxes is not None for s in samples),
        "masks": any(s.rles for s in samples),
        "keypoints": any(s.keypoints is not None for s in samples),
        "label maps": any(s.label_map is not None for s in samples),
    }
    return [name for name, is_there in has.items() if is_there]


def _named(**values: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in values.items() if value]
