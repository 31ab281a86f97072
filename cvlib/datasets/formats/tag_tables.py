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
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.formats.names import flat_names
from cvlib.datasets.split_names import split_of_name, split_of_path
from cvlib.datasets.tables import FILES, OTHERS, TAGS, Row, columns_of, rows_of
from cvlib.samples import ImageSet, Labels, Sample

LOOKS_LIKE = "a .csv with a column `image` and a column `tags`, or a 0/1 column a tag"
SHEET_ENDINGS = (".csv",)
Tables = dict[str, tuple[list[Row], list[str]]]  # sheet → its rows, its header
YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


def recognise(folder: Folder) -> bool:
    """Whether a CSV near the top has a column of files and one of tags."""
    return bool(_sheets(folder))


@dataclass(frozen=True)
class _Columns:
    """Which column of a table says what.

    file: names the image. tags: holds its tags; without it, each of `names` is a
    column of yes and no.
    """

    file: str
    tags: str | None
    names: list[str]

    def labels(self, row: Row) -> Labels:
        """The tags of a row, by their numbers, each once."""
        if self.tags:
            own = _words(row[self.tags])
        else:
            own = [name for name in self.names if _is_yes(row[name])]
        return np.array(sorted({self.names.index(tag) for tag in own}), np.int64)


def read(folder: Folder) -> ImageSet:
    """Every row's image; names as the columns stand, or sorted from the one column."""
    tables = {sheet: _rows(folder, sheet) for sheet in _sheets(folder)}
    columns = _columns(folder, tables)
    samples: dict[Path, Sample] = {}
    for sheet, (rows, _) in tables.items():
        for row in rows:
            one = _sample(folder, sheet, row, columns)
            if one is not None:
                before = samples.get(one.path)
                samples[one.path] = _joined(folder, before, one) if before else one
    return ImageSet(folder.root, "tags", tuple(columns.names), tuple(samples.values()))


def _columns(folder: Folder, tables: Tables) -> _Columns:
    """What the first table's columns say, and the tags of all tables."""
    sheet, (rows, header) = next(iter(tables.items()))
    file = _first(FILES, header)
    if not file:
        raise FormatError(
            f"{folder.root / sheet}: wanted a column of files, named one of "
            f"{', '.join(FILES)}; it has {', '.join(header) or 'none'}"
        )
    tags = None if _yes_no(rows, header) else _first(TAGS, header)
    if not tags:
        return _Columns(file, None, _tag_columns(header))
    every = (row for own, _ in tables.values() for row in own)
    return _Columns(
        file, tags, sorted({word for row in every for word in _words(row[tags])})
    )


def _sample(folder: Folder, sheet: str, row: Row, columns: _Columns) -> Sample | None:
    """A row's image and its tags; None when the image is missing."""
    split = _split(folder, sheet, row)
    own = split or "train"
    places = (_beside(sheet), "", "images", own, f"images/{own}")
    image = folder.image(row[columns.file], sheet, folders=places, split=split)
    if not image:
        return None
    return Sample(
        folder.root / image,
        folder.canvas_size(image),
        columns.labels(row),
        split=split or split_of_path(image),
        group=row.get("group") or "",
    )


def _joined(folder: Folder, before: Sample, one: Sample) -> Sample:
    """An image of several rows, a tag each: it has the tags of all of them."""
    if before.split != one.split:
        said = f"is in the splits {before.split!r} and {one.split!r}"
        folder.fault("image-twice", one.path.relative_to(folder.root), said)
    return replace(one, labels=np.union1d(one.labels, before.labels))


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """`images.csv`, a column a tag; returns image path → name in `out`."""
    odd = [n for n in image_set.class_names if n.lower() in (*FILES, *TAGS, *OTHERS)]
    if odd:
        raise FormatError(f"a column of tags cannot be called {odd[0]!r}; write COCO")
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
    """The table with a column of files and tags; several, where each is a split's."""
    if folder.sheet is not None:
        return [folder.sheet.name]
    found = [
        name
        for name in folder.files
        if name.endswith(".csv") and name.count("/") < 2 and name != "splits.csv"
        if _is_table(folder, name)
    ]
    splits = [name for name in found if _split_of(name)]
    chosen = splits or found[:1]
    for name in found:
        if name not in chosen:
            said = f"is a table like {chosen[0]}; it is not read. Name the one you mean"
            folder.fault("not-read", name, said, severity="warning")
    return chosen


def _is_table(folder: Folder, name: str) -> bool:
    """Whether a CSV has tags, and a column that names a file that is here."""
    rows, columns = _rows(folder, name, quiet=True)
    file = _first(FILES, columns)
    tagged = _first(TAGS, columns) or _yes_no(rows, columns)
    bare = (PurePosixPath(row[file].replace("\\", "/")) for row in rows if file)
    known = folder.by_name
    return bool(tagged) and any(b.name in known or b.stem in known for b in bare)


def _first(wanted: tuple[str, ...], columns: list[str]) -> str | None:
    return next((name for name in wanted if name in columns), None)


def _beside(sheet: str) -> str:
    return PurePosixPath(sheet).parent.as_posix()


def _split_of(sheet: str) -> str:
    """The split that a table's folder or name says."""
    return split_of_path(_beside(sheet)) or split_of_name(PurePosixPath(sheet).stem)


def _tag_columns(columns: list[str]) -> list[str]:
    return [c for c in columns if c not in (_first(FILES, columns), *OTHERS)]


def _yes_no(rows: list[Row], columns: list[str]) -> bool:
    """Whether the columns of tags hold only yes and no; one called `label` is none."""
    rest = _tag_columns(columns)
    alone = len(rest) == 1 and rest[0] in TAGS
    return bool(rest and rows and not alone) and all(
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


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,;|]+", text.strip()) if word]


def _is_yes(text: str) -> bool:
    return text.strip().lower() in YES


def _split(folder: Folder, sheet: str, row: Row) -> str:
    if row.get("split", "").strip():
        return folder.split(row["split"].strip(), sheet)
    if "is_valid" in row:
        return "valid" if _is_yes(row["is_valid"]) else "train"
    return _split_of(sheet)
