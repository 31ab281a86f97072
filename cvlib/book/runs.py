"""Runs: one executed notebook for each exact version of a chapter, in the run store.

    _build/runs/<profile>/<chapter>/<key>.ipynb

The key is a hash of what can change a run's numbers: code cells and their tags,
parameters, the `cvlib` sources the chapter can reach, its data, and the versions of
the packages below. A run is written to `<key>.partial.ipynb` and renamed when it came
to its end; a lock for each chapter and profile lets several processes share the store.
Papermill executes in a process of its own, watched for time and memory.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import nbformat
import psutil
import yaml
from filelock import FileLock

from cvlib.book import RunError
from cvlib.book.chapters import Chapter, Profile, cell_tags, code_cells
from cvlib.recording import MIME_TYPE

# A new version of one of these may change a number, so it makes a new run.
TRACKED_PACKAGES = (
    "cleanlab",
    "faiss-cpu",
    "fastai",
    "numpy",
    "optuna",
    "papermill",
    "pillow",
    "pycocotools",
    "pytorch-metric-learning",
    "qdrant-client",
    "scikit-learn",
    "timm",
    "torch",
    "torchvision",
)

# Left out of the key: they show and judge runs, and cannot change one.
ENGINE_MODULES = ("cvlib.book", "cvlib.cli")

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


@dataclass(frozen=True)
class Run:
    """An executed chapter: where it is stored, and what it measured."""

    path: Path
    notebook: nbformat.NotebookNode

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


def run_key(chapter: Chapter, parameters: dict[str, Any]) -> str:
    """Sixteen hex digits that change when anything that can change a number does."""
    parts = {
        "cells": [[c.source, cell_tags(c)] for c in code_cells(chapter.notebook)],
        "parameters": parameters,
        "sources": {m: _digest(p) for m, p in reachable_sources(chapter).items()},
        "data": {n: data_digest(v) for n, v in parameters.items() if _names_data(n, v)},
        "versions": tracked_versions(),
        "device": os.environ.get("CVLIB_DEVICE", ""),
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def reachable_sources(chapter: Chapter) -> dict[str, Path]:
    """Module → file, of the `cvlib` modules that the chapter's code can import.

    Scripts and styles beside them, which explorers put into a page, count as well.
    """
    graph = _import_graph()
    reached: set[str] = set()
    for module in _imported_modules(chapter) & graph.modules:
        reached |= {module, *graph.find_upstream_modules(module)}
    reached |= {parent for m in reached for parent in _parents(m)}
    reached = {m for m in reached if not m.startswith(ENGINE_MODULES)}
    files = {m: _module_file(m) for m in sorted(reached)}
    folders = {m: f.parent for m, f in files.items() if f.name == "__init__.py"}
    for package, folder in folders.items():
        beside = sorted([*folder.glob("*.js"), *folder.glob("*.css")])
        files |= {f"{package}/{path.name}": path for path in beside}
    return files


def tracked_versions() -> dict[str, str]:
    """Package → version, of Python and the tracked packages that are installed."""
    versions = {"python": platform.python_version()}
    for package in TRACKED_PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def data_digest(data: str) -> str:
    """A hash of a registered data set's manifest, or of a local folder's listing."""
    from cvlib.datasets import manifest_digest

    folder = Path(data).expanduser()
    if not folder.is_dir():
        return manifest_digest(data)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    rows = [f"{p}\t{p.stat().st_size}\t{p.stat().st_mtime_ns}" for p in files]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def find_run(job: Job) -> Run | None:
    """The stored run of a job, or None."""
    return read_run(job.path) if job.path.is_file() else None


def read_run(path: Path) -> Run:
    """A stored run."""
    return Run(path, nbformat.read(path, as_version=4))


def ensure_run(
    job: Job,
    *,
    threads: int | None = None,
    progress: Progress = lambda line: None,
    stop: threading.Event | None = None,
) -> Run:
    """The run of a job, executed now unless it is stored.

    Errors: `RunError`, with the chapter's own cell and traceback.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(job.folder / ".lock"):
        run = find_run(job)
        if run is not None:
            progress("stored")
            return run
        return _execute(job, threads or os.cpu_count() or 1, progress, stop)


