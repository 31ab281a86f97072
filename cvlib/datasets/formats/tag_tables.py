"""Tags in a table: a CSV with a row an image and any number of tags in it.

The first of the columns `image`, `path`, `filename`, `file_name`, `fname`, `file` and
`name` names the file. Tags stand in one column (`tags` or `labels`, parted by blanks,
commas, semicolons or bars) or in a column of 0 and 1 for each. `split` (or fastai's
`is_valid`) and `group` are honoured. Columns are parted by commas, semicolons or tabs.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from cvlib.datasets.formats.folder import Folder, FormatError, flat_names, split_of_path
from cvlib.datasets.samples import ImageSet, Sample

FILES = ("image", "path", "filename", "file_name", "fname", "file", "name")
TAGS = ("tags", "labels", "label", "tag")
DELIMITERS = (",", ";", "\t")  # spreadsheets of many countries write semicolons
YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
OTHERS = ("split", "is_valid", "group")
Row = dict[str, str]


def recognise(folder: Folder) -> bool:
    """Whether a CSV near the top has a column of files and one of tags."""
    return bool(_sheets(folder))


def read(folder: Folder) -> ImageSet:
    """Every row's image; names as the columns stand, or sorted from the one column."""
    tables = {sheet: _rows(folder, sheet) for sheet in _sheets(folder)}
    sheet, (_, columns) = next(iter(tables.items()))
    file = next((name for name in FILES if name in columns), "")
    if not file:
        raise FormatError(
            f"{folder.root / sheet}: wanted a column of files, named one of "
            f"{', '.join(FILES)}; it has {', '.join(columns) or 'none'}"
        )
    column = next((name for name in TAGS if name in columns), None)
    names = [c for c in columns if c != file and c not in OTHERS]
    rows = [(sheet, row) for sheet, (own, _) in tables.items() for row in own]
    if column:
        names = sorted({tag for _, row in rows for tag in _words(row[column])})
    samples: dict[str, Sample] = {}
    for sheet, row in rows:
        split = _split(folder, sheet, row)
        places = (PurePosixPath(sheet).parent.as_posix(), "", "images", "train")
        image = folder.image(row[file], sheet, folders=places, split=split)
        if not image:
            continue
        said = _words(row[column]) if column else [n for n in names if _is_yes(row[n])]
        labels = np.array(sorted({names.index(tag) for tag in said}), np.int64)
        if image in samples:  # a row a tag: the image has the tags of all its rows
            labels = np.union1d(labels, samples[image].labels)
            if samples[image].split != split:
                stated = f"{samples[image].split!r} and {split!r}"
                folder.fault("image-twice", image, f"is in the splits {stated}")
        size = folder.canvas_size(image)
        samples[image] = Sample(
            folder.root / image, size, labels, split=split, group=row.get("group") or ""
        )
    return ImageSet(folder.root, "tags", tuple(names), tuple(samples.values()))


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """`images.csv`, a column a tag; returns image path → name in `out`."""
    placed: dict[str, str] = {}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", *image_set.class_names, "split", "group"])
    for name, sample in zip(flat_names(image_set), image_set.samples, strict=True):
        placed[str(sample.path)] = f"images/{name}"
        said = [int(i in sample.labels) for i in range(len(image_set.class_names))]
        table.writerow([f"images/{name}", *said, sample.split, sample.group])
    out.mkdir(parents=True, exist_ok=True)
    (out / "images.csv").write_text(text.getvalue(), "utf8", newline="")
    return placed


def _sheets(folder: Folder) -> list[str]:
    """The tables with a column of files and tags: the first, and others alike."""
    if folder.sheet is not None:
        return [folder.sheet.name]
    found: dict[str, list[str]] = {}
    for name in folder.files:
        if name.endswith(".csv") and name.count("/") < 2 and name != "splits.csv":
            rows, columns = _rows(folder, name, quiet=True)
            file = next((c for c in FILES if c in columns), None)
            tagged = any(c in columns for c in TAGS) or _yes_no(rows, columns)
            if file and tagged:
                found[name] = columns
    return [name for name, own in found.items() if own == next(iter(found.values()))]


def _yes_no(rows: list[Row], columns: list[str]) -> bool:
    """Whether every column but file, split and group holds only yes and no."""
    rest = [c for c in columns if c not in (*FILES, *OTHERS)]
    return bool(rest and rows) and all(
        row[c].strip().lower() in (*YES, *NO) for row in rows for c in rest
    )


def _rows(
    folder: Folder, sheet: str, *, quiet: bool = False
) -> tuple[list[Row], list[str]]:
    try:
        text = (folder.root / sheet).read_text("utf-8-sig")
        return [row for _, row in rows_of(text)], columns_of(text)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        if not quiet:
            folder.fault("annotation-unreadable", sheet, f"is no CSV: {error}")
        return [], []


def rows_of(text: str) -> Iterator[tuple[int, Row]]:
    """(line number, row by column) of a CSV with a header; empty rows are passed over.

    The names of files, splits, groups and tags are found whatever their case.
    """
    table = _reader(text)
    columns = _header(table)
    for cells in table:
        if any(cell.strip() for cell in cells):
            filled = [*cells, *[""] * len(columns)]
            row = zip(columns, filled, strict=False)
            yield table.line_num, {column: cell for column, cell in row if column}


def columns_of(text: str) -> list[str]:
    """The named columns of a CSV's header."""
    return [column for column in _header(_reader(text)) if column]


def _reader(text: str) -> Any:
    head = text.partition("\n")[0]
    comma = max(DELIMITERS, key=head.count)
    return csv.reader(io.StringIO(text, newline=""), delimiter=comma)


def _header(table: Any) -> list[str]:
    known = (*FILES, *TAGS, *OTHERS)
    names = [name.strip() for name in next(table, [])]
    return [name.lower() if name.lower() in known else name for name in names]


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,;|]+", text.strip()) if word]


def _is_yes(text: str) -> bool:
    return text.strip().lower() in YES


def _split(folder: Folder, sheet: str, row: Row) -> str:
    if row.get("split", "").strip():
        return folder.split(row["split"].strip(), sheet)
    if "is_valid" in row:
        return "valid" if _is_yes(row["is_valid"]) else "train"
    return split_of_path(sheet)
