"""Bring a dataset here: from the package, a mirror, its public source, or your folder.

A dataset's folder gets its name when every file in it was checked by sha256. What
stops half-way is never used, and begun anew by the next call.

    DatasetError
    ├── UnknownDatasetError         neither a registered name nor a folder
    ├── ManifestError               the list of files is missing or cannot be trusted
    ├── SourceError                 the next source is tried, if there is one
    │   ├── OfflineError            no answer
    │   ├── StatusError             an answer, but an HTTP error
    │   ├── MissingFileError        the source or the mirror lacks a file
    │   ├── TruncatedError          fewer bytes than announced
    │   ├── ChecksumError           other bytes than the manifest says
    │   └── ArchiveError            damaged, or larger than any dataset should be
    └── CacheError                  the folder for downloads cannot be used
        ├── DiskFullError
        └── PermissionDeniedError
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cvlib.datasets import registry
from cvlib.datasets.places import cache_folder, expand, resolve
from cvlib.datasets.registry import (
    DATASETS,
    Dataset,
    DatasetError,
    Remote,
    Shipped,
    UnknownDatasetError,
    list_files,
    sha256,
)
from cvlib.datasets.sources import WORKERS, MissingFileError, fill
from cvlib.files import write_text

log = logging.getLogger("cvlib")


class CacheError(DatasetError):
    """The cache folder cannot be used."""

    hint = "check that place, or set CVLIB_CACHE to another folder"


class DiskFullError(CacheError):
    """No space left for the dataset."""

    hint = "free some space, or set CVLIB_CACHE to a folder on another disk"


class PermissionDeniedError(CacheError):
    """A file may not be read, or the cache not be written."""

    hint = "give yourself the right to it, or set CVLIB_CACHE to a folder of your own"


@dataclass(frozen=True)
class _Job:
    """One call's dataset, and its places in the cache."""

    dataset: Dataset
    source: Remote
    manifest: dict[str, str]
    cache: Path
    mirror: Path | str | None
    progress: bool

    @cached_property
    def digest(self) -> str:
        return registry.digest(self.manifest)

    def beside(self, suffix: str) -> Path:
        # The digest in the name keeps two versions of a dataset apart.
        name = self.dataset.name.replace("/", "-")
        return self.cache / f"{name}-{self.digest[:12]}{suffix}"

    @cached_property
    def folder(self) -> Path:
        return self.beside("")

    @property
    def places(self) -> list[Path]:
        """Folders that may already hold the whole dataset."""
        return [self.folder, *([self.mirror] if isinstance(self.mirror, Path) else [])]

    def stamp(self, place: Path) -> Path:
        return self.beside(f".{hashlib.sha256(bytes(place)).hexdigest()[:12]}.verified")


