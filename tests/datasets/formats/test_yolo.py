"""YOLO: shares of width and height, boxes and outlines."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from cvlib.datasets.formats.yolo.outline import _outline
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import SIZE, boxed, image_file


def lines(root: Path, *said: str, names: str = "[mug, jar]") -> Path:
    image_file(root / "images" / "val" / "a.jpg")
    sheet = root / "labels" / "val" / "a.txt"
    sheet.parent.mkdir(parents=True)
    sheet.write_text("\n".join(said))
    (root / "data.yaml").write_text(f"names: {names}\nval: images/val\n")
    return root


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


def test_names_may_be_a_table(tmp_path: Path):
    root = lines(tmp_path, "1 0.5 0.5 0.5 0.5", names="{0: mug, 1: jar}")
    assert formats.read(root).class_names == ("mug", "jar")


def test_names_go_by_their_numbers_and_a_gap_is_a_class(tmp_path: Path):
    root = lines(tmp_path, names='{"10": lid, "2": jar, "0": mug}')
    names = formats.read(root).class_names
    assert len(names) == 11
    assert (names[0], names[1], names[2], names[10]) == ("mug", "class 1", "jar", "lid")


def test_names_with_other_keys_are_a_fault(tmp_path: Path):
    root = lines(tmp_path, names="{0: mug, x: jar}")
    with pytest.raises(FormatError, match="numbers from 0"):
        formats.read(root)


def test_the_split_is_the_first_folder_named_after_one(tmp_path: Path):
    image_file(tmp_path / "dataset" / "images" / "test" / "a.jpg")
    sheet = tmp_path / "dataset" / "labels" / "test" / "a.txt"
    sheet.parent.mkdir(parents=True)
    sheet.write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_text("names: [mug]\n")
    assert formats.read(tmp_path).samples[0].split == "test"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("0 0.5 0.5", "annotation-unreadable"),
        ("mug 0.5 0.5 0.1 0.1", "annotation-unreadable"),
        ("0 0.5 0.5 0.1 nan", "annotation-unreadable"),
        ("2 0.5 0.5 0.1 0.1", "class-unknown"),
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


def test_an_outline_runs_along_the_pixels_edges():
    mask = np.zeros((10, 12), np.uint8)
    mask[2:5, 3:9] = 1
    found = _outline(mask)
    assert found.min(axis=0).tolist() == [3, 2]
    assert found.max(axis=0).tolist() == [9, 5]


def test_two_parts_are_one_outline_around_both():
    mask = np.zeros((10, 12), np.uint8)
    mask[1:3, 1:3] = mask[6:8, 8:10] = 1
    found = _outline(mask)
    assert found.min(axis=0).tolist() == [1, 1]
    assert found.max(axis=0).tolist() == [10, 8]


def test_nothing_has_no_outline():
    assert _outline(np.zeros((4, 4), np.uint8)) is None


@pytest.mark.parametrize(
    "place",
    ["first", "./first", "../first", "[first, more]", "lists/train.txt"],
)
def test_the_folders_and_lists_of_data_yaml_decide_the_split(
    tmp_path: Path, place: str
):
    for name in ("first/images/a.jpg", "other/images/b.jpg", "other/images/c.jpg"):
        sheet = image_file(tmp_path / name).parent.parent / "labels" / f"{name[-5]}.txt"
        sheet.parent.mkdir(exist_ok=True)
        sheet.write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/train.txt").write_text("/home/x/first/images/a.jpg\n")
    facts = f"names: [mug]\ntrain: {place}\nval: other/images\n"
    (tmp_path / "data.yaml").write_text(facts)
    found = formats.read(tmp_path, problems=(problems := []))
    assert [s.split for s in found.samples] == ["train", "valid", "valid"]
    missing = ["split-missing"] if "more" in place else []
    assert [p.kind for p in problems] == missing


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
    found = replace(posed(tmp_path / "in", 2), flip_pairs=((0, 1), (1, 2)))
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


@pytest.mark.parametrize("nothing", ["", "~", "null", "NULL"])
def test_a_value_that_is_none_says_nothing(tmp_path: Path, nothing: str):
    facts = f"path: {nothing}\ntrain: .\nval: {nothing}\nkpt_shape: {nothing}\n"
    problems = []
    root = pictures(tmp_path, "a.jpg")
    assert splits(root, facts, problems) == {"a": "train"}
    assert problems == []


def test_merged_keys_count(tmp_path: Path):
    root = pictures(tmp_path, "a.jpg")
    (root / "data.yaml").write_text("base: &b {names: [mug, jar]}\n<<: *b\n")
    assert formats.read(root).class_names == ("mug", "jar")


def test_a_class_without_a_name_is_a_fault(tmp_path: Path):
    root = lines(tmp_path, "0 0.5 0.5 0.5 0.5", names="{0: mug, 1: }")
    with pytest.raises(FormatError, match="wanted names"):
        formats.read(root)


def test_names_are_texts_whatever_yaml_makes_of_them(tmp_path: Path):
    root = lines(tmp_path, "0 0.5 0.5 0.5 0.5", names="[no, yes, 007, 1.50, null]")
    assert formats.read(root).class_names == ("no", "yes", "007", "1.50", "null")


@pytest.mark.parametrize("shape", ["[2, 3]", "[2, 7]", "many"])
def test_keypoints_that_do_not_fit_are_a_fault(tmp_path: Path, shape: str):
    root = lines(tmp_path, "0 0.5 0.5 0.5 0.5 0.1")
    with (root / "data.yaml").open("a") as file:
        file.write(f"kpt_shape: {shape}\n")
    with pytest.raises(FormatError, match="wanted"):
        formats.read(root)


def pictures(root: Path, *names: str) -> Path:
    """Images below images/, each with a box in its text file."""
    for name in names:
        image_file(root / "images" / name)
        sheet = (root / "labels" / name).with_suffix(".txt")
        sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet.write_text("0 0.5 0.5 0.5 0.5")
    return root


def splits(root: Path, facts: str, problems: list | None = None) -> dict[str, str]:
    (root / "data.yaml").write_text(f"names: [mug]\n{facts}")
    found = formats.read(root, problems=problems)
    return {s.path.stem: s.split for s in found.samples}


def test_a_folder_within_another_wins_over_it(tmp_path: Path):
    root = pictures(tmp_path, "a.jpg", "val/b.jpg", "test/c.jpg")
    found = splits(root, "train: images\nval: images/val\ntest: [[images/test]]\n")
    assert found == {"a": "train", "b": "valid", "c": "test"}


def test_the_same_folder_twice_is_no_split(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    root = pictures(tmp_path, "a.jpg", "b.jpg")
    assert splits(root, "train: images\nval: images\n") == {"a": "", "b": ""}
    assert "train and valid name the same images" in caplog.text


def test_an_image_in_two_lists_is_a_fault(tmp_path: Path):
    root = pictures(tmp_path, "a.jpg", "b.jpg")
    for name, text in (
        ("train", "images/a.jpg\nimages/b.jpg"),
        ("val", "./images/b.jpg"),
    ):
        (root / f"{name}.txt").write_text(text)
    splits(root, "train: train.txt\nval: val.txt\n", problems := [])
    assert [(p.kind, p.paths[0].name) for p in problems] == [("image-twice", "b.jpg")]


def test_a_list_below_path_names_images_beside_it(tmp_path: Path):
    root = pictures(tmp_path / "data", "a.jpg").parent
    (root / "data" / "train.txt").write_text("./images/a.jpg\n")
    assert splits(root, "path: data\ntrain: train.txt\n") == {"a": "train"}


@pytest.mark.parametrize("name", ["fruit.yaml", "data/data.yaml"])
def test_the_yaml_may_have_another_name_or_folder(tmp_path: Path, name: str):
    pictures(tmp_path / "data" if "/" in name else tmp_path, "a.jpg")
    (tmp_path / name).write_text("names: [mug]\ntrain: images\n")
    found = formats.read(tmp_path)
    assert (found.class_names, found.samples[0].split) == (("mug",), "train")
    assert formats.read(tmp_path / name).class_names == ("mug",)


def test_labels_may_lie_beside_the_images(tmp_path: Path):
    image_file(tmp_path / "obj_train_data" / "a.jpg")
    (tmp_path / "obj_train_data" / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "obj.names").write_text("mug\n")
    found = formats.read(tmp_path)
    assert (found.class_names, len(found.samples[0].boxes)) == (("mug",), 1)


@pytest.mark.parametrize(
    "facts",
    [
        "kpt_shape: [17]",
        "kpt_shape: [20000000, 3]",
        "kpt_shape: [true, 3]",
        "kpt_shape: [1, 3.0]",
        "nc: [",
        "names: {.inf: a}",
        "names: [[a, b], c]",
    ],
)
def test_a_yaml_that_cannot_be_is_a_fault_and_no_crash(tmp_path: Path, facts: str):
    root = pictures(tmp_path, "a.jpg")
    names = "" if "names" in facts else "names: [mug]\n"
    (root / "data.yaml").write_text(names + facts)
    found = formats.read(root, problems=(problems := []))
    assert len(found) == 1
    assert "annotation-unreadable" in {p.kind for p in problems}


@pytest.mark.parametrize("label", ["3000000", "1e300"])
def test_a_class_of_millions_is_a_fault(tmp_path: Path, label: str):
    root = pictures(tmp_path, "a.jpg")
    (root / "labels" / "a.txt").write_text(f"{label} 0.5 0.5 0.5 0.5")
    with pytest.raises(FormatError, match="no class"):
        formats.read(root)


def test_the_lists_of_obj_data_decide_the_split(tmp_path: Path):
    for name in ("train", "valid"):
        image_file(tmp_path / f"obj_{name}_data" / f"{name}.jpg")
        (tmp_path / f"obj_{name}_data" / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5")
        listed = f"data/obj_{name}_data/{name}.jpg\n"
        (tmp_path / f"{name}.txt").write_text(listed)
    (tmp_path / "obj.names").write_text("mug\n")
    facts = "classes = 1\ntrain = data/train.txt\nvalid = data/valid.txt\n"
    (tmp_path / "obj.data").write_text(facts)
    assert [s.split for s in formats.read(tmp_path).samples] == ["train", "valid"]


@pytest.mark.parametrize("leaf", ["x", "''", "[]"])
@pytest.mark.parametrize(
    "key", ["train: {}", "path: {}", "kpt_shape: [1, 3]\nkpt_names: [{}]", "a: &a [*a]"]
)
def test_lists_within_lists_end(tmp_path: Path, key: str, leaf: str):
    root = pictures(tmp_path, "a.jpg")
    text = f"a0: &a0 [{', '.join([leaf] * 10)}]\n"
    for i in range(1, 8):
        text += f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n"
    (root / "data.yaml").write_text(f"{text}names: [mug]\n{key.format('*a7')}\n")
    found = formats.read(root, problems=(problems := []))
    assert len(found) <= 1 and len(problems) <= 1001
