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
