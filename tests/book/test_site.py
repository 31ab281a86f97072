from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from cvlib.book import BookError
from cvlib.book.chapters import Chapter, get_chapter
from cvlib.book.execute import ensure_run
from cvlib.book.keys import run_key
from cvlib.book.ledger import Ledger, sabotage_digest, write_ledger
from cvlib.book.runs import locked, make_job
from cvlib.book.site import Site, export_run, show_run
from tests.small_book import edit, plant_run

PAGE = "book/part/one.md"


@pytest.fixture
def site(book: Path, shared_runs: None) -> Site:
    for name in ("part/one", "part/two"):
        ensure_run(make_job(book, get_chapter(book, name)))
    return Site(book, "embedded")


@pytest.mark.slow
def test_a_number_is_cited_in_the_format_asked_for(site: Site):
    run = site.run("part/one")
    assert site.cite("measured", "accuracy:.1%", run) == "75.0%"
    assert site.cite("measured", "part/two#accuracy:.2f") == "0.75"
    assert site.cite("measured", "accuracy", run) == "0.75"
    gigabytes = f"{run.meta['memory_mb'] / 1000:.1f}"
    assert site.cite("measured", "memory_gb:.1f", run) == gigabytes


@pytest.mark.slow
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


@pytest.mark.slow
def test_without_bands_the_one_run_is_cited_and_said_to_be_one(site: Site):
    shown = site.cite("band", "part/one#accuracy:.1%")
    assert shown == "75.0% (one run; other seeds were not tried)"


@pytest.mark.slow
def test_a_metric_that_was_never_calibrated_cannot_be_cited(site: Site):
    chapter = site.chapters["part/one"]
    records = [{"accuracy": 0.7}, {"accuracy": 0.8}]
    write_ledger(chapter.path, "embedded", Ledger().calibrated("k", records))
    assert site.cite("band", "part/one#accuracy:.1%") == "70.0% to 80.0%"
    with pytest.raises(BookError, match="calibrate part/one"):
        site.cite("band", "part/one#loss:.1%")


@pytest.mark.slow
def test_a_site_works_out_a_key_and_opens_a_run_once(site: Site, monkeypatch):
    asked: list[str] = []

    def counted(chapter: Chapter, parameters: dict[str, object], device: str) -> str:
        asked.append(chapter.name)
        return run_key(chapter, parameters, device=device)

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


@pytest.mark.slow
def test_outputs_are_shown_only_with_the_code_that_made_them(site: Site, book: Path):
    run, text = site.run("part/one"), (book / PAGE).read_text("utf8")
    shown = show_run(text, run, book / PAGE)
    assert [c.outputs for c in shown.cells if c.get("outputs")]
    with pytest.raises(BookError, match="other code"):
        show_run(text.replace("epochs / 4", "epochs / 5"), run, book / PAGE)


@pytest.mark.slow
def test_an_export_shows_changed_parameters_behind_the_defaults(book: Path):
    run = ensure_run(make_job(book, get_chapter(book, "part/one"), "photos"))
    cells = export_run(Site(book, "photos"), run).cells
    sources = [c.source for c in cells]
    place = next(i for i, s in enumerate(sources) if s.startswith("epochs = 3"))
    assert "epochs = 4" in sources[place + 1]
    assert any(s.startswith("It measured 100.0%.") for s in sources)


@pytest.mark.slow
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

    written = (pages / "part/one.html").stat().st_mtime_ns
    assert "ran in" not in built(command("build"))
    assert (pages / "part/one.html").stat().st_mtime_ns == written

    edit(book / PAGE, "# A chapter", "# A chapter on shelves")
    built(command("build"))
    assert "A chapter on shelves" in (pages / "index.html").read_text(), "the status"

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
    assert command("build").returncode == 1
    done = command("build")  # what did not change meanwhile is no less wrong
    assert done.returncode == 1 and "Traceback" not in done.stderr
    lines = (book / PAGE).read_text().splitlines()
    line = lines.index("It measured {measured}`recall:.1%`.") + 1
    assert f"one.md:{line}" in done.stderr and "no 'recall'" in done.stderr


