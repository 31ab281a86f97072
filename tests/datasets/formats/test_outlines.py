"""Outlines → samples."""

from pathlib import Path

import numpy as np

from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.formats.outlines import outlined
from tests.datasets.formats.sets import SIZE, image_file


def test_boxes_alone_have_no_masks(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    corners = np.array([[1.0, 2], [5, 6]])
    found = outlined(Folder(tmp_path), "labelme", [("a.jpg", [("mug", corners)], "")])
    assert found.samples[0].rles is None
    assert found.samples[0].boxes.tolist() == [[1, 2, 5, 6]]


def test_a_label_without_points_stands_for_the_whole_image(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    shapes = [("mug", None), ("jar", np.array([[1.0, 2], [5, 6]]))]
    found = outlined(Folder(tmp_path), "labelme", [("a.jpg", shapes, "train")])
    assert found.samples[0].boxes[0].tolist() == [0, 0, SIZE[1], SIZE[0]]


def test_an_image_without_shapes_is_kept(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    found = outlined(Folder(tmp_path), "labelme", [("a.jpg", [], "")])
    assert len(found.samples[0].labels) == 0
