"""Text lists of images and class numbers."""

from pathlib import Path

import numpy as np
import pytest

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from cvlib.datasets.formats.lists import catalogue
from tests.datasets.formats.sets import image_file

CLASSES = """\
Class Name (str),Class ID (int),Coarse Class Name (str),Iconic Image Path (str)
Oat-Milk,0,Milk,/iconic/oat.jpg
Pear,1,Fruit,/iconic/none.jpg
Soy-Milk,2,Milk,/../secret.jpg
"""


def shop(root: Path, lists: dict[str, list[str]], *, classes: str = CLASSES) -> Path:
    """A folder with these lists and the images that they name."""
    for sheet, lines in lists.items():
        (root / sheet).write_text("\n".join(lines) + "\n")
        for line in lines:
            image_file(root / line.partition(",")[0].partition(" ")[0])
    if classes:
        (root / "classes.csv").write_text(classes)
    return root


def test_lists_give_split_and_class(tmp_path: Path):
    lists = {
        "train.txt": ["train/a.jpg, 2, 0", "train/b.jpg, 0, 0"],
        "val.txt": ["val/a.jpg, 1, 1"],
        "test.txt": ["test/a.jpg, 2, 0"],
    }
    found = formats.read(shop(tmp_path, lists))
    assert found.format == "lists"
    assert found.class_names == ("Oat-Milk", "Pear", "Soy-Milk")
    assert [s.split for s in found] == ["train", "train", "valid", "test"]
    assert found.labels.tolist() == [2, 0, 1, 2]
    assert [str(p.relative_to(tmp_path)) for p in found.paths[1:3]] == [
        "train/b.jpg",
        "val/a.jpg",
    ]


def test_a_space_separates_as_well_and_numbers_may_have_no_names(tmp_path: Path):
    lists = {"train.txt": ["a.jpg 1", "b.png 0"], "test.txt": ["c.jpg 1"]}
    found = formats.read(shop(tmp_path, lists, classes=""))
    assert found.class_names == ("class 0", "class 1")
    (tmp_path / "classes.txt").write_text("cup\nbowl\n")
    assert formats.read(tmp_path).class_names == ("cup", "bowl")


def test_classes_without_a_picture_are_left_out_with_one_warning(tmp_path: Path):
    root = shop(tmp_path, {"train.txt": ["a.jpg, 2, 0"], "test.txt": ["b.jpg, 2, 0"]})
    with (root / "train.txt").open("a") as file:
        file.write("fruit/x.jpg, 1, 1\nfruit/y.jpg, 1, 1\n")
    problems = []
    found = formats.read(root, problems=problems)
    assert found.class_names == ("Soy-Milk",) and found.labels.tolist() == [0, 0]
    assert [(p.kind, p.severity) for p in problems] == [("class-absent", "warning")]
    assert "1 of its classes have no picture" in problems[0].message


def test_one_missing_picture_of_a_class_is_an_error(tmp_path: Path):
    root = shop(tmp_path, {"train.txt": ["a.jpg, 2, 0"]})
    with (root / "train.txt").open("a") as file:
        file.write("gone.jpg, 2, 0\n")
    with pytest.raises(FormatError, match=r"'gone\.jpg', which is not there"):
        formats.read(root)


def test_a_line_that_is_none_is_a_fault(tmp_path: Path):
    root = shop(tmp_path, {"train.txt": ["a.jpg, 2, 0"]})
    with (root / "train.txt").open("a") as file:
        file.write("a.jpg, two\n")
    with pytest.raises(FormatError, match="wanted a path and a number, got 'a"):
        formats.read(root)


def test_an_empty_list_is_read(tmp_path: Path):
    root = shop(tmp_path, {"train.txt": ["a.jpg, 2, 0"]})
    (root / "test.txt").write_text("")
    assert len(formats.read(root)) == 1


def test_lists_of_paths_alone_are_not_ours(tmp_path: Path):
    root = shop(tmp_path, {"train.txt": ["images/a.jpg"]}, classes="")
    with pytest.raises(formats.UnrecognisedError):
        formats.read(root)


def test_the_catalogue_tells_coarse_classes_and_pictures_that_are_there(tmp_path: Path):
    image_file(tmp_path / "iconic/oat.jpg")
    image_file(tmp_path.parent / "secret.jpg")
    found = catalogue(shop(tmp_path, {"train.txt": ["a.jpg, 2, 0"]}))
    assert {name: entry.coarse for name, entry in found.items()} == {
        "Oat-Milk": "Milk",
        "Pear": "Fruit",
        "Soy-Milk": "Milk",
    }
    assert found["Oat-Milk"].picture == tmp_path / "iconic/oat.jpg"
    assert found["Pear"].picture is found["Soy-Milk"].picture is None


def test_a_folder_without_a_table_has_an_empty_catalogue(tmp_path: Path):
    assert catalogue(tmp_path) == {}


def test_studio_pictures_need_no_line(tmp_path: Path):
    image_file(tmp_path / "iconic/oat.jpg")
    problems = []
    formats.read(shop(tmp_path, {"train.txt": ["a.jpg, 2, 0"]}), problems=problems)
    assert problems == []


def test_labels_are_whole_numbers_of_eight_bytes_whatever_the_list_says(tmp_path: Path):
    found = formats.read(shop(tmp_path, {"train.txt": ["a.jpg 1"], "val.txt": []}))
    assert found[0].labels.dtype == np.int64


def test_the_columns_of_classes_may_have_short_names(tmp_path: Path):
    classes = "name,id,coarse,picture,description\nOat,4,Milk,iconic/oat.jpg,oat.txt\n"
    root = shop(tmp_path, {"train.txt": ["a.jpg 4"], "val.txt": []}, classes=classes)
    image_file(root / "iconic" / "oat.jpg")
    (root / "oat.txt").write_text("made of oats")
    assert formats.read(root).class_names == ("Oat",)
    entry = catalogue(root)["Oat"]
    assert entry.coarse == "Milk" and entry.picture == root / "iconic" / "oat.jpg"
    assert entry.description == root / "oat.txt"


def test_lists_in_folders_are_none_and_columns_have_other_names(tmp_path: Path):
    classes = "class,number\nOat,1\nPear,0\n"
    lists = {"train.txt": ["a.jpg 1", "b.jpg 0"], "val.txt": ["c.jpg 1"]}
    root = shop(tmp_path, lists, classes=classes)
    (root / "old").mkdir()
    for name in ("train.txt", "val.txt", "test.txt"):
        (root / "old" / name).write_text("a.jpg 0\n")
    found = formats.read(root)
    assert found.class_names == ("Pear", "Oat") and len(found) == 3
    assert {s.split for s in found} == {"train", "valid"}
