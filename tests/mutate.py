"""Which small faults in the code no test sees: `make mutate`.

mutmut makes variants of a room's functions, each with one fault, and runs on each the
tests that reach it. cosmic-ray does so too, but starts Python, and torch with it, for
every variant; mutmut forks, and needs a second for most.

    make mutate                             # the files changed since main
    make mutate ARGS='--all --sample 200'   # every room, 200 variants of each
    make mutate ARGS='--room search'

What is measured of a whole room is written to tests/mutation.csv, which the status page
shows. The copy in which the variants live stays in _build/mutation, a folder a room:
`mutmut show NAME` and `mutmut browse` work there.
"""

from __future__ import annotations

import csv
import datetime
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "tests" / "mutation.csv"
COLUMNS = ("room", "variants", "tried", "survived", "rate", "commit", "date")
ROOMS = {
    "metrics": [
        *("boxes", "masks", "intervals"),
        *("classification/evaluate", "similarity/evaluate"),
    ],
    "formats": ["datasets/formats"],
    "splits": ["datasets/splits", "datasets/split_names", "datasets/tables"],
    "search": ["search"],
    "doctor": ["doctor"],
    "bars": ["book/bars", "book/ledger"],
    "keys": ["book/keys", "book/imports"],
}
SETTINGS = """
[tool.mutmut]
source_paths = ["cvlib"]
only_mutate = {sources}
also_copy = {copied}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not chapter and not site"]
"""
UNSEEN = {0, 5, 33}  # how mutmut says: all tests passed, or there is none


def sources_of(room: str) -> list[str]:
    """The files of a room, relative to the repository."""
    places = [ROOT / "cvlib" / place for place in ROOMS[room]]
    files = [f for p in places for f in ([*p.rglob("*.py")] or [p.with_suffix(".py")])]
    return sorted(str(file.relative_to(ROOT)) for file in files)


def tests_of(room: str) -> list[str]:
    """What mirrors a room below tests/: folders, or single files."""
    places = [Path("tests", place) for place in ROOMS[room]]
    files = [
        p if (ROOT / p).is_dir() else p.with_name(f"test_{p.name}.py") for p in places
    ]
    shared = ["tests/test_metrics.py"] if room == "metrics" else []
    return [str(file) for file in files if (ROOT / file).exists()] + shared


def codes_in(folder: Path) -> dict[str, int | None]:
    """Variant → how its tests ended, None for one that was not tried."""
    codes: dict[str, int | None] = {}
    for path in sorted((folder / "mutants").rglob("*.meta")):
        codes |= json.loads(path.read_text("utf8"))["exit_code_by_key"]
    return codes


def measure(
    room: str, sources: list[str], *, sample: int | None, seed: int
) -> tuple[int, list[str], list[str]]:
    """How many variants there are, which of them were tried, which survived."""
    folder = ROOT / "_build" / "mutation" / room
    copy_to(folder)
    copied = sorted(
        p.name for p in folder.iterdir() if p.name not in ("cvlib", "tests")
    )
    text = SETTINGS.format(sources=sources, copied=copied, tests=tests_of(room))
    with (folder / "pyproject.toml").open("a", encoding="utf8") as file:
        file.write(text.replace("'", '"'))
    chosen: list[str] = []
    if sample is not None:
        run_mutmut(folder, "none of them")  # it makes the variants, and ends there
        names = sorted(codes_in(folder))
        chosen = random.Random(seed).sample(names, min(sample, len(names)))
    said = run_mutmut(folder, *chosen)
    codes = codes_in(folder)
    tried = [name for name, code in codes.items() if code is not None]
    if not tried:
        raise SystemExit(f"{room}: no variant was tried\n{said[-3000:]}")
    return len(codes), tried, [name for name in tried if codes[name] in UNSEEN]


def copy_to(folder: Path) -> None:
    """What git knows, or would know, as it is now."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in git("ls-files", "-co", "--exclude-standard"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def run_mutmut(folder: Path, *names: str) -> str:
    """What mutmut says; one process at a time, so that no test waits for another."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def changed(since: str) -> set[str]:
    """Files that differ from where this branch left `since`, and new ones."""
    base = git("merge-base", "HEAD", since)[0]
    new = git("ls-files", "-o", "--exclude-standard")
    return {*git("diff", "--name-only", "--diff-filter=d", base), *new}


def git(*words: str) -> list[str]:
    """The lines that a git command prints."""
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def record(room: str, variants: int, tried: int, survived: int, commit: str) -> None:
    """The room's line in the table, instead of the one that was there."""
    rows = {}
    if RECORD.is_file():
        with RECORD.open(encoding="utf8", newline="") as file:
            rows = {row["room"]: row for row in csv.DictReader(file)}
    today = datetime.date.today()
    rate = f"{survived / tried:.1%}" if tried else ""
    values = (room, variants, tried, survived, rate, commit, today.isoformat())
    rows[room] = dict(zip(COLUMNS, map(str, values), strict=True))
    with RECORD.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in ROOMS if name in rows)


def main(
    rooms: Annotated[list[str] | None, typer.Option("--room")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every room, whole.")] = False,
    sample: Annotated[int | None, typer.Option(help="Variants of each room.")] = None,
    seed: Annotated[int, typer.Option(help="Draws another sample.")] = 0,
    since: Annotated[str, typer.Option(help="Whence files count as changed.")] = "main",
) -> None:
    """Count the faults that no test sees, and name the variants that have them."""
    whole = list(ROOMS) if every else rooms or []
    touched = set() if whole else changed(since)
    for room in whole or ROOMS:
        sources = [s for s in sources_of(room) if whole or s in touched]
        if not sources:
            continue
        commit = git("rev-parse", "--short", "HEAD")[0]  # others may come meanwhile
        variants, tried, survived = measure(room, sources, sample=sample, seed=seed)
        typer.echo("\n".join(survived))
        typer.echo(f"{room}: {len(survived)} of {len(tried)} survived ({variants})")
        if whole:
            record(room, variants, len(tried), len(survived), commit)


if __name__ == "__main__":
    typer.run(main)
