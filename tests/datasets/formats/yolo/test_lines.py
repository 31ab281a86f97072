"""YOLO: lines of shares of width and height, read and written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import SIZE, boxed, image_file
from tests.datasets.formats.yolo.drawn import lines, pictures


def test_shares_become_pixels(tmp_path: Path):
    found = formats.read(lines(tmp_path, "1 0.5 0.5 0.5 0.5"))
    (sample,) = found.samples
    assert sample.boxes.tolist() == [[15, 10, 45, 30]]
    assert (sample.split, found.class_names[sample.labels[0]]) == ("valid", "jar")
    assert sample.rles is None


def test_six_numbers_are_an_outline_and_its_box(tmp_path: Path):
    found = formats.read(lines(tmp_path, "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5"))
    (sample,) = found.samples
    np.testing.assert_allclose(sample.boxes, [[6, 4, 30, 20]], atol=1e-4)
    assert sample.masks.sum() == pytest.approx(24 * 16, rel=0.1)


def test_an_empty_file_is_an_image_without_objects(tmp_path: Path):
    (sample,) = formats.read(lines(tmp_path)).samples
    assert sample.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("0 0.5 0.5", "annotation-unreadable"),
        ("mug 0.5 0.5 0.1 0.1", "annotation-unreadable"),
        ("0 0.5 0.5 0.1 nan", "annotation-unreadable"),
        ("2 0.5 0.5 0.1 0.1", "class-unknown"),
        ("0.5 0.5 0.5 0.1 0.1", "class-unknown"),
        ("-1 0.5 0.5 0.1 0.1", "class-unknown"),
        ("0 0.5 0.5 0 0.1", "box-degenerate"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str, kind: str):
    root, problems = lines(tmp_path, line), []
    formats.read(root, problems=problems)
    assert kind in {problem.kind for problem in problems}
    with pytest.raises(FormatError):
        formats.read(root)


def test_a_text_file_without_an_image_is_named(tmp_path: Path):
    root = lines(tmp_path)
    (root / "labels" / "val" / "b.txt").write_text("")
    with pytest.raises(FormatError, match="no image of its name"):
        formats.read(root)


def test_keypoints_follow_the_box(tmp_path: Path):
    root = lines(tmp_path, "0 0.5 0.5 0.5 0.5  0.5 0.25 2  0 0 0")
    with (root / "data.yaml").open("a") as file:
        file.write("kpt_shape: [2, 3]\nflip_idx: [1, 0]\n")
    found = formats.read(root)
    assert found.samples[0].keypoints.tolist() == [[[30, 10, 2], [0, 0, 0]]]
    assert found.samples[0].boxes.tolist() == [[15, 10, 45, 30]]
    assert found.samples[0].rles is None
    assert (found.keypoint_names, found.flip_pairs) == (
        ("point 0", "point 1"),
        ((0, 1),),
    )


def test_a_point_at_nought_without_a_visibility_is_not_labelled(tmp_path: Path):
    root = lines(tmp_path, "0 0.5 0.5 0.5 0.5  0.5 0.25  0 0")
    with (root / "data.yaml").open("a") as file:
        file.write("kpt_shape: [2, 2]\n")
    (sample,) = formats.read(root).samples
    assert sample.keypoints[0, :, 2].tolist() == [2, 0]


def posed(root: Path, *counts: int, names: tuple[str, ...] = ()) -> ImageSet:
    """A set of one object an image, each with so many keypoints; none for 0."""
    samples = []
    for number, count in enumerate(counts):
        points = np.full((1, count, 3), 2, np.float32) if count else None
        image = image_file(root / f"{number}.jpg")
        box = np.array([[1, 2, 9, 9]], np.float32)
        samples.append(Sample(image, SIZE, np.zeros(1, int), box, keypoints=points))
    return ImageSet(root, "coco", ("mug", "jar"), tuple(samples), names)


def through_yolo(found: ImageSet, out: Path) -> tuple[ImageSet, dict]:
    formats.write(found, out, format="yolo")
    return formats.read(out), yaml.safe_load((out / "data.yaml").read_text("utf8"))


def test_keypoints_are_written_with_their_names(tmp_path: Path):
    names = ("left", "right", "top")
    found = posed(tmp_path / "in", 3, 0, names=names)
    points = np.array([[[3, 4, 2], [8, 9, 1], [0, 0, 0]]], np.float32)
    first = replace(found.samples[0], keypoints=points)
    empty = replace(found.samples[1], labels=np.zeros(0, int), boxes=np.zeros((0, 4)))
    found = replace(found, samples=(first, empty), flip_pairs=((0, 1),))
    again, facts = through_yolo(found, tmp_path / "out")
    assert (again.keypoint_names, again.flip_pairs) == (names, ((0, 1),))
    assert facts["kpt_names"] == {0: list(names), 1: list(names)}
    poses = {s.path.name: s.keypoints for s in again.samples}
    np.testing.assert_allclose(poses["0.jpg"], points, atol=1e-4)
    assert poses["1.jpg"].shape == (0, 3, 3)


def test_no_object_is_lost_where_keypoints_differ_or_are_no_numbers(tmp_path: Path):
    found = posed(tmp_path / "in", 2, 3, 0)
    found.samples[0].keypoints[0, 1] = np.nan
    again, facts = through_yolo(found, tmp_path / "out")
    seen = [s.keypoints[0, :, 2].tolist() for s in again.samples]
    assert seen == [[2, 0, 0], [2, 2, 2], [0, 0, 0]]
    assert "flip_idx" not in facts and "kpt_names" not in facts


def test_flips_beyond_the_keypoints_are_left_out(tmp_path: Path):
    found = replace(posed(tmp_path / "in", 2), flip_pairs=((0, 1), (0, 2)))
    assert through_yolo(found, tmp_path / "out")[1]["flip_idx"] == [1, 0]


def test_masks_are_written_in_place_of_keypoints(tmp_path: Path, caplog):
    drawn = {"a.jpg": ([((1, 2, 9, 9), 1)], "train")}
    found = boxed(tmp_path / "in", drawn, masks=True)
    sample = replace(found.samples[0], keypoints=np.ones((1, 2, 3), np.float32))
    caplog.set_level("INFO")
    again, _ = through_yolo(found.having([sample]), tmp_path / "out")
    assert again.samples[0].keypoints is None
    assert again.samples[0].masks.sum() == 81
    assert "holds no keypoints beside its masks" in caplog.text


@pytest.mark.parametrize("shape", ["[2, 3]", "[2, 7]", "many"])
def test_keypoints_that_do_not_fit_are_a_fault(tmp_path: Path, shape: str):
    root = lines(tmp_path, "0 0.5 0.5 0.5 0.5 0.1")
    with (root / "data.yaml").open("a") as file:
        file.write(f"kpt_shape: {shape}\n")
    with pytest.raises(FormatError, match="wanted"):
        formats.read(root)


def test_labels_may_lie_beside_the_images(tmp_path: Path):
    image_file(tmp_path / "obj_train_data" / "a.jpg")
    (tmp_path / "obj_train_data" / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "obj.names").write_text("mug\n")
    found = formats.read(tmp_path)
    assert (found.class_names, len(found.samples[0].boxes)) == (("mug",), 1)


@pytest.mark.parametrize("label", ["3000000", "1e300"])
def test_a_class_of_millions_is_a_fault(tmp_path: Path, label: str):
    root = pictures(tmp_path, "a.jpg")
    (root / "labels" / "a.txt").write_text(f"{label} 0.5 0.5 0.5 0.5")
    with pytest.raises(FormatError, match="no class"):
        formats.read(root)


def test_a_text_beside_an_image_is_no_label_unless_classes_are_listed(tmp_path: Path):
    for name in ("mug/a.jpg", "jar/b.jpg"):
        image_file(tmp_path / name)
        (tmp_path / name).with_suffix(".txt").write_text("0 0.5 0.5 0.5 0.5")
    assert formats.recognise(tmp_path) == "classes"
    (tmp_path / "classes.txt").write_text("mug\n")
    assert formats.recognise(tmp_path) == "yolo"


def test_labels_without_any_image_are_no_images(tmp_path: Path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    found = formats.read(tmp_path, problems=(problems := []))
    assert len(found) == 0 and found.class_names == ()
    assert "image-missing" in {p.kind for p in problems}


def test_a_name_with_two_dots_keeps_its_labels(tmp_path: Path):
    drawn = {"a.b.jpg": ([((1, 2, 9, 9), 1)], "train"), "a.jpg": ([], "train")}
    before = boxed(tmp_path / "in", drawn)
    after = formats.read(formats.write(before, tmp_path / "out", format="yolo"))
    assert {s.path.name: len(s.labels) for s in after} == {"a.b.jpg": 1, "a.jpg": 0}


def test_points_that_no_mirror_swaps_stay_where_they_are(tmp_path: Path):
    found = replace(posed(tmp_path / "in", 3), flip_pairs=((0, 2),))
    assert through_yolo(found, tmp_path / "out")[1]["flip_idx"] == [2, 1, 0]
