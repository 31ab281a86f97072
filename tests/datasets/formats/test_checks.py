"""What every reader's result is asked."""

import logging
from pathlib import Path

import numpy as np
import pytest

from cvlib.datasets.formats.checks import checked, note_left_out, note_twice
from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import image_file


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
    assert np.array_equal(checked(folder, sample).boxes, boxes)
    assert [p.kind for p in problems] == kinds
    assert {p.index for p in problems} <= {1}


def test_strictly_a_box_beyond_the_frame_stays_and_one_without_area_is_an_error(
    tmp_path: Path,
):
    def with_box(*box: float) -> Sample:
        boxes = np.array([box], np.float32)
        return Sample(tmp_path / "a.jpg", (40, 60), np.zeros(1, np.int64), boxes)

    kept = checked(Folder(tmp_path), with_box(3, 3, 99, 9))
    assert kept.boxes.tolist() == [[3, 3, 99, 9]]
    with pytest.raises(FormatError, match="box 0 is 3, 3 to 3, 9: it has no area"):
        checked(Folder(tmp_path), with_box(3, 3, 3, 9))


def test_boxes_of_an_image_of_unknown_size_are_within_it(tmp_path: Path):
    boxes = np.array([[-9, 3, 99, 9]], np.float32)
    sample = Sample(tmp_path / "a.jpg", (0, 0), np.zeros(1, np.int64), boxes)
    checked(Folder(tmp_path, problems := []), sample)
    assert not problems


def listed(root: Path, *places: tuple[str, str]) -> ImageSet:
    samples = tuple(Sample(root / name, (1, 1), split=own) for name, own in places)
    return ImageSet(root, "coco", (), samples)


@pytest.mark.parametrize(
    ("second", "said"),
    [("", "is listed 2 times, in train"), ("valid", "2 times, in train and valid")],
)
def test_an_image_that_is_listed_twice_is_named(tmp_path: Path, second: str, said: str):
    found = listed(tmp_path, ("a.jpg", "train"), ("b.jpg", ""), ("a.jpg", second))
    note_twice(Folder(tmp_path, problems := []), found)
    assert [(p.kind, p.paths) for p in problems] == [
        ("image-twice", (tmp_path / "a.jpg",))
    ]
    assert said in problems[0].message


def test_images_without_annotation_are_named_but_for_those_that_need_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for name in ("a.jpg", "b.jpg", "mask.png"):
        image_file(tmp_path / name)
    found = listed(tmp_path, ("a.jpg", ""))
    folder = Folder(tmp_path, problems := [])
    note_left_out(folder, found, exempt=lambda name: name.endswith(".png"))
    assert [p.paths[0].name for p in problems] == ["b.jpg"]
    with caplog.at_level(logging.WARNING):
        note_left_out(Folder(tmp_path), found)
    assert "b.jpg: is an image without annotation (coco)" in caplog.text
    assert "(and 1 more)" in caplog.text
