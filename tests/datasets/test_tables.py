"""Tables as spreadsheets write them."""

import pytest

from cvlib.datasets.tables import columns_of, rows_of


@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_any_comma_parts_the_columns(comma: str):
    text = comma.join(("path", "split")) + "\r\n" + comma.join(("a.jpg", "train"))
    assert list(rows_of(text)) == [(2, {"path": "a.jpg", "split": "train"})]


def test_names_that_mean_something_are_found_whatever_their_case():
    assert columns_of("Filename,Tags,SPLIT,Brand") == [
        "filename",
        "tags",
        "split",
        "Brand",
    ]
    assert columns_of("Image,image") == ["Image", "image"]


def test_empty_rows_are_passed_over_and_short_ones_filled():
    rows = list(rows_of("path,split,group\n\n,,\na.jpg\n"))
    assert rows == [(4, {"path": "a.jpg", "split": "", "group": ""})]


def test_a_text_without_a_header_has_no_rows():
    assert list(rows_of("")) == [] and columns_of("") == []


def test_the_header_alone_says_what_parts_the_columns():
    text = "path;split, if any;\na,b,c.jpg;train\n"
    assert list(rows_of(text)) == [(2, {"path": "a,b,c.jpg", "split, if any": "train"})]


def test_cells_beyond_the_header_and_columns_without_a_name_are_left_out():
    rows = list(rows_of("path,,split\na.jpg,1,train,more\n"))
    assert rows == [(2, {"path": "a.jpg", "split": "train"})]
    assert columns_of("path,,split") == ["path", "split"]


def test_lines_are_counted_in_the_file_and_breaks_in_cells_kept():
    rows = list(rows_of('path,split\n"a\r\nb.jpg",train\n\nc.jpg,test\n'))
    assert rows == [
        (3, {"path": "a\r\nb.jpg", "split": "train"}),
        (5, {"path": "c.jpg", "split": "test"}),
    ]


def test_of_two_names_for_one_thing_the_first_counts_and_blanks_do_not():
    assert columns_of(" File , Name,Label,Is_Valid,GROUP") == [
        "file",
        "Name",
        "label",
        "is_valid",
        "group",
    ]
    assert columns_of("Filename,name") == ["Filename", "name"]
