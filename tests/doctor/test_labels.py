"""What annotations say that cannot be right."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cvlib.datasets import DatasetError
from cvlib.datasets.problems import Problem
from cvlib.doctor import labels
from cvlib.masks import encode_masks
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


SET = (Path("set"),)


def test_what_is_wrong_with_classes_is_told_with_its_numbers():
    """Of 100 images 90 right leave 83 % to 94 %: 12 points, and 1.4 times that."""
    found = images(train=[0] * 20 + [1], test=[0] * 100)
    first = replace(found[0], group="film")
    last = replace(found[-1], group="film")
    found = found.having([first, *found.samples[1:-1], last])
    assert list(labels.check_classes(found)) == [
        Problem("imbalance", SET, "'mug' has 120 labels, 'jar' 1", "warning"),
        Problem("class-missing", SET, "test has none of jar"),
        Problem(
            "group-across-splits",
            (first.path, last.path),
            "group 'film' is in train and test",
        ),
        Problem(
            "test-small",
            SET,
            "100 test images: a model that is right 90 % of the time will measure "
            "between 83% and 94%; two models must differ by about 17% to be told apart",
            "warning",
        ),
    ]


def test_all_classes_that_a_split_lacks_are_named():
    found = images(train=[0, 1, 2], valid=[0], test=[2] * 400)
    assert [p.message for p in labels.check_classes(found) if p.paths == SET][-2:] == [
        "valid has none of jar, cup",
        "test has none of mug, jar",
    ]


def test_a_set_of_one_split_lacks_no_class():
    assert kinds(images(train=[0, 1])) == []
    assert kinds(images(valid=[0])) == []
    undecided = images(**{"train": [0], "": [1]})  # the jar may still come to train
    assert kinds(undecided) == []


def test_a_set_without_a_label_is_not_out_of_balance():
    assert kinds(images()) == []


def objects(*boxes: list[float], labels: list[int] | None = None) -> ImageSet:
    """One image with these boxes, of one class unless it is said."""
    own = np.array(labels or [0] * len(boxes))
    sample = Sample(Path("a.jpg"), (99, 99), own, np.array(boxes, np.float32))
    return ImageSet(Path("set"), "coco", ("mug", "jar"), (sample,))


def test_what_is_wrong_with_objects_is_told_with_its_numbers():
    found = objects([0, 0, 50, 50], [9, 9, 11.5, 29], [0, 0, 50, 48])
    assert list(labels.check_objects(found)) == [
        Problem("box-tiny", (Path("a.jpg"),), "box 1 is 2.5 × 20 pixels", "warning", 1),
        Problem(
            "box-duplicate",
            (Path("a.jpg"),),
            "boxes 0 and 2 of one class cover each other by 96%",
            "warning",
            2,
        ),
    ]
    masks = [np.ones((9, 9), np.uint8), np.zeros((9, 9), np.uint8)]
    sample = Sample(
        Path("a.jpg"), (9, 9), np.array([0, 0]), rles=tuple(encode_masks(masks))
    )
    assert list(labels.check_objects(found.having([sample]))) == [
        Problem("mask-empty", (Path("a.jpg"),), "mask 1 has no pixel", "warning", 1)
    ]


@pytest.mark.parametrize(("height", "twice"), [(90, False), (91, True)])
def test_boxes_are_drawn_twice_above_nine_tenths(height: int, twice: bool):
    found = objects([0, 0, 50, 100], [0, 0, 50, height])
    assert [p.kind for p in labels.check_objects(found)] == ["box-duplicate"] * twice


def test_images_without_objects_have_no_fault_and_hide_none_that_follows():
    found = objects([0, 0, 3, 50])
    bare = replace(found[0], boxes=None, labels=np.array([0]))
    none = replace(
        found[0], boxes=np.empty((0, 4), np.float32), labels=np.empty(0, int)
    )
    found = found.having([bare, none, found[0]])
    assert [p.kind for p in labels.check_objects(found)] == ["box-tiny"]


def test_a_label_that_looks_wrong_is_told_with_what_it_looks_like(seen):
    found = things({"mug": 8, "jar": 5}, wrong="mug-3")
    problem = next(labels.suspect_labels(found, broken=set()))
    assert (problem.kind, problem.severity) == ("label-suspect", "warning")
    said = r"is labelled 'jar', looks like 'mug' \((\d+)%\)"
    (share,) = re.fullmatch(said, problem.message).groups()
    assert 50 < int(share) <= 100


def test_the_surest_fault_comes_first(seen, monkeypatch: pytest.MonkeyPatch):
    """Two wrong labels: the model gives their own class 1 % and 4 %."""
    found = things({"mug": 8, "jar": 8})
    given = np.where(
        np.array([s.labels[0] for s in found])[:, None] == [0, 1], 0.9, 0.1
    )
    given[[5, 20]] = [[0.04, 0.96], [0.01, 0.99]]
    assert [int(found[i].labels[0]) for i in (5, 20)] == [0, 0]
    monkeypatch.setattr(labels, "_probabilities", lambda *_: given)
    assert list(labels.suspect_labels(found, broken=set())) == [
        Problem("label-suspect", (found[i].path,), said, "warning")
        for i, said in (
            (20, "is labelled 'mug', looks like 'jar' (99%)"),
            (5, "is labelled 'mug', looks like 'jar' (96%)"),
        )
    ]


def test_why_a_class_is_not_judged_is_told(seen):
    (problem,) = labels.suspect_labels(things({"mug": 9}), broken=set())
    assert problem.paths == SET
    assert problem.message.startswith(
        "labels of mug are not judged: that takes 5 groups of each class, and a second "
        "class ("
    )


def test_images_that_cannot_be_read_and_of_several_labels_are_not_judged(
    seen, monkeypatch: pytest.MonkeyPatch
):
    found = things({"mug": 8, "jar": 8})
    broken = {found[0].path}
    several = replace(found[1], labels=np.array([0, 1]))
    boxed = replace(found[2], boxes=np.array([[0, 0, 9, 9]], np.float32))
    found = found.having([found[0], several, boxed, *found.samples[3:]])
    asked = []

    def probabilities(images: ImageSet, own: np.ndarray) -> np.ndarray:
        asked.extend(images.paths)
        return np.where(own[:, None] == [0, 1], 0.9, 0.1)

    monkeypatch.setattr(labels, "_probabilities", probabilities)
    assert list(labels.suspect_labels(found, broken=broken)) == []
    assert asked == found.paths[3:]
