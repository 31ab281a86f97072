from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cvlib.book.chapters import get_chapter
from cvlib.book.execute import ensure_run
from cvlib.book.ledger import Ledger, sabotage_digest, write_ledger
from cvlib.book.report import describe_age, page_state, report
from cvlib.book.runs import make_job
from cvlib.book.site import Site
from tests.small_book import edit, plant_run


@pytest.mark.slow
def test_every_chapter_has_a_row_whether_or_not_it_was_run(book: Path):
    ensure_run(make_job(book, get_chapter(book, "part/one")))
    one, two = report(book, ["embedded"])
    assert one.run is not None and one.met
    assert two.run is None and not two.met
    assert [v.value for v in two.verdicts] == [None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(minutes=3), "3 min"),
        (timedelta(hours=5), "5 h"),
        (timedelta(days=3), "3 d"),
    ],
)
@pytest.mark.usefixtures("shared_runs")
def test_age_is_told_in_one_unit(book: Path, age: timedelta, text: str):
    run = ensure_run(make_job(book, get_chapter(book, "part/one")))
    now = datetime(2026, 11, 23, tzinfo=UTC)
    run.meta["started"] = (now - age).isoformat()
    assert describe_age(run, now=now) == text


def test_a_page_says_what_it_claims_what_is_outside_and_what_is_due(book: Path):
    edit(book / "book/part/one.md", "It measured", "It {claim}`accuracy > 1` measured")
    assert page_state(Site(book, "embedded"), "part/one").cells == [
        "1",
        "not run",
        "due",
        "due",
    ]
    plant_run(book, "part/one", {"accuracy": 0.5})
    site = Site(book, "embedded")
    ledger = Ledger().calibrated(site.jobs["part/one"].key, [{"accuracy": 0.7}] * 2)
    digest = sabotage_digest(site.chapter("part/one"), "embedded")
    ledger = ledger.sabotaged(digest, {"accuracy": 0.1})
    write_ledger(site.chapter("part/one").path, "embedded", ledger)
    claims, strays, *rest = page_state(Site(book, "embedded"), "part/one").cells
    assert claims == "1, 1 at fault" and rest == ["yes", "yes"]
    assert strays.startswith("accuracy 0.5, band 0.7")
    assert page_state(Site(book, "embedded"), "index").cells == ["0", "none", "", ""]
