"""What folders and annotation files are called after."""

import pytest

from cvlib.datasets.split_names import split_of_name, split_of_path, splits_in


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("val/mug/1.jpg", "valid"),
        ("images/Test/train/1.jpg", "test"),
        ("mug/1.jpg", ""),
        ("negatives_train/1.jpg", "negatives_train"),
    ],
)
def test_the_first_folder_that_is_a_split_counts(path: str, split: str):
    assert split_of_path(path) == split


def test_all_splits_of_a_path_come_in_order():
    assert list(splits_in("test/a/train/test/b.jpg")) == ["test", "train"]


@pytest.mark.parametrize(
    ("stem", "split"),
    [
        ("instances_val2017", "valid"),
        ("my_val", "valid"),
        ("my_other_val", "valid"),
        ("val_of_mine", ""),
        ("notes", ""),
        ("test", "test"),
    ],
)
def test_an_annotation_file_may_be_called_after_a_split(stem: str, split: str):
    assert split_of_name(stem) == split
