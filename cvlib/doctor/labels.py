"""What the annotations say: classes, splits, boxes and masks that cannot be right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cvlib.boxes import ious
from cvlib.datasets.groups import parted_groups
from cvlib.datasets.registry import DatasetError
from cvlib.intervals import wilson_interval
from cvlib.samples import SPLITS, ImageSet, Problem, Sample

RATIO = 10  # the largest class to the smallest
HALF_WIDTH = 0.05  # of the interval on accuracy that a test set must allow


def check_classes(found: ImageSet) -> Iterator[Problem]:
    """Classes out of balance or missing from a split; test sets that are too small."""
    counts = {
        name: int(n) for name, n in zip(found.class_names, found.counts(), strict=True)
    }
    present = {name: n for name, n in counts.items() if n}
    if present and max(present.values()) > RATIO * min(present.values()):
        most, least = (
            max(present, key=present.__getitem__),
            min(present, key=present.__getitem__),
        )
        said = f"{most!r} has {present[most]} labels, {least!r} {present[least]}"
        yield Problem("imbalance", (found.root,), said, "warning")
    splits = [split for split in SPLITS if len(found.split(split))]
    for split in splits if len(splits) > 1 else []:
        own = found.split(split).counts()
        missing = [n for n, c in zip(found.class_names, own, strict=True) if not c]
        missing = [name for name in missing if counts[name]]
        if missing:
            said = f"{split} has none of {', '.join(missing)}"
            yield Problem("class-missing", (found.root,), said)
    for group, parts in parted_groups(found).items():
        said = f"group {group!r} is in {' and '.join(s.split for s in parts)}"
        yield Problem("group-across-splits", tuple(s.path for s in parts), said)
    yield from _check_test_size(found)


def check_objects(found: ImageSet) -> Iterator[Problem]:
    """Boxes too small to learn from, boxes drawn twice, empty masks."""
    for sample in found.samples:
        if sample.boxes is not None and len(sample.boxes):
            yield from _tiny(sample)
            yield from _twice(sample)
        if sample.rles:
            yield from _empty(sample)


def suspect_labels(found: ImageSet, broken: set[Path]) -> Iterator[Problem]:
    """Labels that a model trained on the other images would not give.

    Cross-validated probabilities of a linear model on embeddings, judged by cleanlab's
    confident learning (Northcutt et al., JAIR 2021). For sets of one label an image.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise DatasetError(
            "--deep needs cleanlab: pip install 'cvlib-book[doctor]'"
        ) from error
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    from cvlib.backbones import load_backbone
    from cvlib.embeddings import embed

    known = [s for s in found.samples if s.path not in broken]
    own = [s for s in known if len(s.labels) == 1 and s.boxes is None]
    labels = np.array([int(s.labels[0]) for s in own])
    if len(own) < 20 or min(np.bincount(labels, minlength=1)[np.unique(labels)]) < 5:
        return
    names, labels = np.unique(labels, return_inverse=True)
    embeddings = embed([s.path for s in own], load_backbone()).numpy()
    model = LogisticRegression(C=100, max_iter=1000)  # embeddings have unit length
    given = cross_val_predict(model, embeddings, labels, method="predict_proba")
    for index in find_label_issues(
        labels, given, return_indices_ranked_by="self_confidence"
    ):
        likely = found.class_names[names[given[index].argmax()]]
        stated = found.class_names[names[labels[index]]]
        said = (
            f"is labelled {stated!r}, looks like {likely!r} ({given[index].max():.0%})"
        )
        yield Problem("label-suspect", (own[index].path,), said, "warning")


def _check_test_size(found: ImageSet) -> Iterator[Problem]:
    total = len(found.split("test"))
    if not total:
        return
    low, high = wilson_interval(round(0.9 * total), total)
    half = (high - low) / 2
    if half > HALF_WIDTH:
        said = (
            f"{total} test images: a model that is right 90 % of the time will measure "
        )
        said += f"between {low:.0%} and {high:.0%}; two models must differ by about "
        said += f"{1.4 * 2 * half:.0%} to be told apart"
        yield Problem("test-small", (found.root,), said, "warning")


def _tiny(sample: Sample) -> Iterator[Problem]:
    assert sample.boxes is not None
    sides = sample.boxes[:, 2:] - sample.boxes[:, :2]
    small = (sides < 4).any(axis=1) & (sides > 0).all(axis=1)
    for index in np.flatnonzero(small):
        said = f"box {index} is {sides[index, 0]:g} × {sides[index, 1]:g} pixels"
        yield Problem("box-tiny", (sample.path,), said, "warning", int(index))


def _twice(sample: Sample) -> Iterator[Problem]:
    assert sample.boxes is not None
    overlap = np.triu(ious(sample.boxes, sample.boxes), 1)
    same = sample.labels[:, None] == sample.labels
    for a, b in np.argwhere((overlap > 0.9) & same):
        said = f"boxes {a} and {b} of one class cover each other by {overlap[a, b]:.0%}"
        yield Problem("box-duplicate", (sample.path,), said, "warning", int(b))


def _empty(sample: Sample) -> Iterator[Problem]:
    from pycocotools import mask as coco_mask

    # Of the codes: decoded, the masks of a large set would fill the memory.
    for index, pixels in enumerate(coco_mask.area(list(sample.rles or ()))):
        if not pixels:
            said = f"mask {index} has no pixel"
            yield Problem("mask-empty", (sample.path,), said, "warning", index)


def counted(found: ImageSet) -> dict[str, int]:
    """Images in each split, "" for those without."""
    return dict(Counter(sample.split for sample in found.samples))
