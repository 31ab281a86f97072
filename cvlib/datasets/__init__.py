"""Data for the chapters: a name or a folder in, a folder of checked files out.

    from cvlib.datasets import fetch

    root = fetch("pantry/products")   # shipped with the package
    root = fetch("clothing")          # downloaded once, every file checked by sha256
    root = fetch("~/my_folder")       # your own

    from cvlib.datasets import load

    images = load("~/my_folder")      # its images and annotations, in a split

`registry` says what each dataset is, `download` brings it here, `formats` reads and
writes it, `loading` and `splits` divide it, `doctor` finds what is wrong with it. Two
environment variables steer downloads: CVLIB_MIRROR (a folder or an http address that
replaces the network) and CVLIB_CACHE (where they are kept).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cvlib.datasets.download import fetch
from cvlib.datasets.registry import (
    DATASETS,
    Dataset,
    DatasetError,
    get_dataset,
    manifest_digest,
    write_manifest,
)

if TYPE_CHECKING:
    from cvlib.datasets.loading import load

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetError",
    "fetch",
    "get_dataset",
    "load",
    "manifest_digest",
    "write_manifest",
]


def __getattr__(name: str) -> Any:
    """`load` on first use: it needs NumPy, and whoever fetches only does not."""
    if name == "load":
        from cvlib.datasets.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
