"""The largest inner products, exactly: what `cvlib.search.index` computes with.

`nearest_rows` multiplies in full precision, block by block. Where the processor is
several times as fast with 8-bit integers, `Codes` looks through all rows with those,
compares the best candidates in full precision, and keeps an answer only where it is
proven that no other row could belong to it. Used in book/similarity/fast-search.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor

# Measured on 2 cores, 100,000 × 512: a product of 512 queries runs at the speed of the
# whole, and its 64 MB to 256 MB of scores are all the memory that a search takes.
QUERY_BLOCK = 512
ROW_BLOCK = 100_000
GROUP = 16  # scores that share one maximum
FEW = 64  # queries; fewer are bound by memory, not by arithmetic

LEVELS = 127  # of an 8-bit code, to either side of zero
LEAST = 64  # candidates; more of them would take longer, fewer would prove less
SPARSE = 256  # rows a candidate; with fewer, plain search is quicker
SMALLEST, LARGEST = 1e-12, 1e12  # numbers whose squares the bound can add up


def nearest_rows(queries: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` largest inner products, [Q, k], and their rows, the largest first."""
    most = max(2, min(len(queries), QUERY_BLOCK))
    scores = torch.empty(most * min(len(rows), ROW_BLOCK))
    found = [
        _best_of_blocks(query, rows, k, lambda q, b: _products(q, b, scores))
        for query in split(queries, QUERY_BLOCK)
    ]
    return stacked(found, k)


