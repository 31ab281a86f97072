from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.classification.data import read_splits
from cvlib.datasets import DatasetError, load


@pytest.fixture
def folder(tmp_path):
    """Two classes, three images each, in three splits."""
    for split in ("train", "validation", "test"):
        for name in ("mug", "bowl"):
            for index in range(3):
                add(tmp_path / split / name / f"{name}-01-{index:02}.png")
    return tmp_path


def add(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


def test_labels_are_places_in_alphabetical_order(folder):
    splits = read_splits(folder)
    assert list(splits) == ["train", "valid", "test"]
    for split in splits.values():
        assert split.class_names == ("bowl", "mug")
        assert split.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert [p.parent.name for p in split.paths] == ["bowl"] * 3 + ["mug"] * 3


@pytest.mark.parametrize("name", ["valid", "validation", "val"])
def test_three_names_of_the_validation_folder_are_read(folder, name):
    (folder / "validation").rename(folder / name)
    assert len(read_splits(str(folder))["valid"]) == 6


def test_other_files_are_left_alone(folder):
    (folder / "train" / "mug" / "notes.txt").write_text("x")
    (folder / "train" / "mug" / "._mug.png").write_text("x")
    (folder / "train" / ".cache").mkdir()
    assert len(read_splits(folder)["train"]) == 6


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"wanted a folder at .*nowhere"):
        read_splits(tmp_path / "nowhere")


def test_without_a_validation_folder_some_training_images_validate(folder):
    (folder / "validation").rename(folder / "holdout")
    splits = read_splits(folder)
    assert len(splits["train"]) + len(splits["valid"]) == 6
    assert len(splits["valid"]) > 0


def test_a_plain_folder_of_classes_is_split(folder):
    for name in ("mug", "bowl"):
        for index in range(20):
            add(folder / "plain" / name / f"{index}.png")
    splits = read_splits(folder / "plain")
    assert [len(split) for split in splits.values()] == [28, 6, 6]


def test_one_class_is_no_classification(folder):
    (folder / "train" / "mug").rename(folder / "mug")
    with pytest.raises(
        DatasetError, match="a folder a class with images, at least two"
    ):
        read_splits(folder)


def test_a_class_that_train_does_not_know_is_an_error(folder):
    add(folder / "test" / "spoon" / "a.png")
    with pytest.raises(DatasetError, match="'spoon'; train has bowl, mug"):
        read_splits(folder)


def test_a_class_without_training_images_is_an_error(folder):
    found = load(folder)
    rest = [s for s in found.samples if s.split != "train" or s.labels[0] == 0]
    with pytest.raises(DatasetError, match="train has no images of mug"):
        read_splits(found.having(rest))


def test_images_with_boxes_are_refused():
    with pytest.raises(DatasetError, match="one label for each image, got boxes"):
        read_splits("pantry/shelves")


def test_one_box_an_image_is_no_class_of_the_image(folder):
    found = load(folder)
    box = np.array([[0, 0, 2, 2]], np.float32)
    with pytest.raises(DatasetError, match="got boxes for"):
        read_splits(found.having(replace(s, boxes=box) for s in found))


def test_groups_are_named_for_a_folder_or_a_set_that_is_loaded(folder):
    pattern = r"(mug|bowl)-"
    for data in (folder, load(folder)):
        splits = read_splits(data, group_by=pattern)
        assert splits["test"].groups == ["bowl"] * 3 + ["mug"] * 3
    assert read_splits(load(folder))["test"].groups[0] == "test/bowl/bowl-01-00.png"