@pytest.mark.site
def test_a_build_waits_for_another_in_the_same_folder(book: Path, command):
    built(command("build"))
    edit(book / PAGE, "# A chapter", "# A chapter on shelves")
    page = book / "_build/html/book/part/one.html"
    with ThreadPoolExecutor(1) as pool:
        with locked(book / "_build"):
            second = pool.submit(command, "build")
            assert wait([second], timeout=10).not_done
            assert "on shelves" not in page.read_text()
        built(second.result())
    assert "on shelves" in page.read_text()


@pytest.mark.site
def test_a_failing_chapter_stops_the_build_and_is_not_shown(book: Path, command):
    edit(book / PAGE, "import os\n", "import os\nraise OSError('shelf is empty')\n")
    done = command("build")
    assert done.returncode == 1 and "shelf is empty" in done.stderr
    assert not (book / "_build/html").exists()


def seeds(book: Path, name: str, *records: dict[str, float]) -> None:
    """Write that calibration measured these records, one a seed."""
    chapter = get_chapter(book, name)
    write_ledger(chapter.path, "embedded", Ledger().calibrated("old", records))


def accuracies(*values: float) -> list[dict[str, float]]:
    return [{"accuracy": value} for value in values]


def claimed(book: Path, claim: str, page: str = PAGE) -> Path:
    path = book / page
    edit(path, " measured {", f" measured {{claim}}`{claim}` {{")
    return path


def test_a_claim_that_holds_is_no_fault(book: Path):
    claimed(book, "accuracy > 0.7")
    plant_run(book, "part/one", {"accuracy": 0.75})
    (checked,) = Site(book, "embedded").check_claims("part/one")
    assert checked.mark == "✓" and not checked.fault


def test_a_refuted_claim_is_named_at_its_line_with_its_numbers(book: Path):
    path = claimed(book, "accuracy > 0.8")
    plant_run(book, "part/one", {"accuracy": 0.75})
    (checked,) = Site(book, "embedded").check_claims("part/one")
    line = path.read_text("utf8").split("{claim}")[0].count("\n") + 1
    assert checked.fault.startswith(f"{path}:{line}: claim `accuracy > 0.8` is refuted")
    assert "0.75 > 0.8" in checked.fault and checked.mark == "(✗ refuted)"


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("acuracy > 0.8", "did you mean accuracy"),
        ("accuracy", "compares nothing"),
        ("part/nine#accuracy > 0", "no 'part/nine'"),
    ],
)
def test_a_claim_that_cannot_be_read_is_a_fault_too(book: Path, claim, message):
    claimed(book, claim)
    plant_run(book, "part/one", {"accuracy": 0.75})
    (checked,) = Site(book, "embedded").check_claims("part/one")
    assert message in checked.fault and claim in checked.fault


def test_a_page_without_code_claims_of_other_pages(book: Path):
    claimed(book, "part/one#accuracy > part/two#accuracy", "book/index.md")
    plant_run(book, "part/one", {"accuracy": 0.75})
    plant_run(book, "part/two", {"accuracy": 0.5})
    seeds(book, "part/one", *accuracies(0.7, 0.7, 0.7))
    seeds(book, "part/two", *accuracies(0.5, 0.8))
    (checked,) = Site(book, "embedded").check_claims("index")
    assert not checked.refuted and (checked.held, checked.seeds) == (1, 2)


def test_a_page_without_code_has_no_numbers_of_its_own(book: Path):
    claimed(book, "accuracy > 0", "book/index.md")
    (checked,) = Site(book, "embedded").check_claims("index")
    assert "name the page" in checked.fault


