"""A name or a path in, images with annotations and a split out.

Anywhere the book takes a data set's name it takes your folder: `load` recognises the
format, honours your split, or draws one and writes it down. Used in
book/start/own-data.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from cvlib.datasets import formats
from cvlib.datasets.download import cache_folder, fetch
from cvlib.datasets.registry import DATASETS
from cvlib.datasets.samples import SPLITS, ImageSet
from cvlib.datasets.splits import (
    Fractions,
    SplitError,
    assign,
    check_groups,
    read_splits,
    write_splits,
)

log = logging.getLogger("cvlib")


def load(
    data: str | Path,
    *,
    seed: int = 0,
    group_by: str | None = None,
    fractions: Fractions = (0.7, 0.15, 0.15),
) -> ImageSet:
    """The images of a registered data set or of your folder, each in a split.

    A split that the folder's layout has is kept; without `valid`, that is drawn from
    `train`. Without any, `splits.csv` in the folder decides; what it does not list is
    drawn as `splits.assign` does, and written there, so that it never changes by
    itself (in the cache folder, when yours cannot be written). Raises FormatError,
    UnrecognisedError and SplitError. Used in book/start/own-data.
    """
    path = Path(data).expanduser()
    found = formats.read(path if path.is_file() else fetch(data))
    named = {sample.split for sample in found.samples}
    if {"train", "valid", "test"} <= named:
        return found
    if not named & set(SPLITS):
        return _drawn(found, data, seed, group_by, fractions)
    _refuse_without_test(found, named)
    rest = fractions[0] + fractions[1]
    shares = (fractions[0] / rest, fractions[1] / rest, 0.0)
    drawn = _drawn(_undecided(found), data, seed, group_by, shares)
    new = {sample.path: sample for sample in drawn.samples}
    return found.having(new.get(s.path, s) for s in found.samples)


def _drawn(
    found: ImageSet,
    data: str | Path,
    seed: int,
    group_by: str | None,
    fractions: Fractions,
) -> ImageSet:
    """Every image in a split: as written down, else drawn now and written down."""
    kept = with_kept_splits(found, data)
    if kept is not found:
        check_groups(found, kept, group_by)
    if all(sample.split for sample in kept.samples):
        return kept
    drawn = assign(kept, fractions=fractions, seed=seed, group_by=group_by)
    _keep(drawn, _places(found.root, data))
    return drawn


def with_kept_splits(found: ImageSet, data: str | Path) -> ImageSet:
    """The set with the splits that an earlier `load` wrote down, or you; else itself.

    Raises SplitError for a file that is not what it should be.
    """
    for file in _places(found.root, data):
        if file.is_file():
            return read_splits(found, file)
    return found


def _refuse_without_test(found: ImageSet, named: set[str]) -> None:
    if "test" not in named or "train" not in named:
        raise SplitError(
            f"{found.root} has {', '.join(sorted(filter(None, named)))} and no "
            f"{'test' if 'train' in named else 'train'} images. Give it such a folder, "
            "or put all images together and let the split be drawn"
        )


def _undecided(found: ImageSet) -> ImageSet:
    """The training images, none of them in a split."""
    from dataclasses import replace

    return found.having(replace(s, split="") for s in found.split("train").samples)


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
