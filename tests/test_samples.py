"""The one in-memory form of annotated images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cvlib.masks import boxes_of_masks, encode_masks
from cvlib.samples import (
    ImageSet,
    Sample,
    known_split,
    split_name,
    with_shuffled_labels,
)


def sample(name: str = "a.jpg", **known: object) -> Sample:
    return Sample(Path(name), (4, 6), **known)


def two_objects() -> Sample:
    masks = np.zeros((2, 4, 6), np.uint8)
    masks[0, 1:3, 2:5] = 1
    masks[1, 3, 0] = 1
    return sample(
        labels=np.array([1, 0]), boxes=boxes_of_masks(masks), rles=encode_masks(masks)
    )


def test_masks_come_back_as_they_were_coded():
    found = two_objects()
    assert found.masks.shape == (2, 4, 6)
    assert found.masks.sum(axis=(1, 2)).tolist() == [6, 1]


def test_a_box_encloses_its_mask_to_the_pixel():
    assert two_objects().boxes.tolist() == [[2, 1, 5, 3], [0, 3, 1, 4]]


def test_a_sample_without_objects_has_empty_masks():
    assert sample().masks.shape == (0, 4, 6)


def test_what_is_an_objects_goes_with_it():
    points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    both = replace(two_objects(), keypoints=points, crowd=np.array([False, True]))
    kept = both.keeping(np.array([False, True]))
    assert kept.labels.tolist() == [0] and kept.crowd.tolist() == [True]
    assert kept.boxes.tolist() == [[0, 3, 1, 4]]
    assert kept.masks.sum() == 1 and kept.keypoints.tolist() == points[1:].tolist()
    assert len(sample(labels=np.array([3])).keeping(np.array([False])).labels) == 0


def test_a_target_holds_what_is_known_as_tensors():
    target = two_objects().target()
    assert set(target) == {"labels", "boxes", "masks", "area", "iscrowd"}
    assert target["labels"].dtype == torch.int64
    assert target["boxes"].dtype == torch.float32
    assert target["masks"].shape == (2, 4, 6)
    assert set(sample().target()) == {"labels"}


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"boxes": np.zeros((2, 4))}, r"boxes must be \[1, 4\], got \[2, 4\]"),
        ({"boxes": np.zeros((1, 5))}, r"boxes must be \[1, 4\], got \[1, 5\]"),
        ({"keypoints": np.zeros((1, 6))}, r"keypoints must be \[1, 'K', 3\]"),
        ({"rles": ()}, "a mask for each of 1 labels, got 0"),
        ({"crowd": np.zeros(2, bool)}, "a crowd flag for each of 1 labels, got 2"),
    ],
)
def test_arrays_of_other_lengths_are_refused(known: dict, message: str):
    with pytest.raises(ValueError, match=message):
        sample(labels=np.array([0]), **known)


def test_a_split_keeps_its_samples_and_all_class_names():
    samples = (
        sample("a.jpg", labels=np.array([1]), split="train"),
        sample("b.jpg", labels=np.array([0]), split="test"),
    )
    found = ImageSet(Path(), "classes", ("cat", "dog"), samples).split("train")
    assert [s.path.name for s in found.samples] == ["a.jpg"]
    assert found.counts().tolist() == [0, 1]


def test_an_empty_set_counts_nothing():
    assert ImageSet(Path(), "coco", ("cat",), ()).counts().tolist() == [0]


def test_a_crowd_is_not_lost_on_the_way_to_training():
    boxes = np.array([[0, 0, 2, 3], [1, 1, 2, 2]], np.float32)
    two = {"labels": np.array([1, 0]), "boxes": boxes}
    target = sample(crowd=np.array([False, True]), **two).target()
    assert target["iscrowd"].tolist() == [0, 1]
    assert target["iscrowd"].dtype == torch.int64
    assert sample(**two).target()["iscrowd"].tolist() == [0, 0]


def test_an_area_is_the_masks_or_else_the_boxs():
    corner = np.zeros((1, 4, 6), np.uint8)
    corner[0, 1:3, 2] = corner[0, 1, 2:5] = 1
    masked = {"boxes": boxes_of_masks(corner), "rles": encode_masks(corner)}
    assert sample(labels=np.array([0]), **masked).target()["area"].tolist() == [4]
    box = np.array([[1, 2, 3, 5]], np.float32)
    assert sample(labels=np.array([0]), boxes=box).target()["area"].tolist() == [6]
    assert sample().areas.shape == (0,)


def four() -> ImageSet:
    """Two cats and two dogs; the last has neither split nor group."""
    samples = [
        sample("set/a.jpg", labels=np.array([0]), split="train", group="tom"),
        sample("set/b.jpg", labels=np.array([1]), split="train", group="rex"),
        sample("set/c.jpg", labels=np.array([0]), split="valid", group="tom"),
        sample("set/sub/d.jpg", labels=np.array([1])),
    ]
    return ImageSet(Path("set"), "classes", ("cat", "dog"), tuple(samples), name="pets")


def test_a_set_is_a_sequence_of_samples():
    images = four()
    assert images[0].path.name == "a.jpg" and images[-1].path.name == "d.jpg"
    assert [s.path.stem for s in images] == list("abcd")
    assert images[1] in images and len(images) == 4
    with pytest.raises(IndexError):
        images[4]


def test_a_slice_is_a_set_and_keeps_what_is_known_of_it():
    part = four()[1:3]
    assert isinstance(part, ImageSet) and part.labels.tolist() == [1, 0]
    assert (part.name, part.class_names) == ("pets", ("cat", "dog"))


def test_paths_labels_and_groups_stand_in_the_order_of_the_samples():
    images = four()
    assert images.paths == [Path("set") / n for n in ("a.jpg", "b.jpg", "c.jpg")] + [
        Path("set/sub/d.jpg")
    ]
    assert images.labels.tolist() == [0, 1, 0, 1]
    assert images.labels.dtype == torch.int64
    assert images.groups == ["tom", "rex", "tom", "sub/d.jpg"]


def test_an_empty_set_has_no_paths_labels_or_groups():
    empty = four()[:0]
    assert empty.paths == [] and empty.groups == []
    assert empty.labels.shape == (0,) and empty.labels.dtype == torch.int64


@pytest.mark.parametrize("labels", [[], [0, 1]])
def test_labels_name_the_file_that_has_none_or_several(labels: list):
    odd = sample("set/sub/odd.jpg", labels=np.array(labels, np.int64))
    images = four().having([*four(), odd])
    with pytest.raises(ValueError, match=f"got {len(labels)} for sub/odd.jpg"):
        _ = images.labels


def test_a_split_of_another_name_is_found_by_that_name():
    folds = four().having(replace(s, split=f"Fold{i}") for i, s in enumerate(four()))
    assert [s.path.stem for s in folds.split("Fold2")] == ["c"]


@pytest.mark.parametrize("name", ["valid", "val", "validation", "Val"])
def test_val_means_valid(name: str):
    assert [s.path.stem for s in four().split(name)] == ["c"]


def test_a_split_without_images_is_empty_and_a_name_that_is_none_an_error():
    assert len(four().split("test")) == 0
    message = "no split 'exam'; there are 2 train, 1 valid, 1 in no split"
    with pytest.raises(ValueError, match=message):
        four().split("exam")


@pytest.mark.parametrize(
    ("given", "ours"),
    [("val", "valid"), ("instances_val2017", "valid"), ("Training", "train")],
)
def test_splits_get_our_names(given: str, ours: str):
    assert split_name(given) == ours


@pytest.mark.parametrize(
    ("given", "known"),
    [("Validation", "valid"), ("negatives_test", "negatives_test"), ("fold1", "")],
)
def test_splits_and_their_parts_are_known(given: str, known: str):
    assert known_split(given) == known


def test_a_set_says_what_it_is_in_a_few_lines():
    assert repr(four()).splitlines() == [
        "ImageSet 'pets', read as classes",
        "4 images: 2 train, 1 valid, 1 in no split",
        "2 classes: cat, dog",
        "3 groups",
    ]
    assert "2 labels, with boxes, masks" in repr(four().having([two_objects()]))


def test_however_large_a_set_prints_five_lines():
    many = [
        sample(f"{i}\n.jpg", boxes=np.zeros((0, 4)), split=f"fold{i}" * 9)
        for i in range(2000)
    ]
    names = tuple(f"class\n{i}" for i in range(999))
    text = str(ImageSet(Path("x" * 999), "coco", names, tuple(many)))
    assert text.count("\n") == 4 and max(map(len, text.splitlines())) <= 88


def test_a_sample_is_one_line_and_names_what_it_holds():
    assert repr(two_objects()) == (
        "Sample('a.jpg', 6 × 4 pixels, labels [1, 0], boxes, masks)"
    )
    many = sample("a.jpg", labels=np.arange(500), split="train", group="mug-03")
    assert repr(many).endswith(" …], split 'train', group 'mug-03')")
    assert len(repr(many)) < 120


def test_shuffled_labels_are_the_same_ones_elsewhere():
    images = four()
    shuffled = with_shuffled_labels(images, seed=1)
    assert shuffled.paths == images.paths and shuffled.groups == images.groups
    assert sorted(shuffled.labels.tolist()) == [0, 0, 1, 1]
    assert shuffled.labels.tolist() != images.labels.tolist()
    assert images.labels.tolist() == [0, 1, 0, 1]
    again = with_shuffled_labels(images, seed=1)
    assert torch.equal(shuffled.labels, again.labels)
    many = images.having([*images] * 9)
    orders = [with_shuffled_labels(many, seed=seed).labels for seed in (1, 2)]
    assert not torch.equal(*orders)


def test_labels_of_boxes_are_not_shuffled():
    with pytest.raises(ValueError, match="those of boxes cannot"):
        with_shuffled_labels(four().having([two_objects()]), seed=0)


def test_a_newcomer_prints_indexes_loops_and_splits():
    """As one types it: once 247,905 characters, a TypeError, another, an empty set."""
    import cvlib

    s = cvlib.load("pantry/products")
    assert str(s).splitlines() == [
        "ImageSet 'pantry/products', read as classes",
        "960 images: 480 train, 160 valid, 320 test",
        "8 classes: bowl, box, can, carton, glass_bottle, jar, mug, plastic_bottle",
        "96 groups: by products.csv's column product",
    ]
    assert repr(s[0]) == (
        "Sample('bowl-04-00.jpg', 224 × 224 pixels, labels [0], "
        "split 'test', group 'bowl-04')"
    )
    assert sum(1 for x in s) == len(s) == 960
    assert len(s.split("val")) == len(s.split("valid")) == 160
    with pytest.raises(ValueError, match="no split 'vall'; there are 480 train"):
        s.split("vall")
    assert s.labels[:3].tolist() == [0, 0, 0] and s.paths[0].name == s[0].path.name
