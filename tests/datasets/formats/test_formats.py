"""Formats together: recognised, read, written whole or not at all."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from PIL import Image

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError, UnrecognisedError
from cvlib.samples import IMAGE_SUFFIXES
from tests.datasets.formats.sets import (
    DRAWN,
    assert_same_boxes,
    boxed,
    image_file,
    named,
)

ONE = {"a.jpg": ([((1, 2, 3, 4), 0)], "train")}


@pytest.mark.parametrize("through", ["voc", "yolo", "coco"])
@settings(max_examples=25)
@given(drawn=DRAWN)
def test_boxes_survive_the_way_there_and_back_to_coco(through: str, drawn: dict):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        before = boxed(root / "in", drawn)
        there = formats.write(before, root / "there", format=through)
        assert formats.recognise(there) == through
        back = formats.write(formats.read(there), root / "back", format="coco")
        assert_same_boxes(before, formats.read(back))


@pytest.mark.slow
@settings(max_examples=25)
@given(drawn=DRAWN)
def test_masks_survive_coco_exactly_and_yolo_as_outlines(drawn: dict):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        before = boxed(root / "in", drawn, masks=True)
        coco = formats.read(formats.write(before, root / "coco", format="coco"))
        yolo = formats.read(formats.write(before, root / "yolo", format="yolo"))
        assert_same_boxes(before, yolo)
        for name in (sample.path.name for sample in before.samples):
            want, got, outline = (
                next(s for s in found.samples if s.path.name == name)
                for found in (before, coco, yolo)
            )
            assert (got.masks == want.masks).all()
            if len(want.labels):
                assert (outline.masks != want.masks).mean() < 0.02


def test_a_folder_of_nothing_known_says_what_is_there_and_what_is_wanted(
    tmp_path: Path,
):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UnrecognisedError) as caught:
        formats.recognise(tmp_path)
    said = str(caught.value)
    assert "1 files (1 .txt), such as notes.txt" in said
    assert all(name in said for name in formats.FORMATS)


def test_an_empty_folder_is_recognised_as_nothing(tmp_path: Path):
    with pytest.raises(UnrecognisedError, match="no files"):
        formats.recognise(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(FormatError, match=r"no folder .*missing"):
        formats.read(tmp_path / "missing")


def test_nothing_is_written_over(tmp_path: Path):
    found = boxed(tmp_path / "in", ONE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept.txt").write_text("mine")
    with pytest.raises(FormatError, match="new or empty"):
        formats.write(found, tmp_path / "out", format="coco")
    assert (tmp_path / "out" / "kept.txt").read_text() == "mine"


def test_a_set_with_a_lost_image_is_not_written_in_part(tmp_path: Path):
    found = boxed(tmp_path / "in", ONE)
    found.samples[0].path.unlink()
    with pytest.raises(FormatError, match="not there"):
        formats.write(found, tmp_path / "out", format="voc")
    assert not (tmp_path / "out").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_an_unknown_format_lists_the_known(tmp_path: Path):
    with pytest.raises(FormatError, match="no format 'tfrecord'; there are coco"):
        formats.read(tmp_path, format="tfrecord")


@pytest.mark.parametrize(
    ("format", "said"),
    [("labelme", "'labelme' is only read"), ("pascal", "'pascal' is no format")],
)
def test_what_cannot_be_written_lists_what_can(tmp_path: Path, format: str, said: str):
    found = boxed(tmp_path / "in", ONE)
    with pytest.raises(FormatError) as caught:
        formats.write(found, tmp_path / "out", format=format)
    written = "written are coco, yolo, voc, index-masks, tags, classes"
    assert str(caught.value) == f"{said}; {written}"


@pytest.mark.parametrize(
    ("read", "written"), [("voc", "voc"), ("labelme", "coco"), ("", "coco")]
)
def test_a_set_is_written_as_it_was_read_or_as_coco(
    tmp_path: Path, read: str, written: str
):
    found = replace(boxed(tmp_path / "in", ONE), format=read)
    again = formats.read(formats.write(found, tmp_path / "out"))
    assert again.format == written
    assert_same_boxes(found, again)


def test_a_loop_of_links_ends(tmp_path: Path):
    image_file(tmp_path / "mug" / "a.jpg")
    image_file(tmp_path / "jar" / "b.jpg")
    (tmp_path / "mug" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(formats.read(tmp_path)) == 2


def test_a_link_that_leads_out_is_not_read(tmp_path: Path):
    secret = image_file(tmp_path / "elsewhere" / "secret.jpg")
    root = tmp_path / "set"
    for name in ("mug/a.jpg", "jar/b.jpg"):
        image_file(root / name)
    (root / "mug" / "c.jpg").symlink_to(secret)
    with pytest.raises(FormatError, match="leads out of the folder"):
        formats.read(root)
    problems = []
    assert len(formats.read(root, problems=problems)) == 2
    assert [problem.kind for problem in problems] == ["path-outside"]


def test_image_endings_are_those_that_pillow_reads():
    assert set(IMAGE_SUFFIXES) <= Image.registered_extensions().keys()


@pytest.mark.parametrize("through", ["voc", "yolo", "coco", "index-masks"])
def test_images_of_one_stem_keep_their_own_annotations(tmp_path: Path, through: str):
    drawn = {
        "a.jpg": ([((1, 2, 30, 4), 0)], "train"),
        "a.png": ([((5, 6, 7, 8), 1)], "train"),
    }
    before = boxed(tmp_path / "in", drawn, masks=True)
    there = formats.write(before, tmp_path / "there", format=through)
    found = formats.read(there)
    own = {s.path.suffix: named(found, s)[-1] for s in found.samples}
    assert own == {".jpg": "mug", ".png": "jar, large"}


def test_images_without_annotations_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    there = formats.write(boxed(tmp_path / "in", ONE), tmp_path / "set", format="coco")
    for name in ("lost.jpg", "stray.jpg", "third.jpg"):
        image_file(there / "images" / "train" / name)
    assert len(formats.read(there)) == 1
    assert "lost.jpg: is an image without annotation" in caplog.text
    assert "(and 2 more)" in caplog.text
    formats.read(there, problems=(problems := []))
    assert [(p.kind, p.paths[0].name) for p in problems] == [
        ("annotation-missing", name) for name in ("lost.jpg", "stray.jpg", "third.jpg")
    ]


def test_annotations_of_no_image_are_an_error(tmp_path: Path):
    image_file(tmp_path / "images" / "a.jpg")
    (tmp_path / "all.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(FormatError, match="no image of it has an annotation"):
        formats.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.yaml", "names: [cat, dog]"),
        ("classes.txt", "cat"),
        ("train/report.xml", "<report/>"),
        ("log.csv", "Name,Label\nyesterday,good\n"),
    ],
)
def test_other_files_do_not_make_class_folders_something_else(
    tmp_path: Path, name: str, text: str
):
    for place in ("train/cat/a", "train/dog/b"):
        image_file(tmp_path / f"{place}.jpg")
        (tmp_path / f"{place}.txt").write_text("a caption of 5 words")
    (tmp_path / name).write_text(text)
    assert formats.read(tmp_path).format == "classes"


def test_an_image_in_place_of_a_folder_says_so(tmp_path: Path):
    with pytest.raises(FormatError, match=r"a\.jpg is one image; wanted a folder"):
        formats.read(image_file(tmp_path / "a.jpg"))
