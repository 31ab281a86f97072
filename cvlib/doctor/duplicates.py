"""The same picture twice: copied, scaled, recompressed, cropped, made brighter.

Exact copies share a checksum. Near ones are found in two steps: small grey pictures
that correlate are candidates, and a candidate counts when one of the two, cropped by up
to 5 % on any side, has the details of the other. Details are what differs from its
surroundings: two white shirts on one red sheet share the outline, not the print.
Correlation does not see brightness and contrast. Used in book/data/check-your-data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvlib.doctor.files import THUMB, Facts

Floats = NDArray[np.float32]
COARSE, FINE = 16, 32  # pixels a side to find candidates, and to judge them
CANDIDATE, SAME = 0.85, 0.84  # correlations; measured in book/data/check-your-data
# Shares cut off at the two ends of a side.
CROPS = tuple((low, high) for low in (0, 0.025, 0.05) for high in (0, 0.025, 0.05))
BLOCK = 512  # pictures that are compared with all others at once
MOST = 32  # candidates a picture that are looked at closer


def find_copies(facts: Sequence[Facts]) -> list[list[Path]]:
    """Groups of files with the same bytes."""
    same: dict[str, list[Path]] = defaultdict(list)
    for one in facts:
        if one.digest:
            same[one.digest].append(one.path)
    return [paths for paths in same.values() if len(paths) > 1]


def find_near_copies(facts: Sequence[Facts]) -> list[list[Path]]:
    """Groups of files that show the same picture and are not the same bytes.

    Blank images are left out: all of them look alike.
    """
    shown = [f for f in facts if f.thumb is not None and f.thumb.std() >= 2]
    first = list({f.digest: f for f in reversed(shown)}.values())[::-1]
    thumbs = np.array([f.thumb for f in first], np.float32).reshape(-1, THUMB, THUMB)
    if not len(thumbs):
        return []
    return [[first[i].path for i in group] for group in _groups(thumbs)]


def clusters(pairs: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """Connected components of two nodes and more, each sorted, from edges [P, 2]."""
    labels = _components(pairs, count)
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return [part for part in parts if len(part) > 1]


def _components(pairs: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    """A number a node, [count], equal for nodes that edges [P, 2] connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(pairs), np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels


def _groups(thumbs: Floats) -> list[NDArray[np.int64]]:
    """Pictures that are the same as they are, then those that are when cropped.

    The crops cost most, so they are tried only where no group is known yet: otherwise a
    thousand frames of one camera would be a million pairs.
    """
    side = _sampling(FINE, 0, 0)
    whole = _details(_resampled(thumbs, side, side))
    sure, unsure = _candidates(thumbs, whole)
    labels = _components(sure, len(thumbs))
    unsure = unsure[labels[unsure[:, 0]] != labels[unsure[:, 1]]]
    cropped = [np.array(pair) for pair in _same_cropped(thumbs, whole, unsure)]
    return clusters(np.vstack([sure, *cropped]), len(thumbs))


def _candidates(
    thumbs: Floats, whole: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs [P, 2] whose coarse pictures correlate: with the same details, and others.

    Of the first, as many as connect them; of the others, the best MOST a picture.
    """
    small = _unit(_resampled(thumbs, _sampling(COARSE, 0, 0), _sampling(COARSE, 0, 0)))
    sure, unsure = [np.zeros((0, 2), np.int64)], [np.zeros((0, 2), np.int64)]
    for start in range(0, len(small), BLOCK):
        alike = np.triu(small[start : start + BLOCK] @ small[start:].T, 1)
        rows = np.flatnonzero((alike > CANDIDATE).any(axis=1))
        alike = alike[rows]
        same = (alike > CANDIDATE) & (whole[start + rows] @ whole[start:].T > SAME)
        sure.append(_connecting(np.argwhere(same), rows) + start)
        alike[same] = 0
        least = max(alike.shape[1] - MOST, 0)
        cut = np.partition(alike, least, axis=1)[:, least : least + 1]
        close = np.argwhere((alike > CANDIDATE) & (alike >= cut))
        unsure.append(np.stack([rows[close[:, 0]], close[:, 1]], axis=1) + start)
    return np.vstack(sure), np.vstack(unsure)


def _connecting(found: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places (row number, column) → edges that connect as much, at most one a node."""
    pairs = np.stack([rows[found[:, 0]], found[:, 1]], axis=1)
    if not len(pairs):
        return pairs
    labels = _components(pairs, int(pairs.max()) + 1)
    nodes, first = np.unique(pairs), np.unique(labels, return_index=True)[1]
    return np.stack([first[labels[nodes]], nodes], axis=1)


def _same_cropped(
    thumbs: Floats, whole: Floats, pairs: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """Pairs of which one, cropped a little, has the details of the other."""
    both = np.vstack([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    starts = np.flatnonzero(np.diff(both[:, 0], prepend=-1))
    for own in np.split(both, starts[1:]) if len(both) else []:
        index, others = int(own[0, 0]), own[:, 1]
        best = (_crops(thumbs[index]) @ whole[others].T).max(axis=0)
        for other in others[best > SAME]:
            yield index, int(other)


def _crops(thumb: Floats) -> Floats:
    """The details of all crops of a picture, [81, FINE²], unit length."""
    sides = np.stack([_sampling(FINE, *crop) for crop in CROPS])
    found = np.einsum("aij,bkj->abik", sides @ thumb, sides, optimize=True)
    return _details(found.reshape(len(CROPS) ** 2, -1))


def _resampled(thumbs: Floats, rows: Floats, columns: Floats) -> Floats:
    found = np.asarray(rows @ thumbs @ columns.T, np.float32)
    return found.reshape(len(thumbs), len(rows) * len(columns))


def _details(rows: Floats) -> Floats:
    """Pictures [N, FINE²] less the mean of the 5 × 5 pixels around, of unit length."""
    from scipy.ndimage import uniform_filter

    pictures = rows.reshape(-1, FINE, FINE)
    around = uniform_filter(pictures, size=(1, 5, 5), mode="nearest")
    return _unit((pictures - around).reshape(rows.shape))


@cache
def _sampling(size: int, left: float, right: float) -> Floats:
    """Weights [size, THUMB]: each output pixel averages its share of the input."""
    edges = np.linspace(left * THUMB, (1 - right) * THUMB, size + 1)
    cells = np.arange(THUMB)
    low = np.maximum(edges[:-1, None], cells)
    high = np.minimum(edges[1:, None], cells + 1)
    weights = np.maximum(high - low, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _unit(rows: Floats) -> Floats:
    """Rows less their mean, of unit length."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(length, 1e-6), np.float32)
