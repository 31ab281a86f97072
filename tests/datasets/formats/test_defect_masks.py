"""Pictures of defects, and black-on-white masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from tests.datasets.formats.sets import SIZE, image_file

FAULTY, TRUTH = "PA/Defects/PA_D_01.bmp", "PA/Defects/GroundThruth/PA_GT_01.bmp"


def mask_file(path: Path, *places: tuple[slice, slice], size: tuple = SIZE) -> None:
    """A white mask with black rectangles, one bit a pixel."""
    pixels = np.full(size, 255, np.uint8)
    for rows, columns in places:
        pixels[rows, columns] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert("1").save(path)


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    image_file(tmp_path / FAULTY)
    image_file(tmp_path / "PA/NoDefects/PA_ND_01.bmp")
    mask_file(tmp_path / TRUTH, (slice(2, 5), slice(10, 14)), (slice(20, 21), slice(3)))
    return tmp_path


def test_each_black_spot_is_an_object_with_box_and_mask(papers: Path):
    found = formats.read(papers)
    assert (found.format, found.class_names) == ("defect-masks", ("defect",))
    faulty, faultless = found
    assert faulty.boxes.tolist() == [[10, 2, 14, 5], [0, 20, 3, 21]]
    assert faulty.masks.sum(axis=(1, 2)).tolist() == [12, 3]
    assert faultless.path.name == "PA_ND_01.bmp" and faultless.boxes.shape == (0, 4)
    assert faultless.masks.shape == (0, *SIZE)


def test_spots_that_touch_at_a_corner_are_one(papers: Path):
    mask_file(papers / TRUTH, (slice(0, 2), slice(0, 2)), (slice(2, 4), slice(2, 4)))
    assert formats.read(papers)[0].boxes.tolist() == [[0, 0, 4, 4]]


def test_a_white_mask_is_a_picture_without_objects(papers: Path):
    mask_file(papers / TRUTH)
    assert len(formats.read(papers)[0].labels) == 0


def test_masks_are_no_pictures(papers: Path):
    problems = []
    assert len(formats.read(papers, problems=problems)) == 2 and problems == []


def test_a_defect_without_a_mask_is_an_error(papers: Path):
    image_file(papers / "PA/Defects/PA_D_02.bmp")
    with pytest.raises(FormatError, match="is in Defects, without a mask"):
        formats.read(papers)


def test_a_mask_of_another_size_is_an_error(papers: Path):
    mask_file(papers / TRUTH, size=(7, 9))
    with pytest.raises(FormatError, match="is 9 × 7, its image 60 × 40"):
        formats.read(papers)


def test_a_mask_that_is_none_is_an_error(papers: Path):
    (papers / TRUTH).write_bytes(b"no picture")
    with pytest.raises(FormatError, match="is no image to be read"):
        formats.read(papers)


def test_black_is_what_is_darker_than_the_middle_grey(papers: Path):
    pixels = np.full(SIZE, 255, np.uint8)
    pixels[0, 0], pixels[9, 9] = 127, 128
    Image.fromarray(pixels).save(papers / TRUTH)
    assert formats.read(papers)[0].boxes.tolist() == [[0, 0, 1, 1]]
