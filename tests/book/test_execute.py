import os
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
from cvlib.book.execute import CellCount, ensure_run, ensure_runs, merge_records
from cvlib.book.ledger import Ledger, write_ledger
from cvlib.book.runs import find_run, make_job
from cvlib.recording import MIME_TYPE
from tests.small_book import PAGE, edit, job_of, with_code

pytestmark = pytest.mark.slow  # most tests start a kernel


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


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_run_of_sources_edited_meanwhile_is_not_kept(book: Path, monkeypatch, when):
    job = job_of(book)
    now = iter([job.sources] * (when == "during") + [job.sources | {"cvlib": "new"}])
    assert job.key
    monkeypatch.setattr("cvlib.book.execute.source_digests", lambda chapter: next(now))
    with pytest.raises(RunError, match="cvlib changed since this command began"):
        ensure_run(job)
    assert find_run(job) is None and not job.partial.exists()


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


def test_what_took_longest_begins_first_and_runs_come_back_in_order(book: Path):
    jobs = [make_job(book, get_chapter(book, f"part/{n}")) for n in ("one", "two")]
    slow = Ledger().sabotaged("0" * 16, {"seconds": 90.0})
    write_ledger(jobs[1].chapter.path, "embedded", slow)
    begun: list[str] = []
    runs = ensure_runs(
        jobs, workers=1, progress=lambda job, state: begun.append(job.chapter.name)
    )
    assert begun[0] == "part/two"
    assert [run.meta["chapter"] for run in runs] == ["part/one", "part/two"]
    fast = Ledger().calibrated("", [{"seconds": 5.0}] * 2)
    write_ledger(jobs[1].chapter.path, "embedded", fast.sabotaged("", {"seconds": 99}))
    write_ledger(
        jobs[0].chapter.path, "embedded", Ledger().calibrated("", [{"seconds": 6.0}])
    )
    begun.clear()
    ensure_runs(
        jobs, workers=1, progress=lambda job, state: begun.append(job.chapter.name)
    )
    assert begun[0] == "part/one"


def test_two_at_once_run_a_chapter_once(book: Path):
    states: list[str] = []
    jobs = [job_of(book), job_of(book)]
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda j: ensure_run(j, progress=states.append), jobs))
    assert runs[0].path == runs[1].path
    assert states.count("stored") == 1


def test_what_a_chapter_leaves_among_temporary_files_goes_with_its_run(book: Path):
    place = book / "place"
    code = "import tempfile, pathlib; own = tempfile.mkdtemp()"
    code += f"; pathlib.Path({str(place)!r}).write_text(own)"
    assert ensure_run(with_code(book, code)).record
    assert place.read_text() and not Path(place.read_text()).exists()


def test_a_growing_notebook_is_read_only_when_it_was_written_again(
    tmp_path, monkeypatch
):
    partial = tmp_path / "run.partial.ipynb"
    count = CellCount(partial)
    assert count.look() == 0, "not there yet"
    partial.write_text('"status": "completed" "status": "running"')
    assert count.look() == 1
    with monkeypatch.context() as unreadable:
        unreadable.delattr(Path, "read_bytes")
        assert count.look() == 1
    partial.write_text('"status": "completed" "status": "completed"')
    assert count.look() == 2


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
    _, said = process.communicate(timeout=600)
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
