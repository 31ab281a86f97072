"""What a newcomer types behind `-p`, and what a chapter gets."""

from pathlib import Path

import pytest

from cvlib.book import ChapterError
from cvlib.book.overrides import read_override, with_places
from tests.small_book import PAGE, edit, job_of

DECLARED = {"name": "x", "epochs": 3, "rate": 0.1, "tags": [], "limit": None}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("epochs=3", 3),
        ("rate=1e-3", 0.001),
        ("tags=['a', 'b']", ["a", "b"]),
        ("limit=none", None),
        ("limit=7", 7),
        ("name=2024_05", "2024_05"),
        ("name=none", "none"),
        ("name=[1]", "[1]"),
        ("name=a=b", "a=b"),
        ("name=", ""),
    ],
)
def test_a_value_is_read_as_what_its_default_is(text: str, value: object):
    name, got = read_override(text, DECLARED)
    assert name == text.partition("=")[0]
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize("text", ["epochs", "=3", "two words=3", ""])
def test_what_is_no_assignment_is_an_error(text: str):
    with pytest.raises(ChapterError, match="NAME=VALUE"):
        read_override(text, DECLARED)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the reader stands, with pictures in `mine`."""
    folder = tmp_path / "standing here"
    (folder / "mine").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("typed", ["mine", "./mine", "mine/", "../standing here/mine"])
def test_a_relative_folder_is_the_one_below_where_the_reader_stands(here, typed: str):
    place = with_places({"data": typed})["data"]
    assert Path(place).is_absolute() and Path(place).samefile(here / "mine")


def test_an_annotation_file_is_data_too(here: Path):
    (here / "labels.json").touch()
    assert with_places({"valid_data": "labels.json"}) == {
        "valid_data": str(here / "labels.json")
    }


def test_the_home_folder_may_be_written_as_a_tilde(here: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    assert with_places({"data": "~/mine"}) == {"data": str(here / "mine")}


def test_a_registered_name_wins_and_a_dot_asks_for_the_folder(here: Path):
    (here / "clothing").mkdir()
    assert with_places({"data": "clothing"}) == {"data": "clothing"}
    assert with_places({"data": "./clothing"}) == {"data": str(here / "clothing")}


def test_what_is_no_data_set_is_left_alone(here: Path):
    plain = {"name": "mine", "data": "", "source_data": None, "database": "./mine"}
    assert with_places(plain) == plain


@pytest.mark.parametrize(
    ("typed", "near"),
    [("./mien", "mine"), ("panty/shelves", "pantry/shelves"), ("clothes", "clothing")],
)
def test_data_that_is_nowhere_is_named_with_its_place_and_the_closest(
    here, typed, near
):
    with pytest.raises(ChapterError) as caught:
        with_places({"data": typed})
    said = str(caught.value)
    assert "wanted a folder, a file or the name of a data set" in said
    assert str(here / Path(typed)) in said and f"did you mean {near}?" in said
    assert "\n" not in said


def test_key_and_kernel_get_the_same_place_wherever_the_reader_stands(
    book: Path, tmp_path: Path, monkeypatch
):
    edit(book / PAGE, 'name = "x"', 'data = "pantry/shelves"')
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    above = job_of(book, data="./mine")
    monkeypatch.chdir(book / "book")
    below = job_of(book, data="../mine")
    assert above.parameters["data"] == str(tmp_path / "mine")
    assert Path(below.parameters["data"]).samefile(tmp_path / "mine")