@pytest.mark.parametrize(
    ("claim", "value", "over_seeds", "mark", "fault"),
    [
        ("accuracy > 0.6", 0.7, (0.7, 0.8, 0.9), "✓", ""),
        ("accuracy > 0.6", 0.7, (0.7, 0.5, 0.9), "(✓ in 2 of 3 seeds)", "word the"),
        (
            "accuracy > 0.6 :: most seeds",
            0.7,
            (0.7, 0.5, 0.9),
            "(✓ in 2 of 3 seeds)",
            "",
        ),
        (
            "accuracy > 0.6 :: most seeds",
            0.5,
            (0.7, 0.5, 0.9),
            "(✗ here, in 2 of 3 seeds)",
            "",
        ),
        (
            "accuracy > 0.6 :: most seeds",
            0.7,
            (0.7, 0.5, 0.5, 0.9),
            "(✓ in 2 of 4 seeds)",
            "that is not most",
        ),
        ("accuracy > 0.6 :: most seeds", 0.5, (), "(✗ refuted)", "is refuted"),
        ("accuracy > 0.6", 0.5, (0.7, 0.7), "(✗ refuted)", "is refuted"),
    ],
)
def test_what_seeds_say_is_marked_and_what_they_deny_is_a_fault(
    book: Path, claim, value, over_seeds, mark, fault
):
    claimed(book, claim)
    plant_run(book, "part/one", {"accuracy": value})
    if over_seeds:
        seeds(book, "part/one", *accuracies(*over_seeds))
    (checked,) = Site(book, "embedded").check_claims("part/one")
    assert checked.mark == mark
    assert fault in checked.fault and bool(fault) == bool(checked.fault)


def test_a_name_newer_than_the_calibration_is_checked_on_the_run_alone(book: Path):
    claimed(book, "gain > 0")
    plant_run(book, "part/one", {"accuracy": 0.7, "gain": 0.1})
    seeds(book, "part/one", *accuracies(0.7, 0.7))
    (checked,) = Site(book, "embedded").check_claims("part/one")
    assert checked.seeds == 0 and not checked.fault


def test_of_a_readers_own_run_nothing_is_at_fault(book: Path):
    claimed(book, "accuracy > 0.6")
    seeds(book, "part/one", *accuracies(0.7, 0.5))
    run = plant_run(book, "part/one", {"accuracy": 0.1}, rate=0.5)
    (checked,) = Site(book, "embedded").check_claims("part/one", run)
    assert checked.mark == "(✗ did not hold here)" and not checked.fault
    text = "\n".join(c.source for c in export_run(Site(book, "embedded"), run).cells)
    assert "(✗ did not hold here: `accuracy > 0.6`, 0.1 > 0.6" in text
    assert "{claim}" not in text


def test_a_run_of_a_tuple_is_the_books_own(book: Path):
    edit(book / PAGE, "rate = 0.1", "rate = 0.1\nsizes = (1, 2)")
    claimed(book, "accuracy > 0.6")
    run = plant_run(book, "part/one", {"accuracy": 0.1})
    (checked,) = Site(book, "embedded").check_claims("part/one", run)
    assert not checked.own and checked.fault


def test_a_claim_on_a_page_that_was_not_run_is_not_checked_here(book: Path):
    claimed(book, "accuracy > part/two#accuracy")
    run = plant_run(book, "part/one", {"accuracy": 0.7})
    (checked,) = Site(book, "embedded").check_claims("part/one", run)
    assert checked.mark == "(not checked here)" and not checked.fault


def test_a_band_says_by_itself_that_this_run_is_outside(book: Path):
    seeds(book, "part/one", *accuracies(0.70, 0.74))
    run = plant_run(book, "part/one", {"accuracy": 0.97})
    site = Site(book, "embedded")
    said = "70% to 74% (this run: 97%, outside)"
    assert site.cite("band", "accuracy:.0%", run) == said
    elsewhere = site.cite("band", "part/one#accuracy:.0%")
    assert elsewhere == "70% to 74% (its run: 97%, outside)"


