"""Tables of text, as spreadsheets of many countries write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

FILES = ("image", "path", "filename", "file_name", "fname", "file", "name")
TAGS = ("tags", "labels", "label", "tag")
DELIMITERS = (",", ";", "\t")  # spreadsheets of many countries write semicolons
OTHERS = ("split", "is_valid", "group")
Row = dict[str, str]


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
    """Names of columns; of those that have a meaning, the case does not matter."""
    names = [name.strip() for name in next(table, [])]
    for known in (FILES, TAGS, *((other,) for other in OTHERS)):
        meant = [n for n in names if n.lower() in known]
        if meant and not set(known) & set(names):
            names[names.index(meant[0])] = meant[0].lower()
    return names
