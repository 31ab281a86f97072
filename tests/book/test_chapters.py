from pathlib import Path

import pytest

from cvlib.book import ChapterError
from cvlib.book.chapters import Chapter, find_chapters, find_root, get_chapter
from tests.small_book import edit


@pytest.fixture
def chapter(book: Path) -> Chapter:
    return get_chapter(book, "part/one")


def test_chapters_are_the_pages_with_code_in_the_order_of_the_contents(book: Path):
    assert list(find_chapters(book)) == ["part/one", "part/two"]


def test_a_chapter_can_be_named_by_its_path(book: Path):
    assert get_chapter(book, "book/part/two.md").name == "part/two"


def test_an_unknown_chapter_names_the_closest_one(book: Path):
    with pytest.raises(ChapterError, match="did you mean part/one"):
        get_chapter(book, "part/on")


def test_the_root_is_found_from_a_folder_inside(book: Path):
    assert find_root(book / "book" / "part") == book


def test_outside_a_book_the_error_says_what_to_do(tmp_path_factory):
    with pytest.raises(ChapterError, match=r"_toc\.yml.*CVLIB_BOOK"):
        find_root(tmp_path_factory.mktemp("elsewhere"))


def test_parameters_are_the_literals_of_their_cell(chapter: Chapter):
    assert chapter.declared == {"epochs": 3, "seed": 0, "rate": 0.1, "name": "x"}


def test_later_layers_win_profile_then_sabotage_then_override(chapter: Chapter):
    assert chapter.parameters("embedded")["epochs"] == 3
    assert chapter.parameters("photos")["epochs"] == 4
    assert chapter.parameters("photos", sabotage=True)["epochs"] == 0
    assert chapter.parameters("photos", {"epochs": 9}, sabotage=True)["epochs"] == 9


def test_an_undeclared_override_names_itself_and_the_declared_ones(chapter: Chapter):
    with pytest.raises(
        ChapterError, match=r"'epohcs'.*did you mean epochs.*seed, rate"
    ):
        chapter.parameters("embedded", {"epohcs": 3})


def test_an_undeclared_parameter_in_a_profile_is_an_error_too(book: Path):
    edit(book / "book/part/one.md", "photos: {epochs: 4}", "photos: {epoch: 4}")
    with pytest.raises(ChapterError, match=r"'epoch' .profile photos"):
        get_chapter(book, "part/one").parameters("photos")


@pytest.mark.parametrize("value", ["many", 2.5, True, [1]])
def test_an_override_of_another_type_is_an_error(chapter: Chapter, value: object):
    with pytest.raises(ChapterError, match="wanted int"):
        chapter.parameters("embedded", {"epochs": value})


def test_a_whole_number_serves_where_a_float_is_declared(chapter: Chapter):
    assert chapter.parameters("embedded", {"rate": 1})["rate"] == 1.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  sabotage: {epochs: 0}\n", "", "sabotage: Field required"),
        ("sabotage: {epochs: 0}", "sabotage: {}", "at least 1 item"),
        ("at_least: 0.5", "at_leest: 0.5", "at_leest"),
        ("at_least: 0.5", "at_least: 0.5, at_most: 1", "exactly one"),
        ("photos: {epochs: 4}", "fotos: {epochs: 4}", "fotos"),
        ("cvlib:", "other:", "no 'cvlib:'"),
        ("cvlib:", "cvlib:\n  baselines: {recall: chance}", r"a bar: \['recall'\]"),
        (":tags: [parameters]\n", "", "tagged 'parameters', found 0"),
        ("rate = 0.1", "rate = 1 / 10", "holds only `name = literal`"),
    ],
)
def test_a_broken_contract_is_an_error_that_names_it(book: Path, old, new, message):
    path = book / "book/part/one.md"
    if old not in path.read_text("utf8"):
        pytest.fail(f"the small book does not hold {old!r}")
    edit(path, old, new)
    with pytest.raises(ChapterError, match=message):
        _ = get_chapter(book, "part/one").declared


def test_a_page_that_the_contents_list_but_nobody_wrote_is_an_error(book: Path):
    (book / "book/part/two.md").unlink()
    with pytest.raises(ChapterError, match="lists book/part/two"):
        find_chapters(book)


def test_the_title_is_the_first_heading_not_a_comment_of_the_front_matter(book: Path):
    edit(book / "book/part/one.md", "cvlib:\n", "# A comment\ncvlib:\n")
    assert get_chapter(book, "part/one").title == "A chapter"
