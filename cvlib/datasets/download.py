"""Bring a dataset here: from the package, a mirror, its public source, or your folder.

A file gets its final name only after its sha256 was checked, and a dataset's folder
only when every file is there. What stops half-way is continued by the next call.

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
import gzip
import hashlib
import os
import shutil
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import quote

from cvlib.datasets import registry
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

if TYPE_CHECKING:
    import httpx

WORKERS = 8
PAUSES = (0.3, 0.6, 1.2)  # seconds before the second, third and last attempt
BUSY = {408, 425, 429, 500, 502, 503, 504}
BAD_ARCHIVE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # an encrypted zip, or a method of compression that is not known
)
MAX_BYTES = 2 * 1024**3  # no file, archive or unpacked archive is larger

Tick = Callable[[int], None]
Fill = Callable[["_Job", list[str]], None]


class SourceError(DatasetError):
    """A source did not give what the manifest lists; `passing` if it yet may."""

    passing = False


class OfflineError(SourceError):
    """No connection to the source."""

    passing = True
    hint = (
        "check the network and the proxy, or set CVLIB_MIRROR to a folder or an "
        "address whose {name}/ is a copy of {home}"
    )


class StatusError(SourceError):
    """The source answered with an HTTP error."""

    hint = "try again later, or set CVLIB_MIRROR to a copy of {home}"


class MissingFileError(SourceError):
    """The source or the mirror lacks a file of the manifest."""

    hint = "add the file, or set CVLIB_MIRROR to a complete copy of {home}"


class TruncatedError(SourceError):
    """A transfer ended early."""

    passing = True
    hint = "try again: what has come is kept"


class ChecksumError(SourceError):
    """A file has other bytes than its manifest says."""

    hint = "replace that copy, or set CVLIB_MIRROR to an intact copy of {home}"


class ArchiveError(SourceError):
    """An archive is damaged or too large."""

    hint = "try again, or set CVLIB_MIRROR to a copy of {home}"


class CacheError(DatasetError):
    """The cache folder cannot be used."""

    hint = "check that place, or set CVLIB_CACHE to another folder"


class DiskFullError(CacheError):
    """No space left for the dataset."""

    hint = "free some space, or set CVLIB_CACHE to a folder on another disk"


class PermissionDeniedError(CacheError):
    """A file may not be read, or the cache not be written."""

    hint = "give yourself the right to it, or set CVLIB_CACHE to a folder of your own"


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
    dataset = DATASETS.get(name_or_path) if isinstance(name_or_path, str) else None
    if dataset is None:
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
    folder = _expand(name)
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


def cache_folder(cache: str | Path | None = None) -> Path:
    """Where downloads and drawn splits are kept: `cache`, CVLIB_CACHE, the platform's.

    It need not exist yet.
    """
    cache = cache or os.environ.get("CVLIB_CACHE")
    if cache:
        return _expand(cache).absolute()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("cvlib", appauthor=False))


def _mirror_of(dataset: Dataset, mirror: str | Path | None) -> Path | str | None:
    """A dataset's folder in a mirror, or its address there as a template."""
    if not mirror:
        return None
    if str(mirror).startswith(("http://", "https://")):
        return f"{str(mirror).rstrip('/')}/{dataset.name}/{{path}}"
    return _expand(mirror).resolve() / dataset.name


def _expand(path: str | Path) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path fails on unknown users)


@dataclass(frozen=True)
class _Job:
    """One call's dataset, and where its pieces go."""

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

    @cached_property
    def partial(self) -> Path:
        return self.beside(".partial")

    @property
    def places(self) -> list[Path]:
        """Folders that may already hold the whole dataset."""
        return [self.folder, *([self.mirror] if isinstance(self.mirror, Path) else [])]

    def stamp(self, place: Path) -> Path:
        return self.beside(f".{hashlib.sha256(bytes(place)).hexdigest()[:12]}.verified")


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
    new = job.beside(".stamp")
    new.write_text(_fingerprint(job, listing))
    new.replace(job.stamp(place))


