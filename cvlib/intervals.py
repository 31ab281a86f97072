"""How far a number can be trusted: intervals from counts, from draws, from differences.

Shared by the data doctor, which judges test sets, and the scenarios, which judge
models. Ten photographs of one mug are not ten independent mugs: whatever takes `groups`
draws or counts whole groups, and refuses to speak where there are too few of them.
`ImageSet.groups` holds the names it wants.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, binomtest, norm, t

log = logging.getLogger("cvlib")

LEAST_GROUPS = 10  # with fewer, draws of groups are too much alike to say anything

Values = NDArray[np.float64]
Places = NDArray[np.int64]


class Difference(NamedTuple):
    """A difference and its interval; `is_real` when the interval excludes nought."""

    difference: float
    low: float
    high: float

    @property
    def is_real(self) -> bool:
        """Whether it is told apart from nought, either way."""
        return self.low > 0 or self.high < 0


def wilson_interval(
    correct: int, total: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of a share, `correct` of `total` independent images.

    E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22, 1927, as SciPy computes it: unlike the textbook's ± it stays
    within 0–1 and holds for few images. Raises ValueError for impossible counts. Used
    in book/classification/train.

    >>> [round(end, 3) for end in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    if not 0 <= correct <= total or total == 0:
        raise ValueError(f"0 ≤ correct ≤ total, total > 0 wanted: {correct}, {total}")
    test = binomtest(int(correct), int(total))
    found = test.proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def upper_bound(
    counts: ArrayLike, totals: ArrayLike, *, confidence: float = 0.95
) -> NDArray[np.float64]:
    """What the true share stays below, where `counts` of `totals` were seen; [N].

    The exact one-sided bound of C. J. Clopper and E. S. Pearson, "The use of confidence
    or fiducial limits illustrated in the case of the binomial", Biometrika 26, 1934: it
    lies below the true share in at most 1 − `confidence` of all samples, however small.
    No mistake among n still allows about 3 / n. Images must be independent of each
    other; `grouped_upper_bound` is for those that are not. Raises ValueError unless 0 ≤
    counts ≤ totals and totals > 0. Used in book/classification/trust.

    >>> upper_bound([0, 1], [59, 59]).round(3).tolist()
    [0.05, 0.078]
    """
    seen, of = np.asarray(counts), np.asarray(totals)
    if (seen < 0).any() or (seen > of).any() or (of <= 0).any():
        raise ValueError(f"0 ≤ counts ≤ totals, totals > 0 wanted: {seen}, {of}")
    rest = np.where(seen < of, of - seen, 1)  # all of them: the bound is 1, not beta's
    return np.where(seen < of, beta.ppf(confidence, seen + 1, rest), 1.0)


def grouped_upper_bound(
    hits: ArrayLike, groups: Sequence[str], *, confidence: float = 0.95
) -> float:
    """What the true share of `hits` stays below when images come in groups.

    hits: bool or 0–1, [N].

    Each group counts as one image, however many it has, with its own share of hits:
    `upper_bound` of the sum of these shares among the groups. So the share is that of a
    new thing's images. A group's share may be anything in 0–1, and nothing in 0–1
    spreads more than a coin of the same mean (W. Hoeffding, "Probability inequalities
    for sums of bounded random variables", JASA 58, 1963): that is why the coins' bound
    may stand for shares, and the tests simulate it. It is the safe choice where hits
    are few, since no hits at all do not tell how much a group's images depend on each
    other. Raises ValueError for other shapes and values, and for fewer than 10 groups.

    >>> mugs = [f"mug-{i // 10}" for i in range(590)]
    >>> round(grouped_upper_bound([False] * 590, mugs), 3)
    0.05
    """
    values, members = _in_groups(hits, groups)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"hits must be 0 or 1, got {values.min()} to {values.max()}")
    shares = float(np.sum([values[own].mean() for own in members]))
    return float(upper_bound(shares, len(members), confidence=confidence))


def bootstrap_interval(
    values: ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    statistic: Callable[[Values], float] = np.mean,
    draws: int = 2000,
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """The interval of a statistic of `values`, [N], one an image or query.

    Draws values with replacement, `draws` times, and returns the 2.5 and 97.5
    percentiles. With `groups`, a name for each value, whole groups are drawn, the
    cluster bootstrap (Davison & Hinkley, Bootstrap Methods and Their Application, 1997,
    section 3.8). Raises ValueError for other shapes, and for fewer than 10 groups, or
    values without groups; with `bounds`, the least and the most that the statistic can
    be, such few give these, which is all that is known, and a warning. Used in
    book/classification/train.

    >>> bootstrap_interval([0.5] * 10)
    (0.5, 0.5)
    """
    numbers, members = _in_groups(values, groups, needed=bounds is None)
    if bounds and len(members) < LEAST_GROUPS:
        return bounds
    found = _drawn(numbers, members, statistic, draws)
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def paired_difference(
    values: ArrayLike,
    others: ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    draws: int = 2000,
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Difference:
    """Mean of `values` minus mean of `others`, and the interval of that difference.

    Both are [N], of two models or settings on the *same* images in the same order, as
    hits or average precisions. A hard image is hard for both, so the difference is
    taken image by image and is surer than two intervals side by side. Whole groups are
    drawn, as in `bootstrap_interval`; since draws of few groups vary too little, the
    percentiles are those of Student's t rather than the normal's (T. Hesterberg, "What
    teachers should know about the bootstrap", The American Statistician 69, 2015: the
    expanded percentile interval). `bounds`, as (-1, 1), and errors as in
    `bootstrap_interval`. Used in book/classification/train.

    >>> after, before = [1, 1, 1, 1, 0] * 4, [1, 1, 0, 0, 0] * 4
    >>> gain = paired_difference(after, before)
    >>> round(gain.difference, 2), gain.is_real
    (0.4, True)
    """
    one, other = np.asarray(values, np.float64), np.asarray(others, np.float64)
    if one.shape != other.shape:
        raise ValueError(
            f"two values for each image wanted, got {one.shape} and {other.shape}"
        )
    change, members = _in_groups(one - other, groups, needed=bounds is None)
    if bounds and len(members) < LEAST_GROUPS:
        return Difference(float(change.mean()), *bounds)
    found = _drawn(change, members, np.mean, draws)
    ends = expanded_interval(found, len(members), confidence=confidence)
    return Difference(float(change.mean()), *ends)


def expanded_interval(
    drawn: ArrayLike, count: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval that a statistic's draws, [draws], give, of `count` groups each.

    Percentiles of Student's t rather than the normal's, see `paired_difference`.
    """
    wide = t.ppf((1 - confidence) / 2, count - 1) * np.sqrt(count / (count - 1))
    low, high = np.nanquantile(np.asarray(drawn), [norm.cdf(wide), norm.cdf(-wide)])
    return float(low), float(high)


def drawn_counts(groups: Sequence[str], *, draws: int = 2000) -> Places:
    """How often each image is drawn where whole groups are; int64 [draws, images].

    For statistics that are no mean over images, such as a detector's average precision:
    they weigh images by these counts. Raises ValueError for fewer than 10 groups.
    """
    _, members = _in_groups(np.zeros(len(groups)), groups)
    generator = np.random.default_rng(0)
    share = np.full(len(members), 1 / len(members))
    times = generator.multinomial(len(members), share, size=draws)
    counts = np.empty((draws, len(groups)), np.int64)
    for group, own in enumerate(members):
        counts[:, own] = times[:, [group]]
    return counts


def _in_groups(
    values: ArrayLike, groups: Sequence[str] | None, *, needed: bool = True
) -> tuple[Values, list[Places]]:
    """Numbers, [N], and the places of each group's; refuses too few that are needed."""
    numbers = np.asarray(values, dtype=np.float64)
    names = np.arange(len(numbers)) if groups is None else np.asarray(groups)
    if numbers.ndim != 1 or not len(numbers) or len(names) != len(numbers):
        raise ValueError(
            f"[N] values, N > 0, and as many groups wanted, got {numbers.shape} and "
            f"{len(names)}"
        )
    _, group, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if len(sizes) < LEAST_GROUPS:
        said = _too_few(names, groups is None)
        if needed:
            raise ValueError(said)
        log.warning("no interval: %s", said)
    order = group.argsort(kind="stable")
    return numbers, np.split(order, sizes.cumsum()[:-1])


def _too_few(names: NDArray[np.generic], alone: bool) -> str:
    """What is wanted, what came, what to do."""
    if alone:
        return f"{LEAST_GROUPS} or more values wanted, got {len(names)}; collect more"
    (largest, size), *rest = Counter(names.tolist()).most_common()
    return (
        f"{LEAST_GROUPS} or more groups wanted, got {len(rest) + 1}, the largest "
        f"{largest!r} of {size} images; collect images of more things, or, if images "
        "do not depend on each other as the groups say, name better ones (group_by)"
    )


def _drawn(
    numbers: Values,
    members: list[Places],
    statistic: Callable[[Values], float],
    draws: int,
) -> Values:
    """A statistic of as many groups as there are, drawn with replacement; [draws]."""
    generator = np.random.default_rng(0)  # the interval of a result must not wander
    drawn = generator.integers(len(members), size=(draws, len(members)))
    if statistic is np.mean:  # then sums and counts suffice
        sums = np.array([numbers[own].sum() for own in members])
        counts = np.array([len(own) for own in members])
        return np.array([sums[row].sum() / counts[row].sum() for row in drawn])
    return np.array(
        [statistic(numbers[np.concatenate([members[g] for g in row])]) for row in drawn]
    )
