"""Pascal VOC: pixels counted from 1, lists of splits, hostile XML."""

from pathlib import Path

import numpy as np
import pytest

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import SIZE, boxed, image_file

OBJECT = (
    "<object><name>mug</name><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def sheet(root: Path, *boxes: tuple, file: str = "a.jpg", head: str = "") -> Path:
    image_file(root / "JPEGImages" / "a.jpg")
    objects = "".join(OBJECT.format(*box) for box in boxes)
    path = root / "Annotations" / "a.xml"
    path.parent.mkdir(parents=True)
    path.write_text(
        f"{head}<annotation><filename>{file}</filename>{objects}</annotation>"
    )
    return root


def test_a_pixel_at_the_corner_is_1_1_to_1_1(tmp_path: Path):
    (sample,) = formats.read(sheet(tmp_path, (1, 1, 1, 1))).samples
    assert sample.boxes.tolist() == [[0, 0, 1, 1]]


def test_an_image_without_objects_is_kept(tmp_path: Path):
    (sample,) = formats.read(sheet(tmp_path)).samples
    assert sample.boxes.shape == (0, 4)


def test_the_lists_give_the_split(tmp_path: Path):
    root = sheet(tmp_path, (1, 1, 5, 5))
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("a\n")
    (lists / "trainval.txt").write_text("a\n")
    assert formats.read(root).samples[0].split == "valid"


def test_the_name_of_the_xml_wins_over_a_copied_file_name(tmp_path: Path):
    root = sheet(tmp_path, (1, 1, 5, 5), file="other.jpg")
    assert formats.read(root).samples[0].path.name == "a.jpg"


def test_entities_are_not_expanded(tmp_path: Path):
    bomb = '<!DOCTYPE a [<!ENTITY b "&#97;"><!ENTITY c "&b;&b;&b;&b;">]>'
    root = sheet(tmp_path, (1, 1, 5, 5), head=bomb)
    with pytest.raises(FormatError, match="no XML that may be read"):
        formats.read(root)
    problems = []
    assert len(formats.read(root, problems=problems)) == 0
    assert "annotation-unreadable" in {p.kind for p in problems}


def test_a_file_outside_is_not_opened(tmp_path: Path):
    root = sheet(tmp_path / "set", (1, 1, 5, 5), file="../../secret.jpg")
    (root / "JPEGImages" / "a.jpg").rename(root / "JPEGImages" / "b.jpg")
    with pytest.raises(FormatError, match="outside the folder"):
        formats.read(root)


@pytest.mark.parametrize("box", [("", 1, 2, 3), ("x", 1, 2, 3)])
def test_a_corner_that_is_no_number_is_a_fault(tmp_path: Path, box: tuple):
    with pytest.raises(FormatError, match="xmin, ymin, xmax and ymax"):
        formats.read(sheet(tmp_path, box))


def test_an_image_that_no_sheet_mentions_is_noted(tmp_path: Path):
    root = sheet(tmp_path, (1, 1, 5, 5))
    image_file(root / "JPEGImages" / "b.jpg")
    problems = []
    formats.read(root, problems=problems)
    assert [(p.kind, p.severity) for p in problems] == [
        ("annotation-missing", "warning")
    ]


def test_a_name_with_a_tag_in_it_is_escaped(tmp_path: Path):
    before = boxed(tmp_path / "in", {"a.jpg": ([((1, 2, 3, 4), 0)], "")})
    odd = ImageSet(before.root, "coco", ("<b>&</b>", "x", "y"), before.samples)
    there = formats.write(odd, tmp_path / "out", format="voc")
    assert formats.read(there).class_names == ("<b>&</b>",)


def test_labels_without_boxes_are_refused(tmp_path: Path):
    sample = Sample(image_file(tmp_path / "in" / "a.jpg"), SIZE, np.array([0]))
    found = ImageSet(tmp_path / "in", "classes", ("mug",), (sample,))
    with pytest.raises(FormatError, match="VOC holds boxes"):
        formats.write(found, tmp_path / "out", format="voc")


@pytest.mark.parametrize("line", ["IMG 1", "IMG 1  1", "IMG 1 -1"])
def test_a_list_may_flag_its_images_and_names_may_end_in_a_number(tmp_path: Path, line):
    root = sheet(tmp_path, (1, 1, 5, 5))
    (root / "JPEGImages" / "a.jpg").rename(root / "JPEGImages" / "IMG 1.jpg")
    (root / "Annotations" / "a.xml").rename(root / "Annotations" / "IMG 1.xml")
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "test.txt").write_text(f"{line}\n")
    assert formats.read(root).samples[0].split == "test"


def test_an_endless_size_and_an_object_without_a_name_are_no_crash(tmp_path: Path):
    root = sheet(tmp_path, (1, 1, 5, 5))
    path = root / "Annotations" / "a.xml"
    size = "<size><width>inf</width><height>inf</height></size>"
    text = path.read_text().replace("<name>mug</name>", "")
    path.write_text(text.replace("</annotation>", f"{size}</annotation>"))
    formats.read(root, problems=(problems := []))
    assert [p.kind for p in problems] == ["class-unknown"]


def test_sheets_beside_the_images_of_each_split_are_read(tmp_path: Path):
    for split in ("train", "valid"):
        image_file(tmp_path / split / f"{split}.jpg")
        text = "<annotation><filename>other.jpg</filename></annotation>"
        (tmp_path / split / f"{split}.xml").write_text(text)
    assert [s.split for s in formats.read(tmp_path).samples] == ["train", "valid"]


def test_a_missing_image_is_not_replaced_by_its_namesake(tmp_path: Path):
    image_file(tmp_path / "train" / "a.jpg")
    for split in ("train", "valid"):
        (tmp_path / split).mkdir(exist_ok=True)
        (tmp_path / split / "a.xml").write_text("<annotation/>")
    (tmp_path / "valid" / "b.xml").write_text("<annotation/>")
    image_file(tmp_path / "valid" / "b.jpg")
    found = formats.read(tmp_path, problems=[])
    assert {(s.path.name, s.split) for s in found.samples} == {
        ("a.jpg", "train"),
        ("b.jpg", "valid"),
    }


def test_two_sheets_of_one_image_are_a_fault(tmp_path: Path):
    image_file(tmp_path / "images" / "0.jpg")
    for place in ("Annotations", "Annotations/more"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "0.xml").write_text("<annotation/>")
    with pytest.raises(FormatError, match="is listed 2 times"):
        formats.read(tmp_path)


@pytest.mark.parametrize(
    ("width", "height", "kinds"), [(60, 40, []), (40, 60, ["size-disagrees"])]
)
def test_a_stated_size_is_compared_side_by_side(
    tmp_path: Path, width: int, height: int, kinds: list[str]
):
    path = sheet(tmp_path, (1, 1, 5, 5)) / "Annotations" / "a.xml"
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    path.write_text(path.read_text().replace("</annotation>", f"{size}</annotation>"))
    (sample,) = formats.read(tmp_path, problems=(problems := []))
    assert sample.canvas_size == SIZE == (40, 60)
    assert [p.kind for p in problems] == kinds
