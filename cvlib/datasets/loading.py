"""A name or a path in, images with annotations and a split out.

Anywhere the book takes a data set's name it takes your folder: `load` recognises the
format, finds out which images belong together, honours your split, or draws one and
writes it down. Used in book/start/own-data.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import replace
from pathlib import Path

from cvlib.datasets import formats
from cvlib.datasets.download import fetch
from cvlib.datasets.groups import grouped, parted_groups
from cvlib.datasets.known import read_known
from cvlib.datasets.places import cache_folder, dataset_at, is_ours, resolve
from cvlib.datasets.registry import Dataset, DatasetError
from cvlib.datasets.splits import (
    Fractions,
    SplitError,
    assign,
    check_groups,
    read_splits,
    write_splits,
)
from cvlib.samples import SPLITS, ImageSet

log = logging.getLogger("cvlib")


def load(
    data: str | Path,
    *,
    seed: int = 0,
    group_by: str | None = None,
    fractions: Fractions = (0.7, 0.15, 0.15),
) -> ImageSet:
    """The images of a registered data set or of your folder, each in split and group.

    A registered name means that data set, whatever folders there are: write
    ``./clothing`` for a folder. `group_by` says which images belong together, by a
    pattern or a table's column; `groups.grouped` says what holds without.

    A split that the folder's layout has is kept; `valid` and `test`, where it lacks
    them, are drawn from `train`. Without any, `splits.csv` in the folder decides; what
    it does not list is drawn as `splits.assign` does, and written there, so that it
    never changes by itself (in the cache folder, when the folder is none of yours, or
    cannot be written). Images that a layout with splits puts in none keep none. Raises
    FormatError, UnrecognisedError, GroupError and SplitError. Used in
    book/start/own-data.
    """
    known = resolve(data)
    path = known if isinstance(known, Path) and known.is_file() else fetch(data)
    dataset = known if isinstance(known, Dataset) else dataset_at(path)
    by = group_by or (dataset.group_by if dataset else None)
    if dataset:
        found = read_known(dataset, path)
    else:
        found = replace(formats.read(path), name=str(data))
    shares = _shares(found, fractions, partly=dataset is not None)
    found = grouped(found, by)
    found = _joined(found, _drawn(_undecided(found), seed, group_by, shares))
    parted = parted_groups(found) if group_by else {}
    if parted:
        said = (
            "%s: its splits part %d groups, such as %r; results are not about new ones"
        )
        log.warning(said, found.root, len(parted), next(iter(parted)))
    return found


def load_classes(
    data: str | Path | ImageSet, *, group_by: str | None = None
) -> ImageSet:
    """Images of one label each, as `load` gives them, or a set that you have loaded.

    Raises DatasetError for boxes, or for an image with no label or several.
    """
    if isinstance(data, ImageSet):
        found = grouped(data, group_by) if group_by else data
    else:
        found = load(data, group_by=group_by)
    odd = next((s for s in found if len(s.labels) != 1 or s.boxes is not None), None)
    if odd is not None:
        kind = "boxes" if odd.boxes is not None else f"{len(odd.labels)} labels"
        raise DatasetError(
            f"wanted one label for each image, got {kind} for {odd.path}; "
            f"{found.root} was read as {found.format!r}"
        )
    return found


def with_kept_splits(found: ImageSet) -> ImageSet:
    """The set with the splits that an earlier `load` wrote down, or you.

    Raises SplitError for a file that is not what it should be.
    """
    return _joined(found, _kept(_undecided(found)))


def _undecided(found: ImageSet) -> ImageSet:
    """The images whose split is to be drawn, without one.

    All, or those of train where that is to give valid, test or both; none where the
    layout has all three.
    """
    named = {sample.split for sample in found} & set(SPLITS)
    asked = [s for s in found if not named or s.split == "train"]
    return found.having(replace(s, split="") for s in asked if len(named) < len(SPLITS))


def _joined(found: ImageSet, decided: ImageSet) -> ImageSet:
    """The set with the splits and groups of those images that were decided."""
    new = {sample.path: sample for sample in decided if sample.split}
    samples = list(found)
    for place, sample in enumerate(found):
        if known := new.get(sample.path):
            samples[place] = replace(sample, split=known.split, group=known.group)
    return replace(found, samples=tuple(samples), grouping=decided.grouping)


def _kept(undecided: ImageSet) -> ImageSet:
    """The images with the splits of a file; as they are where there is no such file."""
    for file in _files(undecided.root):
        if undecided and file.is_file():
            root = undecided.root.resolve()
            if file.is_symlink() and not file.resolve().is_relative_to(root):
                raise SplitError(f"{file} is a link out of the folder; it is not read")
            return read_splits(undecided, file)
    return undecided


def _drawn(
    undecided: ImageSet, seed: int, group_by: str | None, fractions: Fractions
) -> ImageSet:
    """Every image in a split: as written down, else drawn now and written down."""
    kept = _kept(undecided)
    if any(sample.split for sample in kept):
        check_groups(undecided, kept, group_by)
    if all(sample.split for sample in kept):
        return kept
    drawn = assign(kept, fractions=fractions, seed=seed)
    _keep(drawn)
    return drawn


def _shares(found: ImageSet, fractions: Fractions, *, partly: bool) -> Fractions:
    """The fractions to draw by: nothing for what the layout has, but for train.

    Raises SplitError for a layout with splits and no train, unless it may be so
    `partly`: a registered part of a data set may be its test images alone.
    """
    named = {sample.split for sample in found.samples} & set(SPLITS)
    if named and "train" not in named and not partly:
        raise SplitError(
            f"{found.root} has {', '.join(sorted(named))} and no train images. Give it "
            "such a folder, or put all images together and let the split be drawn"
        )
    if not named or len(fractions) != len(SPLITS):
        return fractions
    train, valid, test = fractions
    wanted = train, valid * ("valid" not in named), test * ("test" not in named)
    total = sum(wanted) or 1.0
    return wanted[0] / total, wanted[1] / total, wanted[2] / total


def _files(root: Path) -> list[Path]:
    """Where a drawn split may stand, the best place first."""
    mark = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    kept = cache_folder() / "splits" / f"{root.name}-{mark}.csv"
    return [kept] if is_ours(root) else [root / "splits.csv", kept]


def _keep(drawn: ImageSet) -> None:
    writable = os.access(drawn.root, os.W_OK)
    for file in _files(drawn.root):
        if file.parent == drawn.root and not writable:
            continue
        try:
            write_splits(drawn, file)
        except OSError as error:
            log.warning("the split could not be written to %s: %s", file, error)
            continue
        log.info(
            "the split is written to %s; edit it, or delete it to draw again", file
        )
        return
