import errno
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from cvlib.datasets import download, fetch, registry
from cvlib.datasets.download import (
    CacheError,
    DiskFullError,
    PermissionDeniedError,
)
from cvlib.datasets.registry import ManifestError, Remote, Shipped, UnknownDatasetError
from cvlib.datasets.sources import (
    ChecksumError,
    MissingFileError,
    StatusError,
)
from tests.datasets.conftest import (
    FILES,
    NAME,
    ONE,
    Server,
    contents,
    fails,
    finished,
    write_files,
)


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
    with pytest.raises(UnknownDatasetError, match="known datasets: bccd, boards"):
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


def test_a_touched_file_is_checked_but_not_fetched(
    tiny: Remote, server: Server
) -> None:
    folder = fetch(NAME)
    os.utime(folder / ONE, (1, 1))
    server.requests.clear()
    assert fetch(NAME) == folder
    assert not server.requests


@pytest.mark.parametrize("change", ["lost", "edited", "one too many"])
def test_a_folder_that_was_changed_is_replaced_by_a_new_one_and_told(
    tiny: Remote, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    folder = fetch(NAME)
    if change == "lost":
        (folder / ONE).unlink()
    else:
        (folder / (ONE if change == "edited" else "more.csv")).write_bytes(b"x")
    assert fetch(NAME) == folder
    assert contents(folder) == FILES
    assert f"{folder} was changed" in caplog.text


def test_a_folder_that_was_changed_stays_while_there_is_no_other(
    tiny: Remote, server: Server
) -> None:
    folder = fetch(NAME)
    (folder / "more.csv").write_text("mine")
    server.fail(403)
    fails(StatusError)
    assert (folder / "more.csv").read_text() == "mine"


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
if mode == "dies before the folder's stamp":
    download._write_stamp = die
print("ready", flush=True)
print(fetch("tiny/set", cache=cache))
"""


def start(tmp_path: Path, server: Server, mode: str) -> subprocess.Popen[str]:
    places = [str(tmp_path / "manifests"), str(tmp_path / "cache")]
    command = [sys.executable, "-c", CHILD, server.address, *places, mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    "mode", ["dies in a body", "dies before a name", "dies before the folder's stamp"]
)
def test_what_a_killed_process_leaves_is_never_used_and_removed(
    tiny: Remote, server: Server, tmp_path: Path, mode: str
) -> None:
    with start(tmp_path, server, mode) as child:
        child.communicate(timeout=600)
    assert child.returncode == -9
    unfinished = [contents(place) for place in finished(tmp_path / "cache")]
    assert unfinished == ([FILES] if mode == "dies before the folder's stamp" else [])
    assert contents(fetch(NAME)) == FILES
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_two_processes_at_once_download_each_file_once(
    tiny: Remote, server: Server, tmp_path: Path
) -> None:
    server.gate.clear()
    with start(tmp_path, server, "") as one, start(tmp_path, server, "") as two:
        for child in (one, two):
            assert child.stdout
            assert child.stdout.readline() == "ready\n"
        server.gate.set()
        answers = {child.communicate(timeout=600)[0] for child in (one, two)}
    assert one.returncode == two.returncode == 0
    assert answers == {f"{fetch(NAME)}\n"}
    assert sorted(server.requests) == sorted(server.files)


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


def test_a_folder_of_the_same_name_is_pointed_at_when_the_set_cannot_be_had(
    tiny: Remote, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mirror / NAME / ONE).unlink()
    (tmp_path / "here" / NAME).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    fails(MissingFileError, f"for the folder beside you write ./{NAME}", mirror=mirror)


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
        full = path.name == "one.jpg" and mode == "wb"
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
