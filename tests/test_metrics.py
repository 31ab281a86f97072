"""Every metric of the package beside a reference that shares nothing with it."""

import inspect
import math
from itertools import pairwise, permutations
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from scipy.stats import bootstrap as scipys_bootstrap

from cvlib import boxes, intervals
from cvlib.classification import evaluate as classification
from cvlib.similarity import evaluate as similarity
from tests import metrics
from tests.metrics import KINDS, Metric


def recalls(labels, predicted, names):
    if not len(labels):
        raise ValueError("nothing to divide by")
    found = {}
    for number, name in enumerate(names):
        of_class = [
            p == n for n, p in zip(labels, predicted, strict=True) if n == number
        ]
        if of_class:
            found[name] = sum(map(int, of_class)) / len(of_class)
    return found


def mistakes(probabilities, labels):
    rows = list(enumerate(zip(probabilities.tolist(), labels.tolist(), strict=True)))
    wrong = [
        (row[label], i) for i, (row, label) in rows if row.index(max(row)) != label
    ]
    return [i for _, i in sorted(wrong)][:8]


def front(speeds, values):
    """All that no other beats; of equals in both the first."""
    points = list(zip(speeds, values, strict=True))
    kept = [
        i
        for i, (speed, value) in enumerate(points)
        if not any(
            s >= speed and v >= value and ((s, v) != (speed, value) or j < i)
            for j, (s, v) in enumerate(points)
        )
    ]
    return sorted(kept, key=lambda i: -speeds[i])


def bins(scores, correct):
    """Mean score, share correct and images of each tenth."""
    held: dict[int, list[tuple[float, bool]]] = {}
    for score, right in zip(scores.tolist(), correct.tolist(), strict=True):
        held.setdefault(min(math.floor(score * 10), 9), []).append((score, right))
    return [
        (
            np.mean([s for s, _ in held[i]]),
            np.mean([r for _, r in held[i]]),
            len(held[i]),
        )
        for i in sorted(held)
    ] or np.empty(0)


def calibration_error(scores, correct):
    found = list(bins(scores, correct))
    return sum(abs(s - c) * n for s, c, n in found) / max(len(scores), 1)


def by_score(scores, correct):
    """Answers, the surest first; of equally sure ones the first given."""
    order = sorted(range(len(scores)), key=lambda i: (-float(scores[i]), i))
    return [(float(scores[i]), bool(correct[i])) for i in order]


def risks(scores, correct):
    wrong = [not right for _, right in by_score(scores, correct)]
    answered = range(1, len(wrong) + 1)
    return (
        [n / len(wrong) for n in answered],
        [sum(wrong[:n]) / n for n in answered],
    )


def exact_bound(wrong, total):
    test = binomtest(int(wrong), int(total), alternative="less")
    return test.proportion_ci(0.95, method="exact").high


def bounds(counts, totals):
    return [exact_bound(*pair) for pair in zip(counts, totals, strict=True)]


def risk_bounds(scores, correct):
    wrong = [not right for _, right in by_score(scores, correct)]
    return [exact_bound(sum(wrong[:n]), n) for n in range(1, len(wrong) + 1)]


def lowest_safe_score(scores, correct):
    """At which all answers of this score or a higher one are bounded by 80 %."""
    answers, best = by_score(scores, correct), math.inf
    for level in sorted({score for score, _ in answers}, reverse=True):
        wrong = [not right for score, right in answers if score >= level]
        if exact_bound(sum(wrong), len(wrong)) <= 0.8:
            best = level
    return best


def reached(shared):
    """The F1 of each tag at the chosen thresholds, or their mean."""

    def f1_at_best_thresholds(truth, scores):
        chosen = classification.best_thresholds(truth, scores, shared=shared)
        columns = zip(truth.T, scores.T, chosen, strict=True)
        f1 = [f1_by_hand(t, s >= c) for t, s, c in columns]
        return np.mean(f1) if shared else f1

    return f1_at_best_thresholds


def f1_by_hand(truth, said):
    pairs = list(zip(truth.tolist(), said.tolist(), strict=True))
    both, wrong = pairs.count((True, True)), sum(t != s for t, s in pairs)
    return 2 * both / (2 * both + wrong) if both else 0.0


