"""A site: the runs one build shows, and the numbers its prose may cite from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat

from cvlib.book import BookError
from cvlib.book.bars import Band, read_bands
from cvlib.book.chapters import (
    Chapter,
    Profile,
    cell_tags,
    code_cells,
    find_chapters,
    read_notebook,
)
from cvlib.book.runs import Job, Run, find_run, make_job
from cvlib.recording import MIME_TYPE

_ROLE = re.compile(r"\{(measured|band)\}`([^`]+)`")


class NotRunError(BookError):
    """A chapter is cited that was not run in this profile."""


@dataclass(frozen=True)
class Site:
    """The stored runs of a book in one profile, as they are when first asked for.

    A site is for one build: it reads each chapter, works out each key and opens each
    run once, however often its pages cite them.
    """

    root: Path
    profile: Profile

    @cached_property
    def chapters(self) -> dict[str, Chapter]:
        """Name → chapter, read once."""
        return find_chapters(self.root)

    def chapter(self, name: str) -> Chapter:
        """The chapter called `name`; `BookError` when the book has none."""
        return _look_up(self.chapters, name, "_toc.yml")

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """Name → job of each chapter; a job works out its key once."""
        return {
            name: make_job(self.root, chapter, self.profile)
            for name, chapter in self.chapters.items()
        }

    def run(self, name: str) -> Run:
        """The stored run of a chapter; `NotRunError` when there is none."""
        if name not in self._runs:
            run = find_run(_look_up(self.jobs, name, "_toc.yml"))
            if run is None:
                raise NotRunError(
                    f"{name} has no run in profile {self.profile}; "
                    f"run `cvlib book build --profile {self.profile}`"
                )
            self._runs[name] = run
        return self._runs[name]

    def bands(self, name: str) -> dict[str, Band]:
        """Metric → band of a chapter; empty when this profile was never calibrated."""
        if name not in self._bands:
            path = self.chapter(name).path
            self._bands[name] = read_bands(path).get(self.profile, {})
        return self._bands[name]

    def cite(self, role: str, text: str, here: Run | None = None) -> str:
        """What a role's `text` stands for: `[chapter#]metric[:format]`.

        `role` is `measured` (a number of the run, or the `memory_gb` that it took) or
        `band` (low to high over seeds; the run's number, said to be one, in a profile
        that was never calibrated). Without a chapter the metric is of the run `here`.
        Errors: `BookError` for an unknown chapter or metric, `ValueError` for a format
        that does not fit.
        """
        name, _, spec = text.partition(":")
        chapter, _, metric = name.rpartition("#")
        named = chapter or (here.meta["chapter"] if here else "")
        bands = self.bands(named) if role == "band" else {}
        if bands:
            band = _look_up(bands, metric, f"`cvlib book calibrate {named}`")
            return f"{band.low:{spec}} to {band.high:{spec}}"
        run = self.run(chapter) if chapter or here is None else here
        numbers = {**run.record, "memory_gb": run.meta["memory_mb"] / 1000}
        shown = format(_look_up(numbers, metric, _origin(run)), spec)
        alone = " (one run; other seeds were not tried)"
        return shown + alone if role == "band" else shown

    def fingerprint(self, name: str) -> str:
        """What a page that cites a chapter depends on: its run, bars and bands."""
        if name not in self.chapters:
            return ""
        bars = self.chapter(name).bars(self.profile)
        return f"{self.jobs[name].key} {bars} {self.bands(name)}"

    @cached_property
    def _runs(self) -> dict[str, Run]:
        return {}

    @cached_property
    def _bands(self) -> dict[str, dict[str, Band]]:
        return {}


def show_run(text: str, run: Run, path: Path | str) -> nbformat.NotebookNode:
    """The chapter source `text` with the outputs of its `run`.

    The source keeps its line numbers, and the cell that papermill injects is left out.
    Errors: `BookError` when the run is of other cells.
    """
    notebook = read_notebook(text, path)
    shown, executed = code_cells(notebook), code_cells(run.notebook)
    if [c.source for c in shown] != [c.source for c in executed]:
        raise BookError(f"{run.path} is a run of other code than {path} holds")
    for cell, source in zip(shown, executed, strict=True):
        cell.outputs = [_without_record(output) for output in source.outputs]
        cell.execution_count = source.execution_count
    notebook.metadata["language_info"] = run.notebook.metadata["language_info"]
    return notebook


def export_run(site: Site, run: Run) -> nbformat.NotebookNode:
    """A run as a notebook to read anywhere: every cited number is in its text.

    The prose is that of the source as it stands; changed parameters have their cell.
    Of another chapter that was not run, the text names the number that is missing.
    """
    path = site.chapter(run.meta["chapter"]).path
    notebook = show_run(path.read_text("utf8"), run, path)
    notebook.metadata["cvlib_run"] = run.meta
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _ROLE.sub(
                lambda role: _cited(site, role[1], role[2], run), cell.source
            )
    _insert_changed_parameters(notebook, run.notebook)
    return notebook


def _cited(site: Site, role: str, text: str, run: Run) -> str:
    try:
        return site.cite(role, text, run)
    except NotRunError:
        chapter, _, metric = text.partition(":")[0].partition("#")
        return f"({metric} of {chapter}, which was not run here)"


def _insert_changed_parameters(
    notebook: nbformat.NotebookNode, executed: nbformat.NotebookNode
) -> None:
    """Put the cell that papermill injected behind the cell of the defaults."""
    injected = [c for c in executed.cells if "injected-parameters" in cell_tags(c)]
    defaults = [i for i, c in enumerate(notebook.cells) if "parameters" in cell_tags(c)]
    for cell in injected:
        notebook.cells.insert(defaults[0] + 1, cell)


def _without_record(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The output as a page shows it: the record's text, not its JSON."""
    shown = nbformat.from_dict(output)
    shown.get("data", {}).pop(MIME_TYPE, None)
    return shown


def _origin(run: Run) -> str:
    return f"the record of {run.meta['chapter']} ({run.meta['profile']})"


def _look_up(known: dict[str, Any], name: str, where: str) -> Any:
    if name not in known:
        names = ", ".join(known) or "nothing"
        raise BookError(f"{where} has no {name!r}; it has: {names}")
    return known[name]
