"""Inner products by blocks, and 8-bit codes with a proof."""

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlib.search import products
from cvlib.search.products import Codes, codes_are_fast, compare, nearest_rows
from tests.search.galleries import best, noise


@pytest.fixture(autouse=True)
def exact_products(monkeypatch):
    """8-bit products, in plain arithmetic where the processor would round them."""
    if not codes_are_fast():
        monkeypatch.setattr(
            torch, "_int_mm", lambda a, b, *, out: out.copy_(a.int() @ b.int())
        )


@given(
    rows=st.integers(1, 300),
    queries=st.integers(0, 9),
    k=st.integers(1, 20),
    blocks=st.tuples(st.integers(1, 90), st.integers(1, 5), st.integers(1, 4)),
)
@settings(max_examples=150)
def test_blocks_of_any_size_find_what_a_full_sort_finds(rows, queries, k, blocks):
    gallery, wanted = noise(rows, 5, seed=rows), noise(queries, 5, seed=rows + 1)
    k = min(k, rows)
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("ROW_BLOCK", "QUERY_BLOCK", "FEW"), blocks, strict=True):
            patch.setattr(products, name, size)
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
    **{
        f"times {scale}": lambda scale=scale: noise(9000, 40) * scale
        for scale in (1e-36, 1e-20, 1e-8, 1e8, 1e20, 1e36)
    },
}


@pytest.fixture
def always_codes(monkeypatch):
    """Codes for small galleries too."""
    monkeypatch.setattr(products, "SPARSE", 4)


@pytest.mark.usefixtures("always_codes")
@pytest.mark.parametrize("kind", GALLERIES)
@pytest.mark.parametrize("block", [100_000, 1234])
@pytest.mark.parametrize("scale", [1.0, 1e-30])
def test_codes_find_exactly_what_full_precision_finds(kind, block, scale, monkeypatch):
    rows = GALLERIES[kind]()
    queries = scale * torch.cat([noise(30, 40, seed=2), torch.zeros(1, 40)])
    monkeypatch.setattr(products, "ROW_BLOCK", block)
    codes = Codes(40)
    for end in (1, 5000, 5000, 9000):  # in pieces, and with nothing new
        codes.follow(rows[:end])
    similarities, found = codes.nearest(queries, rows, 7)
    slack = 1e-6 * torch.einsum("qd,qkd->qk", queries.abs(), rows[found].abs())
    wanted = nearest_rows(queries, rows, 7)[0]
    assert ((similarities - wanted).abs() <= slack).all()
    again = torch.einsum("qd,qkd->qk", queries, rows[found])
    assert ((similarities - again).abs() <= slack).all()
    assert all(len(set(row)) == 7 for row in found.tolist())


@pytest.mark.usefixtures("always_codes")
def test_no_row_that_the_codes_leave_out_exceeds_their_limit():
    rows, queries = noise(9000, 40), noise(200, 40, seed=1)
    codes = Codes(40)
    codes.follow(rows)
    candidates, limits = codes._candidates(queries, 64)
    products = (queries @ rows.T).scatter(1, candidates, -torch.inf)
    assert (products.amax(dim=1) <= limits).all()
    assert (products.amax(dim=1) > limits - 3).all()  # and it is no empty promise


def planted(codes: Codes, needle: torch.Tensor, decoy: torch.Tensor) -> torch.Tensor:
    """Rows whose codes are the turned rows themselves: decoys, a rival, one needle.

    More decoys than candidates, so that the limit is a decoy's product; the rival lies
    above it, and only the bound says that the needle, no candidate, may lie above both.
    """
    rows = torch.zeros(9000, 40)
    rows[:3000], rows[3000], rows[4000] = decoy, 2 * decoy, needle
    codes._most = 127.0  # so steps are of 1
    rows = rows @ codes._turn.T
    codes.follow(rows)
    return rows


@pytest.mark.usefixtures("always_codes")
def test_a_query_that_rounding_spoils_is_not_called_proven():
    """Rounded, the query sees nothing of the row that it is closest to."""
    codes, one = Codes(40), torch.eye(40)[0]
    rows = planted(codes, needle=20 * (1 - one), decoy=one)
    query = (127 * one + 0.49 * (1 - one)) @ codes._turn.T  # 0.49 is rounded to 0
    assert codes.nearest(query[None], rows, 1)[1].tolist() == [[4000]]


@pytest.mark.usefixtures("always_codes")
def test_a_row_that_rounding_spoils_is_not_called_proven():
    codes, one = Codes(40), torch.eye(40)[0]
    rows = planted(codes, needle=0.49 * torch.ones(40), decoy=one)
    query = torch.ones(40) @ codes._turn.T
    assert codes.nearest(query[None], rows, 1)[1].tolist() == [[4000]]


