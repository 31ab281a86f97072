"""A ranked gallery → numbers; and a second look at the ranking itself.

Similarities are higher for what is closer, as `queries @ gallery.T` is for embeddings
of unit length. Ties rank pessimistically: of two images equally close to the query, the
one that is no match comes first. So a model that gives every image the same embedding
scores nothing, where the order in memory, or luck, would have flattered it.

Where `gallery_labels` is left out the queries are searched among themselves, each
without itself. A query without any match in the gallery has no rank; the averages pass
it over.
"""

import torch
from torch import Tensor

from cvlib.similarity.data import ComparativeSets


def match_ranks(
    similarities: Tensor, query_labels: Tensor, gallery_labels: Tensor | None = None
) -> Tensor:
    """The place of each query's first match, from 1: float64 [Q], NaN without one.

    `similarities` [Q, G], `query_labels` [Q], `gallery_labels` [G]. These are the
    values to give to `cvlib.intervals.bootstrap_interval`. Raises ValueError for shapes
    that do not fit, an empty gallery and similarities that are NaN. Used in
    book/similarity/evaluate.

    >>> match_ranks(torch.tensor([[0.9, 0.8, 0.8]]), torch.tensor([5]),
    ...             torch.tensor([1, 5, 2])).tolist()
    [3.0]
    """
    found, matches = _searched(similarities, query_labels, gallery_labels)
    closest = found.masked_fill(~matches, -torch.inf).amax(dim=1, keepdim=True)
    before = (~matches & (found >= closest)).sum(dim=1)
    return (before + 1).double().where(matches.any(dim=1), torch.nan)


def recall_at_k(
    similarities: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor | None = None,
    *,
    k: int = 1,
) -> float:
    """Share of queries with at least one match among the k closest.

    Not the share of all matches that were found. Arguments and errors as in
    `match_ranks`; ValueError too when no query has a match. Used in
    book/similarity/search.

    >>> recall_at_k(torch.tensor([[0.9, 0.8], [0.2, 0.3]]), torch.tensor([5, 5]),
    ...             torch.tensor([1, 5]))
    0.5
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    ranks = _ranked(match_ranks(similarities, query_labels, gallery_labels))
    return float((ranks <= k).double().mean())


def median_rank(
    similarities: Tensor, query_labels: Tensor, gallery_labels: Tensor | None = None
) -> float:
    """The median place of the first match, from 1: half of the queries do better.

    Arguments and errors as in `recall_at_k`. Used in book/similarity/evaluate.
    """
    ranks = _ranked(match_ranks(similarities, query_labels, gallery_labels))
    return float(ranks.quantile(0.5))


def average_precisions(
    similarities: Tensor, query_labels: Tensor, gallery_labels: Tensor | None = None
) -> Tensor:
    """Average precision of each query's ranking: float64 [Q], NaN without a match.

    The precision at the place of each match, averaged over the matches: 1 when they all
    come first. scikit-learn's counts tied images as one step; here those that are no
    match come first. Arguments and errors as in `match_ranks`. Used in
    book/similarity/evaluate.

    >>> found = average_precisions(torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([5]),
    ...                            torch.tensor([5, 1, 5]))
    >>> round(float(found), 3)  # (1/1 + 2/3) / 2
    0.833
    """
    found, matches = _searched(similarities, query_labels, gallery_labels)
    rows = [
        _average_precisions(*block)
        for block in zip(
            torch.split(found, 256), torch.split(matches, 256), strict=True
        )
    ]
    return torch.cat(rows)


def mean_average_precision(
    similarities: Tensor, query_labels: Tensor, gallery_labels: Tensor | None = None
) -> float:
    """The mean of `average_precisions`; ValueError when no query has a match.

    Used in book/similarity/evaluate.
    """
    found = average_precisions(similarities, query_labels, gallery_labels)
    return float(_ranked(found).mean())


def comparative_ranks(similarities: Tensor, sets: ComparativeSets) -> Tensor:
    """The place of each query's match in its comparative set, from 1: float64 [Q].

    `similarities` [N, N] are those of the images that the sets were drawn from. Used in
    book/similarity/evaluate.
    """
    _check_finite(similarities)
    ours = similarities[sets.queries, sets.positives]
    theirs = similarities[sets.queries[:, None], sets.negatives]
    return 1 + (theirs >= ours[:, None]).sum(dim=1).double()


def rerank(
    queries: Tensor,
    gallery: Tensor | None = None,
    *,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
) -> Tensor:
    """**Distances**, float32 [Q, G], lower is closer, by k-reciprocal neighbours.

    Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR
    2017. Two images are close when each is among the other's `k1` nearest, and when
    they share such neighbours: one minus the Jaccard overlap of their neighbourhoods,
    which are first averaged over the `k2` nearest, plus `weight` of the plain distance.

    `queries` [Q, D] and `gallery` [G, D] have unit length; without a gallery the
    queries are searched among themselves. As in the authors' code an image is the first
    of its own neighbours, and the plain distance is the squared one over the row's
    largest. A query's distances depend on the other queries too: that suits an archive,
    not a service. It needs (Q + G)² numbers. Used in book/similarity/metric-learning.
    """
    everything = queries if gallery is None else torch.cat([queries, gallery])
    count, start = len(queries), 0 if gallery is None else len(queries)
    if not 0 < k2 <= k1 + 1 <= len(everything):
        raise ValueError(
            f"1 ≤ k2 ≤ k1 + 1 ≤ {len(everything)} images wanted, got k1 {k1}, k2 {k2}"
        )
    plain = (2 - 2 * everything @ everything.T).clamp(min=0)
    plain /= plain.amax(dim=1, keepdim=True).clamp(min=1e-12)
    order = plain.clone().fill_diagonal_(-1).argsort(dim=1, stable=True)
    near = _neighbourhoods(plain, order, k1)
    near = torch.stack([near[row].mean(dim=0) for row in order[:, :k2]])
    jaccard = 1 - _overlaps(near[:count], near[start:])
    return (1 - weight) * jaccard + weight * plain[:count, start:]


def _neighbourhoods(plain: Tensor, order: Tensor, k1: int) -> Tensor:
    """Fuzzy neighbourhoods, [N, N]: exp(−distance) within, 0 outside."""
    wide, narrow = _reciprocal(order, k1), _reciprocal(order, round(k1 / 2))
    shared = wide.float() @ narrow.float().T
    sizes = narrow.sum(dim=1)
    # Neighbours that share two thirds of their own neighbourhood bring it in.
    joins = wide & (shared * 3 >= 2 * sizes)
    inside = wide | (joins.float() @ narrow.float() > 0)
    return (-plain).exp() * inside


def _reciprocal(order: Tensor, k: int) -> Tensor:
    """Whether each of two images is among the other's k nearest: bool [N, N]."""
    near = torch.zeros(order.shape, dtype=torch.bool)
    near.scatter_(1, order[:, : k + 1], True)
    return near & near.T


