"""Nearest neighbours: cvlib.indexes beside numpy, scikit-learn and FAISS, in one run.

The gallery is real: embeddings of the shipped images, projected and augmented to
CVLIB_BENCH_ROWS × CVLIB_BENCH_DIM (100000 × 512 unless given); the approximate indexes
are measured again at CVLIB_BENCH_MANY × 128 (1000000). Each benchmark notes its ratio
to its peers in extra_info; ratios within one run count, a machine's seconds do not.
Start it with the allocator settings of cvlib/book/runs.py, as the book's runs are, or
page faults decide.
"""

import os
import time
from collections.abc import Callable
from functools import cache

import numpy as np
import psutil
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn.functional import normalize

from cvlib.backbones import embed, load_backbone
from cvlib.datasets import fetch
from cvlib.indexes import ExactIndex, HNSWIndex, Index, IVFPQIndex

ROWS = int(os.environ.get("CVLIB_BENCH_ROWS", "100000"))
DIM = int(os.environ.get("CVLIB_BENCH_DIM", "512"))
MANY = int(os.environ.get("CVLIB_BENCH_MANY", "1000000"))
QUERIES, K = 1024, 10
BATCH = f"exact, {QUERIES} queries"
SINGLE = "exact, one query"

MEDIANS: dict[str, float] = {}


@cache
def anchors(dim: int) -> Tensor:
    """Embeddings of every shipped image, projected to `dim`."""
    paths = [
        p for n in ("products", "shelves") for p in fetch(f"pantry/{n}").rglob("*.jpg")
    ]
    found = embed(sorted(paths), load_backbone(), image_size=128)
    centred = found - found.mean(dim=0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:dim]
    return normalize(centred @ axes.T)


@cache
def rows(count: int, dim: int, seed: int) -> Tensor:
    """Points between an image and one of its ten neighbours, and a little noise."""
    real = anchors(dim)
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(real), (count,), generator=generator)
    near = (real @ real.T).fill_diagonal_(-2).topk(10).indices
    other = near[first, torch.randint(10, (count,), generator=generator)]
    share = torch.rand(count, 1, generator=generator) / 2
    made = torch.randn(count, dim, generator=generator).mul_(0.3 * real.std(dim=0))
    made += real[first] * (1 - share) + real[other] * share
    return normalize(made)


@cache
def exact(count: int, dim: int) -> ExactIndex:
    index = ExactIndex(dim)
    index.add(rows(count, dim, 0), torch.arange(count))
    return index


def timed(benchmark: BenchmarkFixture, name: str, work: Callable, rounds: int = 5):
    result = benchmark.pedantic(work, rounds=rounds, warmup_rounds=1)
    if benchmark.enabled:
        MEDIANS[name] = benchmark.stats.stats.median
        benchmark.extra_info["memory_mb"] = psutil.Process().memory_info().rss // 2**20
    return result


def times_faster(benchmark: BenchmarkFixture, name: str, peer: str) -> None:
    if name in MEDIANS and peer in MEDIANS:
        ratio = MEDIANS[peer] / MEDIANS[name]
        benchmark.extra_info[f"times faster than {peer}"] = round(ratio, 2)


