"""Boxes: areas, overlaps and matches that can be checked by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchvision.ops import box_iou

from cvlib import boxes

NONE = np.zeros((0, 4), np.float32)
corners = arrays(np.float32, (5, 4), elements=st.integers(0, 50).map(float))


def ordered(raw: np.ndarray) -> np.ndarray:
    """Any four numbers as left, top and, at least a pixel on, right and bottom."""
    low = np.minimum(raw[:, :2], raw[:, 2:])
    return np.hstack([low, np.maximum(raw[:, :2], raw[:, 2:]) + 1])


def test_the_area_is_width_times_height():
    assert boxes.areas(np.array([[1, 1, 3, 5], [0, 0, 1, 1]])).tolist() == [8, 1]


def test_touching_boxes_do_not_overlap():
    assert boxes.ious(np.array([[0, 0, 2, 2]]), np.array([[2, 0, 4, 2]])) == 0


@given(corners, corners)
def test_overlaps_are_those_of_torchvision(first: np.ndarray, second: np.ndarray):
    first, second = ordered(first), ordered(second)
    wanted = box_iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(boxes.ious(first, second), wanted, atol=1e-6)


def test_a_box_has_one_partner_even_if_two_overlap_it():
    one = np.array([[0, 0, 10, 10]])
    two = np.array([[0, 0, 10, 8], [0, 0, 10, 9]])
    assert boxes.match(one, two).tolist() == [[0, 1]]


def test_matching_takes_the_best_pairs_together():
    # Greedily the first box would take the second's only partner.
    first = np.array([[0, 0, 10, 10], [0, 0, 10, 20]])
    second = np.array([[0, 0, 10, 12], [0, 0, 10, 7]])
    assert boxes.match(first, second).tolist() == [[0, 1], [1, 0]]


def test_boxes_that_hardly_overlap_do_not_match():
    first, second = np.array([[0, 0, 10, 10]]), np.array([[6, 0, 16, 10]])
    assert len(boxes.match(first, second)) == 0
    assert len(boxes.match(first, second, iou_threshold=0.2)) == 1


def test_boxes_that_overlap_by_just_the_threshold_match():
    whole, half = np.array([[0, 0, 10, 10]]), np.array([[0, 0, 10, 5]])
    assert boxes.ious(whole, half) == 0.5
    assert boxes.match(whole, half).tolist() == [[0, 0]]
    assert boxes.match(whole, half, iou_threshold=0.5).tolist() == [[0, 0]]
    assert boxes.match(whole, half, iou_threshold=0.51).tolist() == []


def test_xywh_is_the_left_upper_corner_and_the_size_and_leaves_the_boxes_alone():
    given = np.array([[1, 2, 4, 8], [0, 0, 1, 1]], np.float32)
    assert boxes.to_xywh(given).tolist() == [[1, 2, 3, 6], [0, 0, 1, 1]]
    assert given.tolist() == [[1, 2, 4, 8], [0, 0, 1, 1]]
    assert boxes.to_xywh(given).dtype == np.float64


def test_no_boxes_match_nothing():
    some = np.array([[0, 0, 1, 1]])
    assert boxes.match(NONE, some).shape == (0, 2)
    assert boxes.match(some, NONE).shape == (0, 2)
    assert boxes.ious(NONE, NONE).shape == (0, 0)
    assert boxes.areas(NONE).shape == (0,)


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"\[N, 4\], got \[3, 5\]"):
        boxes.areas(np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"\[N, 4\], got \[4\]"):
        boxes.areas(np.zeros(4))
    with pytest.raises(ValueError, match=r"\[N, 4\], got \[1, 4, 4\]"):
        boxes.to_xywh(np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match=r"\[N, 4\], got \[0, 5\]"):
        boxes.ious(np.zeros((0, 5)), NONE)
    with pytest.raises(ValueError, match=r"\[N, 4\], got \[0, 3\]"):
        boxes.ious(NONE, np.zeros((0, 3)))


def test_of_a_crowd_the_share_of_the_box_that_lies_in_it_counts():
    box, others = np.array([[0, 0, 2, 2.0]]), np.array([[1, 0, 9, 9.0]] * 2)
    overlap = boxes.ious(box, others, crowd=np.array([True, False]))
    assert overlap[0].tolist() == pytest.approx([0.5, 2 / (4 + 72 - 2)])
