"""Intervals of shares, of other statistics, of differences; bounds by groups."""

import doctest
import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm, ttest_rel

from cvlib import intervals
from cvlib.datasets.groups import grouped
from cvlib.intervals import (
    bootstrap_interval,
    drawn_counts,
    expanded_interval,
    grouped_upper_bound,
    paired_difference,
    upper_bound,
    wilson_interval,
)
from tests.datasets.test_groups import images


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(intervals).failed == 0


@pytest.mark.parametrize(("correct", "total"), [(0, 5), (3, 7), (90, 100), (5, 5)])
@pytest.mark.parametrize(("confidence", "z"), [(0.95, 1.959964), (0.9, 1.644854)])
def test_wilsons_interval_is_wilsons_formula(correct, total, confidence, z):
    share, scale = correct / total, 1 + z**2 / total
    middle = (share + z**2 / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    found = wilson_interval(correct, total, confidence=confidence)
    assert found == pytest.approx((middle - half, middle + half), abs=1e-6)


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


@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_a_drawn_interval_of_a_share_is_the_binomials(confidence):
    """Means of drawn hits are binomial, so their percentiles are known exactly."""
    hits = np.arange(400) < 300
    low, high = bootstrap_interval(hits, draws=20_000, confidence=confidence)
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    assert (low, high) == pytest.approx(binom.ppf(tails, 400, 0.75) / 400, abs=0.0026)


def test_the_default_confidence_is_95_percent():
    hits = np.arange(400) < 300
    assert bootstrap_interval(hits) == bootstrap_interval(hits, confidence=0.95)
    assert paired_difference(hits, ~hits) == paired_difference(
        hits, ~hits, confidence=0.95
    )
    assert wilson_interval(3, 7) == wilson_interval(3, 7, confidence=0.95)


def test_by_default_there_are_2000_draws():
    values = np.random.default_rng(6).random(30)
    found = bootstrap_interval(values)
    assert found == bootstrap_interval(values, draws=2000)
    assert found != bootstrap_interval(values, draws=2001)
    found = paired_difference(values, values[::-1] / 2)
    assert found == paired_difference(values, values[::-1] / 2, draws=2000)
    assert found != paired_difference(values, values[::-1] / 2, draws=2001)


def test_a_bound_of_another_confidence_is_that_of_the_groups():
    hits, names = np.arange(50) < 4, [str(i) for i in range(50)]
    found = grouped_upper_bound(hits, names, confidence=0.8)
    assert found == pytest.approx(float(upper_bound(4, 50, confidence=0.8)))
    assert found < grouped_upper_bound(hits, names)


@pytest.mark.parametrize("value", [-0.5, 1.5])
def test_a_bound_wants_hits_of_nought_and_one(value):
    names = [str(i) for i in range(20)]
    with pytest.raises(ValueError, match=r"hits must be 0 or 1, got .* to "):
        grouped_upper_bound([value] + [0.5] * 19, names)
    grouped_upper_bound([0.0] * 10 + [1.0] * 10, names)


def test_the_refusal_of_few_groups_says_what_to_do():
    text = (
        "10 or more groups wanted, got 2, the largest 'a' of 7 images; collect images "
        "of more things, or, if images do not depend on each other as the groups say, "
        "name better ones (group_by)"
    )
    with pytest.raises(ValueError) as error:
        bootstrap_interval(np.ones(12), groups=["b"] * 5 + ["a"] * 7)
    assert str(error.value) == text


def test_groups_that_succeed_or_fail_together_count_as_one_each():
    hits, groups = np.repeat(np.arange(40) < 30, 10), np.arange(400) // 10
    found = bootstrap_interval(hits, groups=groups.astype(str), draws=20_000)
    assert found == pytest.approx(binom.ppf([0.025, 0.975], 40, 0.75) / 40, abs=0.026)
    shuffled = np.random.default_rng(0).permutation(400)
    again = bootstrap_interval(
        hits[shuffled], groups=groups[shuffled].astype(str), draws=20_000
    )
    assert again == pytest.approx(found)


def test_a_large_group_weighs_by_its_images():
    values = [1.0] * 90 + [0.0] * 10
    groups = ["big"] * 90 + [f"small {i}" for i in range(10)]
    low, high = bootstrap_interval(values, groups=groups)
    assert low == 0 and high > 0.9


def test_the_mean_is_drawn_as_any_statistic_is():
    values = np.random.default_rng(3).random(60)
    groups = [f"{i // 4}" for i in range(60)]
    by_hand = bootstrap_interval(
        values, groups=groups, statistic=lambda drawn: float(drawn.mean())
    )
    assert bootstrap_interval(values, groups=groups) == pytest.approx(by_hand)


def test_any_statistic_has_an_interval():
    assert bootstrap_interval([7] * 10, statistic=np.median) == (7, 7)


@pytest.mark.parametrize(("values", "groups"), [([], None), ([1.0], ["a", "b"])])
def test_nothing_to_draw_from_is_an_error(values, groups):
    with pytest.raises(ValueError, match="N > 0"):
        bootstrap_interval(values, groups=groups)


FUNCTIONS = {
    "bootstrap": lambda hits, groups: bootstrap_interval(hits, groups=groups),
    "difference": lambda hits, groups: paired_difference(hits, hits, groups=groups),
    "bound": lambda hits, groups: grouped_upper_bound(hits, groups),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_few_groups_are_refused_and_the_message_says_how_many_are_wanted(name):
    hits = [True, False] * 200
    two = ["cat"] * 250 + ["dog"] * 150
    message = "10 or more groups wanted, got 2, the largest 'cat' of 250 images"
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[name](hits, two)
    FUNCTIONS[name](hits, [str(i % 10) for i in range(400)])
    with pytest.raises(ValueError, match="got 9, the largest"):
        FUNCTIONS[name](hits, [str(i % 9) for i in range(400)])


def test_few_values_are_refused_too():
    with pytest.raises(ValueError, match="10 or more values wanted, got 9"):
        bootstrap_interval(np.ones(9))


def test_numbered_images_of_two_classes_have_an_interval_of_some_width():
    """`cat-001.jpg` … once were two groups, and their interval 85.0 % to 85.0 %."""
    names = [f"{own}/{own}-{i:03}.jpg" for own in ("cat", "dog") for i in range(200)]
    hits = np.arange(400) % 20 > 2
    low, high = bootstrap_interval(hits, groups=grouped(images(*names)).groups)
    assert (low, high) == pytest.approx(wilson_interval(340, 400), abs=0.01)
    assert high - low > 0.06


def test_a_difference_of_many_images_is_the_paired_t_tests():
    random = np.random.default_rng(5)
    before, after = random.random(500), random.random(500) + 0.1
    found = paired_difference(after, before, draws=20_000)
    low, high = ttest_rel(after, before).confidence_interval(0.95)
    assert found.difference == pytest.approx(float((after - before).mean()))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.003)
    low, high = ttest_rel(after, before).confidence_interval(0.9)
    assert (found.low, found.high) != pytest.approx((low, high), abs=0.003)


def test_percentiles_of_few_groups_are_wider_by_students_t():
    """Ten groups: t is 2.262157 with 9 degrees of freedom, times the root of 10/9."""
    change = np.random.default_rng(4).normal(size=30)
    groups = [str(i % 10) for i in range(30)]
    found = paired_difference(change, np.zeros(30), groups=groups)
    wider = 1 - 2 * norm.cdf(-2.262157 * math.sqrt(10 / 9))
    assert wider == pytest.approx(0.9829, abs=1e-4)
    by_hand = bootstrap_interval(change, groups=groups, confidence=wider)
    assert (found.low, found.high) == pytest.approx(by_hand, abs=1e-5)
    assert found.low < bootstrap_interval(change, groups=groups)[0]


def test_a_difference_has_a_direction():
    worse, better = np.zeros(20), np.ones(20)
    found = paired_difference(worse, better)
    assert found == (-1, -1, -1) and found.is_real
    assert not paired_difference(worse, worse).is_real


def test_pairs_are_surer_than_two_intervals_side_by_side():
    hard = np.random.default_rng(2).random(200)
    before, after = hard, hard + 0.02
    found = paired_difference(after, before)
    assert found.is_real and found.high - found.low < 1e-9
    assert bootstrap_interval(before)[1] > bootstrap_interval(after)[0]


def test_other_numbers_of_values_are_no_pairs():
    with pytest.raises(ValueError, match=r"got \(3,\) and \(4,\)"):
        paired_difference(np.ones(3), np.ones(4))


@pytest.mark.slow
def test_a_difference_is_held_95_times_of_100_when_groups_are_drawn():
    """And far less often when the images of a group are taken for independent."""
    random = np.random.default_rng(0)
    groups = [str(i // 8) for i in range(96)]
    held = {"groups": 0, "images": 0, "90 %": 0}
    for _ in range(300):
        effect = np.repeat(random.normal(size=12), 8)
        change = 0.3 + effect + 0.3 * random.normal(size=96)
        nothing = np.zeros(96)
        for name, options in {
            "groups": {"groups": groups},
            "images": {},
            "90 %": {"groups": groups, "confidence": 0.9},
        }.items():
            found = paired_difference(change, nothing, draws=300, **options)
            held[name] += found.low <= 0.3 <= found.high
    assert 0.925 <= held["groups"] / 300 <= 0.975
    assert held["90 %"] / 300 < 0.925
    assert held["images"] / 300 < 0.6


def test_groups_of_one_have_the_bound_of_independent_images():
    hits, names = np.arange(50) < 4, [str(i) for i in range(50)]
    assert grouped_upper_bound(hits, names) == pytest.approx(float(upper_bound(4, 50)))
    assert grouped_upper_bound([True] * 20, names[:20]) == 1


def test_groups_that_fail_together_count_as_one_each():
    hits, names = np.repeat(np.arange(50) < 4, 7), np.arange(350) // 7
    found = grouped_upper_bound(hits, names.astype(str))
    assert found == pytest.approx(float(upper_bound(4, 50)))
    assert found > 2 * float(upper_bound(28, 350)) - 28 / 350


def test_a_bound_by_groups_grows_with_every_hit():
    names = (np.arange(60) // 3).astype(str)
    found = [grouped_upper_bound(np.arange(60) < count, names) for count in range(61)]
    assert (np.diff(found) > 0)[:-1].all() and found[-1] == 1


@pytest.mark.parametrize("together", [0.2, 2, 20])
@pytest.mark.parametrize("share", [0.03, 0.2, 0.5])
def test_the_true_share_exceeds_the_bound_by_groups_at_most_one_time_in_20(
    share, together
):
    """Shares of groups are beta's: from nearly all or nothing to nearly the same."""
    random = np.random.default_rng(1)
    names = np.repeat(np.arange(25), 6).astype(str)
    own = random.beta(share * together, (1 - share) * together, (1000, 25))
    hits = random.random((1000, 150)) < own.repeat(6, axis=1)
    missed = np.mean([grouped_upper_bound(row, names) < share for row in hits])
    assert missed <= 0.06


def test_what_is_no_hit_has_no_bound():
    with pytest.raises(ValueError, match=r"0 or 1, got 0.0 to 2.0"):
        grouped_upper_bound([0, 2] * 10, [str(i) for i in range(20)])


def test_few_groups_with_bounds_say_that_nothing_is_known(
    caplog: pytest.LogCaptureFixture,
):
    hits, things = [1, 0, 1, 1], ["a", "a", "b", "c"]
    assert bootstrap_interval(hits, groups=things, bounds=(0, 1)) == (0, 1)
    said = paired_difference(hits, [0, 0, 1, 1], groups=things, bounds=(-1, 1))
    assert said == (0.25, -1, 1) and not said.is_real
    assert caplog.text.count("10 or more groups wanted, got 3") == 2


def test_bounds_change_no_interval_of_groups_enough():
    hits = [1, 0, 1, 1, 0, 1, 1, 1, 0, 1]
    assert bootstrap_interval(hits, bounds=(0, 1)) == bootstrap_interval(hits)


def test_counts_of_draws_keep_groups_whole_and_their_number():
    groups = [f"g{i // 3}" for i in range(36)]
    counts = drawn_counts(groups, draws=500)
    assert counts.shape == (500, 36)
    whole = counts.reshape(500, 12, 3)
    assert (whole == whole[:, :, :1]).all()
    assert (whole[:, :, 0].sum(axis=1) == 12).all()
    assert counts.mean() == pytest.approx(1)
    with pytest.raises(ValueError, match="10 or more groups wanted, got 9"):
        drawn_counts(groups[:27])


def test_an_expanded_interval_is_wider_where_groups_are_few():
    drawn = np.random.default_rng(0).normal(size=20_000)
    many, few = (expanded_interval(drawn, count) for count in (1000, 10))
    assert many == pytest.approx((-1.96, 1.96), abs=0.07)
    assert few[1] == pytest.approx(2.262 * (10 / 9) ** 0.5, abs=0.12)
