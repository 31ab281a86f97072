import doctest
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cvlib.intervals import bootstrap_interval
from cvlib.similarity import evaluate
from cvlib.similarity.data import comparative_sets
from cvlib.similarity.evaluate import (
    average_precisions,
    comparative_ranks,
    match_ranks,
    mean_average_precision,
    median_rank,
    recall_at_k,
    rerank,
)


@st.composite
def searches(draw, tied=True):
    """Similarities with many ties, or none, and labels of queries and gallery."""
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    steps = random.integers(0, 4, (queries, gallery)) / 4
    distinct = random.permuted(
        np.tile(np.arange(gallery) / gallery, (queries, 1)), axis=1
    )
    labels = random.integers(0, 3, queries), random.integers(0, 3, gallery)
    found = torch.from_numpy(steps if tied else distinct)
    return found, *map(torch.from_numpy, labels)


def ranked_by_hand(row, own, others):
    """Whether each image of a gallery is a match, closest first, matches after equals.

    Written to share nothing with the library: Python's sort of tuples.
    """
    gallery = zip(row.tolist(), others.tolist(), strict=True)
    return [hit for _, hit in sorted((-s, label == own) for s, label in gallery)]


def test_the_examples_in_docstrings_hold():
    assert doctest.testmod(evaluate, extraglobs={"torch": torch}).failed == 0


@given(searches())
def test_ranks_and_precisions_equal_a_sort_by_hand_also_with_ties(search):
    ranks, precisions = match_ranks(*search), average_precisions(*search)
    for row, own, rank, precision in zip(
        search[0], search[1], ranks, precisions, strict=True
    ):
        hits = ranked_by_hand(row, own, search[2])
        if not any(hits):
            assert math.isnan(rank) and math.isnan(precision)
            continue
        places = [place for place, hit in enumerate(hits, start=1) if hit]
        assert rank == places[0]
        shares = [n / place for n, place in enumerate(places, start=1)]
        assert precision == pytest.approx(np.mean(shares))


@pytest.mark.slow
@given(searches(tied=False))
def test_without_ties_precision_is_scikit_learns(search):
    found, query_labels, gallery_labels = search
    for row, own, ours in zip(
        found, query_labels, average_precisions(*search), strict=True
    ):
        truth = gallery_labels == own
        if truth.any():
            theirs = metrics.average_precision_score(truth, row)
            assert ours == pytest.approx(theirs)


@pytest.mark.slow
@given(searches())
def test_with_ties_precision_is_scikit_learns_once_matches_step_back(search):
    # scikit-learn takes tied images as one step. Moving each match back by less than
    # any difference says what "pessimistic" means, and leaves no tie to a non-match.
    found, query_labels, gallery_labels = search
    for row, own, ours in zip(
        found, query_labels, average_precisions(*search), strict=True
    ):
        truth = gallery_labels == own
        if truth.any():
            back = truth * (torch.arange(len(truth)) + 1) * 1e-6
            theirs = metrics.average_precision_score(truth, row - back)
            assert ours == pytest.approx(theirs)


@given(searches())
def test_a_single_match_ranks_where_scikit_learn_covers_it_also_with_ties(search):
    # Coverage error is the depth that covers the true label, ties counted in full; for
    # one true label the label-ranking precision is one over it.
    found = search[0]
    if found.shape[1] < 2:
        return
    gallery = torch.arange(found.shape[1])
    queries = search[1] % found.shape[1]
    ranks, precisions = (
        f(found, queries, gallery) for f in (match_ranks, average_precisions)
    )
    for row, own, rank, precision in zip(
        found, queries, ranks, precisions, strict=True
    ):
        truth = (gallery == own)[None].numpy()
        assert rank == metrics.coverage_error(truth, row[None])
        theirs = metrics.label_ranking_average_precision_score(truth, row[None])
        assert precision == pytest.approx(theirs)


@pytest.mark.slow
@given(searches(), st.integers(1, 12))
def test_recall_and_median_count_queries_that_have_a_match(search, k):
    found, query_labels, gallery_labels = search
    sortings = [
        ranked_by_hand(row, own, gallery_labels)
        for row, own in zip(found, query_labels, strict=True)
    ]
    known = [hits for hits in sortings if any(hits)]
    if not known:
        with pytest.raises(ValueError, match="no query has a match"):
            recall_at_k(*search, k=k)
        return
    shares = [any(hits[:k]) for hits in known]
    assert recall_at_k(*search, k=k) == pytest.approx(np.mean(shares))
    ranks = [hits.index(True) + 1 for hits in known]
    assert median_rank(*search) == pytest.approx(np.median(ranks))


@given(searches())
def test_among_themselves_queries_are_searched_without_themselves(search):
    found, labels, _ = search
    square = found[:, [0] * len(labels)] + found.mean(dim=1)
    if len(labels) < 2:
        return
    for i, (rank, precision) in enumerate(
        zip(
            match_ranks(square, labels), average_precisions(square, labels), strict=True
        )
    ):
        rest = torch.arange(len(labels)) != i
        one = square[i : i + 1, rest], labels[i : i + 1], labels[rest]
        assert rank.nan_to_num() == match_ranks(*one)[0].nan_to_num()
        assert precision.nan_to_num() == average_precisions(*one)[0].nan_to_num()


