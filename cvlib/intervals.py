"""How far a number can be trusted: intervals from counts, and from draws.

Shared by the data doctor, which judges test sets, and the scenarios, which judge
models.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta


def wilson_interval(
    correct: int, total: int, *, z: float = 1.96
) -> tuple[float, float]:
    """The 95 % interval of a share, `correct` of `total` independent images.

    E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22, 1927: unlike the textbook's ± it stays within 0–1 and holds for
    few images. Used in book/classification/train.

    >>> [round(end, 3) for end in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    if not 0 <= correct <= total or total == 0:
        raise ValueError(f"0 ≤ correct ≤ total, total > 0 wanted: {correct}, {total}")
    share = correct / total
    scale = 1 + z**2 / total
    middle = (share + z**2 / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def upper_bound(
    counts: ArrayLike, totals: ArrayLike, *, confidence: float = 0.95
) -> NDArray[np.float64]:
    """What the true share stays below, where `counts` of `totals` were seen; [N].

    The exact one-sided bound of C. J. Clopper and E. S. Pearson, "The use of confidence
    or fiducial limits illustrated in the case of the binomial", Biometrika 26, 1934: it
    lies below the true share in at most 1 − `confidence` of all samples, however small.
    No mistake among n still allows about 3 / n. Images must be independent of each
    other. Raises ValueError unless 0 ≤ counts ≤ totals and totals > 0. Used in
    book/classification/trust.

    >>> upper_bound([0, 1], [59, 59]).round(3).tolist()
    [0.05, 0.078]
    """
    seen, of = np.asarray(counts), np.asarray(totals)
    if (seen < 0).any() or (seen > of).any() or (of <= 0).any():
        raise ValueError(f"0 ≤ counts ≤ totals, totals > 0 wanted: {seen}, {of}")
    rest = np.maximum(of - seen, 1)  # all of them: the bound is 1, not beta's
    return np.where(seen < of, beta.ppf(confidence, seen + 1, rest), 1.0)


def bootstrap_interval(
    values: ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    statistic: Callable[[NDArray[np.float64]], float] = np.mean,
    draws: int = 2000,
) -> tuple[float, float]:
    """The 95 % interval of a statistic of `values`, [N], one an image or query.

    Draws values with replacement, `draws` times, and returns the 2.5 and 97.5
    percentiles. Ten photographs of one mug are not ten independent mugs: with `groups`,
    a name for each value, whole groups are drawn, the cluster bootstrap (Davison &
    Hinkley, Bootstrap Methods and Their Application, 1997, section 3.8). Raises
    ValueError for no values. Used in book/classification/train.

    >>> bootstrap_interval([0.5, 0.5])
    (0.5, 0.5)
    """
    numbers = np.asarray(values, dtype=np.float64)
    names = np.arange(len(numbers)) if groups is None else np.asarray(groups)
    if numbers.ndim != 1 or not len(numbers) or len(names) != len(numbers):
        raise ValueError(
            f"[N] values, N > 0, and as many groups wanted, got {numbers.shape} and "
            f"{len(names)}"
        )
    _, group = np.unique(names, return_inverse=True)
    members = [np.flatnonzero(group == g) for g in range(group.max() + 1)]
    generator = np.random.default_rng(0)  # the interval of a result must not wander
    found = [
        statistic(numbers[np.concatenate([members[g] for g in drawn])])
        for drawn in generator.integers(len(members), size=(draws, len(members)))
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
