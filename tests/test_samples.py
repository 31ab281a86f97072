"""The one in-memory form of annotated images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cvlib.masks import boxes_of_masks, count_pixels, encode_masks
from cvlib.samples import ImageSet, Sample


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


def test_an_empty_mask_has_an_empty_box():
    assert boxes_of_masks(np.zeros((1, 4, 6), np.uint8)).tolist() == [[0, 0, 0, 0]]


def test_a_sample_without_objects_has_empty_masks():
    assert sample().masks.shape == (0, 4, 6)


def test_a_target_holds_what_is_known_as_tensors():
    target = two_objects().target()
    assert set(target) == {"labels", "boxes", "masks"}
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


@given(st.integers(1, 90), st.integers(1, 90), st.randoms(use_true_random=False))
def test_a_code_speaks_of_every_pixel_and_a_cut_one_of_fewer(height, width, chance):
    share = chance.random()
    drawn = [chance.random() < share for _ in range(height * width)]
    mask = np.array(drawn, np.uint8).reshape(height, width)
    code = encode_masks([mask])[0]["counts"]
    assert count_pixels(code) == height * width
    assert count_pixels(code[:-1]) != height * width


def test_what_is_no_code_speaks_of_nothing():
    assert [count_pixels(code) for code in (b"", b"hello world", b"~~")] == [-1] * 3
