"""What annotations say that cannot be right."""

from pathlib import Path

import numpy as np
import pytest

from cvlib.doctor import labels
from cvlib.samples import ImageSet, Sample


def images(**splits: list[int]) -> ImageSet:
    samples = tuple(
        Sample(Path(f"{split}-{i}.jpg"), (9, 9), np.array([label]), split=split)
        for split, own in splits.items()
        for i, label in enumerate(own)
    )
    return ImageSet(Path("set"), "classes", ("mug", "jar", "cup"), samples)


def kinds(found: ImageSet) -> list[str]:
    return [problem.kind for problem in labels.check_classes(found)]


def test_a_class_of_one_in_eleven_is_out_of_balance():
    assert kinds(images(train=[0] * 11 + [1])) == ["imbalance"]
    assert kinds(images(train=[0] * 10 + [1])) == []


def test_a_class_that_test_lacks_is_an_error_and_one_nobody_has_is_not():
    found = list(labels.check_classes(images(train=[0, 1] * 9, test=[0] * 400)))
    assert [p.severity for p in found if p.kind == "class-missing"] == ["error"]
    assert "test has none of jar" in found[-1].message


def test_a_hundred_test_images_are_few_and_four_hundred_are_enough():
    assert "test-small" in kinds(images(train=[0], test=[0] * 100))
    assert "test-small" not in kinds(images(train=[0], test=[0] * 400))


def test_a_small_box_is_named_with_its_size():
    box = np.array([[1, 1, 3, 9]], np.float32)
    sample = Sample(Path("a.jpg"), (9, 9), np.array([0]), box)
    found = ImageSet(Path("set"), "coco", ("mug",), (sample,))
    (problem,) = labels.check_objects(found)
    assert problem.message == "box 0 is 2 × 8 pixels"


@pytest.mark.parametrize(
    ("right", "bottom", "small"),
    [(5, 5, False), (4.9, 9, True), (9, 4.9, True), (1, 3, False)],
)
def test_a_box_is_small_below_four_pixels_a_side(right, bottom, small):
    """One without an area is another fault, which the reader names."""
    box = np.array([[1, 1, right, bottom]], np.float32)
    sample = Sample(Path("a.jpg"), (9, 9), np.array([0]), box)
    found = ImageSet(Path("set"), "coco", ("mug",), (sample,))
    assert [p.kind for p in labels.check_objects(found)] == ["box-tiny"] * small


def test_the_later_of_two_boxes_is_the_one_too_many():
    box = np.array([[1, 1, 8, 8], [0, 0, 4, 4], [1, 1, 8, 8]], np.float32)
    sample = Sample(Path("a.jpg"), (9, 9), np.array([0, 0, 0]), box)
    found = ImageSet(Path("set"), "coco", ("mug",), (sample,))
    (problem,) = labels.check_objects(found)
    assert (problem.kind, problem.index) == ("box-duplicate", 2)


def test_two_boxes_of_two_classes_may_share_a_place():
    box = np.array([[1, 1, 8, 8]] * 2, np.float32)
    sample = Sample(Path("a.jpg"), (9, 9), np.array([0, 1]), box)
    found = ImageSet(Path("set"), "coco", ("mug", "jar"), (sample,))
    assert list(labels.check_objects(found)) == []