@pytest.mark.usefixtures("always_codes")
def test_a_limit_leaves_room_for_float32_itself():
    """On the grid nothing is rounded: what is left is the sum of 40 float products.

    Without that room a limit may lie an ulp below a product with a row left out, which
    changes no answer but among rows that float32 cannot tell apart.
    """
    codes, ones = Codes(40), torch.ones(40)
    rows = planted(codes, needle=ones, decoy=ones)
    query = (ones @ codes._turn.T)[None]
    _, limits = codes._candidates(query, 64)
    exact = float(query.double() @ rows[5].double())
    assert exact * (1 + 4e-6) < float(limits[0]) < exact * 1.001


@pytest.mark.usefixtures("always_codes")
def test_a_limit_is_the_product_of_the_last_candidate():
    """Codes (a, b) and a query of (127, 1): products of 127 a + b, all different."""
    codes, grid = Codes(40), torch.zeros(8192, 40)
    grid[:, 0], grid[:, 1] = torch.arange(8192) // 64, torch.arange(8192) % 64
    codes._most = 127.0
    codes.follow(grid @ codes._turn.T)
    query = torch.zeros(1, 40)
    query[0, :2] = torch.tensor([127.0, 1.0])
    places, limits = codes._candidates(query @ codes._turn.T, 64)
    assert sorted(places[0].tolist()) == list(range(8128, 8192))
    assert 127 * 127 < float(limits[0]) < 127 * 127 + 1


@pytest.mark.usefixtures("always_codes")
def test_what_is_unproven_is_tried_with_four_times_the_candidates_first(monkeypatch):
    codes, amounts, candidates = Codes(40), [], Codes._candidates
    rows = noise(90, 40).repeat_interleave(100, dim=0)  # a hundred equals
    rows += 1e-5 * noise(9000, 40, seed=1)
    codes.follow(rows)
    monkeypatch.setattr(products, "LEAST", 64)
    monkeypatch.setattr(
        Codes, "_candidates", lambda *a: amounts.append(a[2]) or candidates(*a)
    )
    monkeypatch.setattr(products, "nearest_rows", lambda *_: pytest.fail("searched"))
    codes._nearest(rows[:9], rows, 3, [50, 200])
    assert amounts == [50, 200]


@pytest.mark.slow
@pytest.mark.parametrize(("copies", "unproven"), [(50, 0), (3000, 200)])
def test_only_unproven_answers_are_searched_again(copies, unproven, monkeypatch):
    """Of 50 near-copies all are candidates; of 3,000 too few for any proof."""
    centres = torch.nn.functional.normalize(noise(300_000 // copies, 64))
    rows = centres.repeat(copies, 1) + 1e-5 * noise(300_000, 64, seed=1)
    codes, again, plain = Codes(64), [], nearest_rows
    codes.follow(rows)
    monkeypatch.setattr(
        products,
        "nearest_rows",
        lambda q, *rest: again.append(len(q)) or plain(q, *rest),
    )
    codes.nearest(rows[:200], rows, 10)
    assert sum(again) == unproven


@pytest.mark.usefixtures("always_codes")
def test_codes_that_were_interrupted_are_not_used(monkeypatch):
    rows, queries, codes = noise(9000, 40), noise(30, 40, seed=1), Codes(40)
    codes.follow(rows[:5000])
    with monkeypatch.context() as patch:
        patch.setattr(products, "_rounded", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            codes.follow(rows)
    wanted = nearest_rows(queries, rows, 5)[1]
    assert torch.equal(codes.nearest(queries, rows, 5)[1], wanted)
    codes.follow(rows)
    assert torch.equal(codes.nearest(queries, rows, 5)[1], wanted)


@pytest.mark.usefixtures("always_codes")
def test_what_is_left_out_is_not_found():
    rows, codes = noise(9000, 40), Codes(40)
    codes.follow(rows)
    chosen = torch.arange(9000) % 3 > 0
    codes.keep(chosen)
    left = rows[chosen]
    wanted = nearest_rows(rows[:30], left, 5)[1]
    assert torch.equal(codes.nearest(rows[:30], left, 5)[1], wanted)


@pytest.mark.slow
def test_codes_are_for_processors_whose_8_bit_products_are_right():
    code = "from cvlib.search.products import codes_are_fast as f; print(f())"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "False\n"


def test_an_older_torch_does_without_codes(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert codes_are_fast.__wrapped__() is False
