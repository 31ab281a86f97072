"""The doctor's reports."""

import base64
import csv
import io
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.datasets import DatasetError, fetch, formats
from cvlib.datasets.problems import Problem
from cvlib.doctor import Report, examine
from cvlib.doctor import report as room
from cvlib.doctor.report import cleaned
from cvlib.masks import encode_masks
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import boxed, image_file


@pytest.fixture
def report(tmp_path: Path) -> Report:
    drawn = {
        f"{i}.png": ([((5, 5, 9, 9), 0), ((50, 5, 9, 9), 1)], "train") for i in "ab"
    }
    root = formats.write(boxed(tmp_path / "in", drawn), tmp_path / "set", format="coco")
    sheet = root / "annotations" / "train.json"
    document = json.loads(sheet.read_text())
    document["annotations"][0]["bbox"][3] = 0
    document["annotations"][1]["bbox"][2] = 30
    sheet.write_text(json.dumps(document))
    return examine(root)


def test_json_is_plain_and_the_same_again(report: Report):
    first = report.as_json()
    again = examine(report.root).as_json()
    assert {k: v for k, v in first.items() if k != "seconds"} == {
        k: v for k, v in again.items() if k != "seconds"
    }
    assert json.loads(json.dumps(first)) == first
    kinds = {problem["kind"] for problem in first["problems"]}
    assert {"box-degenerate", "box-outside", "duplicate-exact", "blank"} <= kinds
    assert first["problems"][0]["severity"] == "error"
    assert first["problems"][0]["paths"] == ["images/train/a.png"]


