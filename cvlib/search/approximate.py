"""Approximate search, by FAISS: HNSW and IVF-PQ."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cvlib.search.index import Index
from cvlib.search.products import compare, nearest_rows


class _ApproximateIndex(Index):
    """An index of FAISS over our rows; removed rows are passed over in a search."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self._faiss: Any = None

    @abstractmethod
    def _build(self, rows: Tensor) -> Any:
        """A FAISS index made for `rows`, still without them."""

    @abstractmethod
    def _parameters(self, selector: Any) -> Any:
        """FAISS's settings of a search among the rows that `selector` lets through."""

    @abstractmethod
    def _candidates(self, k: int) -> int:
        """How many rows FAISS is asked for; the best `k` of them are returned."""

    def _follow(self) -> None:
        known = 0 if self._faiss is None else self._faiss.ntotal
        new = self._used_rows()[known:]
        if not len(new):
            return
        norms = new.norm(dim=1)
        if (norms - 1).abs().max() > 0.01:
            raise ValueError(
                "embeddings must be of unit length for an approximate index, got "
                f"lengths from {norms.min():.3g} to {norms.max():.3g}"
            )
        index = self._build(new) if self._faiss is None else self._faiss
        index.add(new.numpy())
        self._faiss = index

    def _keep(self, alive: NDArray[np.bool_]) -> None:
        super()._keep(alive)
        self._faiss.reset()  # forgets rows, keeps what training found

    def _go_back(self) -> None:
        if self._faiss is not None and self._faiss.ntotal != len(self._ids):
            self._faiss.reset()
            self._follow()

    def _nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        amount = min(max(k, self._candidates(k)), len(self))
        # FAISS's layer for torch, which pytorch-metric-learning loads, puts a `search`
        # without settings in its place and keeps the other under this name.
        search = getattr(self._faiss, "search_numpy", self._faiss.search)
        _, found = search(
            queries.numpy(), amount, params=self._parameters(self._selector())
        )
        found = torch.from_numpy(found)
        similarities, positions = compare(queries, self._rows, found, k)
        short = positions[:, -1] < 0  # too few found: search those exactly
        if short.any():
            living = torch.from_numpy(np.flatnonzero(self._alive))
            again = nearest_rows(queries[short], self._rows[living], k)
            similarities[short], positions[short] = again[0], living[again[1]]
        return similarities, positions

    def _selector(self) -> Any:
        if self._alive.all():
            return None

        return _faiss().IDSelectorBitmap(np.packbits(self._alive, bitorder="little"))

    def _extra_tensors(self) -> dict[str, Tensor]:
        if self._faiss is None:
            return {}

        return {"faiss": torch.from_numpy(_faiss().serialize_index(self._faiss))}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        super()._restore(tensors)
        if "faiss" in tensors:
            self._faiss = _faiss().deserialize_index(tensors["faiss"].numpy())


class HNSWIndex(_ApproximateIndex):
    """A graph of neighbours, walked towards the query: no training, quick to search.

    Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using
    hierarchical navigable small world graphs", TPAMI 42, 2020. Each row is linked to
    about `links` others; a larger `ef_search` looks at more rows, finds more and takes
    longer. The graph keeps half-precision copies to walk by; the best are compared
    exactly. Used in book/similarity/fast-search.
    """

    def __init__(
        self,
        dim: int,
        *,
        links: int = 32,
        ef_construction: int = 80,
        ef_search: int = 128,
    ) -> None:
        super().__init__(dim)
        self.links, self.ef_construction = links, ef_construction
        self.ef_search = ef_search

    def _build(self, rows: Tensor) -> Any:
        half = _faiss().ScalarQuantizer.QT_fp16
        index = _faiss().IndexHNSWSQ(self.dim, half, self.links)
        index.hnsw.efConstruction = self.ef_construction
        index.is_trained = True  # half precision has nothing to learn
        return index

    def _parameters(self, selector: Any) -> Any:
        return _faiss().SearchParametersHNSW(efSearch=self.ef_search, sel=selector)

    def _candidates(self, k: int) -> int:
        return 2 * k

    def _settings(self) -> dict[str, Any]:
        names = ("links", "ef_construction", "ef_search")
        return {name: getattr(self, name) for name in names}


class IVFPQIndex(_ApproximateIndex):
    """Rows sorted into lists, shortened to codes, the best candidates compared exactly.

    Jégou, Douze & Schmid, "Product quantization for nearest neighbor search", TPAMI 33,
    2011. The first `add` trains: give it a fair sample of what will come, 256
    embeddings or more. A query looks into `probes` of the `lists` (four times the root
    of the first count unless given), and `rerank` × k candidates are compared with the
    rows themselves. Used in book/similarity/fast-search.
    """

    def __init__(
        self, dim: int, *, lists: int | None = None, probes: int = 16, rerank: int = 20
    ) -> None:
        super().__init__(dim)
        self.lists, self.probes, self.rerank = lists, probes, rerank

    def _build(self, rows: Tensor) -> Any:
        if len(rows) < 256:
            raise ValueError(
                f"the first add trains and needs 256 embeddings, got {len(rows)}"
            )
        lists = self.lists or max(1, min(4 * math.isqrt(len(rows)), len(rows) // 39))
        lists = min(lists, len(rows))
        parts = max(n for n in range(1, self.dim // 8 + 2) if self.dim % n == 0)
        coarse = _faiss().IndexFlatL2(self.dim)
        index = _faiss().IndexIVFPQ(coarse, self.dim, lists, parts, 8)
        index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
        # A sample of 64 a list in 10 rounds: training is most of the time it takes.
        index.cp.max_points_per_centroid, index.cp.niter = 64, 10
        index.train(rows.numpy())
        return index

    def _parameters(self, selector: Any) -> Any:
        return _faiss().SearchParametersIVF(nprobe=self.probes, sel=selector)

    def _candidates(self, k: int) -> int:
        return self.rerank * k

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("lists", "probes", "rerank")}


def _faiss() -> Any:
    """FAISS, which only approximate search needs."""
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "approximate search needs FAISS: pip install 'cvlib-book[search]'"
        ) from error
    return faiss
