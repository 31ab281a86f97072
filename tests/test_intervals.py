"""Intervals of shares."""

import doctest

import pytest

from cvlib import intervals
from cvlib.intervals import wilson_interval


def test_the_example_in_the_docstring_holds():
    assert doctest.testmod(intervals).failed == 0


def test_the_interval_stays_within_nought_and_one():
    assert wilson_interval(0, 5)[0] == 0
    assert wilson_interval(5, 5)[1] == 1


def test_more_images_make_it_narrower():
    low, high = wilson_interval(9, 10)
    tighter_low, tighter_high = wilson_interval(900, 1000)
    assert tighter_high - tighter_low < (high - low) / 5


def test_more_right_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="correct ≤ total"):
        wilson_interval(3, 2)
