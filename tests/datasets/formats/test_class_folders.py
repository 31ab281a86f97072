"""A folder a class."""

from pathlib import Path

import pytest

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError, UnrecognisedError, class_folders
from tests.datasets.formats.sets import boxed, image_file


def folders(root: Path, *names: str) -> Path:
    for name in names:
        image_file(root / name)
    return root


def test_folders_are_classes_in_alphabetical_order(tmp_path: Path):
    found = formats.read(folders(tmp_path, "mug/a.jpg", "jar/b.png", "mug/c d.jpg"))
    assert (found.format, found.class_names) == ("classes", ("jar", "mug"))
    assert found.counts().tolist() == [1, 2]


def test_outer_folders_are_splits_and_others_are_passed_over(tmp_path: Path):
    names = ("train/mug/a.jpg", "train/jar/b.jpg", "val/mug/c.jpg", "spare/mug/d.jpg")
    found = formats.read(folders(tmp_path, *names))
    assert [s.split for s in found.samples] == ["train", "train", "valid"]


def test_a_class_that_train_lacks_is_a_fault(tmp_path: Path):
    root = folders(tmp_path, "train/mug/a.jpg", "train/jar/b.jpg", "test/cup/c.jpg")
    with pytest.raises(FormatError, match="a folder 'cup'; train has jar, mug"):
        formats.read(root)


def test_a_set_survives_the_way_there_and_back(tmp_path: Path):
    names = ("train/mug/a.jpg", "train/jar/a.jpg", "test/mug/a.jpg")
    before = formats.read(folders(tmp_path / "in", *names))
    after = formats.read(formats.write(before, tmp_path / "out", format="classes"))
    assert [(s.split, int(s.labels[0])) for s in after.samples] == [
        (s.split, int(s.labels[0])) for s in before.samples
    ]


def test_several_labels_are_refused(tmp_path: Path):
    two = [((1, 2, 3, 4), 0), ((5, 6, 3, 4), 1)]
    found = boxed(tmp_path / "in", {"a.jpg": (two, "train")})
    with pytest.raises(FormatError, match=r"one label an image, a\.jpg has 2"):
        formats.write(found, tmp_path / "out", format="classes")


def test_a_class_may_be_called_train(tmp_path: Path):
    for name in ("train", "plane"):
        image_file(tmp_path / name / "a.jpg")
    found = formats.read(tmp_path)
    assert found.class_names == ("plane", "train")
    assert {s.split for s in found.samples} == {""}


def test_splits_without_classes_below_them_are_no_classes(tmp_path: Path):
    for name in ("train", "valid", "test"):
        image_file(tmp_path / name / "a.jpg")
    with pytest.raises(UnrecognisedError):
        formats.read(tmp_path)


def test_a_flat_test_folder_without_labels_is_left_out(tmp_path: Path):
    for name in ("train/cat/a.jpg", "train/dog/a.jpg", "test/1.jpg"):
        image_file(tmp_path / name)
    assert len(formats.read(tmp_path)) == 2


def test_an_image_of_a_class_that_train_lacks_is_left_out_and_named(tmp_path: Path):
    root = folders(tmp_path, "train/mug/a.jpg", "train/jar/b.jpg", "test/cup/c.jpg")
    found = formats.read(root, problems=(problems := []))
    assert {p.kind for p in problems} == {"class-unknown", "annotation-missing"}
    assert {p.paths for p in problems} == {(root / "test/cup/c.jpg",)}
    assert sorted(found.labels.tolist()) == [0, 1]


def test_pictures_of_none_of_the_classes_are_no_loss(tmp_path: Path):
    root = folders(tmp_path, "train/mug/a.jpg", "train/jar/b.jpg", "negatives/c.jpg")
    image_file(root / "NEGATIVES.jpg")
    formats.read(root, problems=(problems := []))
    assert {p.paths[0].name for p in problems} == {"NEGATIVES.jpg"}
    assert class_folders.is_negative("negatives/train/a.jpg")
    assert not class_folders.is_negative("mug/negatives/a.jpg")
