"""Nearest neighbours among many embeddings: one exact index, two approximate ones.

All three answer alike: `add(embeddings, ids)`, `remove(ids)`, `search(queries, k)`,
`save(path)` and `load(path)`. Similarities are inner products, higher is closer; for
embeddings of unit length, which the approximate ones insist on, that is the cosine. The
ids are your own int64 numbers, each at most once. What goes wrong raises ValueError
before anything has changed. FAISS is imported when an approximate index is made.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = 1  # of saved files; raise it when their meaning changes
METRIC = "inner product"

# Measured on 2 cores, 100,000 × 512: a product of 512 queries runs at the speed of the
# whole, and its 64 MB to 128 MB of scores are all the memory that a search takes.
QUERY_BLOCK = 512
ROW_BLOCK = 100_000
GROUP = 16  # scores that share one maximum
FEW = 64  # queries; fewer are bound by memory, not by arithmetic


class Index(ABC):
    """What the three indexes share: rows, their ids, checks and files.

    `Index.load(path)` opens a file of any kind. Used in book/similarity/fast-search.
    """

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        self.dim = dim
        self._rows = torch.empty(0, dim)  # grows by doubling: the tail is unused
        self._ids = np.empty(0, np.int64)
        self._alive = np.empty(0, bool)  # False: removed, the row still there

    def __len__(self) -> int:
        return int(self._alive.sum())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} embeddings of {self.dim} numbers)"

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids in the index, int64 [N], in the order they were added."""
        return self._ids[self._alive]

    def add(self, embeddings: Tensor | ArrayLike, ids: Tensor | ArrayLike) -> None:
        """Embeddings, [N, D], under `ids`, int64 [N], none of them in the index yet."""
        new, numbers = self._checked(embeddings, "embeddings"), _checked_ids(ids)
        if len(new) != len(numbers):
            raise ValueError(f"{len(new)} embeddings came with {len(numbers)} ids")
        known = np.isin(self.ids, numbers)
        if known.any():
            raise ValueError(f"already in the index: ids {_few(self.ids[known])}")
        if len(new):
            self._insert(new)
            self._append(new, numbers)

    def remove(self, ids: Tensor | ArrayLike) -> None:
        """Forget the embeddings under `ids`; all of them must be there."""
        numbers = _checked_ids(ids)
        missing = numbers[~np.isin(numbers, self.ids)]
        if len(missing):
            raise ValueError(f"not in the index: ids {_few(missing)}; nothing removed")
        alive = self._alive & ~np.isin(self._ids, numbers)
        if alive.sum() <= len(alive) * self._least_alive:
            self._keep(alive)
        else:
            self._alive = alive

    def search(self, queries: Tensor | ArrayLike, k: int = 10) -> tuple[Tensor, Tensor]:
        """Similarities, float32 [Q, k], and ids, int64 [Q, k], the closest first.

        Equals stand in any order. Raises ValueError for an empty index, for `k` above
        its size and for queries that are not finite numbers, [Q, D].
        """
        wanted = self._checked(queries, "queries")
        if not len(self):
            raise ValueError("the index is empty: add embeddings first")
        if not 1 <= k <= len(self):
            raise ValueError(
                f"k must be between 1 and the {len(self)} embeddings in the index, "
                f"got {k}"
            )
        similarities, positions = self._nearest(wanted, k)
        return similarities, torch.from_numpy(self._ids)[positions]

    def save(self, path: str | Path) -> Path:
        """Write all to one file, which replaces `path` only when it is complete."""
        tensors = {
            "rows": self._used_rows().contiguous(),
            "ids": torch.from_numpy(self._ids),
            "alive": torch.from_numpy(self._alive),
            **self._extra_tensors(),
        }
        facts = {"format": FORMAT, "kind": type(self).__name__, "metric": METRIC}
        facts |= {"dim": self.dim, "count": len(self), "settings": self._settings()}
        facts["checksum"] = _checksum(facts, tensors)
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            partial = Path(folder) / path.name
            save_file(tensors, partial, metadata={"cvlib_index": json.dumps(facts)})
            partial.replace(path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The index saved at `path`.

        Raises FileNotFoundError, and ValueError for a file that is damaged, of another
        format or metric, or of another kind than this class.
        """
        facts, tensors = _read(Path(path))
        kinds: dict[str, Any] = {kind.__name__: kind for kind in _kinds(cls)}
        if facts["kind"] not in kinds:
            raise ValueError(
                f"{path} holds a {facts['kind']}, wanted {' or '.join(kinds)}"
            )
        index = kinds[facts["kind"]](facts["dim"], **facts["settings"])
        index._restore(tensors)
        if len(index) != facts["count"] or index._rows.shape[1:] != (index.dim,):
            raise ValueError(f"{path} does not hold what its header says")
        return index

    # A kind of index says how rows enter, how they are searched, and what it saves.

    _least_alive = 0.5  # below this share of living rows, build anew

    @abstractmethod
    def _insert(self, new: Tensor) -> None: ...

    @abstractmethod
    def _nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Similarities and row numbers, [Q, k], the closest first."""

    def _settings(self) -> dict[str, Any]:
        return {}

    def _extra_tensors(self) -> dict[str, Tensor]:
        return {}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self._rows = tensors["rows"]
        self._ids, self._alive = tensors["ids"].numpy(), tensors["alive"].numpy()

    def _keep(self, alive: NDArray[np.bool_]) -> None:
        """Leave out the rows that are not `alive`."""
        self._rows = self._used_rows()[torch.from_numpy(alive)]
        self._ids, self._alive = self._ids[alive], self._alive[alive]

    def _used_rows(self) -> Tensor:
        return self._rows[: len(self._ids)]

    def _append(self, new: Tensor, numbers: NDArray[np.int64]) -> None:
        used, total = len(self._ids), len(self._ids) + len(new)
        if total > len(self._rows):
            larger = torch.empty(max(total, 2 * used), self.dim)
            larger[:used] = self._rows[:used]
            self._rows = larger
        self._rows[used:total] = new
        self._ids = np.concatenate([self._ids, numbers])
        self._alive = np.concatenate([self._alive, np.ones(len(new), bool)])

    def _checked(self, given: Tensor | ArrayLike, name: str) -> Tensor:
        rows = torch.as_tensor(given, dtype=torch.float32).cpu().contiguous()
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"{name} must be [N, {self.dim}], got {tuple(rows.shape)}")
        if not rows.isfinite().all():
            raise ValueError(f"{name} must be finite numbers, got NaN or infinity")
        return rows.detach()


