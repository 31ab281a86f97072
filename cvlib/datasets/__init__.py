"""Data for the chapters: a name or a folder in, a folder of checked files out.

    from cvlib.datasets import fetch

    root = fetch("pantry/products")   # shipped with the package
    root = fetch("clothing")          # downloaded once, every file checked by sha256
    root = fetch("~/my_folder")       # your own

    from cvlib.datasets.loading import load

    images = load("~/my_folder")      # its images and annotations, in a split

`registry` says what each dataset is, `download` brings it here from one of `sources`,
`formats` reads and writes it, `loading` and `splits` divide it; `cvlib.doctor` finds
what is wrong with it. Two environment variables steer downloads: CVLIB_MIRROR (a folder
or an http address that replaces the network) and CVLIB_CACHE (where they are kept).
"""

from typing import TYPE_CHECKING

from cvlib.faces import face

if TYPE_CHECKING:
    from cvlib.datasets import (
        download,
        formats,
        loading,
        registry,
        sources,
        split_names,
        splits,
        tables,
    )
    from cvlib.datasets.download import fetch
    from cvlib.datasets.formats import read, write
    from cvlib.datasets.loading import load
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
    "download",
    "fetch",
    "formats",
    "get_dataset",
    "load",
    "loading",
    "manifest_digest",
    "read",
    "registry",
    "sources",
    "split_names",
    "splits",
    "tables",
    "write",
    "write_manifest",
]
__getattr__, __dir__ = face(__name__)
