"""Runs: one executed notebook for each exact version of a chapter, in the run store.

    <store>/<profile>/<chapter>/<key>.ipynb

The store is `_build/runs` in the book's root, or the folder that CVLIB_RUNS names,
which several clones and a workflow's cache can share: a run is a function of its key
(see `keys`). It is written to `<key>.partial.ipynb` and renamed when it came to its
end; a lock for each chapter and profile lets several processes share the store.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat
from filelock import FileLock, Timeout

from cvlib.book.chapters import Chapter, Profile
from cvlib.book.keys import device_of, run_key, source_digests
from cvlib.book.overrides import with_places


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
    store: Path

    @cached_property
    def sources(self) -> dict[str, str]:
        """The `cvlib` sources that the key stands for, as they were at that time."""
        return source_digests(self.chapter)

    @cached_property
    def key(self) -> str:
        """The hash that names this exact version."""
        _ = self.sources  # first: one that is written in between then counts as changed
        device = device_of(self.profile)
        return run_key(self.chapter, self.parameters, device=device)

    @property
    def folder(self) -> Path:
        """Where this chapter's runs in this profile are stored."""
        return self.store / self.profile / self.chapter.name

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
    """The job of a chapter, with `overrides` of its parameters.

    Errors: `ChapterError` for a parameter that it does not declare, a value of another
    type than its default, and data that is not there.
    """
    parameters = chapter.parameters(profile, overrides, sabotage=sabotage)
    parameters |= with_places(overrides or {})
    return Job(chapter, profile, parameters, find_store(root))


def find_store(root: Path) -> Path:
    """The folder of all runs: what CVLIB_RUNS names, else `_build/runs` in the root."""
    shared = os.environ.get("CVLIB_RUNS", "").strip()
    return Path(shared).expanduser().absolute() if shared else root / "_build" / "runs"


def is_shared(store: Path, root: Path) -> bool:
    """Whether the store stands outside the book, so that other clones may use it."""
    return not store.resolve().is_relative_to(root.resolve())


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a folder against other processes; False when one of them has it.

    It waits for that process unless told not to. Held are a chapter's runs in one
    profile, and `_build` while the site is written.
    """
    lock = FileLock(folder / ".lock", timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def find_run(job: Job) -> Run | None:
    """The stored run of a job, or None."""
    return Run(job.path) if job.path.is_file() else None


def remove_runs(store: Path, keep: set[Path], *, only_failed: bool = False) -> int:
    """Delete the stored and partial runs that are not in `keep`; return how many.

    only_failed: delete partial runs only, for a store in which others keep theirs.

    Left alone is a chapter that another process is running at this moment.
    """
    pattern = "*.partial.ipynb" if only_failed else "*.ipynb"
    gone = [path for path in sorted(store.rglob(pattern)) if path not in keep]
    removed = 0
    for folder, paths in groupby(gone, key=lambda path: path.parent):
        with locked(folder, wait=False) as held:
            for path in paths if held else ():
                path.unlink(missing_ok=True)
                removed += 1
    return removed
