"""Embeddings to search in, and the slow way to search them."""

import numpy as np
import torch

from cvlib.search import ExactIndex, HNSWIndex, Index, IVFPQIndex

KINDS = [ExactIndex, HNSWIndex, IVFPQIndex]
COUNT, DIM = 600, 16


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers, always the same for a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filled(kind: type[Index], embeddings: torch.Tensor, ids: torch.Tensor) -> Index:
    """An index of this kind with these embeddings."""
    index = kind(DIM)
    index.add(embeddings, ids)
    return index


def best(queries: torch.Tensor, rows: torch.Tensor, k: int) -> np.ndarray:
    """The slow way: sort all inner products, in double precision."""
    return np.argsort(-(queries.double() @ rows.double().T).numpy(), axis=1)[:, :k]
