"""What a search found for each query, to be filtered by thing and by hit or miss."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cvlib.explorers.page import (
    Explorer,
    Item,
    any_of,
    as_texts,
    check_images,
    frame,
    thumbnail,
)

ORDERS = {"worst": "worst first", "best": "best first", "given": "as given"}


def retrieval_explorer(
    queries: Tensor,
    things: Sequence[str],
    similarities: Tensor,
    *,
    gallery: tuple[Tensor, Sequence[str]] | None = None,
    names: Sequence[str] = (),
    count: int = 8,
    size: int = 96,
) -> Explorer:
    """Every query with the `count` images closest to it, to browse in a page.

    `queries` [Q, 3, H, W] are bytes or 0–1, `things` names what each shows, and
    `similarities` [Q, G] are higher for what is closer. `gallery` holds the images
    searched in, [G, 3, H, W], and the things they show; without it the queries are
    searched among themselves, each without itself, and a neighbour can be picked as the
    next query. `names` tells where a query comes from, as its file name. A neighbour
    that shows the query's thing is a match; of equally close images those that are none
    come first. An image of `size` pixels takes about 3 kB. Raises ValueError for shapes
    that do not fit. Used in book/similarity/search.
    """
    others, shown = gallery or (queries, things)
    check_images(queries, things=things, similarities=similarities)
    check_images(others, **{"the gallery's things": shown})
    if similarities.shape != (len(queries), len(others)):
        raise ValueError(
            f"similarities must be [{len(queries)}, {len(others)}], got "
            f"{tuple(similarities.shape)}"
        )
    order, hits = _ranking(similarities, things, shown, alone=gallery is None)
    order, ranks = order[:, :count], [_first(row) for row in hits]
    close = similarities.gather(1, torch.from_numpy(order)).tolist()
    items = [
        _item(
            as_texts(index=i, thing=things[i], rank=rank, verdict=_verdict(rank)),
            [
                [other, shown[other], f"{similarity:.2f}", hit]
                for other, similarity, hit in zip(
                    order[i].tolist(), close[i], hits[i].tolist(), strict=False
                )
            ],
            thumbnail(queries[i], size),
            f"{things[i]}, {f'place {rank}' if rank else 'alone'}",
            names[i] if names else "",
        )
        for i, rank in enumerate(ranks)
    ]
    missed = "miss" if max(ranks, default=0) > 1 else ""
    pictures = [] if gallery is None else np.unique(order).tolist()
    return frame(
        "retrieval",
        "Retrieval explorer",
        chosen=missed,
        things=any_of(sorted(set(things))),
        orders=ORDERS,
        items=items,
        pictures={index: thumbnail(others[index], size) for index in pictures},
    )


def _ranking(
    similarities: Tensor, things: Sequence[str], shown: Sequence[str], *, alone: bool
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The gallery's order for each query and whether each is a match, [Q, G]."""
    values = similarities.double().numpy().copy()
    matches = np.array(things, dtype=str)[:, None] == np.array(shown, dtype=str)
    if alone:
        np.fill_diagonal(values, -np.inf)
        np.fill_diagonal(matches, False)
    order = np.lexsort((matches, -values))
    if alone:
        order = order[:, :-1]  # each query itself
    return order, np.take_along_axis(matches, order, axis=1)


def _first(hits: NDArray[np.bool_]) -> int:
    """The place of the first match, from 1; 0 without any."""
    return int(hits.argmax()) + 1 if hits.any() else 0


def _verdict(rank: int) -> str:
    return {0: "alone", 1: "hit"}.get(rank, "miss")


def _item(
    facts: dict[str, str],
    neighbours: list[list[object]],
    source: str,
    caption: str,
    name: str,
) -> Item:
    what = f"Query, and where its first match came: {caption}"
    return Item(
        source, what, caption, facts, as_texts(neighbours=neighbours, name=name)
    )