def test_a_report_needs_nothing_from_elsewhere(report: Report, tmp_path: Path):
    page = report.write_html(tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>") and "<main>" in page
    assert "http" not in page and "<script" not in page
    assert 'alt="images/train/a.png"' in page


def test_nothing_is_written_into_the_examined_folder(report: Report):
    for write in (report.write_html, report.write_json, report.write_cleaned):
        with pytest.raises(DatasetError, match="never writes"):
            write(report.root / "out")


def test_a_cleaned_list_of_classes_keeps_names_of_two_words(tmp_path: Path):
    for own, name in (("mug", "polo shirt"), ("bowl", "dress")):
        (tmp_path / "set" / name).mkdir(parents=True)
        source = min((fetch("pantry/products") / "train" / own).iterdir())
        shutil.copyfile(source, tmp_path / "set" / name / f"{own}.jpg")
    out = examine(tmp_path / "set").write_cleaned(tmp_path / "out")
    shutil.copytree(tmp_path / "set", out, dirs_exist_ok=True)
    found = formats.read(out / "images.csv")
    assert found.class_names == ("dress", "polo shirt")
    assert [s.labels.tolist() for s in found.samples] == [[0], [1]]


def test_a_cleaned_list_drops_clips_and_says_why(report: Report, tmp_path: Path):
    out = report.write_cleaned(tmp_path / "cleaned")
    document = json.loads((out / "annotations.json").read_text())
    assert [i["file_name"] for i in document["images"]] == ["images/train/a.png"]
    (box,) = [a["bbox"] for a in document["annotations"]]
    assert box == [50, 5, 10, 9]  # to the frame's edge at 60
    with (out / "removed.csv").open() as file:
        removed = {row["path"]: row["why"] for row in csv.DictReader(file)}
    assert removed["images/train/b.png"] == "copy of images/train/a.png"
    assert removed["images/train/a.png"] == "box 0"


def found_by_hand(samples: list[Sample], *problems: Problem) -> Report:
    found = ImageSet(Path("set"), "coco", ("mug",), tuple(samples))
    return Report(Path("set"), len(samples), problems, 0.0, found)


@pytest.mark.parametrize(
    ("splits", "stays"),
    [
        (("train", "valid", "test"), "test"),
        (("train", "valid"), "valid"),
        (("", "train"), "train"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_of_copies_the_one_stays_that_judges(splits, stays, order):
    paths = {split: Path("set") / f"{split or 'none'}.jpg" for split in splits}
    none = np.empty((0, 4), np.float32)
    samples = [
        Sample(path, (9, 9), np.empty(0, np.int64), none, split=split)
        for split, path in paths.items()
    ][::order]
    copies = tuple(sample.path for sample in samples)
    kept, removed = cleaned(
        found_by_hand(samples, Problem("duplicate-across-splits", copies, ""))
    )
    assert [sample.split for sample in kept.samples] == [stays]
    assert sorted(removed) == sorted(
        [paths[split].name, f"copy of {paths[stays].name}"]
        for split in splits
        if split != stays
    )


def test_an_object_goes_with_all_that_belongs_to_it():
    masks = np.zeros((3, 9, 9), np.uint8)
    for number, mask in enumerate(masks):
        mask[: number + 1, 0] = 1  # of 1, 2 and 3 pixels
    one = Sample(
        Path("set/a.jpg"),
        (9, 9),
        np.array([0, 1, 2]),
        np.array([[0, 0, 1, 1], [0, 0, 1, 2], [0, 0, 1, 3]], np.float32),
        encode_masks(list(masks)),
        keypoints=np.arange(9, dtype=np.float32).reshape(3, 1, 3),
        crowd=np.array([True, False, False]),
    )
    other = replace(one, path=Path("set/b.jpg"))
    problem = Problem("box-duplicate", (one.path,), "", "warning", 1)
    kept, removed = cleaned(found_by_hand([one, other], problem))
    first, second = kept.samples
    assert first.labels.tolist() == [0, 2]
    assert first.boxes[:, 3].tolist() == [1, 3]
    assert first.masks.sum(axis=(1, 2)).tolist() == [1, 3]
    assert first.keypoints[:, 0, 0].tolist() == [0, 6]
    assert first.crowd.tolist() == [True, False]
    assert len(second.labels) == 3
    assert removed == [["a.jpg", "box 1"]]


def test_a_cleaned_list_is_not_written_over(report: Report, tmp_path: Path):
    report.write_cleaned(tmp_path / "cleaned")
    with pytest.raises(DatasetError, match="new or empty folder"):
        report.write_cleaned(tmp_path / "cleaned")


def test_boxes_of_an_image_of_unknown_size_stay_where_they_are():
    box = np.array([[-1, 2, 30, 40]], np.float32)
    for size, wanted in (((0, 0), [-1, 2, 30, 40]), ((20, 25), [0, 2, 25, 20])):
        sample = Sample(Path("set/a.jpg"), size, np.array([0]), box)
        kept, _ = cleaned(found_by_hand([sample]))
        assert kept[0].boxes.tolist() == [wanted]


ONE = Sample(Path("set/кружка.jpg"), (9, 9), np.array([0, 0]), split="train")
TWO = Sample(Path("set/b.jpg"), (9, 9), np.array([0]), split="train")
THREE = Sample(Path("set/c.jpg"), (9, 9), np.array([], np.int64))


def three(*problems: Problem) -> Report:
    found = ImageSet(Path("set"), "tags", ("mug", "jar"), (ONE, TWO, THREE))
    return Report(Path("set"), 4, problems, 1.2345, found)


def test_the_json_in_full(tmp_path: Path):
    report = three(
        Problem("box-tiny", (ONE.path, Path("/out.jpg")), "box 1 is small", index=1),
        Problem("blank", (TWO.path,), "shows nothing", "warning"),
    )
    wanted = {
        "root": "set",
        "format": "tags",
        "images": 4,
        "objects": 3,
        "splits": {"train": 2, "": 1},
        "seconds": 1.23,
        "errors": 1,
        "problems": [
            {
                "kind": "box-tiny",
                "severity": "error",
                "paths": ["кружка.jpg", "/out.jpg"],
                "message": "box 1 is small",
                "index": 1,
            },
            {
                "kind": "blank",
                "severity": "warning",
                "paths": ["b.jpg"],
                "message": "shows nothing",
                "index": None,
            },
        ],
    }
    assert report.as_json() == wanted
    file = report.write_json(tmp_path / "report.json")
    text = file.read_text("utf8")
    assert json.loads(text) == wanted
    assert text.startswith('{\n "root": "set",\n') and text.endswith("\n}\n")
    assert '"кружка.jpg"' in text


def test_a_folder_of_no_format_has_images_and_no_labels():
    bare = Report(Path("set"), 4, (), 1.0)
    assert (bare.format, bare.objects) == ("no known format", 0)
    assert (bare.splits, bare.errors, bare.by_kind()) == ({}, 0, {})


def test_problems_by_kind_keep_their_order():
    first, second, third = (
        Problem(kind, (Path(f"set/{n}.jpg"),), "") for n, kind in enumerate("bab")
    )
    assert list(three(first, second, third).by_kind().items()) == [
        ("b", [first, third]),
        ("a", [second]),
    ]


def test_a_name_that_is_not_utf8_is_shown_escaped():
    assert three().name(Path("set") / os.fsdecode(b"a/caf\xe9.jpg")) == (
        r"a/caf\udce9.jpg"
    )


def pictures(page: str) -> list[Image.Image]:
    """The pictures inside a page."""
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in found]


@pytest.fixture
def pictured(tmp_path: Path) -> Report:
    """Fourteen pictures with one fault each, and another of the first five at once."""
    root = tmp_path / "set"
    paths = [image_file(root / f"{n:02}.jpg", (200, 400)) for n in range(14)]
    each = [Problem("blank", (path,), "shows nothing", "warning") for path in paths]
    both = Problem("duplicate-exact", tuple(paths[:5]), "5 files", "error")
    return Report(root, 14, (both, *each), 1.0)


def test_a_page_shows_twelve_examples_of_a_kind_and_says_how_many_there_are(pictured):
    page = room.html(pictured)
    assert "<title>set</title>" in page and "<h1>set</h1>" in page
    assert re.search(r"14 images, 0 labels, read as no known format:\s+1 errors", page)
    assert page.count('<tr><td><a href="#') == 2
    assert re.search(r">blank</a></td><td>warning</td>\s*<td>14</td>", page)
    assert "and 2 more" in page
    shown = pictures(page)
    assert len(shown) == 4 + 12  # four of one problem's files at most
    assert {picture.size for picture in shown} == {(160, 80)}
    assert 'alt="11.jpg"' in page and 'alt="12.jpg"' not in page
    assert "nothing wrong was found" in room.html(Report(Path("set"), 1, (), 1.0))


def test_a_page_stops_to_show_pictures_when_it_is_heavy(pictured, monkeypatch):
    """With room for one and a half, the second is the last."""
    one = len(room._thumbnail(pictured.problems[1].paths[0]))
    monkeypatch.setattr(room, "EVERY_BYTE", 1.5 * one)
    assert len(pictures(room.html(pictured))) == 2
    monkeypatch.setattr(room, "EVERY_BYTE", one)
    assert len(pictures(room.html(pictured))) == 1


def test_a_page_named_in_no_utf8_is_written(tmp_path: Path):
    odd = Report(tmp_path / os.fsdecode(b"caf\xe9"), 1, (), 1.0)
    page = odd.write_html(tmp_path / "out.html").read_text("utf8")
    assert r"<title>caf\udce9</title>" in page


def thumbnail(path: Path) -> Image.Image:
    return pictures(f'src="{room._thumbnail(path)}"')[0]


def test_a_small_picture_stands_upright_and_is_a_jpeg(tmp_path: Path):
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    half = Image.new("RGB", (400, 200), "red")
    half.paste("blue", (200, 0, 400, 200))
    half.save(tmp_path / "a.jpg", exif=turned)
    found = thumbnail(tmp_path / "a.jpg")
    assert (found.format, found.mode, found.size) == ("JPEG", "RGB", (80, 160))
    (red, _, blue) = found.getpixel((40, 5))
    assert red > 200 > 60 > blue
    (red, _, blue) = found.getpixel((40, 155))
    assert blue > 200 > 60 > red
    Image.new("RGBA", (30, 20), "red").save(tmp_path / "a.png")
    assert thumbnail(tmp_path / "a.png").size == (30, 20)  # not made larger


def test_what_cannot_be_shown_is_left_out(tmp_path: Path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    assert room._thumbnail(tmp_path / "a.jpg") == ""
    assert room._thumbnail(tmp_path / "gone.jpg") == ""
    Image.new("1", (10_000, 10_000)).save(tmp_path / "full.png")
    Image.new("1", (10_000, 10_001)).save(tmp_path / "over.png")
    assert room._thumbnail(tmp_path / "over.png") == ""
    assert thumbnail(tmp_path / "full.png").size == (160, 160)  # Pillow's warning too


def test_a_cleaned_list_of_tags_in_full(tmp_path: Path):
    grouped = replace(TWO, group="film", labels=np.array([1]))
    found = ImageSet(Path("set"), "tags", ("mug", "jar"), (ONE, grouped, THREE))
    gone = Problem("truncated", (THREE.path,), "is cut short")
    out = Report(Path("set"), 3, (gone,), 1.0, found).write_cleaned(
        tmp_path / "new/out"
    )
    assert out == tmp_path / "new/out"
    assert (out / "images.csv").read_bytes().decode() == (
        "image,mug,jar,split,group\nкружка.jpg,1,0,train,\nb.jpg,0,1,train,film\n"
    )
    assert (out / "removed.csv").read_bytes().decode() == (
        "path,why\nc.jpg,truncated\n"
    )
    assert sorted(p.name for p in out.iterdir()) == ["images.csv", "removed.csv"]


def test_a_cleaned_list_of_painted_images_names_their_masks(tmp_path: Path):
    painted = replace(ONE, label_map=Path("set/masks/a.png"))
    found = ImageSet(Path("set"), "index-masks", ("mug",), (painted, TWO))
    out = Report(Path("set"), 2, (), 1.0, found).write_cleaned(tmp_path / "out")
    assert (out / "images.csv").read_text("utf8") == (
        "image,mask,split,group\nкружка.jpg,masks/a.png,train,\nb.jpg,,train,\n"
    )


def test_a_cleaned_list_needs_a_known_format_and_a_new_folder(tmp_path: Path):
    bare = Report(Path("set"), 4, (), 1.0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError) as error:
        bare.write_cleaned(tmp_path / "empty")
    assert str(error.value) == "set is in no known format: nothing to clean"
    (tmp_path / "file").write_text("")
    (tmp_path / "full" / "inner").mkdir(parents=True)
    for name in ("file", "full"):
        with pytest.raises(DatasetError) as error:
            three().write_cleaned(tmp_path / name)
        said = f"{tmp_path / name} is there already; give a new or empty folder"
        assert str(error.value) == said
    assert three().write_cleaned(tmp_path / "empty") == tmp_path / "empty"


def test_what_cannot_be_written_is_told(tmp_path: Path, monkeypatch):
    root = tmp_path / "set"
    report = Report(root, 4, (), 1.0)
    with pytest.raises(DatasetError) as error:
        report.write_json(root / "a" / ".." / "out.json")
    assert str(error.value) == (
        f"{root}/a/../out.json is inside {root}, where the doctor never writes; "
        "give another place"
    )
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match=f"^cannot write {tmp_path}/file/x.json: .+"):
        report.write_json(tmp_path / "file" / "x.json")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert report.write_json("~/out.json") == tmp_path / "out.json"


@pytest.mark.parametrize(
    "kind",
    ["unreadable", "truncated", "zero-byte", "bomb", "path-outside", "image-missing"],
)
def test_images_that_cannot_be_read_are_dropped(kind: str):
    kept, removed = cleaned(three(Problem(kind, (TWO.path,), "")))
    assert [sample.path for sample in kept] == [ONE.path, THREE.path]
    assert removed == [["b.jpg", kind]]


def test_of_copies_with_different_labels_none_stays():
    paths = (ONE.path, THREE.path)
    kept, removed = cleaned(three(Problem("duplicate-conflicting", paths, "")))
    assert [sample.path for sample in kept] == [TWO.path]
    why = "copies with different labels"
    assert removed == [["кружка.jpg", why], ["c.jpg", why]]


def test_faults_of_habit_drop_nothing_and_files_of_no_set_are_no_copies():
    habits = ("blank", "tiny", "mode", "box-tiny", "box-outside")
    problems = [Problem(kind, (TWO.path,), "", "warning", 0) for kind in habits]
    copies = Problem("duplicate-near", (Path("set/other.jpg"), TWO.path, ONE.path), "")
    kept, removed = cleaned(three(*problems, copies))
    assert [sample.path for sample in kept] == [TWO.path, THREE.path]
    assert removed == [["кружка.jpg", "copy of b.jpg"]]


def test_impossible_boxes_are_listed_by_their_numbers():
    box = np.array([[0, 0, 9, 9]] * 12, np.float32)
    sample = replace(ONE, boxes=box, labels=np.arange(12))
    problems = [
        Problem("box-degenerate", (sample.path,), "", "error", 10),
        Problem("box-duplicate", (sample.path,), "", "warning", 2),
        Problem("box-degenerate", (sample.path,), ""),  # of no box in particular
    ]
    kept, removed = cleaned(found_by_hand([sample], *problems))
    assert removed == [["кружка.jpg", "box 2"], ["кружка.jpg", "box 10"]]
    assert kept[0].labels.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9, 11]
