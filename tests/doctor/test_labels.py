"""What annotations say that cannot be right."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cvlib.datasets import DatasetError
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


def things(counts: dict[str, int], *, wrong: str = "") -> ImageSet:
    """Four pictures of each thing, of classes by their counts of things.

    The things of group `wrong` are labelled as the other class.
    """
    samples = []
    for picture in range(4):  # a thing's pictures do not stand beside each other
        for label, (name, count) in enumerate(counts.items()):
            for thing in (f"{name}-{number}" for number in range(count)):
                own = np.array([1 - label if thing == wrong else label])
                path = Path(f"set/{thing}-{picture}.jpg")
                samples.append(Sample(path, (9, 9), own, group=thing))
    return ImageSet(Path("set"), "classes", tuple(counts), tuple(samples))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embeddings that show the true class weakly, and the single thing clearly."""

    def embed(_: object, images: ImageSet) -> torch.Tensor:
        shown = [path.stem.rpartition("-")[0] for path in images.paths]
        order = sorted(set(shown))
        found = torch.zeros(len(shown), 2 + len(order))
        for row, thing in zip(found, shown, strict=True):
            row[0 if thing.startswith("mug") else 1] = 0.5
            row[2 + order.index(thing)] = 1
        return torch.nn.functional.normalize(found)

    monkeypatch.setattr("cvlib.embeddings.embed", embed)
    monkeypatch.setattr("cvlib.backbones.load_backbone", lambda: None)


def test_a_thing_that_is_wrong_in_all_its_pictures_does_not_vouch_for_itself(seen):
    found = things({"mug": 8, "jar": 5}, wrong="mug-3")
    problems = list(labels.suspect_labels(found, broken=set()))
    assert {p.paths[0].stem for p in problems} == {f"mug-3-{i}" for i in range(4)}
    assert "is labelled 'jar', looks like 'mug'" in problems[0].message


def test_classes_of_few_things_are_not_judged_and_named(seen):
    found = things({"mug": 8, "jar": 8})
    more = things({"mug": 0, "jar": 0, "cup": 4})
    found = replace(found, class_names=more.class_names, samples=(*found, *more))
    (problem,) = labels.suspect_labels(found, broken=set())
    assert (problem.kind, problem.severity) == ("label-unjudged", "warning")
    assert "labels of cup are not judged: that takes 5 groups" in problem.message


def test_one_class_alone_is_not_judged(seen):
    (problem,) = labels.suspect_labels(things({"mug": 9}), broken=set())
    assert "labels of mug are not judged" in problem.message


def test_without_cleanlab_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(DatasetError, match=r"needs cleanlab.*cvlib-book\[doctor\]"):
        list(labels.suspect_labels(things({"mug": 9}), broken=set()))
