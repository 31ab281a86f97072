"""Data for the chapters: a name or a folder in, a folder of checked files out.

    from cvlib.datasets import fetch

    root = fetch("pantry/products")   # shipped with the package
    root = fetch("clothing")          # downloaded once, every file checked by sha256
    root = fetch("~/my_folder")       # your own

`registry` says what each dataset is, `download` brings it here. Two environment
variables steer it: CVLIB_MIRROR (a folder or an http address that replaces the
network) and CVLIB_CACHE (where downloads are kept).
"""

from cvlib.datasets.download import fetch
from cvlib.datasets.registry import (
    DATASETS,
    Dataset,
    DatasetError,
    get_dataset,
    manifest_digest,
    write_manifest,
)

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetError",
    "fetch",
    "get_dataset",
    "manifest_digest",
    "write_manifest",
]