def _overlaps(queries: Tensor, gallery: Tensor) -> Tensor:
    """Jaccard overlap of fuzzy sets, [Q, G]: the sum of minima over that of maxima."""
    sizes = gallery.sum(dim=1)
    rows = []
    for query in queries:
        inside = query.nonzero().flatten()
        both = torch.minimum(query[inside], gallery[:, inside]).sum(dim=1)
        rows.append(both / (query.sum() + sizes - both))
    return torch.stack(rows)


def _average_precisions(found: Tensor, matches: Tensor) -> Tensor:
    """Of one block of rows: sorted so that among equals the matches come last."""
    first = matches.byte().argsort(dim=1, stable=True)
    order = found.gather(1, first).argsort(dim=1, descending=True, stable=True)
    ranked = matches.gather(1, first).gather(1, order).double()
    places = torch.arange(1, ranked.shape[1] + 1)
    precision = ranked.cumsum(dim=1) / places
    return (precision * ranked).sum(dim=1) / ranked.sum(dim=1)


def _searched(
    similarities: Tensor, query_labels: Tensor, gallery_labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Similarities and whether they are matches, [Q, G]; no query meets itself."""
    if isinstance(gallery_labels, int):
        raise TypeError(
            f"gallery_labels must be [G] labels, got {gallery_labels}; k is given by "
            f"its name: k={gallery_labels}"
        )
    similarities, query_labels = map(torch.as_tensor, (similarities, query_labels))
    alone = gallery_labels is None
    others = query_labels if gallery_labels is None else torch.as_tensor(gallery_labels)
    wanted = (len(query_labels), len(others))
    if similarities.shape != wanted or query_labels.ndim != 1 or others.ndim != 1:
        raise ValueError(
            f"similarities must be [queries, gallery], {wanted} for these labels, got "
            f"{tuple(similarities.shape)}"
        )
    _check_finite(similarities)
    matches = query_labels[:, None] == others
    if alone:
        apart = ~torch.eye(len(others), dtype=torch.bool)
        shape = (len(others), max(len(others) - 1, 0))
        similarities, matches = similarities[apart], matches[apart]
        similarities, matches = similarities.view(shape), matches.view(shape)
    if similarities.shape[0] and not similarities.shape[1]:
        raise ValueError("the gallery is empty")
    return similarities, matches


def _check_finite(similarities: Tensor) -> None:
    # A comparison with NaN is false, so a broken model would rank its matches first.
    if similarities.isnan().any():
        raise ValueError("similarities hold NaN: the embeddings are broken")


def _ranked(values: Tensor) -> Tensor:
    """The values of queries that have a match."""
    known = values[~values.isnan()]
    if not len(known):
        raise ValueError("no query has a match in the gallery")
    return known
