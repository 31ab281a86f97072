"""Random generators that depend on nothing but their name.

Every drawing in the pantry (a product, a scene, a photograph's noise) has its own
generator, so any of them can be made again alone and comes out the same.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

SEED = 2026


def generator(*keys: object, seed: int = SEED) -> np.random.Generator:
    """A generator named by `keys`: the same keys and seed give the same draws."""
    name = "/".join(str(key) for key in (seed, *keys))
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """One uniform draw, rounded so that descriptions stay readable."""
    return round(float(rng.uniform(low, high)), 4)


def choose(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of `options`, each equally likely."""
    return options[int(rng.integers(len(options)))]
