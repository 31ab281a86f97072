"""What the annotations say: classes, splits, boxes and masks that cannot be right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cvlib.boxes import ious
from cvlib.datasets.groups import grouped, parted_groups
from cvlib.datasets.problems import Problem
from cvlib.datasets.registry import DatasetError
from cvlib.intervals import wilson_interval
from cvlib.masks import Floats
from cvlib.samples import SPLITS, ImageSet, Labels, Sample

RATIO = 10  # the largest class to the smallest
FOLDS = 5  # of the cross-validation that judges labels
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
    """Labels that a model trained on images of other things would not give.

    Cross-validated probabilities of a linear model on embeddings, judged by cleanlab's
    confident learning (Northcutt et al., JAIR 2021). Folds draw groups: a thing whose
    label is wrong in all its pictures would vouch for itself. For sets of one label an
    image; classes of fewer than FOLDS groups are not judged, which is said.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise DatasetError(
            "--deep needs cleanlab: pip install 'cvlib-book[doctor]'"
        ) from error
    single = [s for s in found if len(s.labels) == 1 and s.boxes is None]
    readable = grouped(found.having(s for s in single if s.path not in broken))
    judged, few = _with_groups(readable)
    if few:
        said = f"labels of {', '.join(few)} are not judged: that takes {FOLDS} groups "
        said += f"of each class, and a second class ({readable.grouping})"
        yield Problem("label-unjudged", (found.root,), said, "warning")
    if not judged:
        return
    known, labels = np.unique([int(s.labels[0]) for s in judged], return_inverse=True)
    given = _probabilities(judged, labels)
    for index in find_label_issues(
        labels, given, return_indices_ranked_by="self_confidence"
    ):
        likely = found.class_names[known[given[index].argmax()]]
        stated = found.class_names[known[labels[index]]]
        said = f"is labelled {stated!r}, looks like {likely!r}"
        said += f" ({given[index].max():.0%})"
        yield Problem("label-suspect", (judged[index].path,), said, "warning")


def _with_groups(images: ImageSet) -> tuple[ImageSet, list[str]]:
    """The images of classes with enough groups, and the names of the other classes."""
    groups: dict[int, set[str]] = defaultdict(set)
    for sample, group in zip(images, images.groups, strict=True):
        groups[int(sample.labels[0])].add(group)
    enough = {label for label, own in groups.items() if len(own) >= FOLDS}
    enough = enough if len(enough) > 1 else set()
    few = [images.class_names[label] for label in sorted(groups.keys() - enough)]
    return images.having(s for s in images if int(s.labels[0]) in enough), few


def _probabilities(images: ImageSet, labels: Labels) -> Floats:
    """[N, classes]: what a model says of each image that saw none of its group."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    from cvlib.backbones import load_backbone
    from cvlib.embeddings import embed

    embeddings = embed(load_backbone(), images).numpy()
    model = LogisticRegression(C=100, max_iter=1000)  # embeddings have unit length
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    given: Floats = cross_val_predict(
        model,
        embeddings,
        labels,
        groups=images.groups,
        cv=folds,
        method="predict_proba",
    )
    return given


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
