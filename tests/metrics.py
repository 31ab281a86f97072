"""One tester for every metric: what it gives, and what an independent loop gives.

A family draws the inputs of a kind of metric. Each is drawn at random, with ties, of a
single class, and empty: where the reference raises ValueError, so must the metric.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

Draw = Callable[[np.random.Generator, str], tuple[Any, ...]]
KINDS = ("random", "tied", "single", "empty")
NAMES = ["bowl", "can", "mug"]


@dataclass(frozen=True)
class Metric:
    """A function, its reference, the family of their inputs, how near they must be."""

    function: Callable[..., Any]
    reference: Callable[..., Any]
    draw: Draw
    within: float = 1e-6


def check(metric: Metric, kind: str, *, draws: int = 25) -> None:
    """The same answer as the reference's, or the same refusal, on every draw."""
    for seed in range(draws):
        given = metric.draw(np.random.default_rng(seed), kind)
        try:
            wanted = metric.reference(*given)
        except ValueError:
            with pytest.raises(ValueError):
                metric.function(*given)
            continue
        assert_same(metric.function(*given), wanted, within=metric.within)


def assert_same(got: Any, wanted: Any, *, within: float) -> None:
    """Numbers, arrays, and lists and dicts of them; NaN equals NaN."""
    if isinstance(wanted, Mapping):
        assert list(got) == list(wanted)
        got, wanted = list(got.values()), list(wanted.values())
    if isinstance(wanted, tuple):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            assert_same(one, other, within=within)
        return
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=0, atol=within)


def size(random: np.random.Generator, kind: str) -> int:
    """How many images: none where the kind is empty."""
    return 0 if kind == "empty" else int(random.integers(1, 12))


def numbers(random: np.random.Generator, kind: str, *shape: int) -> torch.Tensor:
    """Between 0 and 1; in eighths, which floats hold exactly, where they are tied."""
    if kind == "tied":
        return torch.from_numpy(random.integers(0, 9, shape) / 8).float()
    return torch.from_numpy(random.random(shape)).float()


def labels(random: np.random.Generator, kind: str, count: int) -> torch.Tensor:
    """Of three classes; all of one where there is a single one."""
    drawn = random.integers(0, 3, count)
    return torch.from_numpy(drawn[:1].repeat(count) if kind == "single" else drawn)


def class_answers(random: np.random.Generator, kind: str) -> tuple[Any, ...]:
    """True labels, predicted ones, and the names of the classes."""
    count = size(random, kind)
    predicted = torch.from_numpy(random.integers(0, 3, count))
    return labels(random, kind, count), predicted, NAMES


def class_scores(random: np.random.Generator, kind: str) -> tuple[Any, ...]:
    """Numbers [N, 3], one a class, and true labels."""
    count = size(random, kind)
    return numbers(random, kind, count, 3), labels(random, kind, count)


def sure_answers(random: np.random.Generator, kind: str) -> tuple[Any, ...]:
    """Scores of the predicted classes, and whether each was right."""
    count = size(random, kind)
    right = torch.from_numpy(random.random(count) < 0.7)
    if kind == "single":
        right[:] = bool(right[0])
    return numbers(random, kind, count), right


def tag_scores(random: np.random.Generator, kind: str) -> tuple[Any, ...]:
    """Which of three tags are true, bool [N, 3], and their scores."""
    count = size(random, kind)
    truth = torch.from_numpy(random.random((count, 3)) < 0.4)
    if kind == "single":
        truth[:] = torch.tensor([True, False, True])
    return truth, numbers(random, kind, count, 3)


def speeds_and_values(random: np.random.Generator, kind: str) -> tuple[Any, ...]:
    """Two numbers for each of some models."""
    count = size(random, kind)
    speeds, values = numbers(random, kind, 2, count)
    return speeds.tolist(), (values * (kind != "single")).tolist()


def searches(random: np.random.Generator, kind: str) -> tuple[Any, ...]:
    """Similarities [Q, G] and labels of queries and gallery."""
    queries, gallery = size(random, "tied"), size(random, kind)
    found = numbers(random, kind, queries, gallery)
    return found, labels(random, kind, queries), labels(random, kind, gallery)


def two_lots_of_boxes(random: np.random.Generator, kind: str) -> tuple[Any, ...]:
    """Boxes of whole pixels; close together, so that many overlap."""
    lots = []
    for count in (size(random, kind) % 5, size(random, "tied") % 5):
        corner = random.integers(0, 6, (count, 2))
        lots.append(np.hstack([corner, corner + random.integers(1, 7, (count, 2))]))
        if kind in ("tied", "single"):
            lots[-1][:] = lots[-1][:1]
    return tuple(lot.astype(np.float32) for lot in lots)


def counts_and_totals(random: np.random.Generator, kind: str) -> tuple[Any, ...]:
    """How often something was seen, of how many."""
    total = random.integers(1, 300, 0 if kind == "empty" else 4)
    seen = random.integers(0, total + 1)
    return {"single": 0 * total, "tied": total}.get(kind, seen), total
