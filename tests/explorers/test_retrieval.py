import json

import pytest
import torch

from cvlib.explorers.retrieval import retrieval_explorer
from cvlib.similarity.evaluate import match_ranks
from tests.explorers.test_page import Reader, decoded

IMAGES = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
THINGS = ["mug-1", "mug-1", '<can> & "1"', "mug-2"]
SIMILARITIES = torch.tensor(
    [
        [1.0, 0.5, 0.9, 0.5],
        [0.5, 1.0, 0.1, 0.2],
        [0.9, 0.1, 1.0, 0.3],
        [0.5, 0.2, 0.3, 1.0],
    ]
)


def neighbours(page: Reader) -> list[list[list[object]]]:
    return [json.loads(b["data-neighbours"]) for b in page.all("button")]


def test_among_themselves_no_query_finds_itself_and_matches_follow_their_equals():
    page = Reader(retrieval_explorer(IMAGES, THINGS, SIMILARITIES, size=8).html)
    assert neighbours(page)[0] == [
        [2, THINGS[2], "0.90", False],
        [3, "mug-2", "0.50", False],
        [1, "mug-1", "0.50", True],
    ]
    items = page.all("li")
    assert [i["data-thing"] for i in items] == THINGS
    assert [i["data-rank"] for i in items] == ["3", "1", "0", "0"]
    assert [i["data-verdict"] for i in items] == ["miss", "hit", "alone", "alone"]
    assert page.all("template") == []


def test_places_are_those_the_metrics_count():
    labels = torch.arange(6).repeat(5)
    similarities = torch.randint(0, 5, (30, 30)) / 5
    images = torch.zeros(30, 3, 4, 4)
    made = retrieval_explorer(images, [str(i) for i in labels], similarities, size=4)
    ranks = [int(item["data-rank"]) for item in Reader(made.html).all("li")]
    assert ranks == match_ranks(similarities, labels).tolist()


def test_of_a_gallery_only_what_someone_found_is_in_the_page():
    gallery = torch.zeros(5, 3, 8, 8), ["mug-1", "mug-2", "mug-2", "mug-2", "mug-2"]
    similarities = torch.tensor([[0.1, 0.9, 0.8, 0.0, 0.0]]).repeat(4, 1)
    made = retrieval_explorer(
        IMAGES, THINGS, similarities, gallery=gallery, count=2, size=8
    )
    page = Reader(made.html)
    pictures = [p["data-index"] for p in page.all("img") if "data-index" in p]
    assert pictures == ["1", "2"]
    assert [i["data-verdict"] for i in page.all("li")] == [
        "miss",
        "miss",
        "alone",
        "hit",
    ]


def test_every_picture_is_inside_and_says_what_it_shows():
    made = retrieval_explorer(IMAGES, THINGS, SIMILARITIES, names=list("abcd"), size=8)
    page = Reader(made.html)
    assert all(decoded(p["src"]).size == (8, 8) for p in page.all("img"))
    wanted = "Query, and where its first match came: mug-1, place 3"
    assert page.all("img")[0]["alt"] == wanted
    assert page.all("button")[3]["data-name"] == "d"


def test_it_starts_with_the_misses_where_there_are_any():
    def chosen(similarities, things):
        page = Reader(retrieval_explorer(IMAGES, things, similarities, size=8).html)
        return next(o["value"] for o in page.all("option") if "selected" in o)

    assert chosen(SIMILARITIES, THINGS) == "miss"
    assert chosen(SIMILARITIES, ["mug"] * 4) == ""


def test_no_queries_are_an_empty_list():
    nothing = retrieval_explorer(IMAGES[:0], [], torch.zeros(0, 0))
    assert Reader(nothing.html).all("li") == []
    page = retrieval_explorer(
        IMAGES[:0], [], torch.zeros(0, 4), gallery=(IMAGES, THINGS)
    )
    assert Reader(page.html).all("li") == []


@pytest.mark.parametrize(
    ("things", "similarities", "gallery", "message"),
    [
        (THINGS[:3], SIMILARITIES, None, "things must have a row for each of 4"),
        (THINGS, SIMILARITIES[:, :3], None, r"must be \[4, 4\], got \(4, 3\)"),
        (THINGS, SIMILARITIES[:3], None, "similarities must have a row"),
        (THINGS, SIMILARITIES, (IMAGES[:3], THINGS[:3]), r"\[4, 3\], got \(4, 4\)"),
        (THINGS, SIMILARITIES, (IMAGES, THINGS[:3]), "the gallery's things must have"),
    ],
)
def test_what_does_not_fit_is_an_error(things, similarities, gallery, message):
    with pytest.raises(ValueError, match=message):
        retrieval_explorer(IMAGES, things, similarities, gallery=gallery)
