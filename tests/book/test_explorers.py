"""Explorers as saved pages in headless Chromium: by mouse, by keyboard, in the dark."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from cvlib.explorers.results import results_explorer
from cvlib.explorers.retrieval import retrieval_explorer
from tests.book.test_sphinx import browser as browser

pytestmark = [pytest.mark.site, pytest.mark.xdist_group("site")]

THINGS = ["mug-1", "mug-1", "can-1", "can-1", "can-2", "can-2"]
KINDS = ["results", "retrieval", "gallery"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Six images of six colours in each explorer, saved."""
    colours = torch.eye(3).repeat(2, 1) * torch.linspace(0.3, 1, 6)[:, None]
    images = colours[:, :, None, None].expand(-1, -1, 16, 16)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    scores = torch.eye(3)[[0, 1, 1, 1, 2, 0]] * 0.7 + 0.1
    # Image 0 finds 2 and 3 before its match 1; every other finds its match first.
    similarities = (labels[:, None] == labels) * 0.5 + 0.1
    similarities[0, 2], similarities[0, 3] = 0.9, 0.8
    made = {
        "results": results_explorer(images, labels, scores, ["mug", "can", "jar"]),
        "retrieval": retrieval_explorer(images, THINGS, similarities),
        "gallery": retrieval_explorer(
            images, THINGS, similarities.flip(1), gallery=(images, THINGS)
        ),
    }
    folder = tmp_path_factory.mktemp("explorers")
    return {name: x.save(folder / f"{name}.html") for name, x in made.items()}


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh tab, light or dark, that fails at a script's error or a request out."""
    context = browser.new_context(color_scheme=request.param)
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.on(
        "request",
        lambda sent: (
            sent.url.startswith(("file:", "data:")) or problems.append(sent.url)
        ),
    )
    yield page
    context.close()
    assert problems == []


def shown(page: Page) -> list[str]:
    """What stands under the pictures in the list."""
    return page.locator("ul li:visible span").all_inner_texts()


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_has_all_its_pictures_and_no_fault_of_access(page: Page, pages, kind):
    page.goto(pages[kind].as_uri())
    broken = "all => all.filter(image => !image.naturalWidth).length"
    assert page.locator("img").count() >= 6
    assert page.eval_on_selector_all("img", broken) == 0
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []


def test_results_start_with_mistakes_and_are_filtered_by_class(page: Page, pages):
    page.goto(pages["results"].as_uri())
    assert len(shown(page)) == 2
    page.get_by_label("Show").select_option("")
    page.get_by_label("Truth").select_option("can")
    assert len(shown(page)) == 2
    assert "2 of 6 images, 2 of them right" in page.get_by_role("status").inner_text()
    page.get_by_label("Score from").fill("90")
    assert shown(page) == []


def test_results_are_walked_through_and_opened_by_keyboard(page: Page, pages):
    page.goto(pages["results"].as_uri())
    page.get_by_label("Order").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    pressed = page.locator("ul li:visible button").nth(1)
    assert pressed.get_attribute("aria-pressed") == "true"
    assert page.locator(".detail dt").first.inner_text() == "truth"


def test_a_search_starts_with_its_misses_the_worst_one_open(page: Page, pages):
    page.goto(pages["retrieval"].as_uri())
    assert shown(page) == ["mug-1, place 3"]
    assert "mug-1: first match in place 3" in page.locator(".summary").inner_text()
    places = page.locator("ol li")
    assert places.all_inner_texts()[:3] == ["can-1 0.90", "can-1 0.80", "mug-1 0.60"]
    verdicts = [places.nth(i).get_attribute("class") for i in range(3)]
    assert verdicts == ["miss", "miss", "hit"]


def test_a_match_and_a_miss_differ_without_their_colour(page: Page, pages):
    page.goto(pages["retrieval"].as_uri())
    mark = "e => getComputedStyle(e, '::before').content + getComputedStyle(e).color"
    miss, _, hit = (page.locator("ol li span").nth(i).evaluate(mark) for i in range(3))
    assert "✗" in miss and "✓" in hit
    border = "e => getComputedStyle(e).borderStyle"
    lines = [page.locator("ol li img").nth(i).evaluate(border) for i in (0, 2)]
    assert lines == ["dashed", "solid"]


def test_a_query_is_picked_by_keyboard_and_a_neighbour_is_the_next(page: Page, pages):
    page.goto(pages["retrieval"].as_uri())
    page.get_by_label("Show").select_option("")
    page.get_by_label("Order").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "mug-1: first match in place 1" in page.locator(".summary").inner_text()
    page.locator("ol button").nth(1).focus()
    wanted = page.locator("ol li span").nth(1).inner_text().split()[0]
    page.keyboard.press("Enter")
    assert page.locator(".summary").inner_text().startswith(f"{wanted}:")
    assert page.evaluate("document.activeElement.closest('ol') !== null")


def test_a_gallery_of_its_own_is_shown_beside_the_query(page: Page, pages):
    page.goto(pages["gallery"].as_uri())
    assert page.locator("ol li img").count() == 6
    assert page.locator("ol button").count() == 0
    alt = page.locator("ol li img").first.get_attribute("alt")
    assert alt.startswith("Place 1: ") and "similarity" in alt
