from pathlib import Path

import pytest

from cvlib.book import ChapterError
from cvlib.book.bars import Band
from cvlib.book.chapters import get_chapter
from cvlib.book.ledger import (
    Ledger,
    ledger_path,
    read_ledger,
    sabotage_digest,
    write_ledger,
)
from tests.small_book import edit

RECORDS = [{"accuracy": 0.5, "loss": 1.0}, {"accuracy": 0.7, "extra": 2.0}]


def test_a_chapter_never_measured_has_an_empty_ledger(tmp_path: Path):
    assert read_ledger(tmp_path / "one.md", "embedded") == Ledger()


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path):
    chapter = tmp_path / "one.md"
    ledger = Ledger().calibrated("k1", RECORDS).sabotaged("d1", {"accuracy": 0.1})
    assert write_ledger(chapter, "photos", ledger) == tmp_path / "one.bands.json"
    assert read_ledger(chapter, "photos") == ledger
    assert read_ledger(chapter, "embedded") == Ledger()


def test_a_ledger_is_text_that_a_diff_can_show(tmp_path: Path):
    ledger = Ledger(key="k1", bands={"b": Band(1, 2, 3, 5), "a": Band(1, 2, 3, 5)})
    path = write_ledger(tmp_path / "one.md", "photos", ledger)
    band = '"high": 3.0,,"low": 1.0,,"median": 2.0,,"seeds": 5'
    wanted = f'{{,"photos": {{,"bands": {{,"a": {{,{band},}},,"b": {{,{band},}},}},,'
    wanted += '"key": "k1",},},'
    lines = path.read_text("utf8").split("\n")
    assert ",".join(line.strip() for line in lines) == wanted
    assert [len(line) - len(line.lstrip()) for line in lines[:5]] == [0, 1, 2, 3, 4]


def test_the_ledger_of_one_profile_leaves_the_others(tmp_path: Path):
    chapter = tmp_path / "one.md"
    write_ledger(chapter, "embedded", Ledger(key="a"))
    write_ledger(chapter, "photos", Ledger(key="b"))
    write_ledger(chapter, "embedded", Ledger(key="c"))
    assert read_ledger(chapter, "embedded").key == "c"
    assert read_ledger(chapter, "photos").key == "b"


def test_calibration_keeps_each_seed_and_bands_what_all_seeds_recorded():
    ledger = Ledger().calibrated("k1", RECORDS)
    assert ledger.bands == {"accuracy": Band(0.5, 0.6, 0.7, seeds=2)}
    assert ledger.records == RECORDS and ledger.key == "k1"


def test_calibration_leaves_the_sabotage_and_sabotage_the_calibration():
    ledger = Ledger().sabotaged("d1", {"accuracy": 0.1}).calibrated("k1", RECORDS)
    assert ledger.sabotaged_record("d1") == {"accuracy": 0.1}
    assert ledger.sabotaged("d2", {"accuracy": 0.2}).records == RECORDS


def test_a_sabotaged_record_of_another_digest_does_not_count():
    assert Ledger().sabotaged_record("d1") is None
    assert Ledger().sabotaged("d1", {"accuracy": 0.1}).sabotaged_record("d2") is None


@pytest.mark.parametrize("text", ["[]", "{", '{"embedded": {"accuracy": {}}}'])
def test_a_file_that_is_no_ledger_is_named(tmp_path: Path, text: str):
    ledger_path(tmp_path / "one.md").write_text(text, "utf8")
    with pytest.raises(ChapterError, match=r"one\.bands\.json"):
        read_ledger(tmp_path / "one.md", "embedded")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs / 4", "epochs / 5"),
        ("rate = 0.1", "rate = 0.2"),
        ("sabotage: {epochs: 0}", "sabotage: {epochs: 1}"),
        ("at_least: 0.5", "at_least: 0.4"),
        (":tags: [parameters]", ":tags: [parameters, hide-input]"),
    ],
)
def test_sabotage_is_due_when_what_decides_it_changes(book: Path, old, new):
    before = sabotage_digest(get_chapter(book, "part/one"), "embedded")
    edit(book / "book/part/one.md", old, new)
    assert sabotage_digest(get_chapter(book, "part/one"), "embedded") != before


def test_a_digest_stays_what_it_was(book: Path):
    """Another way to write it would make every sabotaged run due."""
    chapter = get_chapter(book, "part/one")
    assert sabotage_digest(chapter, "embedded") == "83d316799f0ff921"
    assert sabotage_digest(chapter, "photos") == "6ca6bf2f0b8e50e2"


def test_sabotage_is_not_due_after_an_edit_of_prose_or_of_another_profile(book: Path):
    before = sabotage_digest(get_chapter(book, "part/one"), "embedded")
    edit(book / "book/part/one.md", "It measured", "It has measured")
    edit(book / "book/part/one.md", "photos: {epochs: 4}", "photos: {epochs: 5}")
    chapter = get_chapter(book, "part/one")
    assert sabotage_digest(chapter, "embedded") == before
    assert sabotage_digest(chapter, "photos") != before
