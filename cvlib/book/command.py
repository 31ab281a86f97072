"""`cvlib book`: run, judge and build the book."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from rich.console import Console
from rich.table import Table

from cvlib.book import BookError, RunError
from cvlib.book.bars import judge
from cvlib.book.chapters import (
    PROFILES,
    Chapter,
    Profile,
    find_chapters,
    find_root,
    get_chapter,
)
from cvlib.book.claims import Checked
from cvlib.book.execute import ensure_runs
from cvlib.book.ledger import read_ledger, sabotage_digest, write_ledger
from cvlib.book.overrides import read_override
from cvlib.book.progress import RunProgress
from cvlib.book.report import Row, describe_age, page_state, report
from cvlib.book.runs import (
    Job,
    Run,
    find_store,
    is_shared,
    locked,
    make_job,
    remove_runs,
)
from cvlib.book.site import Site, export_run
from cvlib.files import replacing

app = typer.Typer(help="Run, judge and build the chapters.", no_args_is_help=True)
# Piped output has no width of its own, and 80 columns cut the tables.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

ChapterName = Annotated[str, typer.Argument(help="part/chapter, as `list` shows it")]
ChapterNames = Annotated[list[str], typer.Argument(help="part/chapter; none: all due")]
OnlyDue = Annotated[bool, typer.Option("--due", help="only say which are due")]
ProfileName = Annotated[str, typer.Option(help=f"one of {', '.join(PROFILES)}")]


@app.command("list")
def list_chapters(
    chapter: Annotated[
        str, typer.Argument(help="part/chapter, to see its parameters")
    ] = "",
) -> None:
    """Show the chapters; or one chapter's parameters, what each means and its value."""
    root = find_root()
    if chapter:
        _print_parameters(get_chapter(root, chapter))
        return
    table = Table("chapter", "title", box=None)
    for found in find_chapters(root).values():
        table.add_row(found.name, found.title)
    console.print(table)
    console.print("\nthe parameters of one: cvlib book list <chapter>")


@app.command("run")
def run_chapter(
    chapter: ChapterName,
    parameter: Annotated[
        list[str], typer.Option("-p", "--parameter", help="NAME=VALUE, repeatable")
    ] = [],  # noqa: B006 (typer reads it, nobody changes it)
    profile: ProfileName = "embedded",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="save the notebook here too")
    ] = None,
    sabotage: Annotated[
        bool, typer.Option(help="run with what breaks it; a bar must then fail")
    ] = False,
) -> None:
    """Run one chapter, or find its stored run, and judge it."""
    root = find_root()
    output = _writable(output) if output is not None else None
    found = get_chapter(root, chapter)
    overrides = dict(read_override(text, found.declared) for text in parameter)
    job = make_job(root, found, _profile(profile), overrides, sabotage=sabotage)
    run, site = _run_all([job])[0], Site(root, job.profile)
    if output is not None:
        _save(export_run(site, run), output)
    refuted = (
        [] if sabotage else _print_claims(site.check_claims(job.chapter.name, run))
    )
    _print_verdicts(job, run, refuted, sabotage=sabotage, own=site.is_own(run))


@app.command("calibrate")
def calibrate(
    chapter: ChapterNames = [],  # noqa: B006
    profile: ProfileName = "embedded",
    seeds: Annotated[int, typer.Option(min=2, help="how many seeds")] = 5,
    due: OnlyDue = False,
) -> None:
    """Run chapters over several seeds; write the band of every metric, check claims.

    Without a name: every chapter that changed since its bands were measured. What ran
    is stored, so a calibration that was stopped goes on where it was.
    """
    site = Site(find_root(), _profile(profile))
    names = [get_chapter(site.root, name).name for name in chapter]
    names = names or [name for name in site.chapters if site.is_due(name)]
    if due or not names:
        _print_due(names, "calibration")
        return
    faults = []
    for name in names:
        try:
            faults += calibrate_one(site, name, seeds)
        except RunError as error:
            faults.append(str(error))
    if faults:
        raise BookError("\n".join(faults))


