"""Exact search: every row compared, with and without 8-bit products."""

import pytest
import torch

from cvlib.search import ExactIndex, exact, products
from tests.search.galleries import DIM


def test_the_nearest_by_hand():
    index = ExactIndex(2)
    index.add([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], [10, 20, 30])
    similarities, ids = index.search([[1.0, 0.0]], k=2)
    assert ids.tolist() == [[10, 30]]
    assert similarities.tolist() == [[1.0, pytest.approx(0.6)]]
    assert (similarities.dtype, ids.dtype) == (torch.float32, torch.int64)


def test_equals_are_all_found():
    index = ExactIndex(2)
    index.add(torch.ones(200, 2), torch.arange(200))
    similarities, ids = index.search(torch.ones(1, 2), k=50)
    assert len(set(ids[0].tolist())) == 50
    assert (similarities == 2).all()


def test_exact_search_needs_no_fast_integers(embeddings, monkeypatch):
    monkeypatch.setattr(products, "SPARSE", 4)
    large = torch.cat([embeddings, torch.randn(3000, DIM)])
    answers = []
    for fast in (True, False):
        monkeypatch.setattr(exact, "codes_are_fast", lambda fast=fast: fast)
        index = ExactIndex(DIM)
        index.add(large[:2000], torch.arange(2000))
        index.add(large[2000:], torch.arange(2000, 3600))
        index.remove(torch.arange(5))
        answers.append(index.search(embeddings, 5)[1])
    assert torch.equal(*answers)


def test_rows_of_a_single_number_are_searched(monkeypatch):
    monkeypatch.setattr(products, "SPARSE", 1)
    index = ExactIndex(1)
    index.add(torch.arange(5000.0)[:, None], torch.arange(5000))
    assert index.search([[1.0], [-1.0]], 2)[1].tolist() == [[4999, 4998], [0, 1]]


def test_where_they_are_fast_integers_choose_the_candidates(monkeypatch):
    monkeypatch.setattr(exact, "codes_are_fast", lambda: True)
    seen, nearest = [], products.Codes.nearest
    monkeypatch.setattr(
        products.Codes, "nearest", lambda *given: seen.append(1) or nearest(*given)
    )
    for dim, times in ((1, 0), (2, 1)):
        index = ExactIndex(dim)
        index.add(torch.ones(9, dim))
        index.search(torch.ones(1, dim), 1)
        assert len(seen) == times
