"""Nearest neighbours: cvlib.search beside numpy, scikit-learn and FAISS, in one run.

The gallery is real: embeddings of the shipped images, projected and augmented to
CVLIB_BENCH_ROWS × CVLIB_BENCH_DIM (100000 × 512 unless given); the approximate indexes
are measured again at CVLIB_BENCH_MANY × 128 (1000000). One image in five stays out of
the gallery to ask with. Each benchmark notes its ratio to its peers in extra_info;
ratios within one run count, a machine's seconds do not. Start it with the allocator
settings of cvlib/book/runs.py, as the book's runs are, or page faults decide.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn.functional import normalize

from cvlib.backbones import load_backbone
from cvlib.datasets import fetch
from cvlib.embeddings import embed
from cvlib.search.approximate import HNSWIndex, IVFPQIndex
from cvlib.search.exact import ExactIndex
from cvlib.search.index import Index

ROWS = int(os.environ.get("CVLIB_BENCH_ROWS", "100000"))
DIM = int(os.environ.get("CVLIB_BENCH_DIM", "512"))
MANY = int(os.environ.get("CVLIB_BENCH_MANY", "1000000"))
QUERIES, K = 1024, 10
BATCH = f"exact, {QUERIES} queries"
SINGLE = "exact, one query"

MEDIANS: dict[str, float] = {}


@cache
def anchors(dim: int) -> tuple[Tensor, Tensor]:
    """Every shipped image, projected to `dim`: four fifths to grow from, the rest."""
    paths = [
        p for n in ("products", "shelves") for p in fetch(f"pantry/{n}").rglob("*.jpg")
    ]
    found = embed(load_backbone(), sorted(paths), image_size=128)
    centred = found - found.mean(dim=0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:dim]
    mixed = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
    held, kept = normalize(centred @ axes.T)[mixed].split(
        [len(found) // 5, len(found) - len(found) // 5]
    )
    return kept, held


@cache
def rows(count: int, dim: int, *, outside: bool = False) -> Tensor:
    """Points between an image and one of its ten neighbours, and a little noise."""
    real = anchors(dim)[outside]
    generator = torch.Generator().manual_seed(0)
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
    index.add(rows(count, dim), torch.arange(count))
    return index


def timed(benchmark: BenchmarkFixture, name: str, work: Callable, rounds: int = 5):
    result = benchmark.pedantic(work, rounds=rounds, warmup_rounds=1)
    if benchmark.enabled:
        MEDIANS[name] = benchmark.stats.stats.median
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
    return exact(ROWS, DIM).search(rows(QUERIES, DIM, outside=True), K)[1].numpy()


@pytest.mark.benchmark(group=BATCH)
def test_numpy_one_product_and_argpartition(benchmark: BenchmarkFixture):
    queries, gallery = rows(QUERIES, DIM, outside=True).numpy(), rows(ROWS, DIM).numpy()

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
    gallery = rows(ROWS, DIM).numpy()
    model = NearestNeighbors(n_neighbors=K, algorithm="brute", metric=metric)
    queries = rows(QUERIES, DIM, outside=True).numpy()
    found = timed(
        benchmark,
        f"scikit-learn, {metric}",
        lambda: model.fit(gallery).kneighbors(queries, return_distance=False),
        2,
    )
    assert same(found, answers())


@pytest.mark.benchmark(group=BATCH)
def test_faiss_flat(benchmark: BenchmarkFixture):
    import faiss

    index = faiss.IndexFlatIP(DIM)
    index.add(rows(ROWS, DIM).numpy())
    queries = rows(QUERIES, DIM, outside=True).numpy()
    found = timed(benchmark, "FAISS Flat", lambda: index.search(queries, K)[1], 2)
    assert same(found, answers())


@pytest.mark.benchmark(group=BATCH)
def test_exact_index(benchmark: BenchmarkFixture):
    index, queries = exact(ROWS, DIM), rows(QUERIES, DIM, outside=True)
    timed(benchmark, "exact", lambda: index.search(queries, K))
    for peer in MEDIANS.keys() - {"exact"}:
        times_faster(benchmark, "exact", peer)


@pytest.mark.benchmark(group=SINGLE)
def test_exact_index_one_query(benchmark: BenchmarkFixture):
    """In turn with a sum over all float32 rows, which is the limit of memory."""
    index, query = exact(ROWS, DIM), rows(QUERIES, DIM, outside=True)[:1]
    gallery, reading = rows(ROWS, DIM), []
    benchmark.pedantic(
        lambda: index.search(query, K),
        setup=lambda: reading.append(_seconds(gallery.sum)),
        rounds=100,
        warmup_rounds=3,
    )
    if benchmark.enabled:
        MEDIANS["exact, one"] = benchmark.stats.stats.median
        share = float(np.median(reading[3:])) / MEDIANS["exact, one"]
        benchmark.extra_info["share of the memory limit"] = round(share, 2)


@pytest.mark.benchmark(group=SINGLE)
@pytest.mark.parametrize("peer", ["numpy", "scikit-learn", "FAISS Flat"])
def test_peers_one_query(benchmark: BenchmarkFixture, peer: str):
    import faiss

    query = rows(QUERIES, DIM, outside=True)[:1].numpy()
    gallery = rows(ROWS, DIM).numpy()
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
MAKERS = {"exact": ExactIndex, "HNSW": HNSWIndex, "IVF-PQ": IVFPQIndex}
SETTINGS = {
    "exact": [{}],
    "HNSW": [{"ef_search": n} for n in (64, 128, 256, 512, 1024)],
    "IVF-PQ": [{"probes": n // 2, "rerank": n} for n in (10, 15, 20, 30, 40, 60)],
}


def recall(index: Index, queries: Tensor, truth: ExactIndex) -> float:
    pairs = zip(index.search(queries, K)[1], truth.search(queries, K)[1], strict=True)
    return float(np.mean([np.isin(found, wanted).mean() for found, wanted in pairs]))


@pytest.mark.benchmark(group="approximate")
@pytest.mark.parametrize(("count", "dim"), SIZES)
@pytest.mark.parametrize("kind", MAKERS)
def test_approximate(benchmark: BenchmarkFixture, count: int, dim: int, kind: str):
    """Half of the images outside choose the setting, the other half are reported."""
    trial, queries = anchors(dim)[1].chunk(2)
    truth, build = exact(count, dim), 0.0
    index = truth
    if kind != "exact":
        index = MAKERS[kind](dim)
        gallery, ids = rows(count, dim), torch.arange(count)
        build = _seconds(lambda: index.add(gallery, ids))
    for setting in SETTINGS[kind]:
        vars(index).update(setting)
        if recall(index, trial, truth) >= 0.96:
            break
    name = f"{kind} {count}"
    timed(benchmark, name, lambda: index.search(queries, K), 20)
    one = np.median([_seconds(lambda q=q: index.search(q[None], K)) for q in queries])
    MEDIANS[f"{name}, one"] = one
    found = recall(index, queries, truth)
    benchmark.extra_info |= {"recall": found, "build_seconds": build, **setting}
    benchmark.extra_info["queries_a_second, one"] = 1 / one
    times_faster(benchmark, name, f"exact {count}")
    if kind != "exact":
        ratio = MEDIANS[f"exact {count}, one"] / one
        benchmark.extra_info["one query, times faster than exact"] = ratio
        assert found >= 0.95


ALONE = """
import sys
from pathlib import Path
import torch
from torch.nn.functional import normalize
from cvlib.search import index as indexes

kind, count = sys.argv[1], int(sys.argv[2])
rows = torch.randn(1000, 128).repeat(count // 1000, 1)
rows += 0.5 * torch.randn_like(rows)
index = getattr(indexes, kind)(128)
index.add(normalize(rows, out=rows), torch.arange(len(rows)))
index.search(rows[:1024], 10)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])  # kB
"""


@pytest.mark.benchmark(group="memory")
@pytest.mark.parametrize("kind", [k.__name__ for k in MAKERS.values()])
def test_memory_of_a_process_of_its_own(benchmark: BenchmarkFixture, kind: str):
    command = [sys.executable, "-c", ALONE, kind, str(MANY)]
    run = benchmark.pedantic(
        lambda: subprocess.run(command, capture_output=True, text=True, check=True),
        rounds=1,
    )
    benchmark.extra_info["peak_mb"] = int(run.stdout) // 1024
    assert int(run.stdout) < 4 * 2**20


def _seconds(work: Callable) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
