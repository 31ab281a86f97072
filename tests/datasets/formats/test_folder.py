"""The wall around a folder that is read."""

from pathlib import Path

import pytest

from cvlib.datasets import formats
from cvlib.datasets.formats import UnrecognisedError
from cvlib.datasets.formats.folder import Folder, FormatError
from tests.datasets.formats.sets import image_file


def test_a_bare_name_that_is_there_twice_is_not_guessed(tmp_path: Path):
    for place in ("one/a.jpg", "two/a.jpg"):
        image_file(tmp_path / place)
    with pytest.raises(FormatError, match="is not there"):
        Folder(tmp_path).image("a.jpg", "sheet.json")
    assert Folder(tmp_path).image("a.jpg", "s", folders=("two",)) == "two/a.jpg"


def test_a_file_that_is_no_image_keeps_the_stated_size(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    problems = []
    assert Folder(tmp_path, problems).canvas_size("a.jpg", (3, 4)) == (3, 4)
    assert [p.kind for p in problems] == ["unreadable"]
    assert Folder(tmp_path, []).canvas_size("a.jpg") == (0, 0)
    # 100 million pixels are believed, one row more is not.
    assert Folder(tmp_path, []).canvas_size("a.jpg", (10**4, 10**4)) == (10**4, 10**4)
    assert Folder(tmp_path, []).canvas_size("a.jpg", (10**4 + 1, 10**4)) == (0, 0)


def test_texts_and_documents_that_cannot_be_read_are_named(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "a.json").write_text("[1")
    (tmp_path / "b.json").write_text("[1]", "utf-8-sig")  # as Windows writes it
    folder = Folder(tmp_path, problems := [])
    assert folder.text("a.txt") == "" and folder.text("b.json") == "[1]"
    assert folder.json("a.json", quiet=True) is None and len(problems) == 1
    assert folder.json("a.json") is None and folder.json("b.json") == [1]
    said = [(p.kind, p.paths[0].name, p.message) for p in problems]
    assert [one[:2] for one in said] == [
        ("annotation-unreadable", "a.txt"),
        ("annotation-unreadable", "a.json"),
    ]
    assert said[0][2].startswith("cannot be read: ")
    assert said[1][2].startswith("is no JSON: ")


def test_a_stated_size_that_says_nothing_is_no_other_size(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    folder = Folder(tmp_path, problems := [])
    assert folder.canvas_size("a.jpg", (0, 60)) == (40, 60)
    assert folder.canvas_size("a.jpg", (40, 60)) == (40, 60)
    assert not problems


def test_losses_are_a_warning_each_or_one_line_that_counts_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    losses = {"a.jpg": "is lost", "b.jpg": "is lost too"}
    Folder(tmp_path, problems := []).warn("lost", losses)
    assert [(p.kind, p.paths[0].name, p.severity, p.message) for p in problems] == [
        ("lost", "a.jpg", "warning", "is lost"),
        ("lost", "b.jpg", "warning", "is lost too"),
    ]
    assert caplog.messages == []
    Folder(tmp_path).warn("lost", losses)
    Folder(tmp_path).warn("lost", {"c.jpg": "is gone"})
    Folder(tmp_path).warn("lost", {})
    assert caplog.messages == [
        f"{tmp_path / 'a.jpg'}: is lost (and 1 more)",
        f"{tmp_path / 'c.jpg'}: is gone",
    ]


def test_a_missing_image_is_not_replaced_from_another_split(tmp_path: Path):
    image_file(tmp_path / "train" / "7.jpg")
    image_file(tmp_path / "test" / "8.jpg")
    folder = Folder(tmp_path, problems := [])
    assert folder.image("7.jpg", "test/x.json", folders=("", "test")) == ""
    assert [p.kind for p in problems] == ["image-missing"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_missing_image_is_not_replaced_by_one_that_has_its_own_entry(
    tmp_path: Path, order: int
):
    image_file(tmp_path / "cam1" / "7.jpg")
    folder = Folder(tmp_path, problems := [])
    for name in ["cam1/7.jpg", "cam2/7.jpg"][::order]:
        folder.image(name, "all.json")
    assert [p.message for p in problems] == [
        "all.json names 'cam2/7.jpg', which is not there"
    ]


def test_links_to_folders_are_not_followed_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    image_file(tmp_path / "elsewhere" / "dogs" / "1.jpg")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "dogs").symlink_to(tmp_path / "elsewhere" / "dogs")
    said = "links to folders are not followed: dogs"
    with pytest.raises(UnrecognisedError, match=f"It holds no files; {said}"):
        formats.read(mine)
    image_file(mine / "cats" / "1.jpg")
    image_file(mine / "cows" / "1.jpg")
    assert list(formats.read(mine).class_names) == ["cats", "cows"]
    assert caplog.messages == [f"{mine}; {said}"]
    for number in range(6):
        (mine / f"z{number}").symlink_to(tmp_path / "elsewhere" / "dogs")
    formats.read(mine)
    assert caplog.messages[1].endswith("dogs, z0, z1, z2, z3 and 2 more")
