"""Formats together: recognised, read, written whole or not at all."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError, UnrecognisedError
from cvlib.samples import IMAGE_SUFFIXES, ImageSet, Sample
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


def coco_text(**changed: object) -> str:
    box = {"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
            "categories": [{"id": 1, "name": "mug"}],
            "annotations": [box],
        }
        | changed
    )


def coco_object(**changed: object) -> dict:
    box = {"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    return {"annotations": [box, box | changed]}


def coco_image(**changed: object) -> dict:
    return {"images": [{"id": 1, "file_name": "a.jpg"} | changed]}


def task(*results: dict, **changed: object) -> str:
    known = {"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": results}]}
    return json.dumps([known | changed])


def labelme(*shapes: object) -> str:
    good = {"label": "mug", "shape_type": "rectangle", "points": [[1, 1], [9, 9]]}
    return json.dumps({"imagePath": "a.jpg", "shapes": [good, *shapes]})


def voc(*parts: str) -> str:
    good = (
        "<object><name>mug</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
        "<xmax>9</xmax><ymax>9</ymax></bndbox></object>"
    )
    return f"<annotation>{good}{''.join(parts)}</annotation>"


GONE = {"id": 2, "file_name": "gone.jpg"}
YOLO = {"classes.txt": "mug\njar\n"}
# Name → the files, beside a picture `a.jpg`, and the one fault: its kind and severity,
# the file that has it, what is said of it.
FAULTS = {
    "COCO box": (
        {"x.json": coco_text(**coco_object(bbox=[1, 2]))},
        "annotation-unreadable error x.json: annotation 7: wanted a bbox of 4 numbers, "
        "got [1, 2]",
    ),
    "COCO category": (
        {"x.json": coco_text(**coco_object(category_id=5))},
        "class-unknown error x.json: annotation 7: no category 5",
    ),
    "COCO keypoints": (
        {"x.json": coco_text(**coco_object(keypoints="none"))},
        "annotation-unreadable error x.json: annotation 7: its keypoints are no list "
        "of numbers",
    ),
    "COCO half a keypoint": (
        {"x.json": coco_text(**coco_object(keypoints=[1, 2, 2, 5]))},
        "annotation-unreadable error x.json: annotation 7: wanted up to 1 keypoints of "
        "3 numbers, got 4 numbers; they are left out",
    ),
    "COCO mask of another size": (
        {
            "x.json": coco_text(
                **coco_object(segmentation={"size": [3, 4], "counts": [12]})
            )
        },
        "mask-size error a.jpg: a mask is [3, 4], the image [40, 60]",
    ),
    "COCO mask that is too short": (
        {
            "x.json": coco_text(
                **coco_object(segmentation={"size": [40, 60], "counts": [12]})
            )
        },
        "annotation-unreadable error a.jpg: a mask cannot be read: its counts do not "
        "fill 40 × 60 pixels",
    ),
    "COCO annotation of no image": (
        {"x.json": coco_text(**coco_object(image_id=2))},
        "image-missing error x.json: annotations of image 2, which the sheet does not "
        "list",
    ),
    "COCO annotation without an image": (
        {"x.json": coco_text(**coco_object(image_id=None, bbox=[], id=0))},
        "annotation-unreadable error x.json: wanted an annotation with an image_id, "
        "got {'id': 0, 'image_id': None, 'category_id': 1, 'bbox': []}",
    ),
    "COCO image": (
        {
            "x.json": coco_text(
                images=[{"id": 1, "file_name": "a.jpg"}, {"id": 3, "name": "b.jpg"}]
            )
        },
        "annotation-unreadable error x.json: wanted an image with an id and a "
        "file_name, got {'id': 3, 'name': 'b.jpg'}",
    ),
    "COCO size": (
        {"x.json": coco_text(**coco_image(width=50, height=40))},
        "size-disagrees warning a.jpg: is 60 × 40, its annotation says 50 × 40",
    ),
    "COCO split": (
        {"x.json": coco_text(**coco_image(split="hold"))},
        "split-unknown error x.json: states split 'hold'; wanted train, valid, test or "
        "nothing",
    ),
    "COCO categories": (
        {"x.json": coco_text(categories=[{"id": 1, "name": "mug"}, {"name": "jar"}])},
        "annotation-unreadable error x.json: wanted categories with an id and a name, "
        "got {'name': 'jar'}",
    ),
    "COCO categories of one id": (
        {
            "x.json": coco_text(
                categories=[{"id": 1, "name": "mug"}, {"id": 1, "name": "jar"}]
            )
        },
        "class-unknown error x.json: category 1 is 'jar' here, another name elsewhere",
    ),
    "a box without area": (
        {"x.json": coco_text(**coco_object(bbox=[1, 2, 0, 4]))},
        "box-degenerate error a.jpg: box 1 is 1, 2 to 1, 6: it has no area",
    ),
    "a box beyond the frame": (
        {"x.json": coco_text(**coco_object(bbox=[1, 2, 80, 4]))},
        "box-outside error a.jpg: box 1 is 1, 2 to 81, 6, beyond the frame of 60 × 40",
    ),
    "a picture that is not there": (
        {"x.json": coco_text(images=[{"id": 1, "file_name": "a.jpg"}, GONE])},
        "image-missing error gone.jpg: x.json names 'gone.jpg', which is not there",
    ),
    "a picture outside": (
        {
            "x.json": coco_text(
                images=[{"id": 1, "file_name": "a.jpg"}, GONE | {"file_name": "/b.jpg"}]
            )
        },
        "path-outside error x.json: names '/b.jpg', which is outside the folder; it is "
        "not read",
    ),
    "YOLO line": (
        YOLO | {"labels/a.txt": "0 .5 .5 .1 .1\n\n0 .5 .5\n"},
        "annotation-unreadable error labels/a.txt: line 3: wanted a class and 4 or "
        "more numbers, got '0 .5 .5'",
    ),
    "YOLO class": (
        YOLO | {"labels/a.txt": "0 .5 .5 .1 .1\n2 .5 .5 .1 .1\n"},
        "class-unknown error labels/a.txt: line 2: no class 2; they go from 0 to 1",
    ),
    "YOLO sheet without a picture": (
        YOLO | {"labels/a.txt": "", "labels/b.txt": ""},
        "image-missing error labels/b.txt: labels/b.txt has no image of its name below "
        "images/",
    ),
    "VOC box": (
        {"a.xml": voc("<object><name>jar</name></object>")},
        "annotation-unreadable error a.xml: wanted an object with xmin, ymin, xmax and "
        "ymax in its bndbox",
    ),
    "VOC class": (
        {"a.xml": voc(voc()[12:-13].replace("mug", " "))},
        "class-unknown error a.xml: wanted an object with a name",
    ),
    "VOC lists": (
        {
            "Annotations/a.xml": voc(),
            "ImageSets/Main/train.txt": "a\n",
            "ImageSets/Main/val.txt": "a\n",
        },
        "image-twice error ImageSets/Main/val.txt: lists 'a', which is in train too",
    ),
    "Label Studio's line": (
        {"x.json": task({"type": "brush", "value": {}})},
        "annotation-unreadable warning x.json: a result of type 'brush' is neither a "
        "box, a polygon nor a choice",
    ),
    "Label Studio's result": (
        {"x.json": task({"type": "choices"})},
        "annotation-unreadable error x.json: a result is {'type': 'choices'}",
    ),
    "LabelMe's shape": (
        {"a.json": labelme({"label": "jar"})},
        "annotation-unreadable error a.json: a shape is {'label': 'jar'}",
    ),
    "LabelMe's circle": (
        {
            "a.json": labelme(
                {"label": "x", "shape_type": "circle", "points": [[1, 1], [2, 2]]}
            )
        },
        "annotation-unreadable warning a.json: a circle of 2 points is neither a box "
        "nor a polygon",
    ),
    "a line of two points": (
        {"a.json": labelme({"label": "x", "points": [[1, 1], [2, 2]]})},
        "annotation-unreadable warning a.json: a polygon of 2 points is neither a box "
        "nor a polygon",
    ),
    "a list's line": (
        {"train.txt": "a.jpg 0\na.jpg two\n"},
        "annotation-unreadable error train.txt: wanted a path and a number, got "
        "'a.jpg two'",
    ),
    "a list's class without pictures": (
        {"train.txt": "a.jpg 0\nb.jpg 1\n"},
        "class-absent warning train.txt: 1 of its classes have no picture here; they "
        "are left out",
    ),
    "a table's split": (
        {"x.csv": "image,tags,split\na.jpg,mug,hold\n"},
        "split-unknown error x.csv: states split 'hold'; wanted train, valid, test or "
        "nothing",
    ),
    "a second table": (
        {"x.csv": "image,tags\na.jpg,mug\n", "y.csv": "image,tags\na.jpg,jar\n"},
        "not-read warning y.csv: is a table like x.csv; it is not read. Name the one "
        "you mean",
    ),
    "an image in two splits": (
        {"x.csv": "image,tags,split\na.jpg,mug,train\na.jpg,jar,test\n"},
        "image-twice error a.jpg: is in the splits 'train' and 'test'",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_a_kind_a_place_and_a_sentence(tmp_path: Path, name: str):
    files, wanted = FAULTS[name]
    image_file(tmp_path / "a.jpg")
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text, "utf8")
    formats.read(tmp_path, problems=(problems := []))
    said = [
        f"{p.kind} {p.severity} {p.paths[0].relative_to(tmp_path)}: {p.message}"
        for p in problems
    ]
    assert said == [wanted]


def posed(root: Path) -> ImageSet:
    """A jar with two keypoints, the second not labelled, and an image of nothing."""
    found = boxed(root, {"a.jpg": ([((6, 4, 12, 10), 1)], "valid"), "b.jpg": ([], "")})
    jar, nothing = found.samples
    points = np.array([[[7, 5, 2], [0, 0, 0]]], np.float32)
    jar = replace(jar, keypoints=points, group="shop")
    nothing = replace(nothing, keypoints=points[:0])
    return replace(
        found,
        samples=(jar, nothing),
        keypoint_names=("left", "right"),
        flip_pairs=((0, 1),),
    )


def texts(folder: Path) -> dict[str, str]:
    """Name → text of all files but pictures, which are "" here."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): ""
        if path.suffix in (".jpg", ".png")
        else path.read_text("utf8")
        for path in files
    }


