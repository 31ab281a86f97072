"""Execution: papermill in a process of its own, watched for time and memory."""

from __future__ import annotations

import ast
import base64
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import psutil
import yaml

from cvlib.book import RunError
from cvlib.book.chapters import code_cells
from cvlib.book.imports import parse_cell
from cvlib.book.keys import device_of, source_digests, tracked_versions
from cvlib.book.ledger import read_ledger
from cvlib.book.machine import describe_machine, find_gpu
from cvlib.book.runs import Job, Run, find_run, locked
from cvlib.recording import MIME_TYPE

# glibc gives freed memory back at once by default; page faults then take half of the
# time of a network on a CPU. These keep it, and change no number.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
    "MALLOC_ARENA_MAX": "1",  # or each thread keeps what it once had
}

# `embedded` needs no network, and proves it on each run: every request would go to a
# port where nobody listens.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}

Progress = Callable[[str], None]


def ensure_run(
    job: Job,
    *,
    threads: int | None = None,
    progress: Progress = lambda line: None,
    stop: threading.Event | None = None,
) -> Run:
    """The run of a job, executed now unless it is stored.

    Errors: `RunError`, with the chapter's own cell and traceback, or for a store that
    cannot be written.
    """
    run = find_run(job)
    if run is None:
        _make_folder(job)
        with locked(job.folder):
            run = find_run(job)  # another process may have run it meanwhile
            if run is None:
                threads = threads or os.cpu_count() or 1
                return _execute(job, threads, progress, stop)
    progress("stored")
    return run


def ensure_runs(
    jobs: list[Job], *, workers: int = 2, progress: Callable[[Job, str], None]
) -> list[Run | Exception]:
    """Run what is not stored, two at a time; a failure does not stop the others.

    Those that took longest when they were calibrated or sabotaged begin first, so that
    none of them is left to run alone. The runs come back in the order of the jobs.
    Ctrl-C stops all, removes the half-written runs and ends their kernels.
    """
    stale = sum(not job.path.is_file() for job in jobs)
    workers = max(1, min(workers, stale))
    threads = max(1, (os.cpu_count() or 1) // workers)
    stop = threading.Event()

    def one(job: Job) -> Run | Exception:
        try:
            return ensure_run(
                job, threads=threads, progress=lambda s: progress(job, s), stop=stop
            )
        except Exception as error:
            progress(job, "stopped" if stop.is_set() else "failed")
            return error

    with ThreadPoolExecutor(workers) as pool:
        try:
            order = sorted(jobs, key=_known_seconds, reverse=True)
            runs = dict(zip(map(id, order), pool.map(one, order), strict=True))
            return [runs[id(job)] for job in jobs]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _known_seconds(job: Job) -> float:
    """What the chapter took when its ledger was written; 0 where that says nothing."""
    ledger = read_ledger(job.chapter.path, job.profile)
    if "seconds" in ledger.bands:
        return ledger.bands["seconds"].median
    return ledger.sabotage.record.get("seconds", 0.0) if ledger.sabotage else 0.0


def merge_records(notebook: nbformat.NotebookNode) -> dict[str, float]:
    """All numbers recorded in a notebook; one name with two values is an error."""
    merged: dict[str, float] = {}
    for cell in code_cells(notebook):
        for output in cell.get("outputs", []):
            for name, value in output.get("data", {}).get(MIME_TYPE, {}).items():
                if merged.setdefault(name, value) != value:
                    raise RunError(
                        f"{name} is recorded twice: {merged[name]!r}, then {value!r}"
                    )
    return merged


def _make_folder(job: Job) -> None:
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"cannot store runs in {job.store}: {error.strerror}; set CVLIB_RUNS to a "
            "folder that can be written"
        ) from None


def _execute(job: Job, threads: int, progress: Progress, stop: Any) -> Run:
    started, clock = datetime.now(UTC), time.monotonic()
    _check_sources(job)
    memory = _run_papermill(job, _environment(job, threads), progress, stop)
    _check_sources(job)
    meta = {
        "started": started.isoformat(timespec="seconds"),
        "seconds": time.monotonic() - clock,
        "memory_mb": memory / 2**20,
        "environment": {**describe_machine(threads), "versions": tracked_versions()},
    }
    run = _finish(job, meta)
    progress(f"ran in {run.meta['seconds']:.0f} s, {run.meta['memory_mb']:.0f} MB")
    return run


