"""Keys: what may change a run's numbers, as one hash."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from cvlib.book.chapters import Chapter, cell_tags, code_cells
from cvlib.book.imports import modules_named

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
    cells = [cell.source for cell in code_cells(chapter.notebook)]
    for module in modules_named(cells, graph.modules):
        reached |= {module, *graph.find_upstream_modules(module)}
    reached |= {parent for m in reached for parent in _parents(m)}
    reached = {m for m in reached if not m.startswith(ENGINE_MODULES)}
    files = {m: _module_file(m) for m in sorted(reached)}
    folders = {m: f.parent for m, f in files.items() if f.name == "__init__.py"}
    for package, folder in folders.items():
        beside = sorted([*folder.glob("*.js"), *folder.glob("*.css")])
        files |= {f"{package}/{path.name}": path for path in beside}
    return files


@cache
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
    from cvlib.datasets.registry import manifest_digest

    folder = Path(data).expanduser()
    if not folder.is_dir():
        return manifest_digest(data)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    rows = [f"{p}\t{p.stat().st_size}\t{p.stat().st_mtime_ns}" for p in files]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _names_data(name: str, value: Any) -> bool:
    names_data = name == "data" or name.endswith("_data")
    return names_data and isinstance(value, str) and value != ""


@cache
def _import_graph() -> Any:
    import grimp

    # What a face lists for type checkers is not what it imports.
    return grimp.build_graph(
        "cvlib", cache_dir=None, exclude_type_checking_imports=True
    )


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _module_file(module: str) -> Path:
    base = Path(__file__).parents[2].joinpath(*module.split("."))
    package = base / "__init__.py"
    return package if package.is_file() else base.with_suffix(".py")


def _digest(path: Path) -> str:
    """A hash of a source, read again only when the file was written again."""
    about = path.stat()
    return _digest_as_of(path, about.st_size, about.st_mtime_ns)


@cache
def _digest_as_of(path: Path, size: int, written: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
