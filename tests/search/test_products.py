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


@pytest.mark.slow
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


def test_room_is_made_by_doubling_and_only_where_it_is_wanted():
    rows = torch.arange(8.0).reshape(4, 2)
    assert products.with_room(rows, 2, 4) is rows
    for used, total, room in ((3, 5, 6), (3, 9, 9), (4, 8, 8)):
        larger = products.with_room(rows, used, total)
        assert larger.shape == (room, 2) and larger.dtype == rows.dtype
        assert larger[:used].tolist() == rows[:used].tolist()


def test_pieces_have_the_size_asked_for_and_are_put_together_again():
    rows = torch.arange(5)
    assert [piece.tolist() for piece in products.split(rows, 2)] == [
        [0, 1],
        [2, 3],
        [4],
    ]
    assert products.split(rows[:0], 2) == []
    parts = [(torch.ones(n, 3), torch.ones(n, 3, dtype=torch.int64)) for n in (2, 1)]
    values, places = products.stacked(parts, 3)
    assert values.shape == places.shape == (3, 3)
    values, places = products.stacked([], 3)
    assert values.shape == places.shape == (0, 3)
    assert (values.dtype, places.dtype) == (torch.float32, torch.int64)


def test_rounding_by_hand():
    """In steps of 2: 3 and −4 move by 1 and 0; what is beyond ±254 is cut off."""
    turned = torch.tensor([[3.0, -4.0], [300.0, -300.0]])
    codes, moved, length = products._rounded(turned, 2.0)
    assert codes.tolist() == [[2, -2], [127, -127]]
    assert codes.dtype == torch.int8
    assert moved.tolist() == pytest.approx([1, 46 * 2**0.5])
    assert length.tolist() == pytest.approx([(16 + 16) ** 0.5, 254 * 2**0.5])


def test_the_best_of_forty_by_hand():
    """Two groups of sixteen, 0, 2, … and 1, 3, …, and a rest of eight."""
    for top in (0, 1, 30, 31, 32, 39):
        scores = torch.zeros(1, 40)
        scores[0, top] = 2
        values, places = products._top(scores, 1)
        assert (values.tolist(), places.tolist()) == ([[2]], [[top]])
    values, places = products._top(torch.arange(3.0)[None], 5)
    assert (values.tolist(), places.tolist()) == ([[2, 1, 0]], [[2, 1, 0]])


def test_a_single_query_is_doubled_and_few_are_turned_round(monkeypatch):
    shapes, multiply = [], torch.mm

    def noted(a, b, **more):
        shapes.append((tuple(a.shape), tuple(b.shape)))
        return multiply(a, b, **more)

    monkeypatch.setattr(torch, "mm", noted)
    monkeypatch.setattr(products, "FEW", 3)
    for count in (1, 2, 3):
        nearest_rows(noise(count, 5), noise(9, 5), 1)
    assert shapes == [((9, 5), (5, 2)), ((9, 5), (5, 2)), ((3, 5), (5, 9))]


@pytest.mark.parametrize(
    ("queries", "rows", "numbers"), [(3, 8, 24), (1, 8, 16), (9, 8, 32), (3, 99, 30)]
)
def test_scores_take_the_memory_of_one_block(monkeypatch, queries, rows, numbers):
    """Of four queries and ten rows at once; a single query counts as two."""
    sizes, empty = [], torch.empty

    def noted(*size, **more):
        sizes.append(size)
        return empty(*size, **more)

    monkeypatch.setattr(products, "QUERY_BLOCK", 4)
    monkeypatch.setattr(products, "ROW_BLOCK", 10)
    monkeypatch.setattr(torch, "empty", noted)
    nearest_rows(noise(queries, 5), noise(rows, 5), 1)
    assert sizes[0] == (numbers,)


def test_small_galleries_have_no_codes(monkeypatch):
    """Here 4 rows a candidate and 64 candidates: 256 rows are worth it."""
    monkeypatch.setattr(products, "SPARSE", 4)
    for rows, encoded in ((255, 0), (256, 256)):
        codes = Codes(40)
        codes.follow(noise(rows, 40))
        assert codes._count == encoded


@pytest.mark.usefixtures("always_codes")
def test_larger_rows_that_come_later_are_the_measure_of_all():
    """As if all had come at once."""
    rows = noise(900, 40)
    rows[400:] *= 3
    late, fresh = Codes(40), Codes(40)
    late.follow(rows[:400])
    late.follow(rows)
    fresh.follow(rows)
    assert (late._count, fresh._count) == (900, 900)
    assert torch.equal(late._codes[:900], fresh._codes[:900])
    facts = [(c._most, c._off, c._length) for c in (late, fresh)]
    assert facts[0] == pytest.approx(facts[1])
    largest = float((rows @ late._turn).abs().max())
    assert late._most == pytest.approx(1.1 * largest)


@pytest.mark.parametrize(
    ("dim", "k", "amounts"),
    [(64, 10, [256, 1024]), (512, 100, [400, 1600]), (1024, 2, [64, 256])],
)
def test_how_many_candidates_are_tried(monkeypatch, dim, k, amounts):
    """Four times `k`, 64, or as many as have 16,384 numbers; then four times those."""
    seen, codes, rows = [], Codes(dim), torch.ones(3, dim)
    monkeypatch.setattr(codes, "_nearest", lambda *given: seen.append(given[-1]))
    codes._count, codes._most = 3, 1.0
    codes.nearest(rows, rows, k)
    codes._most = 0.0  # all rows nought
    codes.nearest(rows, rows, k)
    codes._count, codes._most = 2, 1.0  # a row that nobody encoded
    codes.nearest(rows, rows, k)
    assert seen == [amounts, [], []]


@pytest.mark.usefixtures("always_codes")
def test_what_is_kept_of_the_codes_is_in_its_order():
    codes, rows = Codes(40), noise(900, 40)
    codes.follow(rows)
    whole, chosen = codes._codes.clone(), torch.arange(900) % 3 == 1
    codes.keep(chosen)
    assert codes._count == 300 and torch.equal(codes._codes, whole[1:900:3])
    codes.clear()
    assert codes._count == 0


def test_a_rotation_changes_no_length_and_is_always_the_same():
    turn = Codes(40)._turn
    assert torch.equal(turn, Codes(40)._turn)
    assert torch.allclose(turn @ turn.T, torch.eye(40), atol=1e-5)
    assert turn.abs().max() < 0.9  # and turns
