"""Approximate search: what is particular to FAISS's indexes."""

import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from cvlib.search import HNSWIndex, Index, IVFPQIndex, approximate
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


def test_a_search_that_takes_settings_is_used_under_its_other_name(embeddings, ids):
    """As FAISS's layer for torch leaves it; another test may have loaded that."""
    index = filled(HNSWIndex, embeddings, ids)
    layered = getattr(index._faiss, "search_numpy", index._faiss.search)
    index._faiss = SimpleNamespace(
        search=lambda *_, **__: pytest.fail("no settings"), search_numpy=layered
    )
    assert index.search(embeddings[3], 1)[1].tolist() == [int(ids[3])]


def test_a_longer_walk_finds_more():
    rows, queries = noise(3000, DIM), noise(300, DIM, seed=1)
    rows = torch.nn.functional.normalize(rows)
    wanted, shares = best(queries, rows, 1), []
    for steps in (2, 400):
        index = HNSWIndex(DIM, links=4, ef_construction=8, ef_search=steps)
        index.add(rows)
        shares.append((index.search(queries, 1)[1].numpy() == wanted).mean())
    assert shares[1] > 0.9 > 0.7 > shares[0]


@pytest.mark.slow
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


def test_rows_are_of_unit_length_within_a_hundredth():
    for length, kept in ((1.009, True), (0.991, True), (1.02, False), (0.98, False)):
        index = HNSWIndex(2)
        rows = torch.tensor([[1.0, 0.0], [0.0, length]])
        if kept:
            index.add(rows)
        else:
            with pytest.raises(ValueError) as error:
                index.add(rows)
            low, high = sorted((1, length))
            assert str(error.value) == (
                "embeddings must be of unit length for an approximate index, got "
                f"lengths from {low} to {high}"
            )


@pytest.fixture
def faiss(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """FAISS as something that only notes what it is asked for."""
    noted = MagicMock()
    monkeypatch.setattr(approximate, "_faiss", lambda: noted)
    return noted


@pytest.mark.parametrize(
    ("rows", "given", "lists"),
    [
        (256, None, 6),  # 39 rows a list, where there are few
        (40_000, None, 800),  # four times the root, where there are many
        (300, 7, 7),
        (300, 400, 300),  # no more lists than rows
    ],
)
def test_lists_are_as_many_as_the_first_rows_fill(faiss, rows, given, lists):
    IVFPQIndex(16, lists=given)._build(torch.zeros(rows, 16))
    (_, dim, made, _, bits) = faiss.IndexIVFPQ.call_args.args
    assert (dim, made, bits) == (16, lists, 8)
    faiss.IndexFlatL2.assert_called_once_with(16)


@pytest.mark.parametrize(
    ("dim", "parts"), [(7, 1), (8, 2), (16, 2), (20, 2), (72, 9), (128, 16)]
)
def test_a_part_of_a_code_stands_for_about_eight_numbers(faiss, dim, parts):
    """As many parts as divide the numbers, at most one more than eighths of them."""
    IVFPQIndex(dim)._build(torch.zeros(256, dim))
    assert faiss.IndexIVFPQ.call_args.args[3] == parts


def test_training_looks_at_64_rows_a_list_in_10_rounds(faiss):
    made = IVFPQIndex(16)._build(torch.zeros(256, 16))
    assert made is faiss.IndexIVFPQ.return_value
    assert (made.cp.max_points_per_centroid, made.cp.niter) == (64, 10)
    assert made.cp.min_points_per_centroid == 1
    assert made.pq.cp.min_points_per_centroid == 1
    (rows,) = made.train.call_args.args
    assert rows.shape == (256, 16)


def test_a_graph_is_built_with_its_settings(faiss):
    made = HNSWIndex(16, links=5, ef_construction=7)._build(torch.zeros(1, 16))
    half = faiss.ScalarQuantizer.QT_fp16
    faiss.IndexHNSWSQ.assert_called_once_with(16, half, 5)
    assert made.hnsw.efConstruction == 7 and made.is_trained is True


def test_settings_come_back_as_they_were_given():
    assert IVFPQIndex(8, lists=3, probes=4, rerank=5)._settings() == {
        "lists": 3,
        "probes": 4,
        "rerank": 5,
    }
    assert IVFPQIndex(8)._settings() == {"lists": None, "probes": 16, "rerank": 20}


def test_more_candidates_are_compared_than_are_wanted(monkeypatch, embeddings, ids):
    """Twice as many of a graph, `rerank` times as many of codes; all, if there are."""
    seen, compare = [], approximate.compare

    def noted(queries, rows, candidates, k):
        seen.append(candidates.shape[1])
        return compare(queries, rows, candidates, k)

    monkeypatch.setattr(approximate, "compare", noted)
    for index in (HNSWIndex(DIM), IVFPQIndex(DIM, rerank=3)):
        index.add(embeddings, ids)
        for k in (5, 400):
            index.search(embeddings[:2], k)
    assert seen == [10, COUNT, 15, COUNT]


def test_what_is_found_is_not_searched_again_and_what_is_short_is(
    monkeypatch, embeddings, ids
):
    again, plain = [], approximate.nearest_rows

    def noted(queries, rows, k):
        again.append((len(queries), len(rows), k))
        return plain(queries, rows, k)

    monkeypatch.setattr(approximate, "nearest_rows", noted)
    index = IVFPQIndex(DIM, lists=30, probes=1)
    index.add(embeddings, ids)
    assert index.search(embeddings[:2], 1)[1][:, 0].tolist() == ids[:2].tolist()
    assert again == []  # the first row is a find like others
    index.remove(ids[:100])
    similarities, found = index.search(embeddings[:3], 300)
    assert again == [(3, 500, 300)]  # a list holds about twenty
    wanted = best(embeddings[:3], embeddings[100:], 300)
    assert ((found - ids[0]) // 7 - 100).tolist() == wanted.tolist()
    exact = embeddings[:3].double() @ embeddings[100:].double().T
    assert torch.allclose(
        similarities.double(), exact.sort(descending=True)[0][:, :300]
    )


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_loaded_index_is_not_built_again(
    kind, embeddings, ids, tmp_path, monkeypatch
):
    path = filled(kind, embeddings, ids).save(tmp_path / "gallery.index")
    monkeypatch.setattr(kind, "_build", lambda *_: pytest.fail("built"))
    again = Index.load(path)
    again.add(embeddings[:1], [1])
    assert again.search(embeddings[5:6], 1)[1].tolist() == [[int(ids[5])]]
