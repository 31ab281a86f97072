import errno
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from cvlib.datasets import DatasetError, download, fetch, registry, sources
from cvlib.datasets.download import (
    CacheError,
    DiskFullError,
    PermissionDeniedError,
)
from cvlib.datasets.registry import ManifestError, Remote, Shipped, UnknownDatasetError
from cvlib.datasets.sources import (
    ArchiveError,
    ChecksumError,
    MissingFileError,
    OfflineError,
    StatusError,
    TruncatedError,
)
from tests.datasets.conftest import (
    FILES,
    NAME,
    Server,
    contents,
    register,
    tar,
    with_archive,
    write_files,
)

ONE = "train/cat/one.jpg"
TOP = {f"set-0123abc/{path}": body for path, body in FILES.items()}


def fails(kind: type[DatasetError], *words: str, **options: Any) -> None:
    """Fetching raises this error, in one line that has these words in it."""
    with pytest.raises(kind) as caught:
        fetch(NAME, **options)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    for word in (NAME, *words):
        assert word in str(caught.value)


def finished(cache: Path) -> list[Path]:
    """Folders of datasets that have their final name."""
    return [place for place in cache.glob("*") if place.is_dir() and not place.suffix]


def no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(file: Path) -> str:
        raise AssertionError(f"{file} was hashed again")

    monkeypatch.setattr(download, "sha256", forbidden)


# Your own folder, and what the package ships


def test_a_folder_is_returned_as_it_is(tmp_path: Path) -> None:
    assert fetch(tmp_path) == tmp_path
    assert fetch(str(tmp_path)) == tmp_path


def test_a_tilde_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my_folder").mkdir()
    assert fetch("~/my_folder") == tmp_path / "my_folder"


def test_a_folder_that_is_not_there_is_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UnknownDatasetError, match=f"wanted a folder at {tmp_path}/mine"
    ):
        fetch("./mine")
    (tmp_path / "mine").touch()
    with pytest.raises(UnknownDatasetError, match="found a file"):
        fetch(Path("mine"))


@pytest.mark.parametrize("name", ["", "clothin", "photos/cats"])
def test_neither_a_name_nor_a_folder_lists_the_known_names(name: str) -> None:
    with pytest.raises(UnknownDatasetError, match="known datasets: bccd, clothing"):
        fetch(name)