def _complete(job: _Job) -> None:
    """Fill the partial folder from one source after another, then give it its name."""
    if job.folder.exists():  # found damaged: keep its good files
        shutil.rmtree(job.partial, ignore_errors=True)
        job.folder.replace(job.partial)
    job.partial.mkdir(exist_ok=True)
    _drop_unverified(job)
    _fill(job)
    job.partial.replace(job.folder)
    _write_stamp(job, job.folder, _listing(job.folder))


def _drop_unverified(job: _Job) -> None:
    """Leave good files, and pieces of files that a transfer can continue."""
    for path in list_files(job.partial):
        file = job.partial / path
        unfinished = path.removesuffix(".part")
        if path in job.manifest:
            keep = sha256(file) == job.manifest[path]
        else:
            keep = unfinished != path and unfinished in job.manifest
        if not keep:
            file.unlink()


def _fill(job: _Job) -> None:
    errors: list[SourceError] = []
    for source in _sources(job):
        missing = [path for path in job.manifest if not (job.partial / path).exists()]
        try:
            return source(job, missing) if missing else None
        except SourceError as error:
            errors.append(error)
    errors[0].args = ("; then ".join(map(str, errors)),)
    raise errors[0]


def _sources(job: _Job) -> list[Fill]:
    """Ways to fill a folder, best first; each fills it wholly or raises."""
    if isinstance(job.mirror, Path):
        return [partial(_copy_files, folder=job.mirror)]
    if job.mirror:
        return [partial(_download_files, template=job.mirror)]
    files = partial(_download_files, template=job.source.files)
    if not job.source.archive:
        return [files]
    ways: list[Fill] = [_download_archive, files]
    return ways if job.source.archive_first else ways[::-1]


def _copy_files(job: _Job, missing: list[str], folder: Path) -> None:
    """Copy from a mirror that cannot be used in place: damaged, or with extra files."""
    for path in missing:
        if not (folder / path).is_file():
            raise MissingFileError(f"the mirror {folder.parent} has no {folder / path}")

    def copy(path: str) -> int:
        part = _part(job, path)
        with (folder / path).open("rb") as stream:
            _save(_chunks(stream), part, "wb")
        return _accept(job, path, str(folder / path))

    with _bar(job, missing) as tick:
        _in_parallel(copy, missing, tick)


def _download_files(job: _Job, missing: list[str], template: str) -> None:
    """Download files one by one, several at a time."""

    def download(path: str) -> int:
        part = _part(job, path)
        url = template.replace("{path}", quote(path))
        resumed = part.exists()
        _download(client, url, part)
        try:
            return _accept(job, path, url)
        except ChecksumError:
            if not resumed:
                raise
        # The piece from an earlier run may have been the bad one.
        _download(client, url, part)
        return _accept(job, path, url)

    with _client() as client, _bar(job, missing) as tick:
        _in_parallel(download, missing, tick)


def _download_archive(job: _Job, missing: list[str]) -> None:
    """Download the archive and unpack what is missing."""
    assert job.source.archive
    archive = job.beside(".archive.part")
    with _client() as client, _bar(job) as tick:
        _download(client, job.source.archive, archive, tick)
    try:
        _unpack(job, missing, archive)
    except BAD_ARCHIVE as error:
        raise ArchiveError(f"{job.source.archive} is damaged ({error})") from error
    finally:
        archive.unlink(missing_ok=True)


def _unpack(job: _Job, missing: list[str], archive: Path) -> None:
    """Store the archive's regular files that are wanted; never one of another name."""
    wanted = {job.source.prefix + path: path for path in missing}
    bad: list[ChecksumError] = []
    for name, stream in _members(archive):
        path = wanted.pop(name.partition("/")[2], None)
        if path is None:
            continue
        _save(_chunks(stream), _part(job, path), "wb")
        try:
            _accept(job, path, f"{job.source.archive}, {name}")
        except ChecksumError as error:  # the others are still worth having
            bad.append(error)
    if bad:
        raise bad[0]
    for path in wanted:
        raise MissingFileError(f"{job.source.archive} has no {path}")


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file; a tar's links and devices are passed over."""
    size = 0
    for name, length, read in _entries(archive):
        size += length
        if size > MAX_BYTES:
            raise ArchiveError(f"wanted at most {MAX_BYTES:,} bytes, got more")
        with read() as stream:
            yield name, stream