def compare(
    queries: Tensor, rows: Tensor, candidates: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """The best `k` of each query's own `candidates`, int64 [Q, C]; −1 stands for none.

    Returns inner products, [Q, k], and rows as `nearest_rows` does.
    """
    parts = []
    pairs = zip(split(queries, 16), split(candidates, 16), strict=True)
    for query, places in pairs:
        found = rows.index_select(0, places.clamp(min=0).flatten())
        scores = torch.bmm(found.view(*places.shape, -1), query[:, :, None])[:, :, 0]
        best, chosen = scores.masked_fill_(places < 0, -torch.inf).topk(k)
        parts.append((best, places.gather(1, chosen)))
    return stacked(parts, k)


class Codes:
    """The rows of a gallery in 8 bits a number, and a bound on what that may change.

    Rows and queries are turned by one random rotation, which changes no inner product
    but leaves no number much larger than the others, and rounded to steps of equal
    size. For a query q and a row x, rounded to q' and x', Cauchy and Schwarz keep
    q·x − q'·x' between ±(‖q‖ ‖x − x'‖ + ‖q − q'‖ ‖x'‖). A row whose rounded product
    lies further than that below the k-th best exact one cannot be among the best k.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._codes = torch.empty(0, dim, dtype=torch.int8)  # grows by doubling
        self._count = 0  # rows encoded
        self._most = 0.0  # no number among the turned rows is larger
        self._off = 0.0  # at least every ‖x − x'‖
        self._length = 0.0  # at least every ‖x'‖

    def follow(self, rows: Tensor) -> None:
        """Encode `rows`, [N, D], but for those at the start that are encoded."""
        if len(rows) < SPARSE * LEAST:
            return  # too few to be searched this way

        self._codes = with_room(self._codes, self._count, len(rows))
        while self._count < len(rows):
            part = rows[self._count :][: max(1, 2**24 // self.dim)]
            turned = part @ self._turn
            most = float(torch.stack(turned.aminmax()).abs().max())
            if not most < LARGEST:
                return  # the bound would overflow: `nearest` does without codes

            if most > self._most:  # all anew, in larger steps
                self._most, self._count, self._off, self._length = 1.1 * most, 0, 0, 0
                continue

            codes, off, length = _rounded(turned, self._step)
            self._codes[self._count : self._count + len(part)] = codes
            self._off = max(self._off, float(off.max()))
            self._length = max(self._length, float(length.max()))
            self._count += len(part)

    def keep(self, chosen: Tensor) -> None:
        """Forget the rows that are not `chosen`, bool [N]."""
        self._codes = self._codes[: self._count][chosen[: self._count]]
        self._count = len(self._codes)

    def clear(self) -> None:
        """Forget all rows: until `follow` sees some, search does without codes."""
        self._count = 0

    def nearest(self, queries: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """What `nearest_rows` gives; `rows` are those that `follow` has seen."""
        amount = max(4 * k, LEAST, 2**14 // self.dim)  # candidates a query
        usable = self._count == len(rows) and self._most > SMALLEST
        amounts = [amount, 4 * amount] if usable else []
        return self._nearest(queries, rows, k, amounts)

    def _nearest(
        self, queries: Tensor, rows: Tensor, k: int, amounts: list[int]
    ) -> tuple[Tensor, Tensor]:
        """Tries each amount of candidates on the queries that are still unproven."""
        if not amounts or amounts[0] * SPARSE > len(rows):
            return nearest_rows(queries, rows, k)

        candidates, limits = self._candidates(queries, amounts[0])
        similarities, places = compare(queries, rows, candidates, k)
        unsure = ~(similarities[:, -1] >= limits)
        if unsure.any():
            again = self._nearest(queries[unsure], rows, k, amounts[1:])
            similarities[unsure], places[unsure] = again
        return similarities, places

    def _candidates(self, queries: Tensor, amount: int) -> tuple[Tensor, Tensor]:
        """Rows, [Q, amount], and what no product with another row exceeds, [Q]."""
        size = min(len(queries), QUERY_BLOCK) * min(self._count, ROW_BLOCK)
        scores = torch.empty(size, dtype=torch.int32)
        found = [
            self._candidates_of(q, amount, scores) for q in split(queries, QUERY_BLOCK)
        ]
        limits, places = stacked(found, amount)
        return places, limits

    def _candidates_of(
        self, query: Tensor, amount: int, scores: Tensor
    ) -> tuple[Tensor, Tensor]:
        turned = query @ self._turn
        most = turned.abs().amax(dim=1)
        steps = most.clamp(min=SMALLEST) / LEVELS
        codes, off, _ = _rounded(turned, steps[:, None])
        products, places = _best_of_blocks(
            codes,
            self._codes[: self._count],
            amount,
            lambda q, b: torch._int_mm(q, b.T, out=_shaped(scores, q, b)),
        )
        lengths = query.norm(dim=1)
        bound = lengths * self._off + off * self._length
        bound += 1e-5 * lengths * self._length  # for 32-bit arithmetic itself
        limits = products[:, -1] * steps * self._step + bound
        limits[~((most > SMALLEST) & (most < LARGEST))] = torch.inf
        return limits, places

    @cached_property
    def _turn(self) -> Tensor:
        """A rotation, [D, D], always the same for a length of rows."""
        generator = torch.Generator().manual_seed(0)
        return torch.linalg.qr(torch.randn(self.dim, self.dim, generator=generator)).Q

    @property
    def _step(self) -> float:
        return self._most / LEVELS


@cache
def codes_are_fast() -> bool:
    """Whether 8-bit products are faster than float32 here, and right.

    Without the instructions named here, torch rounds large sums; it can also be told
    not to use them. So ask it for some.
    """
    names = ("avx512_vnni", "avx_vnni", "amx_int8")
    has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if not (hasattr(torch, "_int_mm") and any(has.get(name) for name in names)):
        return False

    ones = torch.full((64, 64), LEVELS, dtype=torch.int8)
    return bool((torch._int_mm(ones, ones.T) == 64 * LEVELS**2).all())


def with_room(rows: Tensor, used: int, total: int) -> Tensor:
    """`rows` itself, or a larger copy of its first `used` with room for `total`."""
    if total <= len(rows):
        return rows

    larger = rows.new_empty(max(total, 2 * used), rows.shape[1])
    larger[:used] = rows[:used]
    return larger


def split(tensor: Tensor, size: int) -> list[Tensor]:
    """The tensor in pieces of `size` rows; none for an empty one."""
    return [tensor[i : i + size] for i in range(0, len(tensor), size)]


def stacked(parts: list[tuple[Tensor, Tensor]], k: int) -> tuple[Tensor, Tensor]:
    """Answers to blocks of queries as one answer; [0, k] twice for no block."""
    empty = (torch.empty(0, k), torch.empty(0, k, dtype=torch.int64))
    values, places = zip(*parts or [empty], strict=True)
    return torch.cat(values), torch.cat(places)


def _best_of_blocks(
    query: Tensor, rows: Tensor, k: int, multiply: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """The `k` largest of what `multiply` gives for blocks of rows, and their rows."""
    parts = []
    for number, block in enumerate(split(rows, ROW_BLOCK)):
        best, place = _top(multiply(query, block), k)
        parts.append((best, place + number * ROW_BLOCK))
    if len(parts) == 1:
        return parts[0]

    values = torch.cat([best for best, _ in parts], dim=1)
    places = torch.cat([place for _, place in parts], dim=1)
    best, place = values.topk(k)
    return best, places.gather(1, place)


def _shaped(scores: Tensor, query: Tensor, block: Tensor) -> Tensor:
    return scores[: len(query) * len(block)].view(len(query), len(block))


def _products(query: Tensor, block: Tensor, scores: Tensor) -> Tensor:
    """Inner products, [q, n], in the memory of `scores` where there are many queries.

    A few queries are multiplied the other way round, which runs at the speed at which
    memory can be read; a single one is doubled, since torch takes a slower path for a
    vector (measured: three times as slow).
    """
    if len(query) >= FEW:
        return torch.mm(query, block.T, out=_shaped(scores, query, block))

    columns = query if len(query) > 1 else query.repeat(2, 1)
    out = _shaped(scores, block, columns)
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

    grouped = scores[:, : width * GROUP].reshape(count, GROUP, width)
    groups = grouped.amax(dim=1).topk(k, sorted=False).indices  # [Q, k]
    starts = torch.arange(0, width * GROUP, width)
    members = (groups[:, :, None] + starts).flatten(1)  # [Q, k · GROUP]
    rest = torch.arange(width * GROUP, total).expand(count, -1)
    members = torch.cat([members, rest], dim=1)
    best, place = scores.gather(1, members).topk(k)
    return best, members.gather(1, place)


def _rounded(turned: Tensor, step: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, int8 [N, D], how far each row moved, [N], and its new length, [N]."""
    codes = (turned / step).round_().clamp_(-LEVELS, LEVELS)
    moved = codes * step
    return codes.to(torch.int8), (turned - moved).norm(dim=1), moved.norm(dim=1)