def _check_sources(job: Job) -> None:
    """RunError when `cvlib` was edited since the key was worked out: it is not of it.

    The kernel imports what stands on the disk, and a run of other sources would be
    shown, and judged, as one of these for as long as the store lasts.
    """
    now = source_digests(job.chapter)
    if now == job.sources:
        return
    job.partial.unlink(missing_ok=True)
    changed = sorted(m for m, digest in now.items() if job.sources.get(m) != digest)
    changed += sorted(job.sources.keys() - now.keys())
    raise RunError(
        f"{job.chapter.name}: {', '.join(changed)} changed since this command began, "
        "so the run is not kept; run it again"
    )


def _run_papermill(
    job: Job, environment: dict[str, str], progress: Progress, stop: Any
) -> int:
    """Execute to the partial notebook; return the peak memory in bytes."""
    folder = tempfile.TemporaryDirectory(
        prefix="cvlib-run-", ignore_cleanup_errors=True
    )
    with folder as own, tempfile.TemporaryFile() as log:
        # What a chapter leaves in the folder for temporary files goes with its run.
        environment = environment | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), own)
        command, pipe = _papermill(job), subprocess.PIPE
        child = subprocess.Popen(
            command, stdin=pipe, stdout=log, stderr=log, env=environment
        )
        try:
            assert child.stdin is not None
            with child.stdin as stdin:
                stdin.write(nbformat.writes(job.chapter.notebook).encode())
            memory = _watch(child, job, progress, stop)
        except BaseException:
            _end(child)
            if stop is not None and stop.is_set():
                job.partial.unlink(missing_ok=True)
            raise
        log.seek(0)
        _check(job, child.returncode, log.read().decode("utf8", "replace"))
    return memory


def _papermill(job: Job) -> list[str]:
    changed = {
        name: value
        for name, value in job.parameters.items()
        if value != job.chapter.declared[name]
    }
    text = yaml.safe_dump(changed, allow_unicode=True)
    command = [sys.executable, "-m", "papermill", "-", str(job.partial)]
    command += ["--no-progress-bar", "--cwd", str(job.chapter.path.parent)]
    command += ["--kernel", "python3", "--language", "python"]
    if changed:
        command += ["--parameters_base64", base64.b64encode(text.encode()).decode()]
    return command