class ExactIndex(Index):
    """Every query against every embedding: never wrong, and fast up to about 100,000.

    Product by blocks of matrices; then, of each 16 scores, the maximum alone competes,
    and only the members of the `k` best groups are looked at again. That is exact: an
    embedding among the best `k` sits in a group whose maximum is among the best `k`.
    Used in book/similarity/fast-search.
    """

    _least_alive = 1.0  # removing rows is cheap: do it at once

    def _insert(self, new: Tensor) -> None:
        pass  # the rows are the index

    def _nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return _nearest_rows(queries, self._used_rows(), k)


class _ApproximateIndex(Index):
    """An index of FAISS over our rows; removed rows are passed over in a search."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self._faiss: Any = None

    @abstractmethod
    def _build(self, rows: Tensor) -> Any:
        """A FAISS index made for `rows`, still without them."""

    @abstractmethod
    def _parameters(self, selector: Any) -> Any: ...

    @abstractmethod
    def _candidates(self, k: int) -> int:
        """How many rows FAISS is asked for; the best `k` of them are returned."""

    def _insert(self, new: Tensor) -> None:
        norms = new.norm(dim=1)
        if (norms - 1).abs().max() > 0.01:
            raise ValueError(
                "embeddings must be of unit length for an approximate index, got "
                f"lengths from {norms.min():.3g} to {norms.max():.3g}"
            )
        if self._faiss is None:
            self._faiss = self._build(new)
        self._faiss.add(new.numpy())

    def _nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        amount = min(max(k, self._candidates(k)), len(self))
        # FAISS's layer for torch, which pytorch-metric-learning loads, puts a `search`
        # without settings in its place and keeps the other under this name.
        search = getattr(self._faiss, "search_numpy", self._faiss.search)
        _, found = search(
            queries.numpy(), amount, params=self._parameters(self._selector())
        )
        similarities, positions = self._rerank(queries, torch.from_numpy(found), k)
        short = (positions < 0).any(dim=1)  # too few found: search those exactly
        if short.any():
            living = torch.from_numpy(np.flatnonzero(self._alive))
            again = _nearest_rows(queries[short], self._rows[living], k)
            similarities[short], positions[short] = again[0], living[again[1]]
        return similarities, positions

    def _rerank(self, queries: Tensor, found: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Exact similarities of the rows `found`, [Q, candidates]; the best `k`."""
        parts = []
        for query, row in zip(_split(queries, 256), _split(found, 256), strict=True):
            vectors = self._rows[row.clamp(min=0)]  # [q, candidates, D]
            scores = torch.bmm(vectors, query[:, :, None])[:, :, 0]
            scores[row < 0] = -math.inf
            best, place = scores.topk(k)
            parts.append((best, row.gather(1, place)))
        return _stacked(parts, k)

    def _selector(self) -> Any:
        if self._alive.all():
            return None

        return _faiss().IDSelectorBitmap(np.packbits(self._alive, bitorder="little"))

    def _keep(self, alive: NDArray[np.bool_]) -> None:
        super()._keep(alive)
        self._faiss.reset()  # forgets rows, keeps what training found
        self._faiss.add(self._rows.numpy())

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
        self, dim: int, *, lists: int | None = None, probes: int = 8, rerank: int = 10
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