def candidates(scores):
    """Between each two neighbours; where all are alike, 0.5 is all there is."""
    levels = sorted(set(scores.flatten().tolist()))
    return [np.mean(pair) for pair in pairwise(levels)] or [0.5]


def best_f1(truth, scores):
    return [
        max(f1_by_hand(t, s >= c) for c in candidates(s))
        for t, s in zip(truth.T, scores.T, strict=True)
    ]


def best_shared_f1(truth, scores):
    pairs = list(zip(truth.T, scores.T, strict=True))
    means = [
        np.mean([f1_by_hand(t, s >= c) for t, s in pairs]) for c in candidates(scores)
    ]
    return max(means)


def tag_precisions(truth, scores):
    """The precision at each level of score, weighted by the recall that it adds."""
    found = []
    for own, given in zip(truth.T.tolist(), scores.T.tolist(), strict=True):
        total, before, sum_ = sum(own), 0, 0.0
        for level in sorted(set(given), reverse=True):
            said = [t for t, s in zip(own, given, strict=True) if s >= level]
            sum_ += (sum(said) - before) * sum(said) / len(said)
            before = sum(said)
        found.append(sum_ / total if total else math.nan)
    return found


def ranked(search):
    """Whether each image of the gallery matches, per query, matches after equals."""
    similarities, queries, gallery = search
    if not similarities.shape[1]:
        raise ValueError("nothing to search in")
    rows = zip(similarities.tolist(), queries.tolist(), strict=True)
    others = gallery.tolist()
    return [
        [
            hit
            for _, hit in sorted(
                (-s, n == own) for s, n in zip(row, others, strict=True)
            )
        ]
        for row, own in rows
    ]


def first_places(*search):
    return [hits.index(True) + 1 if any(hits) else math.nan for hits in ranked(search)]


def known(values):
    """Those of queries that have a match."""
    kept = [value for value in values if not math.isnan(value)]
    if not kept:
        raise ValueError("no match anywhere")
    return kept


def share_in_two(*search):
    return np.mean([place <= 2 for place in known(first_places(*search))])


def precisions(*search):
    found = []
    for hits in ranked(search):
        places = [place for place, hit in enumerate(hits, start=1) if hit]
        shares = [n / place for n, place in enumerate(places, start=1)]
        found.append(np.mean(shares) if shares else math.nan)
    return found


def overlap(one, other):
    """By counting pixels: the boxes are whole ones."""
    pixels = [
        {(x, y) for x in range(int(a), int(c)) for y in range(int(b), int(d))}
        for a, b, c, d in (one, other)
    ]
    return len(pixels[0] & pixels[1]) / len(pixels[0] | pixels[1])


def overlaps(first, second):
    found = [[overlap(one, other) for other in second] for one in first]
    return np.reshape(found, (len(first), len(second)))


def best_total(first, second):
    """The highest total overlap of all pairings, and how many pairs are 0.5 or more."""
    table = overlaps(first, second)
    table = np.where(table < 0.5, 0, table)
    table = table.T if len(first) > len(second) else table
    ways = permutations(range(table.shape[1]), len(table))
    return max(sum(table[i, j] for i, j in enumerate(way)) for way in ways)


def total_of_matches(first, second):
    table, pairs = overlaps(first, second), boxes.match(first, second)
    assert all(len(set(side)) == len(pairs) for side in pairs.T)
    assert all(table[i, j] >= 0.5 for i, j in pairs)
    return sum(table[i, j] for i, j in pairs)


def wilson(counts, totals):
    """Wilson's formula, as the textbooks print it."""
    z, found = norm.ppf(0.975), []
    for seen, n in zip(counts.tolist(), totals.tolist(), strict=True):
        p = seen / n
        middle = p + z**2 / (2 * n)
        half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        found.append([(middle + side * half) / (1 + z**2 / n) for side in (-1, 1)])
    return found


def values_of_images(random, kind):
    """Enough of them for an interval, or fewer than ten."""
    values = metrics.numbers(random, kind, 80 if kind != "empty" else 0)
    return (values * (kind != "single"),)