@pytest.mark.parametrize("value", [0.70, 0.72, 0.7401])
def test_a_band_says_nothing_of_a_run_within_it_or_that_reads_like_its_end(
    book: Path, value: float
):
    seeds(book, "part/one", *accuracies(0.70, 0.74))
    run = plant_run(book, "part/one", {"accuracy": value})
    shown = Site(book, "embedded").cite("band", "accuracy:.0%", run)
    assert shown == "70% to 74%"


def test_a_band_says_nothing_of_a_readers_own_run(book: Path):
    seeds(book, "part/one", *accuracies(0.70, 0.74))
    run = plant_run(book, "part/one", {"accuracy": 0.1}, rate=0.5)
    assert Site(book, "embedded").cite("band", "accuracy:.0%", run) == "70% to 74%"
    assert Site(book, "embedded").strays(run) == []


def test_what_the_sabotaged_run_measured_is_cited_from_the_ledger(book: Path):
    run = plant_run(book, "part/one", {"accuracy": 0.75})
    chapter = get_chapter(book, "part/one")
    said = Site(book, "embedded").cite("sabotaged", "accuracy:.0%", run)
    assert said == "(not measured; run `cvlib book sabotage part/one`)"
    digest = sabotage_digest(chapter, "embedded")
    ledger = Ledger().sabotaged(digest, {"accuracy": 0.125})
    write_ledger(chapter.path, "embedded", ledger)
    assert Site(book, "embedded").cite("sabotaged", "accuracy:.0%", run) == "12%"
    with pytest.raises(BookError, match="the sabotaged part/one has no 'recall'"):
        Site(book, "embedded").cite("sabotaged", "recall:.0%", run)


def test_calibration_is_due_when_the_key_is_another(book: Path):
    site = Site(book, "embedded")
    assert site.is_due("part/one")
    ledger = Ledger().calibrated(site.jobs["part/one"].key, accuracies(0.5, 0.6))
    write_ledger(site.chapter("part/one").path, "embedded", ledger)
    assert not Site(book, "embedded").is_due("part/one")
    edit(book / PAGE, "epochs / 4", "epochs / 5")
    assert Site(book, "embedded").is_due("part/one")


def test_a_page_that_cites_another_depends_on_its_claims_and_its_ledger(book: Path):
    prints = [Site(book, "embedded").fingerprint("part/one")]
    claimed(book, "accuracy > 0.6")
    prints.append(Site(book, "embedded").fingerprint("part/one"))
    seeds(book, "part/one", *accuracies(0.7, 0.5))
    prints.append(Site(book, "embedded").fingerprint("part/one"))
    assert len(set(prints)) == 3


@pytest.mark.site
def test_a_planted_wrong_direction_fails_each_build_at_its_line(book: Path, command):
    path = claimed(book, "accuracy < 0.5")
    claimed(book, "accuracy > 0.6 :: most seeds", "book/part/two.md")
    for name, value in (("part/one", 0.75), ("part/two", 0.75)):
        plant_run(book, name, {"accuracy": value})
    seeds(book, "part/two", *accuracies(0.75, 0.5, 0.7, 0.7, 0.5))
    seeds(book, "part/one", *accuracies(0.1, 0.2))
    for _ in range(2):  # the second build reads no page again
        done = command("build")
        line = path.read_text("utf8").split("{claim}")[0].count("\n") + 1
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert f"{path}:{line}: claim `accuracy < 0.5` is refuted" in done.stderr
        assert "part/two" not in done.stderr.replace("part/two [embedded]: stored", "")
    pages = book / "_build/html/book"
    one = (pages / "part/one.html").read_text("utf8")
    assert "(✗ refuted)</span>" in one and "claim refuted" in one
    assert 'title="accuracy &lt; 0.5: 0.75 &lt; 0.5 (accuracy 0.75)"' in one
    assert "(✓ in 3 of 5 seeds)</span>" in (pages / "part/two.html").read_text("utf8")
