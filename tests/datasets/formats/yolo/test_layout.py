"""YOLO: what data.yaml says, and where its images are."""

from pathlib import Path

import pytest

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.formats.yolo import layout
from cvlib.datasets.formats.yolo.layout import Layout, read_layout
from tests.datasets.formats.sets import image_file
from tests.datasets.formats.yolo.drawn import lines, pictures


def test_a_folder_without_yaml_says_nothing(tmp_path: Path):
    assert read_layout(Folder(tmp_path)) == Layout()


def test_only_points_that_name_each_other_are_a_pair(tmp_path: Path):
    facts = "names: [mug]\nkpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 1]\n"
    (tmp_path / "data.yaml").write_text(facts)
    found = read_layout(Folder(tmp_path))
    assert (found.points, found.values, found.flip_pairs) == (4, 3, ((0, 1),))


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


def test_an_image_in_two_lists_says_in_which(tmp_path: Path):
    root = pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    for name, other in (("train", "a"), ("val", "b"), ("test", "c")):
        (root / f"{name}.txt").write_text(f"images/a.jpg\nimages/{other}.jpg")
    facts = "train: train.txt\nval: val.txt\ntest: test.txt\n"
    splits(root, facts, problems := [])
    (twice,) = (
        p for p in problems if p.kind == "image-twice" and "a" in p.paths[0].stem
    )
    assert twice.message == "is in train and valid and test of data.yaml"


def test_the_paths_of_a_windows_machine_are_paths(tmp_path: Path):
    root = pictures(tmp_path, "train/a.jpg", "b.jpg", "c.jpg")
    (root / "val.txt").write_text("C:\\x\\images\\b.jpg\n")
    facts = "train: C:\\x\\images\\train\nval: val.txt\n"
    assert splits(root, facts) == {"a": "train", "b": "valid", "c": ""}


def test_a_line_of_a_list_names_the_nearest_image_only(tmp_path: Path):
    root = pictures(tmp_path / "data", "a.jpg").parent
    image_file(root / "images" / "a.jpg")
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (root / "data" / "train.txt").write_text("images/a.jpg\n")
    (root / "data.yaml").write_text("names: [mug]\ntrain: data/train.txt\n")
    found = formats.read(root)
    assert {s.path.relative_to(root).as_posix(): s.split for s in found} == {
        "data/images/a.jpg": "train",
        "images/a.jpg": "",
    }


@pytest.mark.parametrize(
    ("shape", "points"), [("1000, 3", 1000), ("1001, 3", 0), ("00017, 3", 0)]
)
def test_an_object_has_at_most_a_thousand_keypoints(
    tmp_path: Path, shape: str, points: int
):
    (tmp_path / "data.yaml").write_text(f"names: [mug]\nkpt_shape: [{shape}]\n")
    problems = []
    assert read_layout(Folder(tmp_path, problems=problems)).points == points
    assert [p.kind for p in problems] == ([] if points else ["annotation-unreadable"])


def test_lists_are_no_labels_without_an_image(tmp_path: Path):
    root = pictures(tmp_path, "a.jpg", "b.jpg")
    for name, image in (("train", "a"), ("val", "b")):
        (root / "labels" / f"{name}.txt").write_text(f"images/{image}.jpg")
    facts = "train: labels/train.txt\nval: labels/val.txt\n"
    assert splits(root, facts, problems := []) == {"a": "train", "b": "valid"}
    assert problems == []


@pytest.mark.parametrize("name", ["data.yml", "z.yaml", "z.yml"])
def test_a_broken_yaml_does_not_hide_a_good_one(tmp_path: Path, name: str):
    root = pictures(tmp_path, "a.jpg")
    (root / "a.yaml").write_text("names: [")
    (root / name).write_text("names: [mug]\ntrain: images\n")
    found = formats.read(root, problems=(problems := []))
    assert (found.class_names, found[0].split) == (("mug",), "train")
    assert problems == []


def test_a_folder_without_yaml_has_its_names_beside_and_no_sheet(tmp_path: Path):
    root = pictures(tmp_path, "a.jpg")
    (root / "notes.yaml").write_text("names: 3\n")
    folder = Folder(root, problems=[])
    assert layout._facts(folder) == ("", {})
    assert folder.problems == []
