from pathlib import Path

import pytest

from cvlib.book import BookError
from cvlib.book.bars import Band, write_bands
from cvlib.book.chapters import Chapter, get_chapter
from cvlib.book.execute import ensure_run
from cvlib.book.keys import run_key
from cvlib.book.runs import make_job
from cvlib.book.site import Site, export_run, show_run
from tests.small_book import edit

PAGE = "book/part/one.md"


@pytest.fixture
def site(book: Path) -> Site:
    for name in ("part/one", "part/two"):
        ensure_run(make_job(book, get_chapter(book, name)))
    return Site(book, "embedded")


def test_a_number_is_cited_in_the_format_asked_for(site: Site):
    run = site.run("part/one")
    assert site.cite("measured", "accuracy:.1%", run) == "75.0%"
    assert site.cite("measured", "part/two#accuracy:.2f") == "0.75"
    assert site.cite("measured", "accuracy", run) == "0.75"
    gigabytes = f"{run.meta['memory_mb'] / 1000:.1f}"
    assert site.cite("measured", "memory_gb:.1f", run) == gigabytes


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("acuracy:.1%", BookError, "no 'acuracy'; it has: accuracy"),
        ("part/nine#accuracy", BookError, "no 'part/nine'"),
        ("accuracy:wide", ValueError, "format"),
    ],
)
def test_what_no_run_recorded_cannot_be_cited(site: Site, text, error, message):
    run = site.run("part/one")
    with pytest.raises(error, match=message):
        site.cite("measured", text, run)


def test_without_bands_the_one_run_is_cited_and_said_to_be_one(site: Site):
    shown = site.cite("band", "part/one#accuracy:.1%")
    assert shown == "75.0% (one run; other seeds were not tried)"


def test_a_metric_that_was_never_calibrated_cannot_be_cited(site: Site):
    chapter = site.chapters["part/one"]
    write_bands(chapter.path, "embedded", {"accuracy": Band.of([0.5, 0.6])})
    assert site.cite("band", "part/one#accuracy:.1%") == "50.0% to 60.0%"
    with pytest.raises(BookError, match="calibrate part/one"):
        site.cite("band", "part/one#loss:.1%")


def test_a_site_works_out_a_key_and_opens_a_run_once(site: Site, monkeypatch):
    asked: list[str] = []

    def counted(chapter: Chapter, parameters: dict[str, object]) -> str:
        asked.append(chapter.name)
        return run_key(chapter, parameters)

    monkeypatch.setattr("cvlib.book.runs.run_key", counted)
    for _ in range(3):
        site.cite("measured", "part/two#accuracy")
        site.cite("band", "part/one#accuracy")
        site.fingerprint("part/one")
    assert sorted(asked) == ["part/one", "part/two"]
    assert site.run("part/one").notebook is site.run("part/one").notebook


def test_a_chapter_that_was_not_run_says_how_to_run_it(book: Path):
    with pytest.raises(BookError, match="cvlib book build --profile photos"):
        Site(book, "photos").run("part/one")


def test_outputs_are_shown_only_with_the_code_that_made_them(site: Site, book: Path):
    run, text = site.run("part/one"), (book / PAGE).read_text("utf8")
    shown = show_run(text, run, book / PAGE)
    assert [c.outputs for c in shown.cells if c.get("outputs")]
    with pytest.raises(BookError, match="other code"):
        show_run(text.replace("epochs / 4", "epochs / 5"), run, book / PAGE)


def test_an_export_shows_changed_parameters_behind_the_defaults(book: Path):
    run = ensure_run(make_job(book, get_chapter(book, "part/one"), "photos"))
    cells = export_run(Site(book, "photos"), run).cells
    sources = [c.source for c in cells]
    place = next(i for i, s in enumerate(sources) if s.startswith("epochs = 3"))
    assert "epochs = 4" in sources[place + 1]
    assert any(s.startswith("It measured 100.0%.") for s in sources)


def test_an_export_names_what_a_chapter_that_was_not_run_would_say(book: Path):
    edit(book / PAGE, "It measured", "Like {measured}`part/two#accuracy:.1%`, it got")
    run = ensure_run(make_job(book, get_chapter(book, "part/one")))
    cells = export_run(Site(book, "embedded"), run).cells
    said = "Like (accuracy of part/two, which was not run here), it got"
    assert any(said in cell.source for cell in cells)


def built(done) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.mark.site
def test_building_again_runs_only_what_changed_and_shows_it(book: Path, command):
    pages = book / "_build/html/book"
    assert built(command("build")).count("ran in") == 2
    assert "One measured" in (pages / "index.html").read_text()
    assert "75.0%" in (pages / "index.html").read_text()
    assert "<math" in (pages / "part/one.html").read_text()

    assert "ran in" not in built(command("build"))

    edit(book / PAGE, "It measured", "Here it measured")
    assert "ran in" not in built(command("build"))
    assert "Here it measured" in (pages / "part/one.html").read_text()

    edit(book / PAGE, "epochs / 4", "epochs / 8")
    said = built(command("build"))
    assert "part/one [embedded]: ran in" in said
    assert "part/two [embedded]: stored" in said
    assert "37.5%" in (pages / "part/one.html").read_text()
    assert "37.5%" in (pages / "index.html").read_text(), "a page that cites it"
    assert "not met" in (pages / "index.html").read_text()


@pytest.mark.site
def test_a_name_that_no_run_recorded_fails_the_build_at_its_line(book: Path, command):
    edit(book / PAGE, "{measured}`accuracy:.1%`", "{measured}`recall:.1%`")
    done = command("build")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    lines = (book / PAGE).read_text().splitlines()
    line = lines.index("It measured {measured}`recall:.1%`.") + 1
    assert f"one.md:{line}" in done.stderr and "no 'recall'" in done.stderr


@pytest.mark.site
def test_a_failing_chapter_stops_the_build_and_is_not_shown(book: Path, command):
    edit(book / PAGE, "import os\n", "import os\nraise OSError('shelf is empty')\n")
    done = command("build")
    assert done.returncode == 1 and "shelf is empty" in done.stderr
    assert not (book / "_build/html").exists()
