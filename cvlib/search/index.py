"""What every index is: rows under ids, checks, files.

All kinds answer alike: `add(embeddings, ids)`, `remove(ids)`, `search(queries, k)`,
`save(path)` and `load(path)`. Similarities are inner products, higher is closer; for
embeddings of unit length, which the approximate ones insist on, that is the cosine. The
ids are your own int64 numbers, each at most once. Wrong use raises ValueError, and
whatever is raised, even for want of memory, leaves the index as it was. FAISS is
imported when an approximate index is filled.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cvlib.checkpoints import read_tensors, write_tensors
from cvlib.search.products import with_room

FORMAT = 1  # of saved files; raise it when their meaning changes
METRIC = "inner product"
KINDS = {  # of index that a file may hold, and the module of each
    "ExactIndex": "cvlib.search.exact",
    "HNSWIndex": "cvlib.search.approximate",
    "IVFPQIndex": "cvlib.search.approximate",
}


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
        return int(np.count_nonzero(self._alive))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} embeddings of {self.dim} numbers)"

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids in the index, int64 [N], in the order they were added."""
        return self._ids[self._alive]

    def add(
        self, embeddings: Tensor | ArrayLike, ids: Tensor | ArrayLike | None = None
    ) -> None:
        """Embeddings, [N, D], under `ids`, int64 [N], none of them in the index yet.

        Without ids they are numbered on: from one above the largest id, or from 0.
        """
        new = self._checked(embeddings, "embeddings")
        numbers = self._next_ids(len(new)) if ids is None else _checked_ids(ids)
        if len(new) != len(numbers):
            raise ValueError(f"{len(new)} embeddings came with {len(numbers)} ids")
        known = np.isin(self.ids, numbers)
        if known.any():
            raise ValueError(f"already in the index: ids {_few(self.ids[known])}")
        if len(new):
            with self._all_or_nothing():
                self._append(new, numbers)
                self._follow()

    def remove(self, ids: Tensor | ArrayLike) -> None:
        """Forget the embeddings under `ids`, one or [N]; all of them must be there."""
        numbers = _checked_ids(np.atleast_1d(np.asarray(ids)))
        missing = numbers[~np.isin(numbers, self.ids)]
        if len(missing):
            raise ValueError(f"not in the index: ids {_few(missing)}; nothing removed")
        if not len(numbers):
            return

        alive = self._alive & ~np.isin(self._ids, numbers)
        if np.count_nonzero(alive) > len(alive) * self._least_alive:
            self._alive = alive
            return

        with self._all_or_nothing():
            self._keep(alive)
            self._follow()

    def search(self, queries: Tensor | ArrayLike, k: int = 10) -> tuple[Tensor, Tensor]:
        """Similarities, float32 [Q, k], and ids, int64 [Q, k], the closest first.

        One query, [D], gives [k] of both. Equals stand in any order. Raises ValueError
        for an empty index, for `k` above its size and for queries that are not finite
        numbers, [Q, D].
        """
        given = torch.as_tensor(queries)
        single = given.ndim == 1 and len(given) == self.dim
        wanted = self._checked(given[None] if single else given, "queries")
        if not len(self):
            raise ValueError("the index is empty: add embeddings first")
        if not 1 <= k <= len(self):
            raise ValueError(
                f"k must be between 1 and the {len(self)} embeddings in the index, "
                f"got {k}"
            )
        with torch.autocast("cpu", enabled=False):
            similarities, positions = self._nearest(wanted, k)
        found = torch.from_numpy(self._ids)[positions]
        return (similarities[0], found[0]) if single else (similarities, found)

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
        return write_tensors(path, tensors, {"cvlib_index": json.dumps(facts)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The index saved at `path`.

        Raises FileNotFoundError, and ValueError for a file that is damaged, of another
        format or metric, or of another kind than this class.
        """
        facts, tensors = _read(Path(path))
        kinds = _kinds(cls)
        if facts["kind"] not in kinds:
            raise ValueError(
                f"{path} holds a {facts['kind']}, wanted {' or '.join(kinds)}"
            )
        index = kinds[facts["kind"]](facts["dim"], **facts["settings"])
        index._restore(tensors)
        return index

    # A kind of index says how it follows its rows, how it searches, what it saves.

    _least_alive = 0.5  # at this share of living rows or below, leave out the others

    @abstractmethod
    def _follow(self) -> None:
        """Take in the rows that were added since; all, after some were left out."""

    @abstractmethod
    def _go_back(self) -> None:
        """Fit the rows again, which are what they were before something failed."""

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

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """What fails inside leaves the index as it was."""
        before = self._rows, self._ids, self._alive
        try:
            with torch.autocast("cpu", enabled=False):
                yield
        except BaseException:
            self._rows, self._ids, self._alive = before
            self._go_back()
            raise

    def _next_ids(self, count: int) -> NDArray[np.int64]:
        first = int(self.ids.max()) + 1 if len(self) else 0
        if first + count - 1 > np.iinfo(np.int64).max:
            raise ValueError(f"no {count} numbers are left above id {self.ids.max()}")
        return first + np.arange(count, dtype=np.int64)

    def _used_rows(self) -> Tensor:
        return self._rows[: len(self._ids)]

    def _append(self, new: Tensor, numbers: NDArray[np.int64]) -> None:
        used, total = len(self._ids), len(self._ids) + len(new)
        self._rows = with_room(self._rows, used, total)
        self._rows[used:total] = new
        self._ids = np.concatenate([self._ids, numbers])
        self._alive = np.concatenate([self._alive, np.ones(len(new), bool)])

    def _checked(self, given: Tensor | ArrayLike, name: str) -> Tensor:
        rows = torch.as_tensor(given, dtype=torch.float32).cpu().contiguous()
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"{name} must be [N, {self.dim}], got {tuple(rows.shape)}")
        ends = torch.stack(rows.aminmax()) if len(rows) else rows  # NaN is both
        if not ends.isfinite().all():
            raise ValueError(f"{name} must be finite numbers, got NaN or infinity")
        return rows.detach()


def _checked_ids(given: Tensor | ArrayLike) -> NDArray[np.int64]:
    ids = np.asarray(given)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise ValueError(f"ids must be integers, [N], got {ids.dtype} {ids.shape}")
    if ids.size and ids.max() > np.iinfo(np.int64).max:
        raise ValueError(f"ids must fit into int64, got {ids.max()}")
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"ids given more than once: {_few(values[counts > 1])}")
    return ids.astype(np.int64)


def _few(ids: NDArray[Any]) -> str:
    return ", ".join(map(str, ids[:5])) + (", …" if len(ids) > 5 else "")


def _kinds(cls: type[Index]) -> dict[str, Any]:
    """Name → class of what `cls` may open: each of our kinds that is one, and itself.

    By name, since the modules of the kinds import this one.
    """
    ours = [getattr(import_module(module), name) for name, module in KINDS.items()]
    may_be = [kind for kind in (*ours, cls) if issubclass(kind, cls)]
    return {kind.__name__: kind for kind in may_be if not isabstract(kind)}


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
    facts, tensors = read_tensors(path, "cvlib_index")
    for name, wanted in (("format", FORMAT), ("metric", METRIC)):
        if facts.get(name) != wanted:
            raise ValueError(
                f"{path} has {name} {facts.get(name)!r}, this version reads {wanted!r}"
            )
    if facts.get("checksum") != _checksum(facts, tensors):
        raise ValueError(f"{path} is damaged: its contents do not match its checksum")
    return facts, tensors
