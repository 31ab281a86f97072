"""Where a data set's files come from: a mirror, an archive, or one by one."""

from __future__ import annotations

import gzip
import hashlib
import os
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
    Dataset,
    DatasetError,
    Remote,
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
