import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlib import nearest
from cvlib.nearest import Codes, codes_are_fast, compare, nearest_rows

# Old processors round 8-bit products themselves; there the codes are not used.
needs_codes = pytest.mark.skipif(
    not codes_are_fast(), reason="this processor has no fast 8-bit products"
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def best(queries: torch.Tensor, rows: torch.Tensor, k: int) -> np.ndarray:
    """The slow way: sort all inner products, in double precision."""
    return np.argsort(-(queries.double() @ rows.double().T).numpy(), axis=1)[:, :k]


@given(
    rows=st.integers(1, 300),
    queries=st.integers(0, 9),
    k=st.integers(1, 20),
    blocks=st.tuples(st.integers(1, 90), st.integers(1, 5), st.integers(1, 4)),
)
@settings(max_examples=150, deadline=None)
def test_blocks_of_any_size_find_what_a_full_sort_finds(rows, queries, k, blocks):
    gallery, wanted = noise(rows, 5, seed=rows), noise(queries, 5, seed=rows + 1)
    k = min(k, rows)
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("ROW_BLOCK", "QUERY_BLOCK", "FEW"), blocks, strict=True):
            patch.setattr(nearest, name, size)
        similarities, found = nearest_rows(wanted, gallery, k)
    assert found.numpy().tolist() == best(wanted, gallery, k).tolist()
    exact = (wanted @ gallery.T).gather(1, found)
    assert torch.allclose(similarities, exact, atol=1e-5)


def test_candidates_are_compared_and_gaps_come_last():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    found = compare(torch.tensor([[0.0, 2.0]]), rows, torch.tensor([[0, -1, 2]]), 3)
    assert found[0].tolist() == [[pytest.approx(1.6), 0.0, -torch.inf]]
    assert found[1].tolist() == [[2, 0, -1]]


GALLERIES = {
    "spread": lambda: noise(9000, 40),
    "unit length": lambda: torch.nn.functional.normalize(noise(9000, 40)),
    "clumps": lambda: noise(90, 40).repeat(100, 1) + 0.02 * noise(9000, 40, seed=1),
    "copies": lambda: noise(3, 40).repeat(3000, 1),
    "one long row": lambda: torch.cat([noise(8999, 40), 1e4 * noise(1, 40)]),
    "one long axis": lambda: noise(9000, 40) * torch.logspace(3, -3, 40),
    "zeros": lambda: torch.zeros(9000, 40),
    "tiny": lambda: noise(9000, 40) * 1e-20,
}


@needs_codes
@pytest.mark.parametrize("kind", GALLERIES)
@pytest.mark.parametrize("block", [100_000, 1234])
def test_codes_find_exactly_what_full_precision_finds(kind, block, monkeypatch):
    rows = GALLERIES[kind]()
    queries = torch.cat([noise(30, 40, seed=2), rows[:30], torch.zeros(1, 40)])
    monkeypatch.setattr(nearest, "ROW_BLOCK", block)
    codes = Codes(40)
    for end in (1, 5000, 5000, 9000):  # in pieces, and with nothing new
        codes.follow(rows[:end])
    similarities, found = codes.nearest(queries, rows, 7)
    wanted = (queries.double() @ rows.double().T).topk(7).values
    scale = float(wanted.abs().max()) or 1.0
    assert torch.allclose(similarities.double(), wanted, atol=1e-5 * scale)
    again = torch.einsum("qd,qkd->qk", queries, rows[found])
    assert torch.allclose(similarities, again, atol=1e-5 * scale)
    assert all(len(set(row)) == 7 for row in found.tolist())


@needs_codes
def test_no_row_that_the_codes_leave_out_exceeds_their_limit():
    rows, queries = noise(9000, 40), noise(200, 40, seed=1)
    codes = Codes(40)
    codes.follow(rows)
    candidates, limits = codes._candidates(queries, 64)
    products = (queries @ rows.T).scatter(1, candidates, -torch.inf)
    assert (products.amax(dim=1) <= limits).all()
    assert (products.amax(dim=1) > limits - 3).all()  # and it is no empty promise


@needs_codes
@pytest.mark.parametrize(("copies", "unproven"), [(100, 0), (1500, 200)])
def test_only_unproven_answers_are_searched_again(copies, unproven, monkeypatch):
    """Of 100 near-copies all are candidates; of 1,500 too few for any proof."""
    centres = torch.nn.functional.normalize(noise(30_000 // copies, 64))
    rows = centres.repeat(copies, 1) + 1e-5 * noise(30_000, 64, seed=1)
    codes, again, plain = Codes(64), [], nearest_rows
    codes.follow(rows)
    monkeypatch.setattr(
        nearest,
        "nearest_rows",
        lambda q, *rest: again.append(len(q)) or plain(q, *rest),
    )
    codes.nearest(rows[:200], rows, 10)
    assert sum(again) == unproven
