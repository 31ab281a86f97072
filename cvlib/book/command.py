"""`cvlib book`: run, judge and build the book."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from rich.console import Console
from rich.table import Table

from cvlib.book import BookError, RunError
from cvlib.book.bars import Band, judge, write_bands
from cvlib.book.chapters import (
    PROFILES,
    Chapter,
    Profile,
    find_chapters,
    find_root,
    get_chapter,
)
from cvlib.book.execute import ensure_runs
from cvlib.book.overrides import read_override
from cvlib.book.progress import RunProgress
from cvlib.book.report import describe_age, report
from cvlib.book.runs import Job, Run, find_store, is_shared, make_job, remove_runs
from cvlib.book.site import Site, export_run
from cvlib.files import replacing

app = typer.Typer(help="Run, judge and build the chapters.", no_args_is_help=True)
# Piped output has no width of its own, and 80 columns cut the tables.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

ChapterName = Annotated[str, typer.Argument(help="part/chapter, as `list` shows it")]
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
    run = _run_all([job])[0]
    if output is not None:
        _save(export_run(Site(root, job.profile), run), output)
    _print_verdicts(job, run, sabotage=sabotage, own=bool(overrides))


@app.command("calibrate")
def calibrate(
    chapter: ChapterName,
    profile: ProfileName = "embedded",
    seeds: Annotated[int, typer.Option(min=2, help="how many seeds")] = 5,
) -> None:
    """Run a chapter over several seeds and write the band of every metric."""
    root = find_root()
    found, name = get_chapter(root, chapter), _profile(profile)
    jobs = [make_job(root, found, name, {"seed": seed}) for seed in range(seeds)]
    # One at a time: two at once would slow each other, and seconds have a band too.
    records = [run.record for run in _run_all(jobs, workers=1)]
    bands = {metric: Band.of([r[metric] for r in records]) for metric in records[0]}
    path = write_bands(found.path, name, bands)
    table = Table("metric", "low", "median", "high", box=None)
    for metric, band in bands.items():
        table.add_row(metric, *(f"{v:.4g}" for v in (band.low, band.median, band.high)))
    console.print(table)
    console.print(f"written to {path}")


@app.command("build")
def build(profile: ProfileName = "embedded") -> None:
    """Run what is not stored, then build the site in _build/html."""
    root, name = find_root(), _profile(profile)
    chapters = find_chapters(root).values()
    _run_all([make_job(root, chapter, name) for chapter in chapters])
    command = [
        "build",
        str(root),
        "--path-output",
        str(root),
        "-W",
        "-n",
        "--keep-going",
    ]
    built = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), *command, "-q"],
        env={**os.environ, "CVLIB_PROFILE": name, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        raise BookError(f"the site was not built:\n{_faults(built.stderr)}")
    console.print(f"the site: {root / '_build' / 'html' / 'index.html'}")


@app.command("status")
def status(
    profile: Annotated[
        list[str], typer.Option(help="which profiles; repeatable, default all")
    ] = [],  # noqa: B006
) -> None:
    """Print every chapter's bars, values and verdicts."""
    names = ["chapter", "profile", "metric", "value", "bar", "verdict", "seconds"]
    table = Table(*names, "memory", "age", box=None)
    for row in report(find_root(), [_profile(p) for p in profile] or PROFILES):
        for verdict in row.verdicts:
            value = "" if verdict.value is None else f"{verdict.value:.4g}"
            cells = [row.chapter.name, row.profile, verdict.metric, value]
            table.add_row(*cells, str(verdict.bar), *_run_cells(row.run, verdict.met))
    console.print(table)


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


def _run_all(jobs: list[Job], workers: int = 2) -> list[Run]:
    """Every job's run; the failures are printed together at the end, then raised."""
    try:
        with RunProgress(errors) as progress:
            results = ensure_runs(jobs, workers=workers, progress=progress)
    except KeyboardInterrupt:
        errors.print("stopped; no half-written run is left")
        raise typer.Exit(130) from None
    failed = [r for r in results if isinstance(r, Exception)]
    for failure in failed:
        if not isinstance(failure, RunError):
            raise failure
    if failed:
        raise RunError("\n\n".join(map(str, failed)))
    return [run for run in results if isinstance(run, Run)]


def _print_verdicts(job: Job, run: Run, *, sabotage: bool, own: bool) -> None:
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
        raise BookError(f"{job.chapter.name} misses {missed} of its bars")


def _faults(log: str) -> str:
    """The lines of a build's log that name a fault; its end when none does."""
    lines = log.splitlines()
    found = [x for x in lines if "WARNING:" in x or "ERROR:" in x]
    return "\n".join(found or lines[-25:])


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
