"""Nearest neighbours among many embeddings, exact and approximate.

    from cvlib.search import ExactIndex

    index = ExactIndex(dim=1280)
    index.add(embeddings, ids)
    similarities, found = index.search(queries, k=10)

`index` is what all indexes share, `exact` compares every row, `approximate` asks FAISS,
`products` is the arithmetic of exact search. Used in book/similarity/fast-search.
"""

from cvlib.search.approximate import HNSWIndex, IVFPQIndex
from cvlib.search.exact import ExactIndex
from cvlib.search.index import Index

__all__ = ["ExactIndex", "HNSWIndex", "IVFPQIndex", "Index"]