def _nearest_rows(queries: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` largest inner products, [Q, k], and their rows, block by block."""
    most = max(2, min(len(queries), QUERY_BLOCK))
    scores = torch.empty(most * min(len(rows), ROW_BLOCK))
    found = []
    for query in _split(queries, QUERY_BLOCK):
        parts = []
        for number, block in enumerate(_split(rows, ROW_BLOCK)):
            best, place = _top(_products(query, block, scores), k)
            parts.append((best, place + number * ROW_BLOCK))
        values = torch.cat([best for best, _ in parts], dim=1)
        places = torch.cat([place for _, place in parts], dim=1)
        best, place = values.topk(k)
        found.append((best, places.gather(1, place)))
    return _stacked(found, k)


def _split(tensor: Tensor, size: int) -> list[Tensor]:
    return [tensor[i : i + size] for i in range(0, len(tensor), size)]


def _stacked(parts: list[tuple[Tensor, Tensor]], k: int) -> tuple[Tensor, Tensor]:
    empty = (torch.empty(0, k), torch.empty(0, k, dtype=torch.int64))
    values, places = zip(*parts or [empty], strict=True)
    return torch.cat(values), torch.cat(places)


def _products(query: Tensor, block: Tensor, scores: Tensor) -> Tensor:
    """Inner products, [q, n], in the memory of `scores` where there are many queries.

    A few queries are multiplied the other way round, which runs at the speed at which
    memory can be read; a single one is doubled, since torch takes a slower path for a
    vector (measured: three times as slow).
    """
    if len(query) >= FEW:
        out = scores[: len(query) * len(block)].view(len(query), len(block))
        return torch.mm(query, block.T, out=out)
    columns = query if len(query) > 1 else query.repeat(2, 1)
    out = scores[: len(columns) * len(block)].view(len(block), len(columns))
    return torch.mm(block, columns.T, out=out).T[: len(query)].contiguous()


def _top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` largest of each row, [Q, k], or all where there are fewer, and places.

    Group g holds columns g, g + width, g + 2·width, …: the maxima of all groups are
    then taken by one comparison of long rows after another.
    """
    count, total = scores.shape
    width = total // GROUP
    if width <= k:
        return scores.topk(min(k, total))
    shape = (count, GROUP, width)
    grouped = scores[:, : width * GROUP].reshape(shape)
    groups = grouped.amax(dim=1).topk(k, sorted=False).indices  # [Q, k]
    starts = torch.arange(0, width * GROUP, width)
    members = (groups[:, :, None] + starts).flatten(1)  # [Q, k · GROUP]
    rest = torch.arange(width * GROUP, total).expand(count, -1)
    members = torch.cat([members, rest], dim=1)
    best, place = scores.gather(1, members).topk(k)
    return best, members.gather(1, place)


def _faiss() -> Any:
    """FAISS, which only approximate search needs."""
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "approximate search needs FAISS: pip install faiss-cpu"
        ) from error
    return faiss


def _checked_ids(given: Tensor | ArrayLike) -> NDArray[np.int64]:
    ids = np.asarray(given)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise ValueError(f"ids must be integers, [N], got {ids.dtype} {ids.shape}")
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"ids given more than once: {_few(values[counts > 1])}")
    return ids.astype(np.int64)


def _few(ids: NDArray[Any]) -> str:
    return ", ".join(map(str, ids[:5])) + (", …" if len(ids) > 5 else "")


def _kinds(cls: type[Index]) -> list[type[Index]]:
    """The classes of this kind that can be made."""
    below = [kind for child in cls.__subclasses__() for kind in _kinds(child)]
    return below or [cls]


def _checksum(facts: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """A hash of the header and of every byte of the tensors."""
    said = {name: value for name, value in facts.items() if name != "checksum"}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the tensors of a saved index, both checked."""
    if not path.is_file():
        raise FileNotFoundError(f"no saved index at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["cvlib_index"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not an index, or is cut short: {error}") from error
    for name, wanted in (("format", FORMAT), ("metric", METRIC)):
        if facts.get(name) != wanted:
            raise ValueError(
                f"{path} has {name} {facts.get(name)!r}, this version reads {wanted!r}"
            )
    if facts.get("checksum") != _checksum(facts, tensors):
        raise ValueError(f"{path} is damaged: its contents do not match its checksum")
    return facts, tensors
