"""Which images belong together: named by you, by the annotations, or by their files.

Ten photographs of one mug succeed or fail together, so splits, folds and intervals draw
groups, not images. Used in book/start/own-data.
"""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from cvlib.datasets.registry import DatasetError
from cvlib.datasets.tables import FILES, Row, rows_of
from cvlib.samples import ImageSet, Sample, known_split, relative_path

log = logging.getLogger("cvlib")

LEAST_GROUPS = 10  # with fewer, file names number images rather than things
WANTED = r"a regular expression with a bracket, as (.+)_\d+$, or a column of a table"


class GroupError(DatasetError):
    """What `group_by` says fits no image, or is no pattern."""


def grouped(images: ImageSet, group_by: str | None = None) -> ImageSet:
    """Every sample with a group, and in `grouping` how it came to it.

    An image's group is the first of these that it has: what `group_by` says, what its
    annotation says, its name up to the last number where `names_of_things` can be
    trusted, its own path. `group_by` is a regular expression, whose first bracket in
    the path without its ending is the group, or the name of a column in one of the
    folder's tables. Raises GroupError for one that fits no image.
    """
    if group_by:
        named, how = _as_asked(images, group_by)
    elif any(sample.group for sample in images):
        named, how = [""] * len(images), images.grouping or "as annotated"
    else:
        named, how = _as_named(images)
    together = zip(images, named, strict=True)
    samples = [replace(s, group=name or s.group) for s, name in together]
    samples = [replace(s, group=s.group or relative_path(images, s)) for s in samples]
    return replace(images, samples=tuple(samples), grouping=how)


def names_of_things(images: ImageSet) -> list[str]:
    """What each image shows, by its file's name up to the last number.

    `mug-03-07.jpg` shows `mug-03`; a name without such an ending is a thing of its own.
    Where two folders or classes share a name, they go before it: `mug/IMG`, `can/IMG`.
    """
    paths = [PurePosixPath(relative_path(images, sample)) for sample in images]
    names = [re.sub(r"-\d+$", "", path.stem) for path in paths]
    homes = [_home(images, s, p) for s, p in zip(images, paths, strict=True)]
    shared: dict[str, set[str]] = defaultdict(set)
    for name, home in zip(names, homes, strict=True):
        shared[name].add(home)
    return [
        f"{home}/{name}" if len(shared[name]) > 1 else name
        for name, home in zip(names, homes, strict=True)
    ]


def parted_groups(images: ImageSet) -> dict[str, list[Sample]]:
    """Groups in more than one of train, valid and test, with one image of each."""
    seen: dict[str, dict[str, Sample]] = defaultdict(dict)
    for sample in images:
        if sample.group and sample.split:
            seen[sample.group].setdefault(sample.split.rpartition("_")[2], sample)
    return {name: list(own.values()) for name, own in seen.items() if len(own) > 1}


def _as_asked(images: ImageSet, group_by: str) -> tuple[list[str], str]:
    """Each image's group by the user's pattern or column, "" where it does not fit."""
    if "(" in group_by:
        paths = [
            relative_path(images, s).removesuffix(s.path.suffix) for s in images.samples
        ]
        named, how = [_bracket(group_by, path) for path in paths], f"by {group_by!r}"
    else:
        known, how = _column(images, group_by)
        paths = [relative_path(images, sample) for sample in images]
        named = [known.get(path, "") for path in paths]
    if paths and not any(named):
        raise GroupError(f"group_by {group_by!r} fits no file; one is {paths[0]!r}")
    return named, how


def _bracket(pattern: str, path: str) -> str:
    try:
        found = re.search(pattern, path)
        return found[1] or "" if found else ""
    except (re.error, IndexError) as error:
        raise GroupError(
            f"group_by must be {WANTED}; got {pattern!r}: {error}"
        ) from error


def _column(images: ImageSet, column: str) -> tuple[dict[str, str], str]:
    """Path → what a column says, of the first of the folder's tables that has it."""
    seen = []
    for name, rows in _tables(images):
        columns = list(rows[0]) if rows else []
        file = next((known for known in FILES if known in columns), "")
        if file and column in columns:
            places = [row[file].replace("\\", "/") for row in rows]
            known = zip(places, (row[column].strip() for row in rows), strict=True)
            return dict(known), f"by {name}'s column {column}"
        seen.append(f"{name} has {', '.join(columns)[:200] or 'none'}")
    raise GroupError(
        f"group_by must be {WANTED}; got {column!r}, and no table with a column of "
        f"files has such a column: {'; '.join(seen) or 'there is no .csv'}"
    )


def _tables(images: ImageSet) -> Iterator[tuple[str, list[Row]]]:
    """Name and rows of each table at the top of the folder that can be read."""
    for path in sorted(images.root.glob("*.csv")):
        try:
            yield path.name, [row for _, row in rows_of(path.read_text("utf-8-sig"))]
        except (OSError, UnicodeDecodeError, csv.Error):
            continue


def _as_named(images: ImageSet) -> tuple[list[str], str]:
    """Each image's group by its name, and the rule; none where it makes few large ones.

    `cat-001` to `cat-200` are two hundred cats. So the rule wants at least ten groups,
    twice as many as there are classes, and none that holds half of the images.
    """
    named, alone = _numbered_names(images), [""] * len(images)
    sizes = Counter(named).most_common()
    largest, size = sizes[0] if sizes else ("", 0)
    if size < 2:
        return alone, "each image by itself"
    stem = next(s.path.stem for s, n in zip(images, named, strict=True) if n == largest)
    rule = f"{stem} → {largest}"
    least = max(LEAST_GROUPS, 2 * len(images.class_names))
    if len(sizes) < least or 2 * size >= len(images):
        how = f"each image by itself: file names ({rule}) would make only "
        how += f"{len(sizes)}, the largest of {size} images"
        log.info("%s: %s; if they are right, say so with group_by", images.root, how)
        return alone, how
    how = f"by file names, as {rule}"
    log.info("%s: %d groups %s", images.root, len(sizes), how)
    return named, how


def _numbered_names(images: ImageSet) -> list[str]:
    """`names_of_things`; an image's own path where none of a name has a number to cut.

    `train/001.jpg` and `test/001.jpg` are two pictures: lists start again.
    """
    named = names_of_things(images)
    together = list(zip(named, images, strict=True))
    numbered = {name for name, s in together if re.search(r"-\d+$", s.path.stem)}
    return [n if n in numbered else relative_path(images, s) for n, s in together]


def _home(images: ImageSet, sample: Sample, path: PurePosixPath) -> str:
    """The folder an image lies in, and its class: what tells equal names apart."""
    parts = [part for part in path.parent.parts if not known_split(part)]
    if len(sample.labels) == 1 and sample.boxes is None:
        name = images.class_names[int(sample.labels[0])]
        parts += [name] * (name not in parts)
    return "/".join(parts)
