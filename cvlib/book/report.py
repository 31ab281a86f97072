"""The regression report: every run against its bars, claims and bands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cvlib.book.bars import Stray, Verdict, judge
from cvlib.book.chapters import Chapter, Profile
from cvlib.book.claims import Checked
from cvlib.book.ledger import sabotage_digest
from cvlib.book.runs import Run, find_run
from cvlib.book.site import Site


@dataclass(frozen=True)
class Row:
    """A chapter in a profile: its run, if there is one, and a verdict for each bar."""

    chapter: Chapter
    profile: Profile
    run: Run | None
    verdicts: list[Verdict]

    @property
    def met(self) -> bool:
        """Whether there is a run and it meets every bar."""
        return self.run is not None and all(v.met for v in self.verdicts)

    @property
    def verdict(self) -> str:
        """One phrase: not run, all bars met, or how many are not."""
        if self.run is None:
            return "not run"
        missed = sum(not v.met for v in self.verdicts)
        total = len(self.verdicts)
        return f"{missed} of {total} bars NOT met" if missed else f"{total} bars met"


@dataclass(frozen=True)
class PageState:
    """What is to be said of a page beside its bars.

    `strays` is None where there is no run. `calibrated` and `sabotaged` are "yes",
    "due" or, for a page without code, "".
    """

    claims: list[Checked]
    strays: list[Stray] | None
    calibrated: str = ""
    sabotaged: str = ""

    @property
    def cells(self) -> list[str]:
        """Claims and how many are at fault, strays, and the rest, for a table."""
        wrong = sum(bool(claim.fault) for claim in self.claims)
        claims = f"{len(self.claims)}" + (f", {wrong} at fault" if wrong else "")
        strays = "; ".join(map(str, self.strays or [])) or "none"
        strays = "not run" if self.strays is None else strays
        return [claims, strays, self.calibrated, self.sabotaged]


def page_state(site: Site, name: str) -> PageState:
    """The claims of a page, and of a chapter what is outside its bands and what is due.

    The run is the stored one. A page without code has no bands.
    """
    claims = site.check_claims(name)
    if name not in site.chapters:
        return PageState(claims, [])
    run, ledger = find_run(site.jobs[name]), site.ledger(name)
    digest = sabotage_digest(site.chapter(name), site.profile)
    return PageState(
        claims,
        site.strays(run) if run else None,
        "due" if site.is_due(name) else "yes",
        "due" if ledger.sabotaged_record(digest) is None else "yes",
    )


def report(root: Path, profiles: Iterable[Profile]) -> list[Row]:
    """A row for each chapter and profile, in the order of the table of contents."""
    sites = [Site(root, profile) for profile in profiles]
    names = sites[0].chapters if sites else []
    return [report_chapter(site, name) for name in names for site in sites]


def report_chapter(site: Site, name: str) -> Row:
    """One chapter's stored run in the site's profile, judged."""
    chapter, run = site.chapter(name), find_run(site.jobs[name])
    bars = chapter.bars(site.profile)
    return Row(chapter, site.profile, run, judge(run.record if run else {}, bars))


def describe_age(run: Run, *, now: datetime | None = None) -> str:
    """How long ago a run started: `3 min`, `5 h`, `2 d`."""
    started = datetime.fromisoformat(run.meta["started"])
    minutes = ((now or datetime.now(UTC)) - started).total_seconds() / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} d"
