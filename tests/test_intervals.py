"""Intervals of shares and of other statistics."""

import doctest

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from cvlib import intervals
from cvlib.intervals import bootstrap_interval, upper_bound, wilson_interval


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


@pytest.mark.parametrize(("count", "total"), [(0, 1), (0, 20), (3, 20), (20, 20)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_upper_bound_equals_scipys_exact_test(count, total, confidence):
    theirs = binomtest(count, total, alternative="less").proportion_ci(
        confidence, method="exact"
    )
    found = upper_bound(count, total, confidence=confidence)
    assert float(found) == pytest.approx(theirs.high)


def test_the_true_share_exceeds_the_upper_bound_in_at_most_one_sample_of_twenty():
    bounds = upper_bound(np.arange(61), 60)
    for share in np.linspace(0.01, 0.99, 50):
        missed = binom.pmf(np.arange(61), 60, share)[bounds < share].sum()
        assert missed <= 0.05


def test_bounds_of_no_samples_are_none():
    assert upper_bound([], []).shape == (0,)


@pytest.mark.parametrize(("count", "total"), [(-1, 3), (4, 3), (0, 0)])
def test_an_upper_bound_of_impossible_counts_is_an_error(count, total):
    with pytest.raises(ValueError, match="counts ≤ totals"):
        upper_bound([count], [total])


def test_a_drawn_interval_of_a_share_agrees_with_wilsons():
    hits = np.arange(400) < 300
    assert bootstrap_interval(hits) == pytest.approx(
        wilson_interval(300, 400), abs=0.01
    )


def test_groups_that_succeed_or_fail_together_make_it_wider():
    hits = np.repeat(np.arange(40) < 30, 10)
    groups = [str(i // 10) for i in range(400)]
    low, high = bootstrap_interval(hits, groups=groups)
    plain_low, plain_high = bootstrap_interval(hits)
    assert high - low > 2 * (plain_high - plain_low)


def test_any_statistic_has_an_interval():
    assert bootstrap_interval([7, 7, 7], statistic=np.median) == (7, 7)


@pytest.mark.parametrize(("values", "groups"), [([], None), ([1.0], ["a", "b"])])
def test_nothing_to_draw_from_is_an_error(values, groups):
    with pytest.raises(ValueError, match="N > 0"):
        bootstrap_interval(values, groups=groups)