def test_a_model_that_sees_no_difference_scores_nothing():
    labels = torch.arange(10).repeat_interleave(10)
    embeddings = torch.nn.functional.normalize(torch.ones(100, 512))
    similarities = embeddings @ embeddings.T
    constant = torch.ones(100, 100)
    assert recall_at_k(constant, labels) == 0
    assert median_rank(constant, labels) == 91
    # Rounding may part what is equal; even then it is chance, one in eleven, at most.
    assert recall_at_k(similarities, labels) <= 1 / 11 + 0.1
    sets = comparative_sets(labels, negatives=50, seed=0)
    assert (comparative_ranks(constant, sets) == 51).all()


def test_a_model_that_knows_all_things_scores_all():
    labels = torch.arange(10).repeat_interleave(3)
    similarities = (labels[:, None] == labels).double()
    assert recall_at_k(similarities, labels) == 1
    assert median_rank(similarities, labels) == 1
    assert mean_average_precision(similarities, labels) == 1


def test_embeddings_that_are_broken_are_an_error_and_not_a_perfect_score():
    labels = torch.tensor([0, 0, 1])
    broken = torch.full((3, 3), torch.nan)
    for metric in (recall_at_k, mean_average_precision, match_ranks):
        with pytest.raises(ValueError, match="NaN"):
            metric(broken, labels)
    with pytest.raises(ValueError, match="NaN"):
        comparative_ranks(broken, comparative_sets(labels, negatives=1, seed=0))


def test_a_thing_with_one_image_is_passed_over_as_a_query_only():
    similarities = torch.tensor([[1.0, 0.5, 0.9], [0.5, 1.0, 0.1], [0.9, 0.1, 1.0]])
    labels = torch.tensor([0, 0, 1])
    ranks = match_ranks(similarities, labels)
    assert ranks[:2].tolist() == [2, 1] and ranks[2].isnan()
    assert recall_at_k(similarities, labels) == 0.5


def test_what_does_not_fit_is_an_error():
    labels = torch.tensor([0, 0])
    with pytest.raises(
        ValueError,
        match=r"^similarities must be \[queries, gallery\], \(2, 2\) for these labels, "
        r"got \(2, 3\)$",
    ):
        recall_at_k(torch.zeros(2, 3), labels)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        recall_at_k(torch.zeros(2, 2), labels, k=0)
    with pytest.raises(ValueError, match="the gallery is empty"):
        match_ranks(torch.zeros(2, 0), labels, labels[:0])
    with pytest.raises(ValueError, match=r"^the gallery is empty$"):
        match_ranks(torch.zeros(1, 1), labels[:1])
    with pytest.raises(ValueError, match=r"^no query has a match in the gallery$"):
        recall_at_k(torch.zeros(2, 1), labels, torch.tensor([1]))
    with pytest.raises(
        ValueError, match=r"^similarities hold NaN: the embeddings are "
    ):
        match_ranks(torch.full((2, 2), torch.nan), labels)
    with pytest.raises(ValueError, match=r"got \(2, 2\)$"):
        match_ranks(torch.zeros(2, 2), labels[:, None], labels)


def test_k_is_given_by_its_name():
    with pytest.raises(TypeError, match=r"gallery_labels must be \[G\].*k=5"):
        recall_at_k(torch.zeros(2, 2), torch.tensor([0, 0]), 5)
    with pytest.raises(TypeError, match="positional"):
        recall_at_k(torch.zeros(2, 2), torch.tensor([0, 0]), torch.tensor([0, 0]), 5)


def test_lists_and_arrays_are_taken_as_tensors_are():
    similarities, labels = [[0.9, 0.8], [0.2, 0.3]], [5, 5]
    for form in (list, np.array, torch.tensor):
        found = recall_at_k(form(similarities), form(labels), form([1, 5]))
        assert found == 0.5


def test_no_queries_have_no_ranks_and_no_average():
    nothing = torch.zeros(0, dtype=torch.int64)
    assert len(match_ranks(torch.zeros(0, 2), nothing, torch.tensor([0, 1]))) == 0
    assert len(average_precisions(torch.zeros(0, 0), nothing)) == 0
    with pytest.raises(ValueError, match="no query has a match"):
        recall_at_k(torch.zeros(0, 2), nothing, torch.tensor([0, 1]))


def test_the_match_of_a_comparative_set_comes_after_its_equals():
    labels = torch.tensor([0, 0, 1, 2, 3])
    similarities = torch.tensor([[1, 0.5, 0.9, 0.5, 0.2]]).repeat(5, 1)
    sets = comparative_sets(labels, negatives=3, seed=0)
    assert comparative_ranks(similarities, sets)[0] == 3


def test_an_interval_by_thing_is_wider_where_images_of_a_thing_go_together():
    things = np.repeat(np.arange(20), 10)
    hits = (things % 4 > 0).astype(float)
    by_thing = bootstrap_interval(hits, groups=things.astype(str))
    by_query = bootstrap_interval(hits)
    assert by_thing[1] - by_thing[0] > 2 * (by_query[1] - by_query[0])


