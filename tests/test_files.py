"""Files that appear whole or not at all."""

import stat
import threading
from pathlib import Path

import pytest

from cvlib.files import replacing, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_is_written_below_folders_that_are_new(tmp_path: Path):
    assert write_bytes(tmp_path / "a/b/c.bin", b"\x00") == tmp_path / "a/b/c.bin"
    assert (tmp_path / "a/b/c.bin").read_bytes() == b"\x00"
    assert names(tmp_path) == ["a", "b", "c.bin"]


def test_text_is_utf8_and_its_line_ends_stay(tmp_path: Path):
    path = write_text(str(tmp_path / "a.txt"), "é\none\r\n")
    assert path.read_bytes() == b"\xc3\xa9\none\r\n"


def test_nothing_is_written_is_a_file_without_bytes(tmp_path: Path):
    assert write_text(tmp_path / "a.txt", "").read_bytes() == b""


def test_a_name_that_is_not_utf8_is_refused_or_escaped(tmp_path: Path):
    write_text(tmp_path / "a.txt", "before")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\udcff")
    assert (tmp_path / "a.txt").read_text() == "before"
    write_text(tmp_path / "a.txt", "\udcff", errors="backslashreplace")
    assert (tmp_path / "a.txt").read_text() == "\\udcff"


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path):
    write_text(tmp_path / "a.txt", "before")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "a.txt").read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_file(tmp_path: Path):
    write_text(tmp_path / "a.txt", "before")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").read_text() == "before"


def test_the_place_lies_beside_under_the_same_name(tmp_path: Path):
    with replacing(tmp_path / "run.ipynb") as partial:
        assert partial.name == "run.ipynb"
        assert partial.parent.parent == tmp_path
        assert not (tmp_path / "run.ipynb").exists()
        partial.touch()


def test_a_reader_sees_the_old_file_until_the_block_ends(tmp_path: Path):
    write_text(tmp_path / "a.txt", "before")
    with replacing(tmp_path / "a.txt") as partial:
        partial.write_text("after")
        assert (tmp_path / "a.txt").read_text() == "before"
    assert (tmp_path / "a.txt").read_text() == "after"


def test_a_folder_takes_the_place_of_an_empty_one_only(tmp_path: Path):
    (tmp_path / "out").mkdir()
    for content in ("one", "two"):
        try:
            with replacing(tmp_path / "out") as partial:
                partial.mkdir()
                (partial / content).touch()
        except OSError:
            assert content == "two"
    assert names(tmp_path) == ["one", "out"]


def test_a_file_has_the_rights_that_any_new_file_has(tmp_path: Path):
    (tmp_path / "plain").touch()
    write_bytes(tmp_path / "ours", b"")
    plain, ours = ((tmp_path / name).stat().st_mode for name in ("plain", "ours"))
    assert stat.S_IMODE(ours) == stat.S_IMODE(plain)


def test_writers_of_one_file_do_not_meet(tmp_path: Path):
    contents = [bytes([number]) * 100_000 for number in range(8)]

    def write(content: bytes) -> None:
        for _ in range(20):
            write_bytes(tmp_path / "a.bin", content)

    threads = [threading.Thread(target=write, args=[one]) for one in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (tmp_path / "a.bin").exists():
            assert (tmp_path / "a.bin").read_bytes() in contents
    assert names(tmp_path) == ["a.bin"]
