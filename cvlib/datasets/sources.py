"""Where a data set's files come from: a mirror, an archive, or one by one.

No file stays that has other bytes than its manifest says.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar
from urllib.parse import quote

from cvlib.datasets.registry import Dataset, DatasetError, Remote

if TYPE_CHECKING:
    import httpx

WORKERS = 8
PAUSES = (0.3, 0.6, 1.2)  # seconds before the second, third and last attempt
BUSY = {408, 425, 429, 500, 502, 503, 504}
BAD_ARCHIVE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
MAX_BYTES = 2 * 1024**3  # no file, archive or unpacked archive is larger

T = TypeVar("T")
Checksums = dict[str, str]  # path → sha256
Tick = Callable[[int], None]
Source = Callable[[Path, Checksums, Tick], None]


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
    hint = "try again, or set CVLIB_MIRROR to a copy of {home}"


class ChecksumError(SourceError):
    """A file has other bytes than its manifest says."""

    hint = "replace that copy, or set CVLIB_MIRROR to an intact copy of {home}"


class ArchiveError(SourceError):
    """An archive is damaged or too large."""

    hint = "try again, or set CVLIB_MIRROR to a copy of {home}"


def fill(
    folder: Path,
    dataset: Dataset,
    manifest: Checksums,
    *,
    mirror: Path | str | None = None,
    progress: bool = False,
) -> None:
    """Put every file of a manifest into a new folder, from one source after another.

    mirror: a folder, or an address with `{path}` in it, in place of the data set's own.
    progress: a bar in bytes, where standard error is a terminal.

    What one source lacks, the next is asked for. Raises the SourceError of the first,
    which tells of all, when files are missing in the end.
    """
    assert isinstance(dataset.source, Remote)
    errors: list[SourceError] = []
    for source in _sources(dataset.source, mirror):
        missing = {p: c for p, c in manifest.items() if not (folder / p).exists()}
        try:
            with _bar(dataset, len(missing) / len(manifest), progress) as tick:
                return source(folder, missing, tick)
        except SourceError as error:
            errors.append(error)
    errors[0].args = ("; then ".join(map(str, errors)),)
    raise errors[0]


def _sources(remote: Remote, mirror: Path | str | None) -> list[Source]:
    """Ways to fill a folder, best first; each brings all that is wanted or raises."""
    if isinstance(mirror, Path):
        return [partial(_copy_files, mirror)]
    files = partial(_download_files, mirror or remote.files)
    if mirror or not remote.archive:
        return [files]
    ways: list[Source] = [
        partial(_download_archive, remote.archive, remote.prefix),
        files,
    ]
    return ways if remote.archive_first else ways[::-1]


def _copy_files(mirror: Path, folder: Path, wanted: Checksums, tick: Tick) -> None:
    """Copy from a mirror that cannot be used in place: damaged, or with more files."""

    def copy(path: str) -> int:
        origin = mirror / path
        if not origin.is_file():
            raise MissingFileError(f"the mirror {mirror.parent} has no {origin}")
        with origin.open("rb") as stream:
            return _save(_chunks(stream), folder / path, wanted[path], str(origin))

    _in_parallel(copy, wanted, tick)


def _download_files(address: str, folder: Path, wanted: Checksums, tick: Tick) -> None:
    """Download files one by one, several at a time; `{path}` stands for each's path."""

    def download(path: str) -> int:
        url = address.replace("{path}", quote(path))
        file, checksum = folder / path, wanted[path]
        return _get(client, url, lambda body: _save(body, file, checksum, url))

    with _client() as client:
        _in_parallel(download, wanted, tick)


def _download_archive(
    address: str, prefix: str, folder: Path, wanted: Checksums, tick: Tick
) -> None:
    """Download a tar.gz, and unpack what is wanted."""
    # Without a name: what a killed process leaves of it is nothing.
    with tempfile.TemporaryFile(dir=folder.parent) as archive, _client() as client:

        def keep(body: Iterator[bytes]) -> None:
            archive.seek(0)  # what an attempt before left is overwritten
            for chunk in body:
                archive.write(chunk)
                tick(len(chunk))

        _get(client, address, keep)
        archive.seek(0)
        try:
            _unpack(archive, address, prefix, folder, wanted)
        except BAD_ARCHIVE as error:
            raise ArchiveError(f"{address} is damaged ({error})") from error


