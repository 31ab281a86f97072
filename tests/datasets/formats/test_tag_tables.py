"""Tags in a CSV."""

from pathlib import Path

import numpy as np
import pytest

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError, tag_tables
from cvlib.datasets.formats.folder import Folder
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import SIZE, image_file, named


def table(root: Path, text: str, *images: str) -> Path:
    for name in images:
        image_file(root / name)
    (root / "tags.csv").write_text(text, "utf8")
    return root


def test_words_in_a_column_are_tags(tmp_path: Path):
    text = 'image,tags,group\na.jpg,mug jar,kitchen\n"b, c.jpg",,street\n'
    found = formats.read(table(tmp_path, text, "a.jpg", "b, c.jpg"))
    first, second = found.samples
    assert (found.format, named(found, first)) == ("tags", ["jar", "mug"])
    assert len(second.labels) == 0 and second.group == "street"


def test_columns_of_noughts_and_ones_are_tags(tmp_path: Path):
    text = "image,mug,jar,is_valid\na.jpg,0,1,0\nb.jpg,1,1,1\n"
    found = formats.read(table(tmp_path, text, "a.jpg", "b.jpg"))
    assert found.class_names == ("mug", "jar")
    assert [s.labels.tolist() for s in found.samples] == [[1], [0, 1]]
    assert [s.split for s in found.samples] == ["train", "valid"]


def test_a_table_of_something_else_is_none(tmp_path: Path):
    root = table(tmp_path, "path,brand\nx,Molvi\n", "mug/a.jpg", "jar/b.jpg")
    assert formats.recognise(root) == "classes"


def test_a_row_that_leads_out_is_refused(tmp_path: Path):
    image_file(tmp_path / "secret.jpg")
    text = "image,tags\na.jpg,mug\n../secret.jpg,mug\n"
    root = table(tmp_path / "set", text, "a.jpg")
    with pytest.raises(FormatError, match="outside the folder"):
        formats.read(root)


def test_tags_survive_the_way_there_and_back(tmp_path: Path):
    text = (
        "image,mug,jar,split\na.jpg,0,1,train\nкружка.jpg,1,1,test\nb.jpg,0,0,train\n"
    )
    names = ("a.jpg", "b.jpg", "кружка.jpg")
    before = formats.read(table(tmp_path / "in", text, *names))
    after = formats.read(formats.write(before, tmp_path / "out", format="tags"))
    assert after.class_names == before.class_names
    assert [(s.path.name, s.labels.tolist(), s.split) for s in after.samples] == [
        (s.path.name, s.labels.tolist(), s.split) for s in before.samples
    ]


def test_a_table_with_row_numbers_and_no_name_for_them_is_read(tmp_path: Path):
    text = ",image,mug,jar\n0,a.jpg,0,1\n1,b.jpg,1,1\n"
    found = formats.read(table(tmp_path, text, "a.jpg", "b.jpg"))
    assert found.class_names == ("mug", "jar")


def test_the_rows_of_one_image_are_its_tags_and_an_unlisted_image_is_noted(
    tmp_path: Path,
):
    text = "image,label\na.jpg,mug\na.jpg,jar\n"
    root = table(tmp_path, text, "a.jpg", "b.jpg")
    found = formats.read(root, problems=(problems := []))
    (sample,) = found.samples
    assert named(found, sample) == ["jar", "mug"]
    assert [(p.kind, p.paths[0].name) for p in problems] == [
        ("annotation-missing", "b.jpg")
    ]


def test_a_named_table_without_files_says_what_it_wanted(tmp_path: Path):
    root = table(tmp_path, "brand,mug\nMolvi,1\n", "a.jpg")
    with pytest.raises(FormatError, match=r"a column of files.*brand, mug"):
        formats.read(root / "tags.csv")


@pytest.mark.parametrize("comma", [";", "\t"])
def test_columns_may_be_parted_by_semicolons_or_tabs(tmp_path: Path, comma: str):
    text = "image,tags\na.jpg,mug jar\n".replace(",", comma)
    (sample,) = formats.read(table(tmp_path, text, "a.jpg")).samples
    assert sample.labels.tolist() == [0, 1]


def test_a_split_that_is_none_is_named(tmp_path: Path):
    text = "image,tags,split\na.jpg,mug,holdout\n"
    with pytest.raises(FormatError, match="states split 'holdout'; wanted train"):
        formats.read(table(tmp_path, text, "a.jpg"))


def test_columns_and_answers_are_known_whatever_their_case(tmp_path: Path):
    text = "Filename,mug, jar,Is_Valid\na.jpg,TRUE,False,TRUE\n,,,\n"
    found = formats.read(table(tmp_path, text, "a.jpg"))
    assert found.class_names == ("mug", "jar")
    assert [(s.labels.tolist(), s.split) for s in found.samples] == [([0], "valid")]