def _entries(archive: Path) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                yield info.filename, info.file_size, partial(packed.open, info)
        return
    with tarfile.open(archive, "r:gz") as tape:
        for member in filter(tarfile.TarInfo.isreg, tape):
            read = cast(Callable[[], IO[bytes]], partial(tape.extractfile, member))
            yield member.name, member.size, read


def _part(job: _Job, path: str) -> Path:
    """Where a file is built until its checksum is known."""
    file = job.partial / f"{path}.part"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(stream.read, 1 << 18), b"")


def _save(
    chunks: Iterable[bytes], part: Path, mode: str, tick: Tick = lambda step: None
) -> None:
    """Write chunks to the disk itself, so that a rename never outruns its bytes."""
    with part.open(mode) as file:
        for chunk in chunks:
            file.write(chunk)
            tick(len(chunk))
            if file.tell() > MAX_BYTES:
                file.truncate(0)
                wanted = f"wanted at most {MAX_BYTES:,} bytes"
                raise ArchiveError(f"{wanted} for {part.name}, got more")
        file.flush()
        os.fsync(file.fileno())


def _accept(job: _Job, path: str, origin: str) -> int:
    """Name a finished file and return its size, or remove it where it is wrong."""
    part = _part(job, path)
    found, wanted = sha256(part), job.manifest[path]
    if found != wanted:
        part.unlink()
        raise ChecksumError(
            f"{origin}: wanted sha256 {wanted[:12]}…, got {found[:12]}…"
        )
    part.replace(job.partial / path)
    return (job.partial / path).stat().st_size


def _client() -> httpx.Client:
    import httpx

    # A compressed answer could not be continued from a byte position.
    headers = {"Accept-Encoding": "identity"}
    timeout = httpx.Timeout(30, connect=10)
    return httpx.Client(headers=headers, timeout=timeout, follow_redirects=True)


def _download(
    client: httpx.Client, url: str, part: Path, tick: Tick = lambda step: None
) -> None:
    """Complete `part` from `url`, again after a pause while the error may pass."""
    for pause in (*PAUSES, None):
        try:
            return _receive(client, url, part, tick)
        except SourceError as error:
            if pause is None or not error.passing:
                raise
            time.sleep(pause)


def _receive(client: httpx.Client, url: str, part: Path, tick: Tick) -> None:
    """Ask once for what `part` still lacks."""
    import httpx

    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    response = None
    try:
        with client.stream("GET", url, headers=headers) as response:
            if have and response.status_code == 416:  # nothing is lacking
                return
            _check_status(url, response)
            span = response.headers.get("Content-Range", "")
            mode = "ab" if span.startswith(f"bytes {have}-") else "wb"
            _save(response.iter_bytes(), part, mode, tick)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        if response is None:
            raise OfflineError(f"cannot reach {url} ({error})") from error
        wanted = response.headers.get("Content-Length", "all")
        came = f"wanted {wanted} bytes, got {response.num_bytes_downloaded}"
        raise TruncatedError(f"{url}: {came} ({error})") from error


def _check_status(url: str, response: httpx.Response) -> None:
    if response.is_success:
        return
    status = response.status_code
    kind = MissingFileError if status in (404, 410) else StatusError
    error = kind(f"{url} answered {status} {response.reason_phrase}")
    error.passing = status in BUSY
    raise error


def _in_parallel(work: Callable[[str], int], paths: list[str], tick: Tick) -> None:
    """Do the work for each path; the first error stops what has not begun."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(work, path) for path in paths]
        try:
            for future in as_completed(futures):
                tick(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _bar(job: _Job, missing: list[str] | None = None) -> Iterator[Tick]:
    """A progress bar in bytes, on a terminal only; the total may be unknown."""
    if not (job.progress and sys.stderr.isatty()) or "CI" in os.environ:
        yield lambda step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    total = None
    if missing is not None and job.dataset.size:
        total = job.dataset.size * len(missing) // len(job.manifest)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(job.dataset.name, total=total)
        yield lambda step: progress.advance(task, step)


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
        error.args = (f"{job.dataset.name}: {error}; {hint}",)
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
