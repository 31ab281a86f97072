"""A data set → splits whose labels are things, and the sets a search is judged on."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cvlib.datasets.loading import load
from cvlib.datasets.registry import DatasetError
from cvlib.labelled import Split as Split
from cvlib.labelled import groups_from_names
from cvlib.labelled import with_shuffled_labels as with_shuffled_labels
from cvlib.samples import SPLITS, ImageSet, Sample


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
) -> dict[str, Split]:
    """Images labelled by the thing they show → {"train": Split, "valid": …, "test": …}.

    `data` is as in `cvlib.datasets.load`. A thing is the first of these that two images
    of a split share: the first bracket of the regular expression `group_by` in a file's
    path, the group its annotations give, its name up to the last number (`mug-03-07` →
    `mug-03`), its class. Each split numbers its own things from 0; `class_names` tells
    them apart across splits, where they need not be the same: that is the open set. A
    thing with a single image stays, for others to be compared with, but as a query it
    has no match. Raises DatasetError for boxes or several labels an image, a split
    without two images of one thing, and a pattern that fits no file. Used in
    book/similarity/search.
    """
    found = data if isinstance(data, ImageSet) else load(data, group_by=group_by)
    odd = [s for s in found.samples if len(s.labels) != 1 or s.boxes is not None]
    if odd:
        kind = "boxes" if odd[0].boxes is not None else f"{len(odd[0].labels)} labels"
        raise DatasetError(
            f"wanted one label for each image, got {kind} for {odd[0].path}; cut the "
            "objects out first, or say which thing counts"
        )
    things = dict(zip(found.samples, _things(found, group_by), strict=True))
    return {name: _split_of(found, name, things) for name in SPLITS}


def shared_labels(queries: Split, gallery: Split) -> tuple[Tensor, Tensor]:
    """Labels of two splits under one numbering, int64 [Q] and [G].

    Each split numbers its own things; across splits a thing is known by its name. Used
    in book/similarity/search.
    """
    names = sorted({*queries.class_names, *gallery.class_names})
    place = {name: label for label, name in enumerate(names)}

    def renumbered(split: Split) -> Tensor:
        own = torch.tensor([place[name] for name in split.class_names])
        return own.long()[split.labels]

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


def _things(found: ImageSet, pattern: str | None) -> list[str]:
    """The thing each sample shows: its name, the same in every split."""
    classes = [found.class_names[int(s.labels[0])] for s in found.samples]
    relative = [s.path.relative_to(found.root) for s in found.samples]
    named = [Path(name).name for name in groups_from_names(relative)]
    candidates = [
        _bracketed(relative, pattern) if pattern else [],
        [s.group for s in found.samples],
        _told_apart(named, classes),
        classes,
    ]
    for names in candidates:
        places = zip([s.split for s in found.samples], names, strict=False)
        if any(count > 1 for (_, name), count in Counter(places).items() if name):
            return [
                name or str(path) for name, path in zip(names, relative, strict=True)
            ]
    return classes


def _bracketed(paths: list[Path], pattern: str) -> list[str]:
    """What the first bracket holds in each path without its ending, or nothing."""
    try:
        found = [re.search(pattern, path.with_suffix("").as_posix()) for path in paths]
        names = [match[1] or "" if match else "" for match in found]
    except (re.error, IndexError) as error:
        raise DatasetError(
            f"group_by must be a regular expression with a bracket, as (.+)_\\d+$; got "
            f"{pattern!r}: {error}"
        ) from error
    if not any(names):
        raise DatasetError(f"group_by {pattern!r} fits no file; one is {paths[0]}")
    return names


def _told_apart(names: list[str], classes: list[str]) -> list[str]:
    """The names; where two classes share one, the class goes before."""
    homes: dict[str, set[str]] = {}
    for name, own in zip(names, classes, strict=True):
        homes.setdefault(name, set()).add(own)
    return [
        f"{own}/{name}" if len(homes[name]) > 1 else name
        for name, own in zip(names, classes, strict=True)
    ]


def _split_of(found: ImageSet, name: str, things: dict[Sample, str]) -> Split:
    samples = found.split(name).samples
    own = [things[sample] for sample in samples]
    if len(set(own)) == len(own):
        raise DatasetError(
            f"{found.root}: {name} has no two images of one thing, so no search in it "
            "has a right answer; add images, or say with group_by which belong together"
        )
    names = sorted(set(own))
    place = {thing: label for label, thing in enumerate(names)}
    labels = torch.tensor([place[thing] for thing in own], dtype=torch.int64)
    return Split([s.path for s in samples], labels, names)