@app.command("sabotage")
def sabotage_chapters(
    chapter: ChapterNames = [],  # noqa: B006
    profile: ProfileName = "embedded",
    due: OnlyDue = False,
) -> None:
    """Run chapters with what breaks them, and keep what that measured for the tests.

    Without a name: every chapter whose cells, parameters, sabotage or bars changed.
    """
    site = Site(find_root(), _profile(profile))
    names = [get_chapter(site.root, name).name for name in chapter]
    digests = {n: sabotage_digest(c, site.profile) for n, c in site.chapters.items()}
    names = names or [
        name
        for name, digest in digests.items()
        if site.ledger(name).sabotaged_record(digest) is None
    ]
    if due or not names:
        _print_due(names, "sabotage")
        return
    faults = []
    for i in range(0, len(names), 2):  # written as they end, two at a time
        faults += _sabotage(site, {name: digests[name] for name in names[i : i + 2]})
    if faults:
        raise BookError("\n".join(faults))


@app.command("build")
def build(profile: ProfileName = "embedded") -> None:
    """Run what is not stored, check all claims, then build the site in _build/html."""
    site = Site(find_root(), _profile(profile))
    _run_all(list(site.jobs.values()))
    # Sphinx reads only pages that changed: it names a refuted claim once, this always.
    claims = [claim for page in site.pages for claim in site.check_claims(page)]
    faults = [claim.fault for claim in claims if claim.fault]
    with locked(site.root / "_build"):  # two builds would write the same files
        wrong = _build_pages(site)
    faults += [x for x in wrong if "claim `" not in x or not faults]
    if faults:
        raise BookError("the site does not hold:\n" + "\n".join(faults))
    console.print(f"the site: {site.root / '_build' / 'html' / 'index.html'}")


@app.command("status")
def status(
    profile: Annotated[
        list[str], typer.Option(help="which profiles; repeatable, default all")
    ] = [],  # noqa: B006
    times: Annotated[
        bool, typer.Option("--times", help="where the seconds went, the slowest first")
    ] = False,
) -> None:
    """Print every chapter's bars, values and verdicts."""
    if times:
        _print_times(report(find_root(), [_profile(p) for p in profile] or PROFILES))
        return
    names = ["chapter", "profile", "metric", "value", "bar", "verdict", "seconds"]
    table = Table(*names, "memory", "age", box=None)
    for row in report(find_root(), [_profile(p) for p in profile] or PROFILES):
        for verdict in row.verdicts:
            value = "" if verdict.value is None else f"{verdict.value:.4g}"
            cells = [row.chapter.name, row.profile, verdict.metric, value]
            table.add_row(*cells, str(verdict.bar), *_run_cells(row.run, verdict.met))
    console.print(table)
    for name in profile or ["embedded"]:
        _print_pages(Site(find_root(), _profile(name)))


@app.command("clean")
def clean(
    everything: Annotated[bool, typer.Option("--all", help="current runs too")] = False,
) -> None:
    """Remove runs that no chapter's present version needs, and failed ones."""
    root = find_root()
    rows = [] if everything else report(root, PROFILES)
    keep = {row.run.path for row in rows if row.run is not None}
    store = find_store(root)
    shared = is_shared(store, root) and not everything
    removed = remove_runs(store, keep, only_failed=shared)
    console.print(f"removed {removed} notebooks, kept {len(keep)}")
    if shared:
        console.print(
            f"other clones may need what {store} holds, so only failed runs went; "
            "`--all` empties it"
        )


def _print_parameters(chapter: Chapter) -> None:
    console.print(f"{chapter.name}: {chapter.title}\n")
    console.print(chapter.parameters_cell, markup=False, soft_wrap=True)
    for profile, changed in chapter.settings.profiles.items():
        values = " ".join(f"{name}={value!r}" for name, value in changed.items())
        console.print(f"\n--profile {profile}: {values}", markup=False, soft_wrap=True)


