"""A site: the runs one build shows, and the numbers its prose may cite from them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat

from cvlib.book import BookError
from cvlib.book.bars import Stray, find_strays
from cvlib.book.chapters import (
    Chapter,
    Profile,
    cell_tags,
    code_cells,
    find_chapters,
    find_pages,
    read_notebook,
)
from cvlib.book.claims import (
    Checked,
    Claim,
    ClaimError,
    LookUp,
    find_claims,
    look_up_in,
    parse_claim,
)
from cvlib.book.ledger import Ledger, read_ledger, sabotage_digest
from cvlib.book.runs import Job, Run, find_run, make_job
from cvlib.recording import MIME_TYPE

_ROLE = re.compile(r"\{(measured|band|sabotaged|claim)\}`([^`]+)`")


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

    def ledger(self, name: str) -> Ledger:
        """What calibration and sabotage measured of a chapter in this profile."""
        if name not in self._ledgers:
            path = self.chapter(name).path
            self._ledgers[name] = read_ledger(path, self.profile)
        return self._ledgers[name]

    def is_due(self, name: str) -> bool:
        """Whether a chapter's bands are of another version than it is now."""
        return self.ledger(name).key != self.jobs[name].key

    def is_own(self, run: Run) -> bool:
        """Whether a run is a reader's, of other parameters than the book's."""
        ours = self.jobs[run.meta["chapter"]].parameters
        # A notebook's JSON gives a tuple back as a list.
        return bool(run.meta["parameters"] != json.loads(json.dumps(ours)))

    def strays(self, run: Run) -> list[Stray]:
        """The metrics of the book's own run that are outside their bands."""
        if self.is_own(run):
            return []
        return find_strays(run.record, self.ledger(run.meta["chapter"]).bands)

    def check_claims(self, page: str, here: Run | None = None) -> list[Checked]:
        """Every claim on a page against the runs; `here` stands in for the page's own.

        Errors: `BookError` for a page that the contents do not list.
        """
        text = _look_up(self.pages, page, "_toc.yml").read_text("utf8")
        found = find_claims(text)
        return [self.check_claim(claim, page, line, here) for claim, line in found]

    def check_claim(
        self, text: str, page: str, line: int, here: Run | None = None
    ) -> Checked:
        """One claim, on `line` of `page`, against the runs and over the seeds."""
        place = f"{self.pages[page]}:{line}"
        own = here is not None and self.is_own(here)
        try:
            claim = parse_claim(text)
        except ClaimError as error:
            return Checked(text, place, None, str(error), broken=True)
        seeds = self._over_seeds(claim, page)
        outcome, why, broken = None, "", False
        try:
            outcome = claim.check(lambda name: self._number(name, page, here))
        except NotRunError as error:
            why = str(error)
        except BookError as error:
            why, broken = f"claim `{claim.text}`: {error}", True
        return Checked(
            claim.text,
            place,
            outcome,
            why,
            broken,
            claim.most_seeds,
            held=sum(seeds),
            seeds=len(seeds),
            own=own,
            names=tuple(claim.names),
        )

    def _number(self, name: str, page: str, here: Run | None) -> float:
        chapter, _, metric = name.rpartition("#")
        if not chapter and page not in self.chapters:
            raise ClaimError(f"{page} runs nothing; name the page: part/chapter#{name}")
        at_home = here is not None and chapter in ("", here.meta["chapter"])
        run = here if at_home and here else self.run(chapter or page)
        return look_up_in(run.record, _origin(run))(metric)

    def _over_seeds(self, claim: Claim, page: str) -> list[bool]:
        """Whether the claim held at each seed; empty where that was not measured."""
        named = {name.rpartition("#")[0] or page for name in claim.names}
        if not named or not named <= self.chapters.keys():
            return []
        records = {chapter: self.ledger(chapter).records for chapter in named}
        seeds = range(min(map(len, records.values())))
        try:
            return [claim.check(_at_seed(records, page, i)).holds for i in seeds]
        except ClaimError:  # a name that came after calibration
            return []

    def cite(self, role: str, text: str, here: Run | None = None) -> str:
        """What a role's `text` stands for: `[chapter#]metric[:format]`.

        `role` is `measured` (a number of the run, or the `memory_gb` that it took) or
        `band` (low to high over seeds, and the run's own number when it is outside; the
        run's number, said to be one, in a profile that was never calibrated) or
        `sabotaged` (a number of the sabotaged run that the ledger keeps). Without a
        chapter the metric is of the run `here`.
        Errors: `BookError` for an unknown chapter or metric, `ValueError` for a format
        that does not fit.
        """
        name, _, spec = text.partition(":")
        chapter, _, metric = name.rpartition("#")
        named = chapter or (here.meta["chapter"] if here else "")
        if role == "sabotaged":
            return self._sabotaged(named, metric, spec)
        bands = self.ledger(named).bands if role == "band" else {}
        if bands:
            band = _look_up(bands, metric, f"`cvlib book calibrate {named}`")
            ends = f"{band.low:{spec}}", f"{band.high:{spec}}"
            return " to ".join(ends) + self._outside(named, metric, spec, here, ends)
        run = self.run(chapter) if chapter or here is None else here
        numbers = {**run.record, "memory_gb": run.meta["memory_mb"] / 1000}
        shown = format(_look_up(numbers, metric, _origin(run)), spec)
        alone = " (one run; other seeds were not tried)"
        return shown + alone if role == "band" else shown

    def _outside(
        self, named: str, metric: str, spec: str, here: Run | None, ends: Sequence[str]
    ) -> str:
        """What a band says of a run outside it; nothing of one that reads the same."""
        at_home = here is not None and here.meta["chapter"] == named
        try:
            run = here if at_home and here else self.run(named)
        except NotRunError:
            return ""
        strays = [s for s in self.strays(run) if s.metric == metric]
        shown = [f"{stray.value:{spec}}" for stray in strays]
        whose = "this run" if at_home else "its run"
        return "".join(f" ({whose}: {x}, outside)" for x in shown if x not in ends)

    def _sabotaged(self, named: str, metric: str, spec: str) -> str:
        digest = sabotage_digest(self.chapter(named), self.profile)
        record = self.ledger(named).sabotaged_record(digest)
        if record is None:
            return f"(not measured; run `cvlib book sabotage {named}`)"
        return format(_look_up(record, metric, f"the sabotaged {named}"), spec)

    def fingerprint(self, name: str) -> str:
        """What citing a page depends on: its title, run, bars, ledger and claims."""
        if name not in self.pages:
            return ""
        claims = find_claims(self.pages[name].read_text("utf8"))
        if name not in self.chapters:
            return f"{claims}"
        title, bars = self.chapter(name).title, self.chapter(name).bars(self.profile)
        return f"{title} {self.jobs[name].key} {bars} {self.ledger(name)} {claims}"

    @cached_property
    def pages(self) -> dict[str, Path]:
        """Name → source of every page, with code or without."""
        return find_pages(self.root)

    @cached_property
    def _runs(self) -> dict[str, Run]:
        return {}

    @cached_property
    def _ledgers(self) -> dict[str, Ledger]:
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
    if role == "claim":
        return _claimed(site.check_claim(text, run.meta["chapter"], 0, run))
    try:
        return site.cite(role, text, run)
    except NotRunError:
        chapter, _, metric = text.partition(":")[0].partition("#")
        return f"({metric} of {chapter}, which was not run here)"


def _claimed(checked: Checked) -> str:
    """A claim in a notebook, where nothing shows on hover: the expression is in it."""
    against = f", {checked.outcome}" if checked.refuted else ""
    return f"({checked.mark.strip('()')}: `{checked.text}`{against})"


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


def _at_seed(records: dict[str, Any], page: str, index: int) -> LookUp:
    """The numbers of every chapter at one seed, by the names of a claim on `page`."""

    def look_up(name: str) -> float:
        chapter, _, metric = name.rpartition("#")
        return look_up_in(records[chapter or page][index], "the seed")(metric)

    return look_up


def _origin(run: Run) -> str:
    return f"the record of {run.meta['chapter']} ({run.meta['profile']})"


def _look_up(known: dict[str, Any], name: str, where: str) -> Any:
    if name not in known:
        names = ", ".join(known) or "nothing"
        raise BookError(f"{where} has no {name!r}; it has: {names}")
    return known[name]
