"""Where files come from, and what can go wrong on the way."""

import io
import socket
import sys
import tarfile
from pathlib import Path

import pytest

from cvlib.datasets import fetch, sources
from cvlib.datasets.registry import Remote
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
    ONE,
    Server,
    contents,
    fails,
    finished,
    register,
    tar,
    with_archive,
)

TOP = {f"set-0123abc/{path}": body for path, body in FILES.items()}


def test_wrong_bytes_are_removed_and_reported(
    tiny: Remote, server: Server, tmp_path: Path
) -> None:
    server.fail("other")
    fails(ChecksumError, ONE, "wanted sha256", "got", "CVLIB_MIRROR")
    assert not finished(tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("one.jpg"))
    assert contents(fetch(NAME)) == FILES


def test_a_missing_file_is_an_error_at_once(tiny: Remote, server: Server) -> None:
    server.fail(404)
    fails(MissingFileError, ONE, "answered 404", "CVLIB_MIRROR", tiny.home)
    assert server.asked() == 1


def test_a_refusal_is_an_error_at_once(tiny: Remote, server: Server) -> None:
    server.fail(403)
    fails(StatusError, ONE, "answered 403 Forbidden", tiny.home)
    assert server.asked() == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(
    tiny: Remote, server: Server, status: int
) -> None:
    server.fail(status, status)
    assert contents(fetch(NAME)) == FILES
    assert server.asked() == 3


def test_a_server_that_stays_busy_is_given_up(tiny: Remote, server: Server) -> None:
    server.fail(*[500] * 9)
    fails(StatusError, "answered 500", "try again later")
    assert server.asked() == 4


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


def test_an_address_mirror_replaces_the_source(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = {f"/copy/{NAME}/{path}": body for path, body in FILES.items()}
    assert contents(fetch(NAME, mirror=f"{server.address}/copy/")) == FILES
    assert all(path.startswith("/copy/") for path in server.requests)


def test_a_file_missing_at_an_address_mirror_is_named(
    tiny: Remote, server: Server
) -> None:
    address = f"{server.address}/copy"
    fails(MissingFileError, f"{address}/{NAME}/", "404", mirror=address)


def test_an_archive_is_asked_for_once_and_unpacked(
    tiny: Remote,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with_archive(tiny, server, tar({**TOP, "set-0123abc/README": b""}), monkeypatch)
    assert contents(fetch(NAME)) == FILES
    assert server.requests == ["/archive"]
    assert not list((tmp_path / "cache").glob("*.part*"))


def test_a_prefix_leads_to_the_dataset_in_the_archive(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tar({f"top/BCCD/{path}": body for path, body in FILES.items()})
    with_archive(tiny, server, packed, monkeypatch, prefix="BCCD/")
    assert contents(fetch(NAME)) == FILES
    assert len(server.requests) == 1


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
    asked = sorted(server.requests)
    assert asked == ["/archive", "/files/empty.txt", f"/files/{ONE}"]


def test_an_archive_that_is_not_first_is_not_asked_for(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_archive(tiny, server, tar(TOP), monkeypatch, first=False)
    assert contents(fetch(NAME)) == FILES
    assert "/archive" not in server.requests


def test_the_archive_is_the_way_out_when_a_file_fails(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_archive(tiny, server, tar(TOP), monkeypatch, first=False)
    server.fail("other")
    assert contents(fetch(NAME)) == FILES
    assert server.requests[-1] == "/archive"


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
    assert server.asked() == 1


def test_an_archive_that_unpacks_to_too_much_is_stopped(
    tiny: Remote,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packed = tar({"top/bomb": bytes(500_000), **TOP})
    assert len(packed) < 400_000
    monkeypatch.setattr(sources, "MAX_BYTES", 400_000)
    with_archive(tiny, server, packed, monkeypatch)
    server.fail(404)
    fails(ArchiveError, "wanted at most 400,000 bytes")


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


def test_a_bar_follows_an_archive(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_archive(tiny, server, tar(TOP), monkeypatch)
    terminal = on_a_terminal(monkeypatch)
    fetch(NAME)
    assert NAME in terminal.getvalue()


def test_a_cut_transfer_is_begun_again(tiny: Remote, server: Server) -> None:
    server.fail("cut", "cut")
    assert contents(fetch(NAME)) == FILES
    assert server.asked() == 3


def test_a_file_that_stays_cut_is_an_error(
    tiny: Remote, server: Server, tmp_path: Path
) -> None:
    server.fail(*["cut"] * 4)
    size = len(FILES[ONE])
    fails(TruncatedError, ONE, f"wanted {size} bytes, got {size // 2}", "try again")
    assert not finished(tmp_path / "cache")
    assert contents(fetch(NAME)) == FILES


def test_a_cut_archive_is_begun_again(
    tiny: Remote, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_archive(tiny, server, tar(TOP), monkeypatch)
    server.faults["/archive"] = ["cut"]
    assert contents(fetch(NAME)) == FILES
    assert server.requests == ["/archive", "/archive"]


def test_a_body_larger_than_any_dataset_is_cut_off_and_dropped(
    tiny: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 100_000)
    fails(ArchiveError, "one.jpg: wanted at most 100,000 bytes")
    assert not list((tmp_path / "cache").rglob("one.jpg"))