def test_coco_is_written_to_the_letter(tmp_path: Path):
    out = formats.write(posed(tmp_path / "in"), tmp_path / "out", format="coco")
    found = texts(out)
    assert list(found) == [
        "annotations/all.json",
        "annotations/valid.json",
        "images/all/b.jpg",
        "images/valid/a.jpg",
    ]
    points = {"keypoints": ["left", "right"], "skeleton": [], "flip_pairs": [[0, 1]]}
    categories = [
        {"id": 1, "name": "mug"} | points,
        {"id": 2, "name": "jar, large"} | points,
        {"id": 3, "name": "bøwl"} | points,
    ]
    size = {"width": 60, "height": 40}
    own = {"split": "valid", "group": "shop"}
    assert json.loads(found["annotations/valid.json"]) == {
        "images": [{"id": 1, "file_name": "images/valid/a.jpg"} | size | own],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 2,
                "iscrowd": 0,
                "bbox": [6, 4, 12, 10],
                "area": 120,
                "keypoints": [7, 5, 2, 0, 0, 0],
                "num_keypoints": 1,
            }
        ],
        "categories": categories,
    }
    assert json.loads(found["annotations/all.json"]) == {
        "images": [{"id": 1, "file_name": "images/all/b.jpg"} | size],
        "annotations": [],
        "categories": categories,
    }
    assert "bøwl" in found["annotations/all.json"]