def _unpack(
    archive: IO[bytes], address: str, prefix: str, folder: Path, wanted: Checksums
) -> None:
    """Store the regular files that are wanted; never one of another name."""
    paths = {prefix + path: path for path in wanted}
    bad: list[ChecksumError] = []
    for name, stream in _members(archive):
        path = paths.pop(name.partition("/")[2], None)
        if path is None:
            continue
        try:
            origin = f"{address}, {name}"
            _save(_chunks(stream), folder / path, wanted[path], origin)
        except ChecksumError as error:  # the others are still worth having
            bad.append(error)
    if bad:
        raise bad[0]
    for path in paths:
        raise MissingFileError(f"{address} has no {path}")


def _members(archive: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file; links and devices are passed over."""
    size = 0
    with tarfile.open(fileobj=archive, mode="r:gz") as tape:
        for member in filter(tarfile.TarInfo.isreg, tape):
            size += member.size
            if size > MAX_BYTES:
                raise ArchiveError(f"wanted at most {MAX_BYTES:,} bytes, got more")
            stream = tape.extractfile(member)
            assert stream is not None  # a regular file has one
            yield member.name, stream


def _in_parallel(work: Callable[[str], int], paths: Iterable[str], tick: Tick) -> None:
    """Do the work for each path; an error drops what has not begun."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(WORKERS) as pool:
        for size in pool.map(work, paths):
            tick(size)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(stream.read, 1 << 18), b"")


def _save(chunks: Iterable[bytes], file: Path, wanted: str, origin: str) -> int:
    """Write a file and return its size; it stays only with the wanted sha256."""
    file.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with file.open("wb") as out:
            for chunk in chunks:
                out.write(chunk)
                digest.update(chunk)
            out.flush()
            os.fsync(out.fileno())  # a rename must never outrun the bytes
        if digest.hexdigest() != wanted:
            said = f"wanted sha256 {wanted[:12]}…, got {digest.hexdigest()[:12]}…"
            raise ChecksumError(f"{origin}: {said}")
        return file.stat().st_size
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _client() -> httpx.Client:
    import httpx

    return httpx.Client(timeout=httpx.Timeout(30, connect=10), follow_redirects=True)


def _get(client: httpx.Client, url: str, keep: Callable[[Iterator[bytes]], T]) -> T:
    """What `keep` makes of a body, again after a pause while the error may pass."""
    for pause in PAUSES:
        try:
            return _receive(client, url, keep)
        except SourceError as error:
            if not error.passing:
                raise
        time.sleep(pause)
    return _receive(client, url, keep)


def _receive(client: httpx.Client, url: str, keep: Callable[[Iterator[bytes]], T]) -> T:
    """Ask once."""
    import httpx

    response = None
    try:
        with client.stream("GET", url) as response:
            _check_status(url, response)
            return keep(_limited(response.iter_bytes(), url))
    except (httpx.RequestError, httpx.InvalidURL) as error:
        if response is None:
            raise OfflineError(f"cannot reach {url} ({error})") from error
        announced = response.headers.get("Content-Length", "all")
        came = f"wanted {announced} bytes, got {response.num_bytes_downloaded}"
        raise TruncatedError(f"{url}: {came} ({error})") from error


def _limited(chunks: Iterable[bytes], url: str) -> Iterator[bytes]:
    """The chunks, as long as they are not more than any data set has."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_BYTES:
            raise ArchiveError(f"{url}: wanted at most {MAX_BYTES:,} bytes, got more")
        yield chunk


def _check_status(url: str, response: httpx.Response) -> None:
    if response.is_success:
        return
    status = response.status_code
    kind = MissingFileError if status in (404, 410) else StatusError
    error = kind(f"{url} answered {status} {response.reason_phrase}")
    error.passing = status in BUSY
    raise error


@contextmanager
def _bar(dataset: Dataset, share: float, progress: bool) -> Iterator[Tick]:
    """A progress bar in bytes, on a terminal only; an archive has about its files'."""
    if not (progress and sys.stderr.isatty()) or "CI" in os.environ:
        yield lambda step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    total = int(dataset.size * share) if dataset.size else None
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(dataset.name, total=total)
        yield lambda step: bar.advance(task, step)
