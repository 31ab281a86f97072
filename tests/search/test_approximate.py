"""Approximate search: what is particular to FAISS's indexes."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from cvlib.search import HNSWIndex, IVFPQIndex
from tests.search.galleries import COUNT, DIM, KINDS, best, filled, noise


@pytest.mark.parametrize("kind", KINDS[1:])
def test_what_approximate_indexes_return_is_compared_exactly(kind, embeddings, ids):
    similarities, found = filled(kind, embeddings, ids).search(embeddings[:9], k=5)
    rows = embeddings[(found - ids[0]) // 7]
    exact = torch.einsum("qd,qkd->qk", embeddings[:9], rows)
    assert torch.allclose(similarities, exact, atol=1e-6)


@pytest.mark.slow
def test_approximate_indexes_find_nearly_all(embeddings, ids):
    wanted = best(embeddings, embeddings, 10)
    for index in (HNSWIndex(DIM), IVFPQIndex(DIM, lists=8, probes=4)):
        index.add(embeddings, ids)
        found = ((index.search(embeddings, 10)[1] - ids[0]) // 7).numpy()
        rows = zip(found, wanted, strict=True)
        recall = np.mean([np.isin(a, b).mean() for a, b in rows])
        assert recall > 0.9


def test_of_rows_that_half_precision_cannot_tell_apart_the_closest_is_found():
    """The graph holds each pair as one place: both must be compared exactly."""
    pairs = torch.nn.functional.normalize(noise(300, DIM)).repeat_interleave(2, dim=0)
    rows = torch.nn.functional.normalize(pairs + 2e-5 * noise(600, DIM, seed=1))
    queries = torch.nn.functional.normalize(noise(200, DIM, seed=2))
    index = HNSWIndex(DIM)
    index.add(rows)
    found = index.search(queries, 1)[1].numpy()
    assert (found == best(queries, rows, 1)).mean() > 0.97


@pytest.mark.parametrize("kind", KINDS[1:])
def test_approximate_indexes_insist_on_unit_length(kind, embeddings, ids):
    index = kind(DIM)
    with pytest.raises(ValueError, match=r"unit length .* lengths from 2 to 2"):
        index.add(embeddings * 2, ids)
    assert len(index) == 0


def test_product_quantisation_says_how_much_it_needs(embeddings, ids):
    index = IVFPQIndex(DIM)
    with pytest.raises(ValueError, match="needs 256 embeddings, got 255"):
        index.add(embeddings[:255], ids[:255])
    index.add(embeddings, ids)
    assert len(index) == COUNT


@pytest.mark.slow
def test_faiss_is_imported_only_for_approximate_search():
    code = """
import sys, torch
from cvlib.search.exact import ExactIndex
from cvlib.search.approximate import HNSWIndex
index = ExactIndex(4)
index.add(torch.eye(4), torch.arange(4))
index.search(torch.eye(4), 1)
assert "faiss" not in sys.modules
HNSWIndex(4).add(torch.eye(4), torch.arange(4))
assert "faiss" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


BESIDE_METRIC_LEARNING = """
import torch
from pytorch_metric_learning import losses  # loads FAISS's layer for torch
from cvlib.search.approximate import HNSWIndex

rows = torch.nn.functional.normalize(torch.rand(50, 8))
index = HNSWIndex(8)
index.add(rows, range(50))
print(index.search(rows[:1], k=1)[1].item())
"""


@pytest.mark.slow
def test_it_works_beside_pytorch_metric_learning():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BESIDE_METRIC_LEARNING],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"]


def test_a_longer_walk_finds_more():
    rows, queries = noise(3000, DIM), noise(300, DIM, seed=1)
    rows = torch.nn.functional.normalize(rows)
    wanted, shares = best(queries, rows, 1), []
    for steps in (2, 400):
        index = HNSWIndex(DIM, links=4, ef_construction=8, ef_search=steps)
        index.add(rows)
        shares.append((index.search(queries, 1)[1].numpy() == wanted).mean())
    assert shares[1] > 0.9 > 0.7 > shares[0]


def test_more_lists_looked_into_find_more():
    rows, queries = noise(3000, DIM), noise(300, DIM, seed=1)
    rows = torch.nn.functional.normalize(rows)
    wanted, shares = best(queries, rows, 1), []
    for probes in (1, 30):
        index = IVFPQIndex(DIM, lists=30, probes=probes)
        index.add(rows)
        shares.append((index.search(queries, 1)[1].numpy() == wanted).mean())
    assert shares[1] > 0.8 > shares[0] + 0.2


def test_without_faiss_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    wanted = r"^approximate search needs FAISS: pip install 'cvlib-book\[search\]'$"
    with pytest.raises(ModuleNotFoundError, match=wanted):
        HNSWIndex(2).add(torch.eye(2))
