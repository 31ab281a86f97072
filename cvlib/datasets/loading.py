"""A name or a path in, images with annotations and a split out.

Anywhere the book takes a data set's name it takes your folder: `load` recognises the
format, honours your split, or draws one and writes it down. Used in
book/start/own-data.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import replace
from pathlib import Path

from cvlib.datasets import formats
from cvlib.datasets.download import cache_folder, fetch
from cvlib.datasets.registry import DATASETS
from cvlib.datasets.splits import (
    Fractions,
    SplitError,
    assign,
    check_groups,
    grouped,
    parted_groups,
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

    A split that the folder's layout has is kept; `valid` and `test`, where it lacks
    them, are drawn from `train`. Without any, `splits.csv` in the folder decides; what
    it does not list is drawn as `splits.assign` does, and written there, so that it
    never changes by itself (in the cache folder, when yours cannot be written). Images
    that a layout with splits puts in none keep none. Raises FormatError,
    UnrecognisedError and SplitError. Used in book/start/own-data.
    """
    path = Path(data).expanduser()
    found = formats.read(path if path.is_file() else fetch(data))
    shares = _shares(found, fractions)
    places = _open(found)
    if places:
        drawn = _drawn(_part(found, places), data, seed, group_by, shares)
        found = _with(found, places, drawn)
    found = grouped(found, group_by)
    parted = parted_groups(found) if group_by else {}
    if parted:
        said = (
            "%s: its splits part %d groups, such as %r; results are not about new ones"
        )
        log.warning(said, found.root, len(parted), next(iter(parted)))
    return found


def with_kept_splits(found: ImageSet, data: str | Path) -> ImageSet:
    """The set with the splits that an earlier `load` wrote down, or you.

    Raises SplitError for a file that is not what it should be.
    """
    places = _open(found)
    kept = _kept(_part(found, places), data)
    return found if kept is None else _with(found, places, kept)


def _open(found: ImageSet) -> list[int]:
    """The places of the images whose split is to be drawn.

    All, or those of train where that is to give valid, test or both; none where the
    layout has all three.
    """
    named = {sample.split for sample in found.samples} & set(SPLITS)
    given = "" if not named else "train" if len(named) < len(SPLITS) else None
    known = [sample.split for sample in found.samples]
    return [i for i, split in enumerate(known) if not named or split == given]


def _part(found: ImageSet, places: list[int]) -> ImageSet:
    return found.having(replace(found.samples[i], split="") for i in places)


def _with(found: ImageSet, places: list[int], part: ImageSet) -> ImageSet:
    """The set with the images of a part of it where they have a split."""
    samples = list(found.samples)
    for place, sample in zip(places, part.samples, strict=True):
        samples[place] = sample if sample.split else samples[place]
    return found.having(samples)


def _kept(part: ImageSet, data: str | Path) -> ImageSet | None:
    """The part with the splits of a file; None where there is no such file."""
    for file in _places(part.root, data):
        if part and file.is_file():
            root = part.root.resolve()
            if file.is_symlink() and not file.resolve().is_relative_to(root):
                raise SplitError(f"{file} is a link out of the folder; it is not read")
            return read_splits(part, file)
    return None


def _drawn(
    part: ImageSet,
    data: str | Path,
    seed: int,
    group_by: str | None,
    fractions: Fractions,
) -> ImageSet:
    """Every image in a split: as written down, else drawn now and written down."""
    kept = _kept(part, data)
    if kept is not None:
        check_groups(part, kept, group_by)
        if all(sample.split for sample in kept.samples):
            return kept
    drawn = assign(kept or part, fractions=fractions, seed=seed, group_by=group_by)
    _keep(drawn, _places(part.root, data))
    return drawn


def _shares(found: ImageSet, fractions: Fractions) -> Fractions:
    """The fractions to draw by: nothing for what the layout has, but for train.

    Raises SplitError for a layout with splits and no train.
    """
    named = {sample.split for sample in found.samples} & set(SPLITS)
    if named and "train" not in named:
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


def _places(root: Path, data: str | Path) -> list[Path]:
    """Where a drawn split may stand, the best place first."""
    mark = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    kept = cache_folder() / "splits" / f"{root.name}-{mark}.csv"
    registered = str(data) in DATASETS or not os.access(root, os.W_OK)
    return [kept] if registered else [root / "splits.csv", kept]


def _keep(drawn: ImageSet, places: list[Path]) -> None:
    for file in places:
        try:
            write_splits(drawn, file)
        except OSError as error:
            log.warning("the split could not be written to %s: %s", file, error)
            continue
        log.info(
            "the split is written to %s; edit it, or delete it to draw again", file
        )
        return
