import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest

from cvlib.book import RunError
from cvlib.book.chapters import get_chapter
from cvlib.book.execute import ensure_run, ensure_runs, merge_records
from cvlib.book.keys import reachable_sources, run_key
from cvlib.book.runs import Job, find_run, make_job, remove_runs
from cvlib.recording import MIME_TYPE
from tests.small_book import edit

PAGE = "book/part/one.md"


def job_of(book: Path, **overrides: object) -> Job:
    return make_job(book, get_chapter(book, "part/one"), overrides=overrides)


def with_code(book: Path, code: str) -> Job:
    """The chapter with one more line of code in its last cell."""
    edit(book / PAGE, "cvlib.record(", f"{code}\ncvlib.record(")
    return job_of(book)


def test_a_prose_edit_keeps_the_key(book: Path):
    before = job_of(book).key
    edit(book / PAGE, "It measured", "On this page it measured")
    assert job_of(book).key == before


def test_a_code_edit_changes_the_key_of_that_chapter_only(book: Path):
    before, other = job_of(book).key, get_chapter(book, "part/two")
    key = run_key(other, other.declared)
    assert with_code(book, "x = 1").key != before
    assert run_key(get_chapter(book, "part/two"), other.declared) == key


def test_a_tag_or_a_parameter_changes_the_key(book: Path):
    plain = job_of(book).key
    assert job_of(book, seed=1).key != plain
    edit(book / PAGE, "ipython3\nimport os", "ipython3\n:tags: [hide-input]\nimport os")
    assert job_of(book).key != plain


def test_another_version_of_a_tracked_package_changes_the_key(book, monkeypatch):
    before = job_of(book).key
    monkeypatch.setattr("cvlib.book.keys.tracked_versions", lambda: {"torch": "9.9"})
    assert job_of(book).key != before


def test_the_scripts_of_explorers_count_as_sources(book: Path):
    assert not any(".js" in name for name in reachable_sources(job_of(book).chapter))
    explorers = "from cvlib.explorers.results import results_explorer"
    found = reachable_sources(with_code(book, explorers).chapter)
    assert "cvlib.explorers/results.js" in found


def test_a_file_added_to_the_readers_folder_changes_the_key(book: Path, tmp_path):
    edit(book / PAGE, 'name = "x"', 'data = "x"')
    folder = tmp_path / "mine"
    folder.mkdir()
    before = job_of(book, data=str(folder)).key
    (folder / "a.jpg").write_bytes(b"1")
    assert job_of(book, data=str(folder)).key != before


KEYS = """
from pathlib import Path
from cvlib.book.chapters import get_chapter
from cvlib.book.keys import run_key
import cvlib
assert Path(cvlib.__file__).is_relative_to({package!r}), cvlib.__file__
chapter = get_chapter(Path({book!r}), "part/one")
print(run_key(chapter, chapter.declared))
"""