def scipys_interval(values):
    if not len(values):
        raise ValueError("no values")
    if len(set(values.tolist())) == 1:
        return float(values[0]), float(values[0])
    random = np.random.default_rng(1)
    found = scipys_bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=random
    ).confidence_interval
    return float(found.low), float(found.high)


def median_place(*search):
    return np.median(known(first_places(*search)))


def mean_precision(*search):
    return np.mean(known(precisions(*search)))


def of_each(interval):
    """A function of one count, for many."""
    return lambda seen, of: [interval(*pair) for pair in zip(seen, of, strict=True)]


def safe_score(scores, correct):
    return classification.answering_threshold(scores, correct, tolerated=0.8)


def recall_in_two(*search):
    return similarity.recall_at_k(*search, k=2)


C, S, D = classification, similarity, metrics
TABLE = {
    "recall_per_class": Metric(C.recall_per_class, recalls, D.class_answers),
    "worst_mistakes": Metric(C.worst_mistakes, mistakes, D.class_scores),
    "pareto_front": Metric(C.pareto_front, front, D.speeds_and_values),
    "calibration_bins": Metric(C.calibration_bins, bins, D.sure_answers),
    "expected_calibration_error": Metric(
        C.expected_calibration_error, calibration_error, D.sure_answers
    ),
    "risk_coverage": Metric(C.risk_coverage, risks, D.sure_answers),
    "risk_bound": Metric(C.risk_bound, risk_bounds, D.sure_answers),
    "answering_threshold": Metric(safe_score, lowest_safe_score, D.sure_answers),
    "best_thresholds": Metric(reached(shared=False), best_f1, D.tag_scores),
    "best_thresholds, shared": Metric(
        reached(shared=True), best_shared_f1, D.tag_scores
    ),
    "average_precision_per_tag": Metric(
        C.average_precision_per_tag, tag_precisions, D.tag_scores
    ),
    "match_ranks": Metric(S.match_ranks, first_places, D.searches),
    "average_precisions": Metric(S.average_precisions, precisions, D.searches),
    "recall_at_k": Metric(recall_in_two, share_in_two, D.searches),
    "median_rank": Metric(S.median_rank, median_place, D.searches),
    "mean_average_precision": Metric(
        S.mean_average_precision, mean_precision, D.searches
    ),
    "ious": Metric(boxes.ious, overlaps, D.two_lots_of_boxes),
    "match": Metric(total_of_matches, best_total, D.two_lots_of_boxes),
    "upper_bound": Metric(intervals.upper_bound, bounds, D.counts_and_totals),
    "wilson_interval": Metric(
        of_each(intervals.wilson_interval), wilson, D.counts_and_totals
    ),
    "bootstrap_interval": Metric(
        intervals.bootstrap_interval, scipys_interval, values_of_images, within=0.015
    ),
}
# Judged in the tests of their own module, for the reason given.
ELSEWHERE = {
    "areas": "by hand",
    "to_xywh": "by hand",
    "grad_cam": "needs a network; beside captum's",
    "fit_temperature": "an optimum, not a count; beside a search on a grid",
    "grouped_interval": "bootstrap_interval of hits",
    "comparative_ranks": "needs sets that are drawn; by hand",
    "rerank": "beside the paper's steps, by hand",
    "grouped_upper_bound": "its promise is about many samples; simulated",
    "paired_difference": "the same",
    "expanded_interval": "held against the quantiles of the normal, in test_intervals",
    "drawn_counts": "counts, in test_intervals",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TABLE)
def test_a_metric_gives_what_its_reference_gives(name: str, kind: str):
    metrics.check(TABLE[name], kind, draws=1 if kind == "empty" else 25)


@pytest.mark.parametrize("module", [boxes, intervals, classification, similarity])
def test_every_metric_has_a_reference_or_says_where_it_is_judged(module: ModuleType):
    public = {
        name
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if value.__module__ == module.__name__
        # `make mutate` puts variants beside the functions, called x_….
        and not name.startswith(("_", "x_"))
    }
    assert public <= {name.split(",")[0] for name in TABLE} | ELSEWHERE.keys()
