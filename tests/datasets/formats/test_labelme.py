"""LabelMe's files."""

import json
from pathlib import Path

import pytest

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from tests.datasets.formats.sets import image_file, named

BOX = {"label": "mug", "shape_type": "rectangle", "points": [[12, 8], [2, 3]]}
OUTLINE = {"label": "jar", "points": [[20, 10], [30, 10], [30, 20], [20, 20]]}


def sheet(root: Path, *shapes: object, image: str = "a.jpg") -> Path:
    image_file(root / "a.jpg")
    document = {"version": "5", "imagePath": image, "shapes": shapes}
    (root / "a.json").write_text(json.dumps(document))
    return root


def test_rectangles_and_polygons_are_read(tmp_path: Path):
    found = formats.read(sheet(tmp_path, BOX, OUTLINE))
    (sample,) = found.samples
    assert (found.format, named(found, sample)) == ("labelme", ["mug", "jar"])
    assert sample.boxes.tolist() == [[2, 3, 12, 8], [20, 10, 30, 20]]
    assert sample.masks.sum(axis=(1, 2)).tolist() == [50, 100]


def test_another_machines_path_is_taken_by_its_name(tmp_path: Path):
    root = sheet(tmp_path, BOX, image="..\\..\\camera\\a.jpg")
    assert formats.read(root).samples[0].path == root / "a.jpg"


@pytest.mark.parametrize("shape", ["mug", {"label": "mug"}, {**BOX, "points": [["x"]]}])
def test_a_shape_that_is_none_is_a_fault(tmp_path: Path, shape: object):
    with pytest.raises(FormatError, match="a shape is"):
        formats.read(sheet(tmp_path, shape))


def test_other_shapes_are_noted_and_left_out(tmp_path: Path):
    circle = {**BOX, "shape_type": "circle"}
    problems = []
    found = formats.read(sheet(tmp_path, circle, BOX), problems=problems)
    assert len(found.samples[0].labels) == 1
    assert problems[0].severity == "warning"


def test_pictures_may_lie_in_a_folder_of_their_own(tmp_path: Path):
    for name in ("images", "other"):
        image_file(tmp_path / name / "a.jpg")
    document = {"version": "5", "imagePath": "a.jpg", "shapes": [BOX]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert formats.read(tmp_path)[0].path == tmp_path / "images" / "a.jpg"