def _try_all(jobs: list[Job], workers: int = 2) -> list[Run | RunError]:
    """Every job's run, or how it failed."""
    try:
        with RunProgress(errors) as progress:
            results = ensure_runs(jobs, workers=workers, progress=progress)
    except KeyboardInterrupt:
        errors.print("stopped; no half-written run is left")
        raise typer.Exit(130) from None
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, RunError):
            raise result
    return [r for r in results if isinstance(r, Run | RunError)]


def _run_all(jobs: list[Job], workers: int = 2) -> list[Run]:
    """Every job's run; the failures are printed together at the end, then raised."""
    results = _try_all(jobs, workers)
    failed = [str(r) for r in results if isinstance(r, RunError)]
    if failed:
        raise RunError("\n\n".join(failed))
    return [r for r in results if isinstance(r, Run)]


def _print_verdicts(
    job: Job, run: Run, refuted: list[str], *, sabotage: bool, own: bool
) -> None:
    verdicts = judge(run.record, job.chapter.bars(job.profile))
    for verdict in verdicts:
        console.print(str(verdict), style="green" if verdict.met else "red")
    console.print(f"notebook: {run.path}")
    missed = sum(not v.met for v in verdicts)
    if sabotage and not missed:
        raise BookError(f"{job.chapter.name} is sabotaged, yet meets all its bars")
    if sabotage:
        console.print(f"sabotaged, as asked: {missed} bars fail, as they should")
    elif own:
        console.print("bars are set for the book's own parameters; yours may differ")
    elif missed:
        refuted = [f"{job.chapter.name} misses {missed} of its bars", *refuted]
    if refuted:
        raise BookError("\n".join(refuted))


def _print_claims(claims: list[Checked]) -> list[str]:
    """Say what did not hold on a reader's own data; return what is at fault."""
    for claim in claims:
        if claim.own and claim.refuted:
            console.print(f"did not hold here: {claim.told}", markup=False)
    held = sum(claim.outcome is not None and claim.outcome.holds for claim in claims)
    if claims:
        console.print(f"{held} of {len(claims)} claims of the page hold")
    return [claim.fault for claim in claims if claim.fault]


def calibrate_one(site: Site, name: str, seeds: int) -> list[str]:
    """Measure one chapter's bands, write and print them; return what is at fault."""
    chapter, key = site.chapter(name), site.jobs[name].key  # as it is before the runs
    overrides = [{"seed": seed} for seed in range(seeds)]
    jobs = [make_job(site.root, chapter, site.profile, o) for o in overrides]
    # One at a time: two at once would slow each other, and seconds have a band too.
    records = [run.record for run in _run_all(jobs, workers=1)]
    ledger = read_ledger(chapter.path, site.profile)
    ledger = ledger.calibrated(key, records)
    path = write_ledger(chapter.path, site.profile, ledger)
    table = Table("metric", "low", "median", "high", box=None)
    for metric, band in ledger.bands.items():
        table.add_row(metric, *(f"{v:.4g}" for v in (band.low, band.median, band.high)))
    console.print(table)
    console.print(f"written to {path}")
    claims = Site(site.root, site.profile).check_claims(name)
    for claim in claims:
        seen = f"in {claim.held} of {claim.seeds} seeds: {claim.text}"
        console.print(seen, markup=False, soft_wrap=True)
    return [claim.fault for claim in claims if claim.fault] + [
        f"{chapter.path}: the bar {metric} {bar} has no room outside its band"
        for metric, bar in chapter.bars(site.profile).items()
        if metric in ledger.bands and not ledger.bands[metric].leaves_room_for(bar)
    ]


def _sabotage(site: Site, digests: dict[str, str]) -> list[str]:
    """Run sabotaged chapters, name → digest, and keep the records; return faults."""
    chapters = [site.chapter(name) for name in digests]
    jobs = [make_job(site.root, c, site.profile, sabotage=True) for c in chapters]
    faults = []
    for (name, digest), run in zip(digests.items(), _try_all(jobs), strict=True):
        if isinstance(run, RunError):
            faults.append(str(run))
        else:
            faults += _keep_sabotaged(site, name, digest, run.record)
    return faults