def test_yolo_is_written_to_the_letter(tmp_path: Path):
    out = formats.write(posed(tmp_path / "in"), tmp_path / "out", format="yolo")
    # The middle, 12 of 60 and 9 of 40; the sides, 12 of 60 and 10 of 40; the points.
    line = "1 0.2000000 0.2250000 0.2000000 0.2500000 "
    line += "0.1166667 0.1250000 2 0.0000000 0.0000000 0\n"
    facts = (
        "path: .\nval: images/valid\nall: images/all\n"
        "names:\n  0: mug\n  1: jar, large\n  2: bøwl\n"
        "kpt_shape:\n- 2\n- 3\nflip_idx:\n- 1\n- 0\n"
        "kpt_names:\n  0:\n  - left\n  - right\n  1:\n  - left\n  - right\n"
        "  2:\n  - left\n  - right\n"
    )
    assert texts(out) == {
        "data.yaml": facts,
        "images/all/b.jpg": "",
        "images/valid/a.jpg": "",
        "labels/all/b.txt": "",
        "labels/valid/a.txt": line,
    }


def test_voc_is_written_to_the_letter(tmp_path: Path):
    out = formats.write(posed(tmp_path / "in"), tmp_path / "out", format="voc")
    head = (
        "<annotation>\n  <filename>{}.jpg</filename>\n"
        "  <size><width>60</width><height>40</height><depth>3</depth></size>\n"
    )
    # Counted from 1, and the last pixel is within: 6 to 18 are the pixels 7 to 18.
    jar = (
        "  <object><name>jar, large</name><bndbox><xmin>7.00</xmin><ymin>5.00</ymin>"
        "<xmax>18.00</xmax><ymax>14.00</ymax></bndbox></object>\n"
    )
    assert texts(out) == {
        "Annotations/a.xml": f"{head.format('a')}{jar}</annotation>\n",
        "Annotations/b.xml": f"{head.format('b')}</annotation>\n",
        "ImageSets/Main/val.txt": "a\n",
        "JPEGImages/a.jpg": "",
        "JPEGImages/b.jpg": "",
    }


