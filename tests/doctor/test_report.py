"""The doctor's reports."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvlib.datasets import DatasetError, fetch, formats
from cvlib.datasets.problems import Problem
from cvlib.doctor import Report, examine
from cvlib.doctor.report import cleaned
from cvlib.masks import encode_masks
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import boxed


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
