"""Outlines → samples."""

from pathlib import Path

import numpy as np
import pytest

from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.formats.outlines import outlined
from tests.datasets.formats.sets import image_file


def test_boxes_alone_have_no_masks(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    corners = np.array([[1.0, 2], [5, 6]])
    found = outlined(Folder(tmp_path), "labelme", [("a.jpg", [("mug", corners)], "")])
    assert found.samples[0].rles is None
    assert found.samples[0].boxes.tolist() == [[1, 2, 5, 6]]


def test_a_label_without_points_beside_a_box_becomes_no_object(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    shapes = [("indoor", None), ("jar", np.array([[1.0, 2], [5, 6]]))]
    folder = Folder(tmp_path, problems := [])
    found = outlined(folder, "labelme", [("a.jpg", shapes, "train")])
    assert found.class_names == ("jar",)
    assert found.samples[0].boxes.tolist() == [[1, 2, 5, 6]]
    assert [(p.kind, p.severity) for p in problems] == [("label-unused", "warning")]
    assert "'indoor'" in problems[0].message


def test_labels_without_points_alone_are_tags(tmp_path: Path):
    for name in "ab":
        image_file(tmp_path / f"{name}.jpg")
    given = [("a.jpg", [("wet", None), ("dark", None)], ""), ("b.jpg", [], "")]
    found = outlined(Folder(tmp_path, problems := []), "labelme", given)
    assert [s.labels.tolist() for s in found.samples] == [[1, 0], []]
    assert all(sample.boxes is None for sample in found.samples)
    assert not problems


def test_an_image_without_shapes_is_kept(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    found = outlined(Folder(tmp_path), "labelme", [("a.jpg", [], "")])
    assert len(found.samples[0].labels) == 0
    assert found.samples[0].boxes.shape == (0, 4)


def test_a_triangle_is_an_outline_and_gives_every_object_a_mask(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    triangle = np.array([[10.0, 10], [30, 10], [10, 30]])
    shapes = [("mug", triangle), ("jar", np.array([[1.0, 2], [5, 6]]))]
    found = outlined(Folder(tmp_path), "labelme", [("a.jpg", shapes, "")])
    first, second = found.samples[0].masks
    assert first.sum() == pytest.approx(200, rel=0.1)
    assert second.sum() == second[2:6, 1:5].sum() == 16
