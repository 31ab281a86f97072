"""Where data lies, and whose it is.

One rule for the whole package: a text that is a registered name, to the letter, means
that data set; everything else is a folder or file of yours. So `clothing` is the data
set even beside a folder of that name, which is `./clothing`. What lies in the package,
in the cache or in a mirror is not yours, and nothing is written there.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cvlib.datasets import registry
from cvlib.datasets.registry import DATASETS, Dataset, Shipped


def resolve(data: str | Path) -> Dataset | Path:
    """What `data` means: a registered data set, or a path (``~`` expanded) of yours.

    The path need not exist. `fetch`, `load`, the doctor and a run's key ask here.
    Raises TypeError for what is neither text nor path.
    """
    if not isinstance(data, str | Path):
        raise TypeError(f"wanted a data set's name or a folder, got {data!r}")
    known = DATASETS.get(data) if isinstance(data, str) else None
    return known or expand(data)


def expand(path: str | Path) -> Path:
    """A path with ``~`` expanded; one of an unknown user stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path fails on unknown users)


def cache_folder(cache: str | Path | None = None) -> Path:
    """Where downloads and drawn splits are kept: `cache`, CVLIB_CACHE, the platform's.

    It need not exist yet.
    """
    cache = cache or os.environ.get("CVLIB_CACHE")
    if cache:
        return expand(cache).absolute()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("cvlib", appauthor=False))


def dataset_at(folder: Path) -> Dataset | None:
    """The data set of which a folder is the shipped, fetched or mirrored copy."""
    place = folder.resolve()
    known = [d for d in DATASETS.values() if _is_copy(d, place)]
    # A mirror has a set and a part of it in one folder; `fetch` knows which is whole.
    return next((d for d in known if _is_stamped(d, place)), next(iter(known), None))


def is_ours(folder: Path) -> bool:
    """Whether a folder belongs to the package, the cache or the mirror, not to you."""
    homes = [registry.PACKAGE, cache_folder(), *_mirrors()]
    place = folder.resolve()
    inside = any(place.is_relative_to(home.resolve()) for home in homes)
    return inside or dataset_at(folder) is not None


def _is_copy(dataset: Dataset, place: Path) -> bool:
    if isinstance(dataset.source, Shipped):
        return place == (registry.PACKAGE / dataset.source.folder).resolve()
    cache, name = cache_folder().resolve(), dataset.name.replace("/", "-")
    head, _, digest = place.name.rpartition("-")
    if place.parent == cache and head == name and len(digest) == 12:
        return True
    if any(place == home.resolve() / dataset.mirrored_as for home in _mirrors()):
        return True
    return _is_stamped(dataset, place)


def _is_stamped(dataset: Dataset, place: Path) -> bool:
    """Whether `fetch` left a stamp for a place that it verified."""
    mark = hashlib.sha256(bytes(place)).hexdigest()[:12]
    stamp = f"{dataset.name.replace('/', '-')}-{'?' * 12}.{mark}.verified"
    return any(any(home.glob(stamp)) for home in (cache_folder(), place.parent))


def _mirrors() -> list[Path]:
    """The folder that CVLIB_MIRROR names; none for an address."""
    mirror = os.environ.get("CVLIB_MIRROR", "")
    return [expand(mirror)] if mirror and "://" not in mirror else []
