"""Runs: one executed notebook for each exact version of a chapter, in the run store.

    _build/runs/<profile>/<chapter>/<key>.ipynb

The key is a hash of what can change a run's numbers: code cells and their tags,
parameters, the `cvlib` sources the chapter can reach, its data, and the versions of
the packages below. A run is written to `<key>.partial.ipynb` and renamed when it came
to its end; a lock for each chapter and profile lets several processes share the store.
Papermill executes in a process of its own, watched for time and memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat

from cvlib.book.chapters import Chapter, Profile
from cvlib.book.keys import run_key


@dataclass(frozen=True)
class Run:
    """An executed chapter: where it is stored, and what it measured."""

    path: Path

    @cached_property
    def notebook(self) -> nbformat.NotebookNode:
        """The executed notebook; read when first asked for, since that takes long."""
        return nbformat.read(self.path, as_version=4)

    @property
    def meta(self) -> dict[str, Any]:
        """Chapter, profile, parameters, seconds, memory, environment and start."""
        return self.notebook.metadata["cvlib_run"]

    @property
    def record(self) -> dict[str, float]:
        """Name → number, of every `cvlib.record` call in the chapter."""
        return self.meta["record"]


@dataclass(frozen=True)
class Job:
    """What is to be run: a chapter, in a profile, with all its parameters."""

    chapter: Chapter
    profile: Profile
    parameters: dict[str, Any]
    root: Path

    @cached_property
    def key(self) -> str:
        """The hash that names this exact version."""
        return run_key(self.chapter, self.parameters)

    @property
    def folder(self) -> Path:
        """Where this chapter's runs in this profile are stored."""
        return self.root / "_build" / "runs" / self.profile / self.chapter.name

    @property
    def path(self) -> Path:
        """Where the finished run is, or will be, stored."""
        return self.folder / f"{self.key}.ipynb"

    @property
    def partial(self) -> Path:
        """Where it is written until it has come to its end; evidence when it fails."""
        return self.path.with_suffix(".partial.ipynb")


def make_job(
    root: Path,
    chapter: Chapter,
    profile: Profile = "embedded",
    overrides: dict[str, Any] | None = None,
    *,
    sabotage: bool = False,
) -> Job:
    """The job of a chapter; `ChapterError` for a parameter it does not declare."""
    parameters = chapter.parameters(profile, overrides, sabotage=sabotage)
    return Job(chapter, profile, parameters, root)


def find_run(job: Job) -> Run | None:
    """The stored run of a job, or None."""
    return Run(job.path) if job.path.is_file() else None


def remove_runs(root: Path, keep: set[Path]) -> int:
    """Delete every stored and partial run that is not in `keep`; return how many."""
    store = root / "_build" / "runs"
    gone = [p for p in store.rglob("*") if p.is_file() and p not in keep]
    for path in gone:
        path.unlink()
    return sum(path.suffix == ".ipynb" for path in gone)
