"""The same picture twice: copied, scaled, recompressed, cropped, made brighter.

Exact copies share a checksum. Near ones are found in two steps: small grey pictures
that correlate are candidates, and a candidate counts when one of the two, cropped by up
to 5 % on any side, has the details of the other. Details are what differs from its
surroundings: two white shirts on one red sheet share the outline, not the print.
Correlation does not see brightness and contrast. Used in book/data/check-your-data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvlib.datasets.doctor.files import THUMB, Facts

Floats = NDArray[np.float32]
COARSE, FINE = 16, 32  # pixels a side to find candidates, and to judge them
CANDIDATE, SAME = 0.85, 0.84  # correlations; measured in book/data/check-your-data
# Shares cut off at the two ends of a side.
CROPS = tuple((low, high) for low in (0, 0.025, 0.05) for high in (0, 0.025, 0.05))
BLOCK = 1024


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
    return [[first[i].path for i in group] for group in clusters(_same_pairs(thumbs))]


def clusters(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Connected components of a graph, each sorted, from its edges."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in pairs:
        parent[root(a)] = root(b)
    found: dict[int, list[int]] = defaultdict(list)
    for node in sorted(parent):
        found[root(node)].append(node)
    return list(found.values())


def _candidates(thumbs: Floats) -> Iterator[tuple[int, int]]:
    """Pairs, the lower first, whose coarse pictures correlate; block by block."""
    small = _unit(_resampled(thumbs, _sampling(COARSE, 0, 0), _sampling(COARSE, 0, 0)))
    for start in range(0, len(small), BLOCK):
        alike = small[start : start + BLOCK] @ small[start:].T
        for row, column in np.argwhere(alike > CANDIDATE):
            if column > row:
                yield start + int(row), start + int(column)


def _same_pairs(thumbs: Floats) -> Iterator[tuple[int, int]]:
    """Candidates of which one, cropped a little, looks like the other."""
    others: dict[int, list[int]] = defaultdict(list)
    for a, b in _candidates(thumbs):
        others[a].append(b)
        others[b].append(a)
    side = _sampling(FINE, 0, 0)
    whole = _details(_resampled(thumbs, side, side))
    for index, candidates in others.items():
        best = (_crops(thumbs[index]) @ whole[candidates].T).max(axis=0)
        for other in np.array(candidates)[best > SAME]:
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
