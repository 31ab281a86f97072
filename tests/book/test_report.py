from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cvlib.book.chapters import get_chapter
from cvlib.book.execute import ensure_run
from cvlib.book.report import describe_age, report
from cvlib.book.runs import make_job


def test_every_chapter_has_a_row_whether_or_not_it_was_run(book: Path):
    ensure_run(make_job(book, get_chapter(book, "part/one")))
    one, two = report(book, ["embedded"])
    assert one.run is not None and one.met
    assert two.run is None and not two.met
    assert [v.value for v in two.verdicts] == [None]


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(minutes=3), "3 min"),
        (timedelta(hours=5), "5 h"),
        (timedelta(days=3), "3 d"),
    ],
)
def test_age_is_told_in_one_unit(book: Path, age: timedelta, text: str):
    run = ensure_run(make_job(book, get_chapter(book, "part/one")))
    now = datetime(2026, 11, 23, tzinfo=UTC)
    run.meta["started"] = (now - age).isoformat()
    assert describe_age(run, now=now) == text
