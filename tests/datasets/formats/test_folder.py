"""The wall around a folder that is read."""

from pathlib import Path

import numpy as np
import pytest

from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.formats.names import flat_names, told_apart
from cvlib.datasets.split_names import known_split, split_name
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import image_file


@pytest.mark.parametrize(
    ("given", "ours"),
    [("val", "valid"), ("instances_val2017", "valid"), ("Training", "train")],
)
def test_splits_get_our_names(given: str, ours: str):
    assert split_name(given) == ours


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


def test_same_names_in_two_folders_are_told_apart():
    paths = [Path("set/x/a.jpg"), Path("set/y/a.jpg")]
    found = ImageSet(Path("set"), "", (), tuple(Sample(p, (1, 1)) for p in paths))
    assert flat_names(found) == ["x__a.jpg", "y__a.jpg"]


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


def test_names_are_told_apart_with_and_without_their_endings():
    names = ["a.jpg", "A.JPG", "a.png", "b.png"]
    assert told_apart(names) == ["a.jpg", "A (2).JPG", "a.png", "b.png"]
    by_stem = ["a.jpg", "A (2).JPG", "a (3).png", "b.png"]
    assert told_apart(names, by_stem=True) == by_stem


@pytest.mark.parametrize(
    ("given", "known"),
    [("Validation", "valid"), ("negatives_test", "negatives_test"), ("fold1", "")],
)
def test_splits_and_their_parts_are_known(given: str, known: str):
    assert known_split(given) == known


@pytest.mark.parametrize(
    ("box", "kinds"),
    [
        ((-1, -1, 61, 41), []),  # rounding by a pixel is no fault
        ((-1.5, 3, 9, 9), ["box-outside"]),
        ((3, -1.5, 9, 9), ["box-outside"]),
        ((3, 3, 61.5, 9), ["box-outside"]),
        ((3, 3, 9, 41.5), ["box-outside"]),
        ((-9, 3, -9, 9), ["box-degenerate"]),
        ((3, 9, 9, 9), ["box-degenerate"]),
        ((9, 3, 8, 9), ["box-degenerate"]),
    ],
)
def test_a_box_may_leave_the_frame_by_a_pixel_on_any_side(
    tmp_path: Path, box: tuple[float, ...], kinds: list[str]
):
    good = (1, 2, 3, 4)
    boxes = np.array([good, box], np.float32)
    sample = Sample(tmp_path / "a.jpg", (40, 60), np.zeros(2, np.int64), boxes)
    folder = Folder(tmp_path, problems := [])
    assert np.array_equal(folder.checked(sample).boxes, boxes)
    assert [p.kind for p in problems] == kinds
    assert {p.index for p in problems} <= {1}