def test_a_table_in_each_split_is_read(tmp_path: Path):
    for split in ("train", "test"):
        image_file(tmp_path / split / "a.jpg")
        (tmp_path / split / "_classes.csv").write_text("filename,mug, jar\na.jpg,1,0\n")
    found = formats.read(tmp_path).samples
    assert [(s.path.parent.name, s.split) for s in found] == [
        ("test",) * 2,
        ("train",) * 2,
    ]


def test_images_are_looked_for_in_the_stated_split_only(tmp_path: Path):
    image_file(tmp_path / "data" / "valid" / "a.jpg")
    image_file(tmp_path / "data" / "train" / "b.jpg")
    text = "image,tags,split\na.jpg,mug,valid\nb.jpg,mug,valid\n"
    found = formats.read(table(tmp_path, text), problems=(problems := []))
    assert [s.path.name for s in found.samples] == ["a.jpg"]
    assert [p.kind for p in problems] == ["image-missing", "annotation-missing"]


def test_an_image_in_two_splits_is_a_fault(tmp_path: Path):
    text = "image,tags,split\na.jpg,mug,train\n./a.jpg,mug,test\n"
    with pytest.raises(FormatError, match="is in the splits 'train' and 'test'"):
        formats.read(table(tmp_path, text, "a.jpg"))


def test_tables_of_splits_are_each_read_in_their_own_folder(tmp_path: Path):
    for split, tag in (("train", "a"), ("val", "b"), ("test", "c")):
        image_file(tmp_path / split / "0.jpg")
        (tmp_path / f"{split}.csv").write_text(f"image,tags\n0.jpg,{tag}\n")
    found = formats.read(tmp_path)
    own = {s.split: named(found, s) for s in found.samples}
    assert own == {"train": ["a"], "valid": ["b"], "test": ["c"]}


@pytest.mark.parametrize("first", ["train.csv", "labels.csv"])
def test_another_table_like_it_is_not_mixed_in(tmp_path: Path, first: str):
    image_file(tmp_path / "0.jpg")
    (tmp_path / first).write_text("image,labels\n0.jpg,a\n")
    (tmp_path / "sample_submission.csv").write_text("image,labels\n0.jpg,b\n")
    found = formats.read(tmp_path, problems=(problems := []))
    assert [named(found, s) for s in found.samples] == [["a"]]
    assert [p.kind for p in problems] == ["not-read"]


def test_folders_in_the_names_are_splits(tmp_path: Path):
    text = "image,tags\ntrain/0.jpg,a\ntest/0.jpg,b\n"
    found = formats.read(table(tmp_path, text, "train/0.jpg", "test/0.jpg"))
    assert [s.split for s in found.samples] == ["train", "test"]


def test_a_tag_called_like_a_column_is_refused(tmp_path: Path):
    sample = Sample(image_file(tmp_path / "a.jpg"), SIZE, np.array([0]))
    found = ImageSet(tmp_path, "tags", ("Group",), (sample,))
    with pytest.raises(FormatError, match="cannot be called 'Group'"):
        formats.write(found, tmp_path / "out", format="tags")


def test_tables_are_looked_for_at_the_top_and_one_folder_down(tmp_path: Path):
    text = "image,tags\na.jpg,mug\n"
    root = table(tmp_path, text, "a.jpg")
    for deep, is_read in (("one", True), ("one/two", False)):
        (root / deep).mkdir()
        (root / "tags.csv").rename(root / deep / "tags.csv")
        assert (len(_tables(root)) == 1) == is_read
        (root / deep / "tags.csv").rename(root / "tags.csv")


def test_the_table_of_a_drawn_split_holds_no_tags(tmp_path: Path):
    root = table(tmp_path, "image,tags\na.jpg,mug\n", "a.jpg")
    (root / "splits.csv").write_text("image,tags\na.jpg,jar\n")
    assert formats.read(root).class_names == ("mug",)


def _tables(root: Path) -> list[str]:
    return tag_tables._sheets(Folder(root))


def test_a_table_that_cannot_be_read_is_a_fault(tmp_path: Path):
    root = table(tmp_path, "image,tags\na.jpg,mug\n", "a.jpg")
    sheet = Folder(root, problems=(problems := []))
    (root / "broken.csv").write_bytes(b"image,tags\n\xff\xfe\x00,mug\n")
    assert tag_tables._rows(sheet, "broken.csv") == ([], [])
    assert [(p.kind, p.paths) for p in problems] == [
        ("annotation-unreadable", (root / "broken.csv",))
    ]
    assert "is no CSV" in problems[0].message


def test_a_column_called_tags_of_noughts_and_ones_is_one_tag_of_several(tmp_path: Path):
    text = "image,tags,mug\na.jpg,1,0\nb.jpg,0,1\n"
    found = formats.read(table(tmp_path, text, "a.jpg", "b.jpg"))
    assert found.class_names == ("tags", "mug")
    assert [s.labels.tolist() for s in found] == [[0], [1]]