def reranked_by_the_paper(plain, k1, k2, weight):
    """Sections 3.2 to 3.5 of Zhong et al. with Python's sets, a pair at a time."""
    count = len(plain)
    order = [
        sorted(range(count), key=lambda j: (j != i, plain[i][j])) for i in range(count)
    ]

    def nearest(i, k):
        return set(order[i][: k + 1])

    def reciprocal(i, k):
        return {j for j in nearest(i, k) if i in nearest(j, k)}

    features = []
    for i in range(count):
        expanded = set(reciprocal(i, k1))
        for j in reciprocal(i, k1):
            half = reciprocal(j, round(k1 / 2))
            if 3 * len(reciprocal(i, k1) & half) >= 2 * len(half):
                expanded |= half
        features.append(
            [math.exp(-plain[i][j]) * (j in expanded) for j in range(count)]
        )
    features = [
        np.mean([features[j] for j in order[i][:k2]], axis=0) for i in range(count)
    ]
    final = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            low, high = (
                np.minimum(*(features[n] for n in (i, j))),
                np.maximum(*(features[n] for n in (i, j))),
            )
            final[i, j] = (1 - weight) * (1 - low.sum() / high.sum()) + weight * plain[
                i
            ][j]
    return final


@pytest.mark.slow
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 3))
def test_reranking_follows_the_papers_definition(seed, k1, k2):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(14, 4, generator=generator)
    embeddings = torch.nn.functional.normalize(embeddings)
    plain = (2 - 2 * embeddings @ embeddings.T).clamp(min=0)
    plain = plain / plain.amax(dim=1, keepdim=True)
    wanted = reranked_by_the_paper(plain.tolist(), k1, k2, 0.3)
    ours = rerank(embeddings, k1=k1, k2=k2)
    assert np.allclose(ours, wanted, atol=1e-5)
    apart = rerank(embeddings[:5], embeddings[5:], k1=k1, k2=k2)
    assert torch.allclose(apart, ours[:5, 5:])


def test_reranking_agrees_with_a_case_worked_by_hand():
    # Angles of 0, 10, 30, 130 degrees; k1 = 1, k2 = 1. Nearest besides itself: 0 → 10,
    # 10 → 0, 30 → 10, 130 → 30. Only 0 and 10 choose each other, so the neighbourhoods
    # are {0, 10}, {0, 10}, {30}, {130}; round(k1 / 2) is 0, which adds nothing.
    angles = torch.tensor([0.0, 10.0, 30.0, 130.0]).deg2rad()
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    found = rerank(embeddings, k1=1, k2=1, weight=0.0)
    # Squared distances over the row's largest: 2 − 2 cos 10° = 0.0304 over 3.2856 from
    # 0, over 3 from 10. So the first two weigh each other by exp(−0.0092) = 0.9908 and
    # exp(−0.0101) = 0.9899, themselves by 1: minima 0.9899 + 0.9908, maxima 1 + 1.
    assert found[0, 1] == pytest.approx(1 - (0.9899 + 0.9908) / 2, abs=1e-4)
    assert found[0, 2:].tolist() == [1, 1] and found[2, 3] == 1
    assert found.diagonal().tolist() == pytest.approx([0] * 4, abs=1e-6)
    with_distance = rerank(embeddings, k1=1, k2=1, weight=1.0)
    assert with_distance[0, 3] == pytest.approx(1.0)


def test_by_default_reranking_has_the_papers_settings():
    generator = torch.Generator().manual_seed(3)
    embeddings = torch.nn.functional.normalize(torch.randn(60, 4, generator=generator))
    found = rerank(embeddings)
    assert torch.equal(found, rerank(embeddings, k1=20, k2=6, weight=0.3))
    for other in ({"k1": 21}, {"k2": 7}, {"weight": 0.4}):
        assert not torch.equal(found, rerank(embeddings, **other))


def test_as_many_neighbours_as_there_are_images_can_be_asked_for():
    embeddings = torch.nn.functional.normalize(torch.rand(4, 3))
    assert rerank(embeddings, k1=3, k2=4).shape == (4, 4)
    assert rerank(embeddings[:1], embeddings[1:], k1=1, k2=1).shape == (1, 3)


def test_reranking_lifts_a_match_that_shares_its_neighbours():
    # The query's nearest is a stranger whose own neighbours are elsewhere.
    angles = torch.tensor([0.0, 14, 18, 22, -12, -17, -19, -21, -23]).deg2rad()
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    plain = embeddings[:1] @ embeddings[1:].T
    again = rerank(embeddings[:1], embeddings[1:], k1=3, k2=1)
    assert plain.argmax() == 3 and again.argmin() == 0


@pytest.mark.parametrize(("k1", "k2"), [(4, 2), (2, 4), (2, 0)])
def test_more_neighbours_than_images_are_an_error(k1, k2):
    with pytest.raises(ValueError, match=f"got k1 {k1}, k2 {k2}"):
        rerank(torch.eye(4), k1=k1, k2=k2)