def _keep_sabotaged(
    site: Site, name: str, digest: str, record: dict[str, float]
) -> list[str]:
    """Write what a sabotaged chapter measured; a fault when it meets all its bars."""
    chapter = site.chapter(name)
    verdicts = judge(record, chapter.bars(site.profile))
    missed = [str(verdict) for verdict in verdicts if not verdict.met]
    if not missed:
        return [f"{chapter.path}: {name} is sabotaged, yet meets all its bars"]
    # Read now: another process may have calibrated since this one began.
    ledger = read_ledger(chapter.path, site.profile).sabotaged(digest, record)
    write_ledger(chapter.path, site.profile, ledger)
    console.print(f"{name}: {'; '.join(missed)}", markup=False, soft_wrap=True)
    return []


def _print_due(names: list[str], what: str) -> None:
    if not names:
        console.print(f"{what} is due for no chapter")
    for name in names:
        console.print(f"{what} is due: {name}")


def _print_pages(site: Site) -> None:
    """The pages whose claims, bands, calibration or sabotage want a look."""
    names = ["page", "claims", "outside its bands", "calibrated", "sabotage"]
    table = Table(*names, box=None, title=f"profile {site.profile}")
    for name in site.pages:
        state = page_state(site, name)
        if state.claims or name in site.chapters:
            table.add_row(name, *state.cells)
    console.print(table)


def _build_pages(site: Site) -> list[str]:
    """Build the site with Jupyter Book; return what is wrong with it."""
    command = ["build", str(site.root), "--path-output", str(site.root)]
    built = subprocess.run(
        [
            Path(sys.executable).with_name("jupyter-book"),
            *command,
            *("-W", "-n", "--keep-going", "-q"),
        ],
        env={**os.environ, "CVLIB_PROFILE": site.profile, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if not built.returncode:
        return []
    # Sphinx names the faults of the pages that it reads: next time, all of them.
    read = site.root / "_build" / ".doctrees" / "environment.pickle"
    read.unlink(missing_ok=True)
    return _faults(built.stderr)


def _print_times(rows: list[Row]) -> None:
    """Seconds by phase of each stored run; the rest is the kernel and papermill."""
    table = Table("chapter", "profile", "seconds", "work", "imports", "rest", box=None)
    runs = [(row, row.run.meta) for row in rows if row.run is not None]
    for row, meta in sorted(runs, key=lambda pair: -pair[1]["seconds"]):
        phases = [meta["seconds"], meta["work_seconds"], meta["import_seconds"]]
        phases.append(phases[0] - phases[1] - phases[2])
        table.add_row(row.chapter.name, row.profile, *(f"{s:.1f}" for s in phases))
    console.print(table)


def _faults(log: str) -> list[str]:
    """The lines of a build's log that name a fault, or an exception; else its end."""
    lines = log.splitlines()
    found = [x for x in lines if "WARNING:" in x or "ERROR:" in x]
    raised = [x for x in lines if re.search(r"exception|error\b", x, re.IGNORECASE)]
    return found or raised[:10] + lines[-15:]


def _run_cells(run: Run | None, met: bool) -> list[str]:
    if run is None:
        return ["not run", "", "", ""]
    verdict = "[green]met[/green]" if met else "[red]NOT MET[/red]"
    seconds, memory = f"{run.meta['seconds']:.0f}", f"{run.meta['memory_mb']:.0f} MB"
    return [verdict, seconds, memory, describe_age(run)]


def _writable(path: Path) -> Path:
    """`path` if a notebook can be saved there; asked before the minutes of a run."""
    path = path.expanduser()
    if path.suffix != ".ipynb" or path.is_dir():
        raise BookError(f"-o wants a file name that ends in .ipynb, got {path}")
    if not path.parent.is_dir():
        raise BookError(f"cannot save to {path}: there is no folder {path.parent}")
    return path


def _save(notebook: nbformat.NotebookNode, path: Path) -> None:
    with replacing(path) as partial:
        nbformat.write(notebook, partial)
    console.print(f"saved: {path}")


def _profile(name: str) -> Profile:
    for profile in PROFILES:
        if profile == name:
            return profile
    raise BookError(f"no profile {name!r}; there are {', '.join(PROFILES)}")
