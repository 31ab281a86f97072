"""The words by which folders and columns name splits."""

import pytest

from cvlib.datasets.split_names import known_split, split_name


@pytest.mark.parametrize(
    ("given", "ours"),
    [("val", "valid"), ("instances_val2017", "valid"), ("Training", "train")],
)
def test_splits_get_our_names(given: str, ours: str):
    assert split_name(given) == ours


@pytest.mark.parametrize(
    ("given", "known"),
    [("Validation", "valid"), ("negatives_test", "negatives_test"), ("fold1", "")],
)
def test_splits_and_their_parts_are_known(given: str, known: str):
    assert known_split(given) == known
