"""The ledger of a chapter: what was measured once and is kept, `<chapter>.bands.json`.

    bands      low, median and high of every metric over seeds
    records    the records of these seeds, against which claims are checked
    key        of the book's own run when they were measured: another one now means
               that a number may have moved, and that calibration is due
    sabotage   what the sabotaged chapter recorded, with a digest of what decides that

`cvlib book calibrate` writes the first three, `cvlib book sabotage` the last; one entry
a profile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cvlib.book import ChapterError
from cvlib.book.bars import Band
from cvlib.book.chapters import Chapter, Profile, cell_tags, code_cells
from cvlib.files import write_text


class Sabotaged(BaseModel):
    """What a sabotaged run recorded, and the digest of what was run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: str
    record: dict[str, float]


class Ledger(BaseModel):
    """What is kept of a chapter in one profile; empty where nothing was measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = ""
    bands: dict[str, Band] = Field(default_factory=dict)
    records: list[dict[str, float]] = Field(default_factory=list)
    sabotage: Sabotaged | None = None

    def calibrated(self, key: str, records: Sequence[dict[str, float]]) -> Ledger:
        """The ledger after calibration; a metric needs a value at every seed."""
        metrics = [m for m in records[0] if all(m in record for record in records)]
        bands = {m: Band.of([record[m] for record in records]) for m in metrics}
        new = {"key": key, "bands": bands, "records": list(records)}
        return self.model_copy(update=new)

    def sabotaged(self, digest: str, record: dict[str, float]) -> Ledger:
        """The ledger after a sabotaged run."""
        new = Sabotaged(digest=digest, record=record)
        return self.model_copy(update={"sabotage": new})

    def sabotaged_record(self, digest: str) -> dict[str, float] | None:
        """What the sabotaged run recorded; None when it was of another `digest`."""
        fits = self.sabotage is not None and self.sabotage.digest == digest
        return self.sabotage.record if fits and self.sabotage else None


def ledger_path(chapter_path: Path) -> Path:
    """Where the ledger of the chapter in `chapter_path` (`*.md`) is kept."""
    return chapter_path.with_suffix(".bands.json")


def read_ledger(chapter_path: Path, profile: Profile) -> Ledger:
    """The ledger of a chapter in one profile; empty for one that was never measured.

    Errors: `ChapterError` for a file that is none.
    """
    stored = _read(ledger_path(chapter_path)).get(profile, {})
    try:
        return Ledger.model_validate(stored)
    except ValidationError as error:
        raise ChapterError(f"{ledger_path(chapter_path)}: {error}") from None


def write_ledger(chapter_path: Path, profile: Profile, ledger: Ledger) -> Path:
    """Replace the ledger of one profile, leave the others, return the file."""
    path = ledger_path(chapter_path)
    plain = ledger.model_dump(mode="json", exclude_defaults=True)
    stored = {**_read(path), profile: plain}
    return write_text(path, json.dumps(stored, indent=1, sort_keys=True) + "\n")


def sabotage_digest(chapter: Chapter, profile: Profile) -> str:
    """Sixteen hex digits of cells with tags, parameters, sabotage and bars.

    When one of these changes, the sabotaged run is due again.
    """
    parts = {
        "cells": [[c.source, cell_tags(c)] for c in code_cells(chapter.notebook)],
        "parameters": chapter.parameters(profile, sabotage=True),
        "sabotage": chapter.settings.sabotage,
        "bars": {name: str(bar) for name, bar in chapter.bars(profile).items()},
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        stored = json.loads(path.read_text("utf8"))
    except ValueError as error:
        raise ChapterError(f"{path} is no JSON: {error}") from None
    if not isinstance(stored, dict):
        raise ChapterError(f"{path}: wanted an entry for each profile")
    return stored
