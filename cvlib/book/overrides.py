"""Overrides: what a reader types as `-p NAME=VALUE`, as a chapter's parameters."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path
from typing import Any

from cvlib.book import ChapterError
from cvlib.book.keys import names_data
from cvlib.datasets.places import resolve
from cvlib.datasets.registry import DATASETS, Dataset

CONSTANTS = {"true": True, "false": False, "none": None, "null": None}


def read_override(text: str, declared: dict[str, Any]) -> tuple[str, Any]:
    """`epochs=3` → ("epochs", 3), read as what the parameter is by its default.

    Where the default is a text, `2024_05` and `none` stay what was typed. Any other
    value is a Python or JSON literal, or else a text, which `Chapter.parameters` then
    judges. Errors: `ChapterError` for what is not NAME=VALUE.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ChapterError(f"-p wants NAME=VALUE, got {text!r}")
    if isinstance(declared.get(name), str):
        return name, value
    if value.lower() in CONSTANTS:
        return name, CONSTANTS[value.lower()]
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def with_places(overrides: dict[str, Any]) -> dict[str, Any]:
    """The overrides with each data set's path made absolute, from where the user is.

    The chapter runs in a folder of its own, where `./mine` would be another place. A
    registered name is one wherever it is typed; a folder that is called so is reached
    as `./name`. Errors: `ChapterError` for a place where nothing is.
    """
    return {
        name: _place_of(name, value) if names_data(name, value) else value
        for name, value in overrides.items()
    }


def _place_of(name: str, data: str) -> str:
    known = resolve(data)
    if isinstance(known, Dataset):
        return data
    place = known.absolute()
    if place.exists():
        return str(place)
    beside = place.parent.iterdir() if place.parent.is_dir() else ()
    near = {path.name: str(Path(data).with_name(path.name)) for path in beside}
    near |= {name: name for name in DATASETS}
    close = difflib.get_close_matches(place.name, near, n=1)
    close = close or difflib.get_close_matches(data, near, n=1)
    hint = f"; did you mean {near[close[0]]}?" if close else ""
    raise ChapterError(
        f"{name}: wanted a folder, a file or the name of a data set, "
        f"found nothing at {place}{hint}"
    )
