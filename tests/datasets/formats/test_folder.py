"""The wall around a folder that is read."""

from pathlib import Path

import pytest

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