def fetch(
    name_or_path: str | Path,
    *,
    mirror: str | Path | None = None,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """The root folder of a dataset, complete and checked; used in every chapter.

    name_or_path: a registered name, or a folder of yours, which is returned as it is
        (``~`` expanded). A name wins over a folder: write ``./clothing`` for a folder.
    mirror: a folder or an http(s) address laid out ``<mirror>/<dataset>/<path>``, which
        is read instead of the public source; default CVLIB_MIRROR. A folder is used
        in place, and never written to.
    cache: where downloads are kept; default CVLIB_CACHE, or the platform's folder.
    progress: False hides the progress bar, which only a terminal shows anyway.

    The first call checks every file by sha256. Later calls compare sizes and times of
    change, and check again what differs. Processes may call at once. Treat the folder
    as read-only. Raises a DatasetError that says what was wanted, what came, and what
    to do.
    """
    dataset = resolve(name_or_path)
    if isinstance(dataset, Path):
        return _own_folder(name_or_path)
    if isinstance(dataset.source, Shipped):
        return _shipped_folder(dataset, dataset.source)
    job = _Job(
        dataset,
        dataset.source,
        registry.read_manifest(dataset.name),
        cache_folder(cache),
        _mirror_of(dataset, mirror or os.environ.get("CVLIB_MIRROR")),
        progress,
    )
    with _explained(job):
        return _find(job) or _provide(job)


def _own_folder(name: str | Path) -> Path:
    folder = expand(name)
    if str(name) and folder.is_dir():
        return folder
    if isinstance(name, str) and not name.startswith(("~", ".", os.sep)):
        registry.get_dataset(name)  # raises, with the closest name
    found = "a file" if folder.exists() else "nothing"
    raise UnknownDatasetError(
        f"wanted a folder at {folder.absolute()}, found {found}; correct the path, or "
        f"give one of the known datasets: {', '.join(sorted(DATASETS))}"
    )


def _shipped_folder(dataset: Dataset, source: Shipped) -> Path:
    folder = registry.PACKAGE / source.folder
    if not folder.is_dir():
        raise MissingFileError(
            f"{dataset.name}: wanted the package's folder {folder}, found nothing; "
            "install cvlib again"
        )
    return folder


def _mirror_of(dataset: Dataset, mirror: str | Path | None) -> Path | str | None:
    """A dataset's folder in a mirror, or its address there as a template."""
    if not mirror:
        return None
    if str(mirror).startswith(("http://", "https://")):
        return f"{str(mirror).rstrip('/')}/{dataset.mirrored_as}/{{path}}"
    return expand(mirror).resolve() / dataset.mirrored_as


def _find(job: _Job) -> Path | None:
    """The first place that was verified before and has not changed since."""
    for place in job.places:
        stamp = job.stamp(place)
        if stamp.exists() and stamp.read_text() == _fingerprint(job, _listing(place)):
            return place
    return None


def _provide(job: _Job) -> Path:
    """Verify, repair or download, one process at a time."""
    from filelock import FileLock

    job.cache.mkdir(parents=True, exist_ok=True)
    with FileLock(job.beside(".lock")):
        place = _find(job)  # another process may have been faster
        place = place or next((at for at in job.places if _is_intact(job, at)), None)
        if place is None:
            _complete(job)
        return place or job.folder


def _listing(place: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    stats = {path: (place / path).stat() for path in list_files(place)}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def _fingerprint(job: _Job, listing: dict[str, tuple[int, int]]) -> str:
    text = f"{job.digest} {sorted(listing.items())}"
    return hashlib.sha256(text.encode()).hexdigest()


def _is_intact(job: _Job, place: Path) -> bool:
    """Whether `place` holds the manifest's files, nothing else, byte for byte."""
    from concurrent.futures import ThreadPoolExecutor

    listing = _listing(place)
    if listing.keys() != job.manifest.keys():
        return False
    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(lambda path: sha256(place / path), job.manifest))
    if found != list(job.manifest.values()):
        return False
    _write_stamp(job, place, listing)
    return True


def _write_stamp(job: _Job, place: Path, listing: dict[str, tuple[int, int]]) -> None:
    write_text(job.stamp(place), _fingerprint(job, listing))


def _complete(job: _Job) -> None:
    """Fill a folder beside the final one, and give it its name when it is whole."""
    partial = job.beside(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that died
    partial.mkdir()
    try:
        fill(
            partial,
            job.dataset,
            job.manifest,
            mirror=job.mirror,
            progress=job.progress,
        )
        if job.folder.exists():
            log.warning("%s was changed, and is replaced by a new copy", job.folder)
            shutil.rmtree(job.folder)
        partial.replace(job.folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _write_stamp(job, job.folder, _listing(job.folder))


@contextmanager
def _explained(job: _Job) -> Iterator[None]:
    """Make every failure one line: what was wanted, what came, what to do."""
    try:
        try:
            yield
        except OSError as error:
            raise _file_error(job, error) from error
    except DatasetError as error:
        hint = error.hint.format(name=job.dataset.name, home=job.source.home)
        name = job.dataset.name
        mine = (
            f"; for the folder beside you write ./{name}" if Path(name).is_dir() else ""
        )
        error.args = (f"{name}: {error}; {hint}{mine}",)
        raise


def _file_error(job: _Job, error: OSError) -> CacheError:
    place = error.filename or job.cache
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        exists = next(at for at in (job.cache, *job.cache.parents) if at.exists())
        free = shutil.disk_usage(exists).free
        size = f"{job.dataset.size:,} bytes" if job.dataset.size else "the dataset"
        return DiskFullError(f"wanted {size} in {job.cache}, {free:,} bytes are free")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionDeniedError(f"{place}: {error.strerror}")
    return CacheError(f"{place}: {error.strerror or error}")