def test_an_edit_in_cvlib_changes_the_key_of_the_chapters_that_can_reach_it(
    book: Path, tmp_path: Path, root: Path
):
    edit(book / PAGE, "import cvlib\n", "from cvlib.classification import evaluate\n")
    package = tmp_path / "source"
    leave_out = shutil.ignore_patterns("*.jpg", "__pycache__")
    shutil.copytree(root / "cvlib", package / "cvlib", ignore=leave_out)

    def key() -> str:
        code = KEYS.format(package=str(package), book=str(book))
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=package,
            env={**os.environ, "PYTHONPATH": str(package)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def append_to(name: str) -> str:
        with (package / "cvlib" / name).open("a") as file:
            file.write("\n# an edit\n")
        return key()

    before = key()
    assert append_to("book/runs.py") == before, "the engine cannot change a number"
    assert append_to("cli.py") == before
    assert append_to("datasets/download.py") == before, "out of evaluate's reach"
    assert append_to("classification/evaluate.py") != before


def test_a_run_is_stored_once_and_found_again(book: Path):
    lines: list[str] = []
    first = ensure_run(job_of(book), progress=lines.append)
    second = ensure_run(job_of(book), progress=lines.append)
    assert first.path == second.path and second.record == {"accuracy": 0.75}
    assert lines[-1] == "stored" and lines[-2].startswith("ran in")
    assert list(first.path.parent.glob("[!.]*")) == [first.path]


def test_a_run_knows_how_it_was_made(book: Path):
    meta = ensure_run(job_of(book)).meta
    assert meta["chapter"] == "part/one" and meta["profile"] == "embedded"
    assert meta["seconds"] > 0 and meta["memory_mb"] > 10
    assert meta["work_seconds"] >= 0 and meta["import_seconds"] > 0
    assert meta["environment"]["cores"] == os.cpu_count()
    assert "python" in meta["environment"]["versions"]


def test_an_embedded_run_cannot_reach_the_network(book: Path):
    code = "import httpx\nhttpx.get('https://example.org', timeout=5)"
    with pytest.raises(RunError, match="ConnectError"):
        ensure_run(with_code(book, code))


def test_a_relative_mirror_is_found_from_the_kernels_folder(book: Path, monkeypatch):
    monkeypatch.chdir(book)
    monkeypatch.setenv("CVLIB_MIRROR", "mirror")
    code = f"assert os.environ['CVLIB_MIRROR'] == {str(book / 'mirror')!r}"
    assert ensure_run(with_code(book, code)).record


def test_a_failing_chapter_shows_its_own_cell_and_where_it_stands(book: Path):
    job = with_code(book, "raise ValueError('no such shelf')")
    with pytest.raises(RunError) as caught:
        ensure_run(job)
    message = str(caught.value)
    assert "ValueError: no such shelf" in message or "no such shelf" in message
    assert f"{book / PAGE}:" in message and "papermill" not in message.lower()
    assert str(job.partial) in message and job.partial.is_file()
    assert find_run(job) is None


def test_a_chapter_that_takes_too_long_is_ended_and_says_so(book: Path):
    edit(book / PAGE, "  sabotage:", "  timeout: 2\n  sabotage:")
    job = with_code(book, "import time; time.sleep(60)")
    with pytest.raises(RunError, match=r"longer than its 2 s"):
        ensure_run(job)
    assert not psutil.Process().children(recursive=True)


def test_a_kernel_that_dies_is_told_from_an_error(book: Path):
    with pytest.raises(RunError, match="its kernel died"):
        ensure_run(with_code(book, "os.kill(os.getpid(), 9)"))


def test_the_gpu_profile_fails_without_a_device(book: Path, monkeypatch):
    monkeypatch.setattr("cvlib.book.machine.find_gpu", lambda: "")
    job = make_job(book, get_chapter(book, "part/one"), "gpu")
    with pytest.raises(RunError, match="CVLIB_DEVICE=cpu"):
        ensure_run(job)
    monkeypatch.setenv("CVLIB_DEVICE", "cpu")
    job = make_job(book, get_chapter(book, "part/one"), "gpu")
    assert ensure_run(job).record == {"accuracy": 1.0}


def test_a_failure_does_not_stop_the_other_chapters(book: Path):
    bad = with_code(book, "1 / 0")
    good = make_job(book, get_chapter(book, "part/two"))
    failed, run = ensure_runs([bad, good], progress=lambda job, state: None)
    assert isinstance(failed, RunError)
    assert not isinstance(run, Exception) and run.record == {"accuracy": 0.75}


def test_two_at_once_run_a_chapter_once(book: Path):
    states: list[str] = []
    jobs = [job_of(book), job_of(book)]
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda j: ensure_run(j, progress=states.append), jobs))
    assert runs[0].path == runs[1].path
    assert states.count("stored") == 1


@pytest.fixture
def heeded_interrupts() -> Iterator[None]:
    """A shell starts background jobs deaf to Ctrl-C, and their children inherit it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_half_written_run_and_no_kernel(book: Path, how):
    with_code(book, f"open({str(book / 'pid')!r}, 'w').write(str(os.getpid()))")
    edit(book / PAGE, "\ncvlib.record(", "\nimport time; time.sleep(60)\ncvlib.record(")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("cvlib"), "book", "run", "part/one"],
        cwd=book,
        stderr=subprocess.PIPE,
        text=True,
    )
    kernel = wait_for_number(book / "pid")
    process.send_signal(how)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "no half-written run" in said
    assert not psutil.pid_exists(kernel)
    assert not list(book.glob("_build/runs/**/*.ipynb"))


def wait_for_number(path: Path, seconds: float = 120) -> int:
    """The number in a file that another process is about to write."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if path.is_file() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written in {seconds} s")


def test_one_name_recorded_with_two_values_is_an_error():
    def cell(**record: float) -> nbformat.NotebookNode:
        output = nbformat.v4.new_output("display_data", {MIME_TYPE: record})
        return nbformat.v4.new_code_cell("x", outputs=[output])

    agree = nbformat.v4.new_notebook(cells=[cell(a=1), cell(a=1, b=2)])
    assert merge_records(agree) == {"a": 1, "b": 2}
    with pytest.raises(RunError, match="a is recorded twice: 1, then 3"):
        merge_records(nbformat.v4.new_notebook(cells=[cell(a=1), cell(a=3)]))


def test_cleaning_removes_what_is_not_kept(book: Path):
    kept, gone = ensure_run(job_of(book)), ensure_run(job_of(book, seed=1))
    assert remove_runs(book, {kept.path}) == 1
    assert kept.path.is_file() and not gone.path.exists()