def _environment(job: Job, threads: int) -> dict[str, str]:
    """The kernel's environment variables: threads, allocator, device, no network."""
    env = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": str(threads)}
    env |= {"PYTHONHASHSEED": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    # tqdm, which libraries import, misses widgets; no page needs them.
    asked = [env.get("PYTHONWARNINGS", ""), "ignore:IProgress not found"]
    env["PYTHONWARNINGS"] = ",".join(filter(None, asked))
    mirror = env.get("CVLIB_MIRROR", "")
    if mirror and "://" not in mirror:  # the kernel works in another folder
        env["CVLIB_MIRROR"] = str(Path(mirror).expanduser().absolute())
    env["CVLIB_DEVICE"] = device_of(job.profile)
    if job.profile == "gpu" and env["CVLIB_DEVICE"] == "cuda" and not find_gpu():
        raise RunError(
            "profile gpu needs a CUDA device and found none; run it where there is "
            "one, or set CVLIB_DEVICE=cpu to exercise it on small data"
        )
    return env | OFFLINE if job.profile == "embedded" else env


def _watch(
    child: subprocess.Popen[bytes],
    job: Job,
    progress: Progress,
    stop: threading.Event | None,
) -> int:
    """Wait for the child; return the peak memory of its processes, in bytes."""
    timeout, began = job.chapter.settings.timeout, time.monotonic()
    limit = began + timeout
    cells, peak = len(job.chapter.notebook.cells), 0
    count, done = CellCount(job.partial), -1
    while child.poll() is None:
        peak = max(peak, _memory(child.pid))
        if stop is not None and stop.is_set():
            raise RunError(f"{job.chapter.name}: stopped")
        if time.monotonic() > limit:
            raise RunError(
                f"{job.chapter.name} took longer than its {timeout} s; raise "
                f"`timeout` in its front matter or give it less to do. "
                f"Its notebook so far: {job.partial}"
            )
        if done != (done := count.look()):
            progress(f"cell {done} of {cells}")
        try:
            # Adding up memory takes some of the processor, so looks grow rarer; a
            # chapter of a second is still seen several times.
            child.wait(min(1, max(0.05, (time.monotonic() - began) / 8)))
        except subprocess.TimeoutExpired:
            continue
    return peak


def _memory(pid: int) -> int:
    """Bytes in use below `pid`, by the kernel and what it started.

    Pages that processes share count once where the system tells (PSS, on Linux).
    """
    total = 0
    try:
        for process in psutil.Process(pid).children(recursive=True):
            used = process.memory_full_info()
            total += getattr(used, "pss", used.rss)
    except psutil.Error:  # it ended between two looks
        pass
    return total


class CellCount:
    """How many cells of a growing notebook are done; read when it was written again."""

    def __init__(self, partial: Path) -> None:
        self._partial = partial
        self._seen = (0, 0)
        self._done = 0

    def look(self) -> int:
        """The cells done so far."""
        try:
            about = self._partial.stat()
            if self._seen != (seen := (about.st_mtime_ns, about.st_size)):
                text = self._partial.read_bytes()
                self._done, self._seen = text.count(b'"status": "completed"'), seen
        except FileNotFoundError:
            pass
        return self._done


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything below it; leave no kernel behind."""
    try:
        below = psutil.Process(child.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    for process in (*below, child):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    child.wait()
    psutil.wait_procs(below, timeout=5)


def _check(job: Job, code: int, log: str) -> None:
    if code == 0:
        return
    cells = nbformat.read(job.partial, 4).cells if job.partial.is_file() else []
    for cell in cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                raise RunError(_failure(job, cell, output))
    why = "its kernel died" if "DeadKernelError" in log else "papermill failed"
    raise RunError(
        f"{job.chapter.name}: {why} (out of memory?). Its log ends:\n{log[-1500:]}"
    )


def _failure(job: Job, cell: Any, output: Any) -> str:
    """The chapter's own cell and traceback, with the line of the cell in its source."""
    source = job.chapter.notebook
    line = next(
        (
            start + 1
            for start, original in zip(
                source.metadata.get("source_map", []), source.cells, strict=False
            )
            if original.source == cell.source
        ),
        1,
    )
    traceback = "\n".join(output.traceback)
    return (
        f"{job.chapter.name} failed in profile {job.profile}, in the cell at "
        f"{job.chapter.path}:{line}\n\n{cell.source}\n\n{traceback}\n\n"
        f"The notebook up to there: {job.partial}"
    )


def _finish(job: Job, meta: dict[str, Any]) -> Run:
    notebook = nbformat.read(job.partial, as_version=4)
    work, imports = _cell_seconds(notebook)
    notebook.metadata["cvlib_run"] = {
        "chapter": job.chapter.name,
        "profile": job.profile,
        "key": job.key,
        "parameters": job.parameters,
        "record": merge_records(notebook),
        "work_seconds": work,
        "import_seconds": imports,
        **meta,
    }
    nbformat.write(notebook, job.partial)
    job.partial.replace(job.path)
    return Run(job.path)


def _cell_seconds(notebook: nbformat.NotebookNode) -> tuple[float, float]:
    """Seconds of the cells that work, and of the cells that only import."""
    work = imports = 0.0
    for cell in code_cells(notebook):
        seconds = cell.metadata.get("papermill", {}).get("duration") or 0.0
        if _only_imports(cell.source):
            imports += seconds
        else:
            work += seconds
    return work, imports


def _only_imports(source: str) -> bool:
    nodes = parse_cell(source).body
    return bool(nodes) and all(
        isinstance(n, ast.Import | ast.ImportFrom) for n in nodes
    )
