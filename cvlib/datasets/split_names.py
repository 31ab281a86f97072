"""The splits that folders and annotation files are named after."""

from __future__ import annotations

from pathlib import PurePosixPath

from cvlib.samples import known_split


def split_of_path(path: str) -> str:
    """The split that a path's first such folder is named after, "" without one."""
    return next(iter(splits_in(path)), "")


def splits_in(path: str) -> dict[str, None]:
    """The splits that folders of a path are named after, in order."""
    parts = map(known_split, PurePosixPath(path).parts)
    return {part: None for part in parts if part}


def split_of_name(stem: str) -> str:
    """The split that an annotation file is called after: `my_val` is valid's."""
    return known_split(stem) or known_split(stem.rpartition("_")[2])
