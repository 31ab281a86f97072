"""The book's site in headless Chromium: what a reader sees, and what it must not do."""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from cvlib.book.chapters import find_chapters
from tests.conftest import ROOT

pytestmark = [pytest.mark.site, pytest.mark.xdist_group("site")]

HTML = ROOT / "_build" / "html"
CHAPTERS = list(find_chapters(ROOT))
PAGES = ["book/index", "book/reference/status", "book/reference/api-book"]
PAGES += ["book/start/setup", "book/reference/datasets"]
PAGES += [f"book/{name}" for name in CHAPTERS]
CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
CHROMIUM_FLAGS += ["--no-first-run", "--disable-background-networking"]
CHROMIUM_FLAGS += ["--disable-component-update", "--disable-sync"]
# What axe looks for: in the dark only what the colours change.
AXE: dict[str, dict[str, list[str]]] = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast"]},
}

# Code has thousands of tokens and a colour for each of some twenty kinds, and their
# contrast takes three quarters of the time: one of each kind in each block is judged.
ONE_TOKEN_OF_A_KIND = """
for (const block of document.querySelectorAll(".highlight")) {
  const seen = new Set();
  for (const token of block.querySelectorAll("span")) {
    const kind = token.parentElement.className + " " + token.className;
    if (seen.has(kind)) token.replaceWith(token.textContent);
    seen.add(kind);
  }
}
"""

# A colour that still changes to the theme's has a contrast of neither: let it arrive.
END_TRANSITIONS = """
for (const running of document.getAnimations()) {
  if (running.effect.getComputedTiming().endTime < Infinity) running.finish();
}
"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the server out of the tests' output."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The built site, served on this machine."""
    command = [Path(sys.executable).with_name("cvlib"), "book", "build"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if built.returncode:
        pytest.fail(built.stdout + built.stderr, pytrace=False)
    handler = functools.partial(QuietHandler, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium; a machine without one fails, it does not skip."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail("the site is tested in Chromium: `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tabs(browser: Browser) -> dict[str, Page]:
    """A tab of each kind for all pages: styles and scripts are read once in each."""
    kinds: dict[str, Any] = {
        "desktop": {},
        "phone": {"viewport": {"width": 390, "height": 844}},
        "light": {"color_scheme": "light"},
        "dark": {"color_scheme": "dark"},
    }
    return {
        name: browser.new_context(**options).new_page()
        for name, options in kinds.items()
    }


@pytest.fixture(scope="module")
def problems(tabs: dict[str, Page]) -> list[str]:
    """What went wrong in the desktop's tab, as it happens."""
    found: list[str] = []

    def note_request(request) -> None:
        if not request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            found.append(f"left the machine: {request.url}")

    def note_console(message) -> None:
        if message.type == "error":
            found.append(f"console: {message.text}")

    def note_response(response) -> None:
        if response.status >= 400:
            found.append(f"{response.status} {response.url}")

    tabs["desktop"].on("request", note_request)
    tabs["desktop"].on("response", note_response)
    tabs["desktop"].on("console", note_console)
    tabs["desktop"].on("pageerror", lambda error: found.append(f"script: {error}"))
    return found


@pytest.fixture
def page(tabs: dict[str, Page], problems: list[str]) -> Page:
    """The desktop's tab, with no problem yet."""
    problems.clear()
    return tabs["desktop"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_whole_and_stays_on_this_machine(page, problems, address, name):
    page.goto(f"{address}/{name}.html", wait_until="networkidle")
    assert page.locator("article h1").count() == 1
    assert "Computer vision that holds" in page.title()
    broken = page.eval_on_selector_all(
        "img", "all => all.filter(i => !i.naturalWidth).map(i => i.src)"
    )
    assert broken == [] and problems == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_shows_its_badge_its_figures_and_its_numbers(page, address, name):
    page.goto(f"{address}/book/{name}.html")
    badge = page.locator(".run-badge")
    assert badge.count() == 1
    for fact in ("profile embedded", "GB of memory", "torch", "commit", "wanted"):
        assert fact in badge.inner_text()
    assert page.locator(".cell_output img, figure img").count() >= 1
    assert page.locator(".measured").count() >= 3
    alts = page.eval_on_selector_all("article img", "all => all.map(i => i.alt)")
    assert all(len(alt) > 20 for alt in alts), alts


def test_the_root_leads_to_the_book(page: Page, address):
    page.goto(address, wait_until="networkidle")
    assert page.url.endswith("/book/index.html")


def test_the_status_page_has_a_row_for_every_bar(page: Page, address):
    page.goto(f"{address}/book/reference/status.html")
    bars = sum(len(c.bars("embedded")) for c in find_chapters(ROOT).values())
    assert page.locator("table.run-status tbody tr").count() == bars


def test_search_finds_code(page: Page, address):
    page.goto(f"{address}/search.html?q=load_classifier", wait_until="networkidle")
    page.wait_for_selector("#search-results li")
    assert page.locator("#search-results a").count() >= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_fault_of_access(tabs, address, name, scheme):
    page = tabs[scheme]
    page.goto(f"{address}/{name}.html")
    page.evaluate(ONE_TOKEN_OF_A_KIND)
    page.evaluate(END_TRANSITIONS)
    found = Axe().run(page, options=AXE[scheme]).response["violations"]
    grave = [
        f"{v['id']}: {v['nodes'][0]['html'][:200]} {v['nodes'][0]['failureSummary']}"
        for v in found
        if v["impact"] in {"serious", "critical"}
    ]
    assert grave == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone(tabs, address, name):
    page = tabs["phone"]
    page.goto(f"{address}/{name}.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