def test_tags_and_index_masks_are_written_to_the_letter(tmp_path: Path):
    found = posed(tmp_path / "in")
    out = formats.write(found, tmp_path / "tags", format="tags")
    table = (
        'image,mug,"jar, large",bøwl,split,group\n'
        "images/a.jpg,0,1,0,valid,shop\nimages/b.jpg,0,0,0,,\n"
    )
    wanted = {"images.csv": table, "images/a.jpg": "", "images/b.jpg": ""}
    assert texts(out) == wanted
    drawn = {"a.jpg": ([((6, 4, 12, 10), 1)], "valid"), "b.jpg": ([], "")}
    masked = boxed(tmp_path / "in", drawn, masks=True)
    assert texts(formats.write(masked, tmp_path / "out", format="index-masks")) == {
        "class_names.txt": "background\nmug\njar, large\nbøwl\n",
        "images/all/b.jpg": "",
        "images/valid/a.jpg": "",
        "masks/all/b.png": "",
        "masks/valid/a.png": "",
    }


@pytest.mark.parametrize(
    ("format", "said"),
    [
        ("coco", "COCO holds boxes or masks, a.jpg has neither; write tags, or a "),
        ("yolo", "YOLO holds boxes; {} has images without any"),
        ("voc", "VOC holds boxes; {} has images without any"),
    ],
)
def test_labels_without_boxes_are_refused_with_a_way_out(
    tmp_path: Path, format: str, said: str
):
    sample = Sample(image_file(tmp_path / "a.jpg"), (40, 60), np.array([0]))
    found = ImageSet(tmp_path, "classes", ("mug",), (sample,))
    with pytest.raises(FormatError) as caught:
        formats.write(found, tmp_path / "out", format=format)
    assert str(caught.value).startswith(said.format(tmp_path))


def test_a_sheet_that_is_named_collects_its_faults_too(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    entry = {"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}
    odd = {"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 1, 5, 5]}
    document = {"images": [entry], "annotations": [odd], "categories": []}
    (tmp_path / "a.json").write_text(json.dumps(document))
    found = formats.read(tmp_path / "a.json", problems=(problems := []))
    assert len(found) == 1 and {p.paths[0].name for p in problems} == {"a.json"}
