"""The run store: one run for each key, shared by clones that name one folder."""

import os
from pathlib import Path

import pytest

from cvlib.book.chapters import get_chapter
from cvlib.book.execute import ensure_run, ensure_runs
from cvlib.book.runs import (
    Job,
    find_run,
    find_store,
    is_shared,
    locked,
    make_job,
    remove_runs,
)
from cvlib.book.site import Site
from tests.small_book import job_of, write_book


def pretend(job: Job, *, partial: bool = False) -> Path:
    """A file where the job's run would stand."""
    path = job.partial if partial else job.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture
def clones(book: Path, tmp_path_factory, monkeypatch) -> tuple[Path, Path]:
    """Two clones of the small book that share a store."""
    shared = tmp_path_factory.mktemp("shared")
    monkeypatch.setenv("CVLIB_RUNS", str(shared / "runs"))
    return book, write_book(shared / "clone")


@pytest.mark.slow
def test_a_run_is_stored_once_and_found_again(book: Path):
    lines: list[str] = []
    first = ensure_run(job_of(book), progress=lines.append)
    second = ensure_run(job_of(book), progress=lines.append)
    assert first.path == second.path and second.record == {"accuracy": 0.75}
    assert lines[-1] == "stored" and lines[-2].startswith("ran in")
    assert list(first.path.parent.glob("[!.]*")) == [first.path]


def test_the_store_is_in_the_book_unless_a_variable_names_one(book, monkeypatch):
    assert find_store(book) == book / "_build" / "runs"
    assert not is_shared(find_store(book), book)
    monkeypatch.setenv("CVLIB_RUNS", "~/runs")
    monkeypatch.setenv("HOME", str(book.parent / "home"))
    monkeypatch.setenv("USERPROFILE", str(book.parent / "home"))
    assert find_store(book) == book.parent / "home" / "runs"
    assert is_shared(find_store(book), book)
    monkeypatch.chdir(book)
    monkeypatch.setenv("CVLIB_RUNS", "kept")
    assert find_store(book) == book / "kept"
    assert not is_shared(find_store(book), book)


@pytest.mark.slow
def test_what_one_clone_has_run_another_finds_and_shows(clones: tuple[Path, Path]):
    ours, theirs = clones
    run = ensure_run(job_of(ours))
    states: list[str] = []
    jobs = [make_job(theirs, get_chapter(theirs, n)) for n in ("part/one", "part/two")]
    pretend(jobs[1])
    ensure_runs(jobs, progress=lambda job, state: states.append(state))
    assert states == ["stored", "stored"]
    assert not (ours / "_build").exists() and not (theirs / "_build").exists()
    site = Site(theirs, "embedded")
    assert site.run("part/one").path == run.path
    assert site.cite("measured", "part/one#accuracy:.1%") == "75.0%"


@pytest.mark.slow
def test_cleaning_removes_what_is_not_kept(book: Path):
    kept, gone = pretend(job_of(book)), pretend(job_of(book, seed=1))
    failed = pretend(job_of(book), partial=True)
    assert remove_runs(find_store(book), {kept}) == 2
    assert kept.exists() and not gone.exists() and not failed.exists()


@pytest.mark.slow
def test_cleaning_a_shared_store_leaves_what_other_clones_may_need(
    clones: tuple[Path, Path], command
):
    theirs = pretend(job_of(clones[1], seed=1))
    failed = pretend(job_of(clones[1], seed=1), partial=True)
    said = command("clean").stdout
    assert theirs.exists() and not failed.exists()
    assert "removed 1 notebook" in said and "other clones" in said and "--all" in said
    assert "removed 1 notebook" in command("clean", "--all").stdout
    assert not theirs.exists()


def test_cleaning_leaves_alone_what_another_process_is_running(book: Path):
    half = pretend(job_of(book), partial=True)
    with locked(half.parent):
        assert remove_runs(find_store(book), set()) == 0
    assert half.exists() and find_run(job_of(book)) is None
    assert remove_runs(find_store(book), set()) == 1


def test_a_store_that_cannot_be_written_is_an_error_that_names_it(
    book: Path, command, monkeypatch
):
    (book / "a file").touch()
    monkeypatch.setenv("CVLIB_RUNS", str(book / "a file"))
    done = command("run", "part/one")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "CVLIB_RUNS" in done.stderr and os.fspath(book / "a file") in done.stderr
