"""Boxes with keypoints, a JSON file an image."""

import json
from pathlib import Path

import pytest

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from tests.datasets.formats.sets import image_file

TUBE = {"bboxes": [[2, 3, 22, 13]], "keypoints": [[[4, 5, 1], [20, 11, 0]]]}


def drawn(root: Path, document: object = TUBE, name: str = "train/{}/a.b") -> Path:
    image_file(root / f"{name.format('images')}.jpg")
    sheet = root / f"{name.format('annotations')}.json"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    sheet.write_text(json.dumps(document))
    return root


def test_boxes_and_keypoints_are_read_and_visible_is_cocos_two(tmp_path: Path):
    found = formats.read(drawn(tmp_path))
    (sample,) = found
    assert (found.format, sample.split) == ("keypoint-json", "train")
    assert found.class_names == ("object",)
    assert found.keypoint_names == ("point 0", "point 1")
    assert sample.boxes.tolist() == [[2, 3, 22, 13]]
    assert sample.keypoints.tolist() == [[[4, 5, 2], [20, 11, 0]]]


def test_the_same_name_in_two_splits_is_two_images(tmp_path: Path):
    drawn(tmp_path)
    drawn(tmp_path, {"bboxes": [], "keypoints": []}, "test/{}/a.b")
    found = formats.read(tmp_path)
    assert [(s.split, len(s.labels)) for s in found] == [("test", 0), ("train", 1)]
    assert [s.path.parts[-3] for s in found] == ["test", "train"]
    assert found[0].keypoints.shape == (0, 2, 3) and found[0].boxes.shape == (0, 4)


def test_labels_name_the_objects(tmp_path: Path):
    found = formats.read(drawn(tmp_path, {**TUBE, "labels": ["tube"]}))
    assert found.class_names == ("tube",)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bboxes": [[1, 2, 3]]}, "cannot reshape"),
        ({"bboxes": []}, "wanted as many of each, got 0 bboxes, 1 keypoints, 0"),
        ({"labels": ["a", "b"]}, "1 keypoints, 2 labels"),
        ({"keypoints": [[[1, 2]]]}, "keypoints must be \\[N, K, 3\\]"),
        ({"keypoints": [[["x", 2, 1]]]}, "could not convert"),
        ({"bboxes": [[1, 2, float("inf"), 3]]}, "wanted finite numbers"),
    ],
)
def test_what_is_no_annotation_is_a_fault(tmp_path: Path, wrong: dict, said: str):
    with pytest.raises(FormatError, match=said):
        formats.read(drawn(tmp_path, TUBE | wrong))


def test_another_number_of_keypoints_is_a_fault(tmp_path: Path):
    drawn(tmp_path)
    one = {"bboxes": [[1, 1, 9, 9]], "keypoints": [[[4, 5, 1]]]}
    drawn(tmp_path, one, "train/{}/other")
    with pytest.raises(FormatError, match="wanted 2 keypoints an object, got 1"):
        formats.read(tmp_path)


def test_a_document_that_is_none_is_a_fault_and_no_image(tmp_path: Path):
    root = drawn(drawn(tmp_path), name="train/{}/c")
    (root / "train/annotations/c.json").write_text("{")
    found = formats.read(root, problems=(problems := []))
    assert [s.path.name for s in found] == ["a.b.jpg"]
    assert [(p.kind, p.paths[0].name) for p in problems] == [
        ("annotation-unreadable", "c.json"),
        ("annotation-missing", "c.jpg"),
    ]
