"""Exact search: every row compared."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cvlib.search.index import Index
from cvlib.search.products import Codes, codes_are_fast, nearest_rows


class ExactIndex(Index):
    """Every query against every embedding: never wrong, and fast for long.

    Product by blocks of matrices; then, of each 16 scores, the maximum alone competes,
    and only the members of the `k` best groups are looked at again. That is exact: an
    embedding among the best `k` sits in a group whose maximum is among the best `k`.
    Where the processor can multiply 8-bit integers, they choose the candidates, and an
    answer that they cannot prove is searched again (`products.Codes`; a quarter
    more memory). Used in book/similarity/fast-search.
    """

    _least_alive = 1.0  # removing rows is cheap: do it at once

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        # torch leaves the product of 8-bit vectors of one number unwritten.
        self._codes = Codes(dim) if dim > 1 and codes_are_fast() else None

    def _keep(self, alive: NDArray[np.bool_]) -> None:
        super()._keep(alive)
        if self._codes:
            self._codes.keep(torch.from_numpy(alive))

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        super()._restore(tensors)
        self._follow()

    def _follow(self) -> None:
        if self._codes:
            self._codes.follow(self._used_rows())

    def _go_back(self) -> None:
        if self._codes:
            self._codes.clear()  # the next `add` makes them anew

    def _nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        search = self._codes.nearest if self._codes else nearest_rows
        return search(queries, self._used_rows(), k)
