"""A data set → splits whose labels are things, and the sets a search is judged on."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cvlib.datasets.groups import names_of_things
from cvlib.datasets.loading import load_classes
from cvlib.datasets.registry import DatasetError
from cvlib.samples import SPLITS, ImageSet
from cvlib.samples import with_shuffled_labels as with_shuffled_labels


@dataclass(frozen=True, eq=False)
class ComparativeSets:
    """A small search for each query: one match among images of other things.

    Indices of images, int64: `queries` and `positives` [Q], `negatives` [Q, negatives].
    No negative comes twice in a row.
    """

    queries: Tensor
    positives: Tensor
    negatives: Tensor

    def __len__(self) -> int:
        return len(self.queries)


def read_splits(
    data: str | Path | ImageSet, *, group_by: str | None = None
) -> dict[str, ImageSet]:
    """Images labelled by what they show → {"train": ImageSet, "valid": …, "test": …}.

    `data` and `group_by` are as in `cvlib.datasets.load`. A thing is the first of these
    that two images of a split share: the group that `load` gave, by `group_by`, the
    annotations or trusted names; the name up to the last number (`mug-03-07` →
    `mug-03`); the class. Images of one thing share a group, those of a class need not.
    Each split numbers its own things from 0; `class_names` tells them apart across
    splits, where they need not be the same: that is the open set. A thing with a single
    image stays, for others to be compared with, but as a query it has no match. Raises
    DatasetError for boxes or several labels an image, a split without two images of one
    thing, and a pattern that fits no file. Used in book/similarity/search.
    """
    images = _with_things(load_classes(data, group_by=group_by))
    return {name: _part_of(images, name) for name in SPLITS}


def shared_labels(queries: ImageSet, gallery: ImageSet) -> tuple[Tensor, Tensor]:
    """Labels of two sets under one numbering, int64 [Q] and [G].

    Each set numbers its own things; across sets a thing is known by its name. Used
    in book/similarity/search.
    """
    names = sorted({*queries.class_names, *gallery.class_names})
    place = {name: label for label, name in enumerate(names)}

    def renumbered(images: ImageSet) -> Tensor:
        own = torch.tensor([place[name] for name in images.class_names])
        return own.long()[images.labels]

    return renumbered(queries), renumbered(gallery)


def comparative_sets(
    labels: Tensor, *, negatives: int = 99, seed: int
) -> ComparativeSets:
    """For each image with a companion, that companion among distinct other things.

    `labels` are int64 [N], one thing an image. Every image of a thing that has another
    image is a query once; its match and its `negatives` are drawn by a generator of
    their own. Raises ValueError when no thing has two images, and when a query has
    fewer than `negatives` images of other things. Used in book/similarity/evaluate.
    """
    _, things, counts = np.unique(
        _checked(labels), return_inverse=True, return_counts=True
    )
    by_thing = things.argsort(kind="stable")
    starts = counts.cumsum() - counts
    if not (counts > 1).any():
        raise ValueError("no thing has two images, so no query has a match")
    others = len(labels) - counts[counts > 1].max()
    if not 1 <= negatives <= others:
        raise ValueError(
            f"negatives must be 1 to {others}, the images of other things that every "
            f"query has, got {negatives}"
        )
    random = np.random.default_rng(seed)
    rows = [
        _draw(
            random, place, starts[things[i]], counts[things[i]], len(labels), negatives
        )
        for place, i in enumerate(by_thing)
        if counts[things[i]] > 1
    ]
    table = torch.from_numpy(by_thing[np.array(rows)])
    table = table[table[:, 0].argsort()]
    return ComparativeSets(table[:, 0], table[:, 1], table[:, 2:])


def _draw(
    random: np.random.Generator,
    place: int,
    start: int,
    count: int,
    total: int,
    negatives: int,
) -> list[int]:
    """Places of query, match and negatives when images are sorted by thing.

    The images of the query's thing are the `count` from `start`.
    """
    match = start + random.integers(count - 1)
    match += match >= place  # not the query itself
    drawn = random.choice(total - count, negatives, replace=False)
    drawn += count * (drawn >= start)  # none of the query's thing
    return [place, int(match), *drawn.tolist()]


def _checked(labels: Tensor) -> Tensor:
    if labels.ndim != 1 or labels.dtype != torch.int64 or not len(labels):
        raise ValueError(
            f"labels must be int64 [N], N > 0, got {labels.dtype} {tuple(labels.shape)}"
        )
    return labels


def _with_things(images: ImageSet) -> ImageSet:
    """Under the names of things: each image's label is its thing, and its group."""
    for names in (images.groups, names_of_things(images)):
        places = Counter(zip([s.split for s in images], names, strict=True))
        if max(places.values(), default=0) > 1:
            things = tuple(sorted(set(names)))
            place = {thing: np.array([label]) for label, thing in enumerate(things)}
            pairs = zip(images, names, strict=True)
            samples = tuple(replace(s, labels=place[n], group=n) for s, n in pairs)
            return replace(images, class_names=things, samples=samples)
    return images


def _part_of(images: ImageSet, name: str) -> ImageSet:
    """One split, its own things numbered from 0 in the order of their names."""
    own = images.split(name)
    counts = own.counts()
    if counts.max(initial=0) < 2:
        raise DatasetError(
            f"{images.root}: {name} has no two images of one thing, so no search in it "
            "has a right answer; add images, or say with group_by which belong together"
        )
    place = (counts > 0).cumsum() - 1
    names = np.array(images.class_names, object)[counts > 0]
    samples = tuple(replace(sample, labels=place[sample.labels]) for sample in own)
    return replace(own, class_names=tuple(names.tolist()), samples=samples)
