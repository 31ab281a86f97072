import base64
import io
import json
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cvlib.explorers.page import (
    Explorer,
    Item,
    any_of,
    as_texts,
    check_images,
    frame,
    pages,
    thumbnail,
)

KINDS = ["results", "retrieval"]


def filled(macro: str, *given: object) -> str:
    """What a macro of the shared template makes of these."""
    call = f'{{% from "page.html.jinja" import {macro} %}}{{{{ {macro}(*given) }}}}'
    return pages().from_string(call).render(given=given)


def empty(kind: str, thing: str = "a") -> Explorer:
    """An explorer that shows nothing, but offers a choice."""
    choices = {"classes": any_of([thing]), "things": any_of([thing])}
    return frame(kind, "Title", items=[], orders={}, **choices)


class Reader(HTMLParser):
    """Tags with their attributes, as a browser reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def decoded(source: str) -> Image.Image:
    kind, _, data = source.partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_explorer_asks_nothing_of_the_network(kind):
    html = empty(kind).html
    assert "http:" not in html and "https:" not in html and "src=" not in html
    assert html.count("<style>") == html.count("<script>") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_two_explorers_on_a_page_have_names_of_their_own(kind):
    one, two = (Reader(empty(kind, text).html) for text in ("a", "b"))
    assert one.all("section")[0]["id"] != two.all("section")[0]["id"]
    assert one.all("section")[0]["aria-label"] == "Title"


def test_a_button_shows_what_it_is_told_and_no_more():
    item = Item("x.jpg", '"A" & b', "<b>", {"rank": "1"}, {"name": "a"}, "miss")
    page = Reader(filled("button", item))
    assert page.all("li") == [{"class": "miss", "data-rank": "1"}]
    assert page.all("button") == [{"type": "button", "data-name": "a"}]
    assert page.all("img")[0]["alt"] == '"A" & b'
    assert not page.all("b")


def test_a_page_is_saved_whole_in_any_folder(tmp_path):
    path = Explorer("<p>é</p>", "Mugs & cans").save(tmp_path / "new" / "page.html")
    text = path.read_text("utf8")
    assert text.startswith("<!doctype html>") and "<p>é</p></main>" in text
    assert "<title>Mugs &amp; cans</title>" in text


def test_a_notebook_shows_the_html_and_a_terminal_its_size():
    explorer = Explorer("x" * 2_000_000, "Results explorer")
    assert explorer._repr_html_() == explorer.html
    assert repr(explorer) == "Results explorer, 2.0 MB of HTML"


@pytest.mark.parametrize(
    "image",
    [torch.full((3, 40, 20), 255, dtype=torch.uint8), torch.full((3, 40, 20), 1.5)],
)
def test_a_thumbnail_is_a_small_square_of_bytes_or_of_floats(image):
    picture = decoded(thumbnail(image, 8))
    assert picture.size == (8, 8) and picture.getpixel((4, 4)) == (255, 255, 255)


@given(st.text(), st.lists(st.text()))
def test_attributes_survive_whatever_they_hold(text, values):
    html = filled("data", as_texts(one=text, many=values))
    tag = Reader(f"<i{html}>").all("i")[0]
    # A browser, as the parser here, makes one line end of two.
    assert tag["data-one"] == text
    assert json.loads(tag["data-many"]) == values


def test_a_choice_names_its_options_and_the_chosen_one():
    html = filled("choice", "Which <b>", "name", {"": "any", "a": "A"}, "a")
    assert "Which &lt;b&gt;" in html
    options = Reader(html).all("option")
    assert [o["value"] for o in options] == ["", "a"]
    assert ["selected" in o for o in options] == [False, True]


@pytest.mark.parametrize(
    ("images", "others", "message"),
    [
        (torch.zeros(3, 4, 4), {}, r"\[N, 3, H, W\], got \(3, 4, 4\)"),
        (torch.zeros(2, 1, 4, 4), {}, r"got \(2, 1, 4, 4\)"),
        (torch.zeros(2, 3, 4, 4), {"labels": [1]}, "labels .* 2 images, got 1"),
    ],
)
def test_images_and_what_belongs_to_them_must_fit(images, others, message):
    with pytest.raises(ValueError, match=message):
        check_images(images, **others)
