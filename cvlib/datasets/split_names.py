"""The words by which folders and columns name train, valid and test."""

from __future__ import annotations

from pathlib import PurePosixPath

from cvlib.samples import SPLITS

SPLIT_NAMES = {
    "training": "train",
    "val": "valid",
    "validation": "valid",
    "testing": "test",
}


def split_of_path(path: str) -> str:
    """The split that a path's first such folder is named after, "" without one."""
    return next(iter(_splits_in(path)), "")


def _splits_in(path: str) -> dict[str, None]:
    """The splits that folders of a path are named after, in order."""
    parts = map(known_split, PurePosixPath(path).parts)
    return {part: None for part in parts if part}


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


def split_of_name(stem: str) -> str:
    """The split that an annotation file is called after: `my_val` is valid's."""
    return known_split(stem) or known_split(stem.rpartition("_")[2])