def test_a_registered_name_wins_over_a_folder_of_that_name(
    tiny: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert fetch(NAME) != Path(NAME)
    assert fetch(f"./{NAME}") == Path(NAME)


def test_a_shipped_dataset_is_read_where_the_package_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = registry.Dataset(NAME, "Shipped.", "MIT", Shipped("there"))
    monkeypatch.setitem(registry.DATASETS, NAME, entry)
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    with pytest.raises(MissingFileError, match="install cvlib again"):
        fetch(NAME)
    (tmp_path / "there").mkdir()
    assert fetch(NAME, mirror="http://nowhere.invalid") == tmp_path / "there"


def test_importing_datasets_imports_no_download_library() -> None:
    code = "import sys, json, cvlib.datasets; print(json.dumps(list(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    heavy = {"httpx", "rich", "filelock", "platformdirs", "numpy", "torch"}
    assert not heavy & set(json.loads(run.stdout))


# Downloading file by file


def test_a_downloaded_dataset_is_complete(tiny: Remote) -> None:
    assert contents(fetch(NAME)) == FILES


def test_the_second_fetch_neither_asks_nor_hashes(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch(NAME)
    server.requests.clear()
    no_hashing(monkeypatch)
    assert fetch(NAME) == first
    assert not server.requests


def test_the_cache_can_be_given_as_an_argument(tiny: Remote, tmp_path: Path) -> None:
    assert fetch(NAME, cache=tmp_path / "here").parent == tmp_path / "here"
    assert not (tmp_path / "cache").exists()


def test_without_a_setting_the_platform_says_where_the_cache_is(
    tiny: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CVLIB_CACHE")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *a, **k: tmp_path / "os")
    assert fetch(NAME).parent == tmp_path / "os"


def test_another_manifest_is_another_folder(tiny: Remote, tmp_path: Path) -> None:
    old = fetch(NAME)
    manifest = registry.MANIFESTS / "tiny-set.sha256.tsv"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[1:]))
    new = fetch(NAME)
    assert new != old
    assert len(contents(new)) == len(contents(old)) - 1


def test_a_cut_transfer_goes_on_where_it_stopped(tiny: Remote, server: Server) -> None:
    server.fail("cut")
    assert contents(fetch(NAME)) == FILES
    assert server.asked() == [None, f"bytes={len(FILES[ONE]) // 2}-"]
    assert server.sent == sum(map(len, FILES.values()))


def test_no_compressed_answer_is_asked_for(tiny: Remote, server: Server) -> None:
    """A range of a compressed body would not go on where the plain bytes stopped."""
    fetch(NAME)
    assert server.encodings == {"identity"}


def test_a_server_without_ranges_is_asked_for_the_whole_file_again(
    tiny: Remote, server: Server
) -> None:
    server.ranges = False
    server.fail("cut")
    assert contents(fetch(NAME)) == FILES
    assert len(server.asked()) == 2


def test_a_file_that_stays_cut_is_an_error_and_the_rest_is_kept(
    tiny: Remote, server: Server, tmp_path: Path
) -> None:
    server.ranges = False
    server.fail(*["cut"] * 4)
    size = len(FILES[ONE])
    fails(TruncatedError, ONE, f"wanted {size} bytes, got {size // 2}", "try again")
    assert not finished(tmp_path / "cache")
    server.ranges = True
    assert contents(fetch(NAME)) == FILES
    assert server.asked()[-1] == f"bytes={size // 2}-"


def test_wrong_bytes_are_removed_and_reported(
    tiny: Remote, server: Server, tmp_path: Path
) -> None:
    server.fail("other")
    fails(ChecksumError, ONE, "wanted sha256", "got", "CVLIB_MIRROR")
    assert not finished(tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("one.jpg*"))
    assert contents(fetch(NAME)) == FILES


def test_a_bad_piece_from_an_earlier_run_is_fetched_anew(
    tiny: Remote, server: Server, tmp_path: Path
) -> None:
    server.fail(403)
    fails(StatusError)
    partial = next((tmp_path / "cache").glob("*.partial"))
    write_files(partial, {f"{ONE}.part": b"bad", "stray.jpg.part": b"", "stray": b""})
    server.requests.clear()
    assert contents(fetch(NAME)) == FILES
    assert server.asked() == ["bytes=3-", None]


def test_a_whole_piece_from_an_earlier_run_needs_no_bytes(
    tiny: Remote, server: Server, tmp_path: Path
) -> None:
    server.fail(403)
    fails(StatusError)
    partial = next((tmp_path / "cache").glob("*.partial"))
    write_files(partial, {f"{ONE}.part": FILES[ONE]})
    server.sent = 0
    assert contents(fetch(NAME)) == FILES
    assert server.sent < len(FILES[ONE])


def test_a_missing_file_is_an_error_at_once(tiny: Remote, server: Server) -> None:
    server.fail(404)
    fails(MissingFileError, ONE, "answered 404", "CVLIB_MIRROR", tiny.home)
    assert len(server.asked()) == 1


def test_a_refusal_is_an_error_at_once(tiny: Remote, server: Server) -> None:
    server.fail(403)
    fails(StatusError, ONE, "answered 403 Forbidden", tiny.home)
    assert len(server.asked()) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(
    tiny: Remote, server: Server, status: int
) -> None:
    server.fail(status, status)
    assert contents(fetch(NAME)) == FILES
    assert len(server.asked()) == 3


def test_a_server_that_stays_busy_is_given_up(tiny: Remote, server: Server) -> None:
    server.fail(*[500] * 9)
    fails(StatusError, "answered 500", "try again later")
    assert len(server.asked()) == 4


def test_attempts_are_spaced_further_and_further_apart(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(sources, "PAUSES", (1, 2, 4))
    monkeypatch.setattr("time.sleep", slept.append)
    server.fail(500, 500, 500)
    fetch(NAME)
    assert slept == [1, 2, 4]


def test_offline_names_the_source_and_the_mirror_setting(
    tiny: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_at_once:
        address = f"http://127.0.0.1:{closed_at_once.getsockname()[1]}"
    register(Remote(tiny.home, f"{address}/{{path}}"), monkeypatch)
    fails(OfflineError, f"cannot reach {address}/", "CVLIB_MIRROR", tiny.home)
    assert not finished(tmp_path / "cache")


def test_a_body_larger_than_any_dataset_is_cut_off_and_dropped(
    tiny: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 100_000)
    fails(ArchiveError, "wanted at most 100,000 bytes for one.jpg.part")
    pieces = contents(tmp_path / "cache").items()
    assert [body for path, body in pieces if path.endswith("one.jpg.part")] == [b""]


def test_a_file_lost_from_the_cache_comes_back_alone(
    tiny: Remote, server: Server
) -> None:
    folder = fetch(NAME)
    (folder / ONE).unlink()
    server.requests.clear()
    assert fetch(NAME) == folder
    assert contents(folder) == FILES
    assert server.requests == [(f"/files/{ONE}", None)]


def test_a_file_changed_in_the_cache_comes_back_alone(
    tiny: Remote, server: Server
) -> None:
    folder = fetch(NAME)
    (folder / ONE).write_bytes(b"edited")
    server.requests.clear()
    assert contents(fetch(NAME)) == FILES
    assert server.requests == [(f"/files/{ONE}", None)]


def test_a_touched_file_is_checked_but_not_fetched(
    tiny: Remote, server: Server
) -> None:
    folder = fetch(NAME)
    os.utime(folder / ONE, (1, 1))
    server.requests.clear()
    assert fetch(NAME) == folder
    assert not server.requests


# Processes that die, and processes at once

CHILD = """
import os, sys
from pathlib import Path
from cvlib.datasets import download, fetch, registry, sources

address, manifests, cache, mode = sys.argv[1:]
source = registry.Remote("home", address + "/files/{path}")
registry.MANIFESTS = Path(manifests)
registry.DATASETS["tiny/set"] = registry.Dataset("tiny/set", "", "MIT", source)

def die(*_):
    os.kill(os.getpid(), 9)

def one_chunk(chunks):
    for chunk in chunks:
        yield chunk
        if len(chunk) > 10_000:
            die()

save = sources._save
if mode == "dies in a body":
    sources._save = lambda chunks, *rest: save(one_chunk(chunks), *rest)
if mode == "dies before a name":
    os.fsync = die
if mode == "dies before the folder's name":
    download._write_stamp = die
print("ready", flush=True)
print(fetch("tiny/set", cache=cache))
"""


def start(tmp_path: Path, server: Server, mode: str) -> subprocess.Popen[str]:
    places = [str(tmp_path / "manifests"), str(tmp_path / "cache")]
    command = [sys.executable, "-c", CHILD, server.address, *places, mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    "mode", ["dies in a body", "dies before a name", "dies before the folder's name"]
)
def test_what_a_killed_process_leaves_is_never_used_but_continued(
    tiny: Remote, server: Server, tmp_path: Path, mode: str
) -> None:
    with start(tmp_path, server, mode) as child:
        child.communicate(timeout=120)
    assert child.returncode == -9
    unfinished = [contents(place) for place in finished(tmp_path / "cache")]
    assert unfinished == ([FILES] if mode == "dies before the folder's name" else [])
    server.requests.clear()
    assert contents(fetch(NAME)) == FILES
    if mode == "dies in a body":
        spans = server.asked()
        assert len(spans) == 1
        assert spans[0] and spans[0].startswith("bytes=")


def test_two_processes_at_once_download_each_file_once(
    tiny: Remote, server: Server, tmp_path: Path
) -> None:
    server.gate.clear()
    with start(tmp_path, server, "") as one, start(tmp_path, server, "") as two:
        for child in (one, two):
            assert child.stdout
            assert child.stdout.readline() == "ready\n"
        server.gate.set()
        answers = {child.communicate(timeout=120)[0] for child in (one, two)}
    assert one.returncode == two.returncode == 0
    assert answers == {f"{fetch(NAME)}\n"}
    assert sorted(path for path, _ in server.requests) == sorted(server.files)


# A mirror


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    write_files(tmp_path / "mirror" / NAME)
    return tmp_path / "mirror"


def test_a_folder_mirror_is_used_in_place_and_replaces_the_network(
    tiny: Remote, server: Server, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVLIB_MIRROR", str(mirror))
    before = contents(mirror)
    assert fetch(NAME) == mirror / NAME
    assert contents(mirror) == before
    assert not server.requests
    no_hashing(monkeypatch)
    assert fetch(NAME) == mirror / NAME


def test_a_relative_mirror_gives_an_absolute_folder(
    tiny: Remote, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mirror)
    assert fetch(NAME, mirror=".") == mirror / NAME


def test_a_file_missing_in_a_folder_mirror_is_named(
    tiny: Remote, server: Server, mirror: Path, tmp_path: Path
) -> None:
    (mirror / NAME / ONE).unlink()
    fails(MissingFileError, str(mirror), ONE, mirror=mirror)
    assert not finished(tmp_path / "cache")
    assert not server.requests


def test_a_mirror_that_is_no_folder_is_named_in_full(
    tiny: Remote, tmp_path: Path
) -> None:
    fails(MissingFileError, str(tmp_path / "nowhere"), mirror=tmp_path / "nowhere")


def test_a_wrong_byte_in_a_folder_mirror_is_found_and_left_there(
    tiny: Remote, mirror: Path, tmp_path: Path
) -> None:
    body = b"X" + FILES[ONE][1:]
    (mirror / NAME / ONE).write_bytes(body)
    fails(ChecksumError, str(mirror / NAME / ONE), "wanted sha256", mirror=mirror)
    assert (mirror / NAME / ONE).read_bytes() == body
    assert not finished(tmp_path / "cache")


def test_a_byte_that_changes_later_in_a_folder_mirror_is_found(
    tiny: Remote, mirror: Path
) -> None:
    fetch(NAME, mirror=mirror)
    (mirror / NAME / ONE).write_bytes(FILES[ONE][::-1])
    fails(ChecksumError, ONE, mirror=mirror)


def test_a_mirror_with_more_files_is_copied_without_them(
    tiny: Remote, mirror: Path, tmp_path: Path
) -> None:
    (mirror / NAME / "train/cat/another.jpg").touch()
    folder = fetch(NAME, mirror=mirror)
    assert folder.parent == tmp_path / "cache"
    assert contents(folder) == FILES


def test_hidden_files_do_not_keep_a_mirror_from_being_used(
    tiny: Remote, mirror: Path
) -> None:
    write_files(mirror / NAME, {".git/config": b"", "train/.DS_Store": b""})
    assert fetch(NAME, mirror=mirror) == mirror / NAME


def test_an_address_mirror_replaces_the_source(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = {f"/copy/{NAME}/{path}": body for path, body in FILES.items()}
    assert contents(fetch(NAME, mirror=f"{server.address}/copy/")) == FILES
    assert all(path.startswith("/copy/") for path, _ in server.requests)


def test_a_file_missing_at_an_address_mirror_is_named(
    tiny: Remote, server: Server
) -> None:
    address = f"{server.address}/copy"
    fails(MissingFileError, f"{address}/{NAME}/", "404", mirror=address)


# One archive of everything


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return packed.getvalue()


@pytest.mark.parametrize("pack", [tar, zipped])
def test_an_archive_is_asked_for_once_and_unpacked(
    tiny: Remote,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pack: Callable[[dict[str, bytes]], bytes],
) -> None:
    with_archive(tiny, server, pack({**TOP, "set-0123abc/README": b""}), monkeypatch)
    assert contents(fetch(NAME)) == FILES
    assert server.requests == [("/archive", None)]
    assert not list((tmp_path / "cache").glob("*.part*"))


def test_a_prefix_leads_to_the_dataset_in_the_archive(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tar({f"top/BCCD/{path}": body for path, body in FILES.items()})
    with_archive(tiny, server, packed, monkeypatch, prefix="BCCD/")
    assert contents(fetch(NAME)) == FILES
    assert len(server.requests) == 1


def test_a_cut_archive_goes_on_where_it_stopped(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_archive(tiny, server, tar(TOP), monkeypatch)
    server.faults["/archive"] = ["cut"]
    half = len(server.files["/archive"]) // 2
    assert contents(fetch(NAME)) == FILES
    assert server.requests == [("/archive", None), ("/archive", f"bytes={half}-")]


@pytest.mark.parametrize("faults", [[404], [403], [500] * 4, ["other"]])
def test_files_are_the_way_out_when_the_archive_fails(
    tiny: Remote,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[int | str],
) -> None:
    with_archive(tiny, server, tar(TOP), monkeypatch)
    server.faults["/archive"] = faults
    assert contents(fetch(NAME)) == FILES


def test_only_what_the_archive_has_wrong_or_lacks_is_asked_for_alone(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {**TOP, f"set-0123abc/{ONE}": b"wrong"}
    del members["set-0123abc/empty.txt"]
    with_archive(tiny, server, tar(members), monkeypatch)
    assert contents(fetch(NAME)) == FILES
    asked = sorted(path for path, _ in server.requests)
    assert asked == ["/archive", "/files/empty.txt", f"/files/{ONE}"]


def test_the_archive_is_the_way_out_when_a_file_fails(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_archive(tiny, server, tar(TOP), monkeypatch, first=False)
    server.fail("other")
    assert contents(fetch(NAME)) == FILES
    assert server.requests[-1] == ("/archive", None)


def test_when_both_ways_fail_both_are_told(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_archive(tiny, server, b"no archive", monkeypatch)
    server.fail("other")
    fails(ArchiveError, "/archive is damaged", "; then ", ONE, "wanted sha256")
    assert not finished(tmp_path / "cache")


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_no_archive_writes_outside_its_folder(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hostile = {
        "../../evil": b"1",
        "top/../../../evil": b"2",
        f"{tmp_path}/evil": b"3",
        "top/train/../../evil": b"4",
    }
    links = [link("top/train", "/"), link("top/evil", "/", tarfile.LNKTYPE)]
    with_archive(tiny, server, tar({**hostile, **TOP}, *links), monkeypatch)
    folder = fetch(NAME)
    assert contents(folder) == FILES
    assert not list(tmp_path.rglob("evil"))
    assert not [file for file in folder.rglob("*") if file.is_symlink()]


def test_a_link_in_place_of_a_file_is_not_followed(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = dict(TOP)
    del members[f"set-0123abc/{ONE}"]
    packed = tar(members, link(f"set-0123abc/{ONE}", "/etc/hostname"))
    with_archive(tiny, server, packed, monkeypatch)
    folder = fetch(NAME)
    assert contents(folder) == FILES
    assert not (folder / ONE).is_symlink()
    assert server.asked() == [None]


@pytest.mark.parametrize("pack", [tar, zipped])
def test_an_archive_that_unpacks_to_too_much_is_stopped(
    tiny: Remote,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    pack: Callable[[dict[str, bytes]], bytes],
) -> None:
    packed = pack({"top/bomb": bytes(500_000), **TOP})
    assert len(packed) < 400_000
    monkeypatch.setattr(sources, "MAX_BYTES", 400_000)
    with_archive(tiny, server, packed, monkeypatch)
    server.fail(404)
    fails(ArchiveError, "wanted at most 400,000 bytes")


# A disk that is full, a folder that may not be written


def disk_full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_says_how_much_is_needed_and_free(
    tiny: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1234)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(os, "fsync", disk_full)
    words = "wanted 310,202 bytes", "1,234 bytes are free", "CVLIB_CACHE"
    fails(DiskFullError, str(tmp_path / "cache"), *words)
    assert not finished(tmp_path / "cache")


def test_a_write_that_finds_the_disk_full_leaves_nothing_to_be_used(
    tiny: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.FileIO):
        write = disk_full

    def open_full(path: Path, mode: str = "r", **options: Any) -> IO[Any]:
        full = path.name == "one.jpg.part" and mode == "wb"
        return Full(path, mode) if full else open(path, mode, **options)  # noqa: PTH123

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        fails(DiskFullError)
    assert not finished(tmp_path / "cache")
    assert contents(fetch(NAME)) == FILES


@pytest.fixture
def as_visitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Give up the rights of root, which may write everywhere; no effect on others."""
    import filelock  # noqa: F401 (a visitor may not be able to read the packages)

    manifest = registry.read_manifest(NAME)
    monkeypatch.setattr(registry, "read_manifest", lambda name: manifest)
    user = os.geteuid()
    yield lambda: os.seteuid(65534) if user == 0 else None
    os.seteuid(user)


@pytest.fixture
def cache(tiny: Remote, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache that others may read: pytest's own folders are closed to them."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "cache"
        folder.mkdir()
        monkeypatch.setenv("CVLIB_CACHE", str(folder))
        yield folder
        folder.chmod(0o755)


def test_a_cache_that_may_not_be_written_is_named(
    cache: Path, as_visitor: Callable[[], None]
) -> None:
    cache.chmod(0o555)
    as_visitor()
    fails(PermissionDeniedError, str(cache), "CVLIB_CACHE")


def test_a_complete_dataset_is_read_from_a_cache_that_may_not_be_written(
    cache: Path, as_visitor: Callable[[], None]
) -> None:
    folder = fetch(NAME)
    cache.chmod(0o555)
    as_visitor()
    assert fetch(NAME) == folder


def test_a_file_where_the_cache_should_be_is_named(
    tiny: Remote, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    fails(CacheError, str(tmp_path / "file"), "CVLIB_CACHE", cache=tmp_path / "file")


def test_a_damaged_manifest_stops_before_any_request(
    tiny: Remote, server: Server
) -> None:
    (registry.MANIFESTS / "tiny-set.sha256.tsv").write_text("nonsense\n")
    with pytest.raises(ManifestError, match=r"tiny-set\.sha256\.tsv, line 1"):
        fetch(NAME)
    assert not server.requests


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Not a fixture: pytest sets its own stderr again when the test itself begins."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_nothing_is_printed_where_there_is_no_terminal(
    tiny: Remote, capfd: pytest.CaptureFixture[str]
) -> None:
    fetch(NAME)
    assert capfd.readouterr() == ("", "")


def test_a_terminal_sees_the_name_and_the_bytes(
    tiny: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = on_a_terminal(monkeypatch)
    fetch(NAME)
    assert NAME in terminal.getvalue()
    assert "310.2/310.2 kB" in terminal.getvalue()


@pytest.mark.parametrize("variable", ["CI", None])
def test_neither_ci_nor_progress_false_shows_a_bar(
    tiny: Remote, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    terminal = on_a_terminal(monkeypatch)
    if variable:
        monkeypatch.setenv(variable, "true")
    fetch(NAME, progress=bool(variable))
    assert terminal.getvalue() == ""


def test_a_bar_of_unknown_length_follows_an_archive(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_archive(tiny, server, tar(TOP), monkeypatch)
    terminal = on_a_terminal(monkeypatch)
    fetch(NAME)
    assert NAME in terminal.getvalue()
