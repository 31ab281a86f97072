"""How far a share can be trusted: intervals from counts.

Shared by the data doctor, which judges test sets, and the scenarios, which judge
models.
"""

import math


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
