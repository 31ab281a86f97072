"""A book of two chapters that run in a second, laid out like the real one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from cvlib.book.chapters import get_chapter
from cvlib.book.runs import Job, Run, make_job

TOC = """\
format: jb-book
root: book/index
parts:
  - caption: Part
    chapters:
      - file: book/part/one
      - file: book/part/two
"""

CONFIG = """\
title: Mini
author: Nobody
only_build_toc_files: true
exclude_patterns: ['.*', '**/.*', _build]
execute: {execute_notebooks: "off"}
sphinx:
  recursive_update: true
  extra_extensions: [cvlib.book.sphinx]
  config: {html_math_renderer: mathml}
"""

INDEX = """\
# Index

One measured {measured}`part/one#accuracy:.1%`.

```{run-status}
```
"""

CHAPTER = """\
---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {name: python3, display_name: Python 3}
cvlib:
  profiles:
    photos: {epochs: 4}
    gpu: {epochs: 4}
  bars:
    embedded: {accuracy: {at_least: 0.5}}
  sabotage: {epochs: 0}
---

# A chapter

```{code-cell} ipython3
:tags: [parameters]
epochs = 3  # passes over the images
seed = 0
rate = 0.1
name = "x"
```

It measured {measured}`accuracy:.1%`.

$\\sqrt{a}$ of $$\\frac{a}{b}$$

```{code-cell} ipython3
import os
import cvlib
```

```{code-cell} ipython3
cvlib.record(accuracy=epochs / 4 + seed / 100)
```
"""

PAGE = "book/part/one.md"
RunCommand = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a fresh small book, whose runs are stored inside it."""
    monkeypatch.delenv("CVLIB_RUNS", raising=False)
    return write_book(tmp_path)


@pytest.fixture(scope="session")
def run_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for runs that many tests only want to be there."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def shared_runs(book: Path, run_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small book's runs are those of all tests that ask for this."""
    monkeypatch.setenv("CVLIB_RUNS", str(run_store))


def write_book(folder: Path) -> Path:
    """The small book, written to a folder."""
    pages = {"_toc.yml": TOC, "_config.yml": CONFIG, "book/index.md": INDEX}
    pages |= {"book/part/one.md": CHAPTER, "book/part/two.md": CHAPTER}
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf8")
    return folder


@pytest.fixture
def command(book: Path) -> RunCommand:
    """The real `cvlib book …` in the small book."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name("cvlib"), "book", *arguments],
            cwd=book,
            capture_output=True,
            text=True,
            env=None,
            timeout=600,
        )

    return run


def plant_run(root: Path, name: str, record: dict[str, float], **changed: Any) -> Run:
    """A stored run that recorded `record`, as if the chapter had been executed."""
    job = make_job(root, get_chapter(root, name), overrides=changed)
    notebook = nbformat.from_dict(job.chapter.notebook)
    machine = {"accelerator": "none", "threads": 1, "cpu": "planted", "commit": "none"}
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["cvlib_run"] = {
        "chapter": name,
        "profile": job.profile,
        "key": job.key,
        "parameters": job.parameters,
        "record": record,
        "seconds": 1.0,
        "memory_mb": 100.0,
        "started": "2026-11-26T00:00:00+00:00",
        "environment": {**machine, "versions": {}},
    }
    job.path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, job.path)
    return Run(job.path)


def edit(path: Path, old: str, new: str) -> None:
    """Replace the one place of `old` in a file."""
    text = path.read_text("utf8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf8")


def job_of(book: Path, **overrides: object) -> Job:
    """The job of the small book's first chapter."""
    return make_job(book, get_chapter(book, "part/one"), overrides=overrides)


def with_code(book: Path, code: str) -> Job:
    """The job of that chapter with one more line of code in its last cell."""
    edit(book / PAGE, "cvlib.record(", f"{code}\ncvlib.record(")
    return job_of(book)