def ensure_runs(
    jobs: list[Job], *, workers: int = 2, progress: Callable[[Job, str], None]
) -> list[Run | Exception]:
    """Run what is not stored, two at a time; a failure does not stop the others.

    Ctrl-C stops all, removes the half-written runs and ends their kernels.
    """
    stale = sum(find_run(job) is None for job in jobs)
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
            return list(pool.map(one, jobs))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


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


def _execute(job: Job, threads: int, progress: Progress, stop: Any) -> Run:
    started, clock = datetime.now(UTC), time.monotonic()
    memory = _run_papermill(job, _environment(job, threads), progress, stop)
    meta = {
        "started": started.isoformat(timespec="seconds"),
        "seconds": time.monotonic() - clock,
        "memory_mb": memory / 2**20,
        "environment": {**describe_machine(threads), "versions": tracked_versions()},
    }
    run = _finish(job, meta)
    progress(f"ran in {run.meta['seconds']:.0f} s, {run.meta['memory_mb']:.0f} MB")
    return run


def _run_papermill(
    job: Job, environment: dict[str, str], progress: Progress, stop: Any
) -> int:
    """Execute to the partial notebook; return the peak memory in bytes."""
    with tempfile.TemporaryFile() as log:
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
    env.setdefault("CVLIB_DEVICE", "cuda" if job.profile == "gpu" else "cpu")
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
    timeout = job.chapter.settings.timeout
    limit = time.monotonic() + timeout
    cells, peak, done = len(job.chapter.notebook.cells), 0, -1
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
        if done != (done := _cells_done(job.partial)):
            progress(f"cell {done} of {cells}")
        try:
            child.wait(0.5)  # adding up memory takes some of the processor
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


def _cells_done(partial: Path) -> int:
    try:
        return partial.read_text("utf8").count('"status": "completed"')
    except FileNotFoundError:
        return 0


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
    return Run(job.path, notebook)


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
    nodes = _parse(source).body
    return bool(nodes) and all(
        isinstance(n, ast.Import | ast.ImportFrom) for n in nodes
    )


def _imported_modules(chapter: Chapter) -> set[str]:
    """Every dotted name in the imports of the chapter's cells."""
    names: set[str] = set()
    for cell in code_cells(chapter.notebook):
        for node in ast.walk(_parse(cell.source)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module}
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _parse(source: str) -> ast.Module:
    """A cell's syntax tree; shell and magic lines are left out."""
    lines = source.splitlines()
    return ast.parse(
        "\n".join(x for x in lines if not x.lstrip().startswith(("%", "!")))
    )


def _names_data(name: str, value: Any) -> bool:
    names_data = name == "data" or name.endswith("_data")
    return names_data and isinstance(value, str) and value != ""


@cache
def _import_graph() -> Any:
    import grimp

    return grimp.build_graph("cvlib", cache_dir=None)


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _module_file(module: str) -> Path:
    base = Path(__file__).parents[2].joinpath(*module.split("."))
    package = base / "__init__.py"
    return package if package.is_file() else base.with_suffix(".py")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def describe_machine(threads: int) -> dict[str, Any]:
    """Processor, cores, accelerator, system and commit, for the run's badge."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "accelerator": find_gpu() or "none",
        "system": platform.platform(),
        "commit": _commit(),
    }


@cache
def find_gpu() -> str:
    """The name of the first CUDA device, or an empty string."""
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    if shutil.which(query[0]) is None:
        return ""
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    return found.stdout.splitlines()[0].strip() if found.returncode == 0 else ""


@cache
def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@cache
def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    folder = Path(__file__).parent
    found = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def remove_runs(root: Path, keep: set[Path]) -> int:
    """Delete every stored and partial run that is not in `keep`; return how many."""
    store = root / "_build" / "runs"
    gone = [p for p in store.rglob("*") if p.is_file() and p not in keep]
    for path in gone:
        path.unlink()
    return sum(path.suffix == ".ipynb" for path in gone)