def same(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether the ids agree, but for a few pairs that rounding exchanges."""
    return (np.sort(found) == np.sort(wanted)).mean() > 0.999


@cache
def answers() -> np.ndarray:
    return exact(ROWS, DIM).search(rows(QUERIES, DIM, 1), K)[1].numpy()


@pytest.mark.benchmark(group=BATCH)
def test_numpy_one_product_and_argpartition(benchmark: BenchmarkFixture):
    queries, gallery = rows(QUERIES, DIM, 1).numpy(), rows(ROWS, DIM, 0).numpy()

    def search() -> np.ndarray:
        scores = queries @ gallery.T
        best = np.argpartition(scores, -K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        return np.take_along_axis(best, order, 1)

    assert same(timed(benchmark, "numpy", search, 3), answers())


@pytest.mark.benchmark(group=BATCH)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_scikit_learn_brute_force(benchmark: BenchmarkFixture, metric: str):
    """For unit vectors both metrics order alike; for Euclidean there is a fast path."""
    gallery = rows(ROWS, DIM, 0).numpy()
    model = NearestNeighbors(n_neighbors=K, algorithm="brute", metric=metric)
    queries = rows(QUERIES, DIM, 1).numpy()
    found = timed(
        benchmark,
        f"scikit-learn, {metric}",
        lambda: model.fit(gallery).kneighbors(queries, return_distance=False),
        1,
    )
    assert same(found, answers())


@pytest.mark.benchmark(group=BATCH)
def test_faiss_flat(benchmark: BenchmarkFixture):
    import faiss

    index = faiss.IndexFlatIP(DIM)
    index.add(rows(ROWS, DIM, 0).numpy())
    queries = rows(QUERIES, DIM, 1).numpy()
    found = timed(benchmark, "FAISS Flat", lambda: index.search(queries, K)[1], 2)
    assert same(found, answers())


@pytest.mark.benchmark(group=BATCH)
def test_exact_index(benchmark: BenchmarkFixture):
    index, queries = exact(ROWS, DIM), rows(QUERIES, DIM, 1)
    timed(benchmark, "exact", lambda: index.search(queries, K))
    for peer in MEDIANS.keys() - {"exact"}:
        times_faster(benchmark, "exact", peer)


@pytest.mark.benchmark(group=SINGLE)
def test_reading_the_gallery_once(benchmark: BenchmarkFixture):
    """The limit of memory: a sum over the same bytes."""
    gallery = rows(ROWS, DIM, 0)
    timed(benchmark, "reading", lambda: gallery.sum(), 40)


@pytest.mark.benchmark(group=SINGLE)
def test_exact_index_one_query(benchmark: BenchmarkFixture):
    index, query = exact(ROWS, DIM), rows(QUERIES, DIM, 1)[:1]
    timed(benchmark, "exact, one", lambda: index.search(query, K), 40)
    if {"reading", "exact, one"} <= MEDIANS.keys():
        share = MEDIANS["reading"] / MEDIANS["exact, one"]
        benchmark.extra_info["share of the memory limit"] = round(share, 2)


@pytest.mark.benchmark(group=SINGLE)
@pytest.mark.parametrize("peer", ["numpy", "scikit-learn", "FAISS Flat"])
def test_peers_one_query(benchmark: BenchmarkFixture, peer: str):
    import faiss

    query, gallery = rows(QUERIES, DIM, 1)[:1].numpy(), rows(ROWS, DIM, 0).numpy()
    model = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(gallery)
    flat = faiss.IndexFlatIP(DIM)
    flat.add(gallery)

    def by_numpy() -> np.ndarray:
        scores = gallery @ query[0]
        best = np.argpartition(scores, -K)[-K:]
        return best[np.argsort(-scores[best])][None]

    searches = {
        "numpy": by_numpy,
        "scikit-learn": lambda: model.kneighbors(query, return_distance=False),
        "FAISS Flat": lambda: flat.search(query, K)[1],
    }
    found = timed(benchmark, f"{peer}, one", searches[peer], 20)
    assert same(found, answers()[:1])
    times_faster(benchmark, "exact, one", f"{peer}, one")


SIZES = [(ROWS, DIM), (MANY, 128)]


def made(kind: str, dim: int) -> Index:
    return {
        "exact": lambda: ExactIndex(dim),
        "HNSW": lambda: HNSWIndex(dim),
        "IVF-PQ": lambda: IVFPQIndex(dim),
    }[kind]()


@pytest.mark.benchmark(group="approximate")
@pytest.mark.parametrize(("count", "dim"), SIZES)
@pytest.mark.parametrize("kind", ["exact", "HNSW", "IVF-PQ"])
def test_approximate(benchmark: BenchmarkFixture, count: int, dim: int, kind: str):
    gallery, queries = rows(count, dim, 0), rows(QUERIES, dim, 1)
    wanted = exact(count, dim).search(queries, K)[1].numpy()
    if kind == "exact":
        index, build = exact(count, dim), 0.0
    else:
        index, started = made(kind, dim), time.perf_counter()
        index.add(gallery, torch.arange(count))
        build = time.perf_counter() - started
    name = f"{kind} {count}"
    found = timed(benchmark, name, lambda: index.search(queries, K)[1].numpy())
    hits = [np.isin(a, b).mean() for a, b in zip(found, wanted, strict=True)]
    one = min(_seconds(lambda q=q: index.search(q[None], K)) for q in queries[:100])
    MEDIANS[f"{name}, one"] = one
    benchmark.extra_info |= {"recall": float(np.mean(hits)), "build_seconds": build}
    benchmark.extra_info["queries_a_second, one"] = 1 / one
    times_faster(benchmark, name, f"exact {count}")
    if kind != "exact":
        ratio = MEDIANS[f"exact {count}, one"] / one
        benchmark.extra_info["one query, times faster than exact"] = ratio
        assert np.mean(hits) >= 0.95


def _seconds(work: Callable) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
