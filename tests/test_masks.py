"""Run-length codes, polygons, and the boxes around masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvlib.masks import boxes_of_masks, count_pixels, encode_masks, encode_polygons


def decoded(code):
    from pycocotools import mask as coco_mask

    return coco_mask.decode(code)


def test_an_empty_mask_has_an_empty_box():
    assert boxes_of_masks(np.zeros((1, 4, 6), np.uint8)).tolist() == [[0, 0, 0, 0]]


def test_a_box_ends_behind_the_last_pixel():
    mask = np.zeros((1, 5, 7), np.uint8)
    mask[0, 1:3, 2:6] = 1
    assert boxes_of_masks(mask).tolist() == [[2, 1, 6, 3]]


def test_no_masks_have_no_boxes_and_no_codes():
    nothing = np.zeros((0, 4, 6), np.uint8)
    assert boxes_of_masks(nothing).shape == (0, 4) and encode_masks(nothing) == ()


def test_polygons_of_one_object_are_one_mask():
    squares = [[0, 0, 2, 0, 2, 2, 0, 2], [4, 1, 6, 1, 6, 3, 4, 3]]
    mask = decoded(encode_polygons(squares, (4, 8)))
    assert mask.sum() == 8 and mask[1, 1] and mask[2, 5] and not mask[1, 3]


def test_three_points_are_a_polygon():
    # Half of a square of 8 pixels: 32 square pixels, and what the edge cuts.
    mask = decoded(encode_polygons([[0, 0, 8, 0, 0, 8]], (10, 10)))
    assert mask[1, 1] and not mask[7, 7] and abs(int(mask.sum()) - 32) <= 8


def test_a_mask_is_as_high_and_as_wide_as_its_canvas():
    code = encode_polygons([[0, 0, 2, 0, 2, 2]], (4, 8))
    assert code["size"] == [4, 8] and decoded(code).shape == (4, 8)


def test_points_far_outside_are_brought_near():
    wide = [[-1e9, 0, 1e9, 0, 1e9, 2, -1e9, 2]]
    assert decoded(encode_polygons(wide, (4, 8))).sum() == 16


@pytest.mark.parametrize(
    "points", [[0, 0, 1, 1], [0, 0, 1, 1, 2], [0, 0, 1, 1, 2, np.inf]]
)
def test_what_is_no_polygon_is_an_error(points: list):
    with pytest.raises(ValueError, match="3 or more points"):
        encode_polygons([points], (4, 4))


@pytest.mark.slow
@given(st.integers(1, 90), st.integers(1, 90), st.randoms(use_true_random=False))
def test_a_code_speaks_of_every_pixel_and_a_cut_one_of_fewer(height, width, chance):
    share = chance.random()
    drawn = [chance.random() < share for _ in range(height * width)]
    mask = np.array(drawn, np.uint8).reshape(height, width)
    code = encode_masks([mask])[0]["counts"]
    assert count_pixels(code) == height * width
    assert count_pixels(code[:-1]) != height * width


def test_a_code_of_known_runs_is_counted():
    # A digit is a byte less 48, of 5 bits; 32 says that more digits follow, 16 in the
    # last one that the number is negative. From the fourth on, a run is written as the
    # difference from the last but one.
    assert count_pixels(b"5") == 5
    assert count_pixels(b"522") == 5 + 2 + 2
    assert count_pixels(b"5223") == 5 + 2 + 2 + (2 + 3)
    assert count_pixels(b"555O") == 5 + 5 + 5 + (5 - 1)  # O is 31, so 31 - 32
    assert count_pixels(b"P1") == 1 * 32
    assert count_pixels(b"o1") == 31 + 1 * 32
    assert count_pixels(b"P2P2P2PO") == 64 + 64 + 64 + (64 - 32)


def test_a_code_that_does_not_end_or_runs_backwards_speaks_of_nothing():
    assert count_pixels(b"P") == count_pixels(b"5P") == -1  # wants another digit
    assert count_pixels(b"O") == count_pixels(b"55O") == -1
    assert count_pixels(b"/") == count_pixels(b"p") == count_pixels(b"5p") == -1


def test_what_is_no_code_speaks_of_nothing():
    assert [count_pixels(code) for code in (b"", b"hello world", b"~~")] == [-1] * 3
