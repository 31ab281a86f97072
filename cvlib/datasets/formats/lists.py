"""Text lists, read: `train.txt`, `val.txt` and `test.txt`, a line an image.

A line is a path and its class's number, behind a comma or a space; a second number, of
a coarser class, is passed over. `classes.csv` names the classes and tells more of them
(see `catalogue`); `classes.txt` only names them. A class of which no picture is there
is left out with a warning, so that a part of a set can be read. The lists of the
Grocery Store Dataset (Klasson et al., WACV 2019) are such ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.tables import rows_of
from cvlib.samples import IMAGE_SUFFIXES, SPLITS, ImageSet, Sample, split_name

LOOKS_LIKE = "train.txt, and val.txt or test.txt, with a line `path, number` an image"
LINE = re.compile(r"(.+\.\w+)[,\s]\s*(\d+)(?:[,\s]\s*\d+)?\s*")
STUDIO = "iconic"  # how a folder of studio pictures begins, which no list names


@dataclass(frozen=True)
class Entry:
    """What `classes.csv` says of a class.

    coarse: the name of the coarser class that it belongs to.
    picture: its studio picture; None where it is not there.
    description: the text file that describes it, or None.
    """

    coarse: str
    picture: Path | None
    description: Path | None


def recognise(folder: Folder) -> bool:
    """Whether a list at the top has a path to an image and a number in a line."""
    return any(next(_rows(folder, sheet), None) for sheet in _sheets(folder))


def read(folder: Folder) -> ImageSet:
    """Every listed image; labels follow the numbers of the classes that are there."""
    listed = [(row, sheet) for sheet in _sheets(folder) for row in _rows(folder, sheet)]
    there = sorted({n for (path, n), _ in listed if path in folder.image_names})
    names = _names(folder)
    absent = {n for (_, n), _ in listed} - set(there)
    if absent:
        said = f"{len(absent)} of its classes have no picture here; they are left out"
        folder.warn("class-absent", {listed[0][1]: said})
    samples = []
    for (path, number), sheet in listed:
        split = split_name(Path(sheet).stem)
        image = "" if number in absent else folder.image(path, sheet, split=split)
        if image:
            size = folder.canvas_size(image)
            label = np.array([there.index(number)], np.int64)
            samples.append(Sample(folder.root / image, size, label, split=split))
    known = tuple(names.get(number, f"class {number}") for number in there)
    return ImageSet(folder.root, "lists", known, tuple(samples))


def is_studio_picture(image: str) -> bool:
    """Whether a file lies where the classes' studio pictures do."""
    return image.lower().startswith(STUDIO)


def catalogue(folder: str | Path) -> dict[str, Entry]:
    """Class name → what `classes.csv` says of it, by the class's number.

    Only what lies in the folder is named. Raises FormatError for a file that cannot be
    read; empty without one.
    """
    opened = Folder(Path(folder).expanduser())
    files = frozenset(opened.files)

    def place(row: dict[str, str], *words: str) -> Path | None:
        name = _cell(row, *words).lstrip("/")
        return opened.root / name if name in files else None

    return {
        _cell(row, "class name", "class", "name"): Entry(
            _cell(row, "coarse class name", "coarse"),
            place(row, "iconic image path", "picture"),
            place(row, "product description path", "description"),
        )
        for row in _table(opened)
    }


def _sheets(folder: Folder) -> list[str]:
    """The lists, in the order of the splits."""
    found = {
        split_name(f.removesuffix(".txt")): f for f in folder.files if "/" not in f
    }
    return [found[s] for s in SPLITS if found.get(s, "").endswith(".txt")]


def _rows(folder: Folder, sheet: str) -> Iterator[tuple[str, int]]:
    """(path, class's number) of each line that lists an image."""
    for line in folder.text(sheet).splitlines():
        found = LINE.fullmatch(line.strip())
        if found and found[1].lower().endswith(IMAGE_SUFFIXES):
            yield found[1].replace("\\", "/"), int(found[2])
        elif line.strip():
            said = f"wanted a path and a number, got {line.strip()!r:.80}"
            folder.fault("annotation-unreadable", sheet, said)


def _names(folder: Folder) -> dict[int, str]:
    """Number → name of the classes."""
    table = {
        int(number): _cell(row, "class name", "class", "name")
        for row in _table(folder)
        if (number := _cell(row, "class id", "id", "number")).isdecimal()
    }
    if table or "classes.txt" not in folder.files:
        return table
    lines = folder.text("classes.txt").splitlines()
    return dict(enumerate(line.strip() for line in lines if line.strip()))


def _table(folder: Folder) -> list[dict[str, str]]:
    if "classes.csv" not in folder.files:
        return []
    return [row for _, row in rows_of(folder.text("classes.csv"))]


def _cell(row: dict[str, str], *columns: str) -> str:
    """What stands in the first of these columns, whatever the case and a `(type)`."""
    plain = {
        re.sub(r"\s*\(.*\)$", "", column.strip().lower()): value.strip()
        for column, value in row.items()
    }
    return next((plain[column] for column in columns if column in plain), "")
