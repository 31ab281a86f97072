"""COCO: every way to write a mask, keypoints, and what cannot be right."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError, coco
from cvlib.datasets.formats.folder import Folder
from cvlib.masks import encode_masks
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import SIZE, image_file

BOX = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [2, 3, 10, 5], "iscrowd": 0}


def sheet(root: Path, *annotations: dict, name: str = "a.jpg") -> Path:
    image_file(root / "images" / "a.jpg")
    image = {"id": 1, "file_name": name, "width": SIZE[1], "height": SIZE[0]}
    categories = [{"id": 9, "name": "jar"}, {"id": 7, "name": "mug"}]
    document = {"images": [image], "annotations": list(annotations)}
    path = root / "annotations" / "instances_val2017.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document | {"categories": categories}))
    return root


def read_one(root: Path) -> Sample:
    (sample,) = formats.read(root).samples
    return sample


def test_boxes_become_corners_and_labels_follow_the_ids(tmp_path: Path):
    found = formats.read(sheet(tmp_path, BOX, {**BOX, "id": 2, "category_id": 9}))
    assert found.class_names == ("mug", "jar")
    assert found.samples[0].labels.tolist() == [0, 1]
    assert found.samples[0].boxes[0].tolist() == [2, 3, 12, 8]
    assert found.samples[0].split == "valid"


def test_polygons_and_both_codes_are_the_masks_pycocotools_makes(tmp_path: Path):
    polygon = [[2, 3, 12, 3, 12, 8, 2, 8]]
    (code,) = coco_mask.frPyObjects(polygon, *SIZE)
    mask = coco_mask.decode(code)
    runs = np.flatnonzero(np.diff(np.r_[0, mask.ravel(order="F"), 0])).tolist()
    counts = np.diff([0, *runs, mask.size]).tolist()
    coded = {"size": list(SIZE), "counts": code["counts"].decode()}
    plain = {"size": list(SIZE), "counts": counts}
    found = read_one(
        sheet(tmp_path, *({**BOX, "segmentation": s} for s in (polygon, coded, plain)))
    )
    assert found.masks.shape == (3, *SIZE)
    assert all((one == mask).all() for one in found.masks)


def test_keypoints_and_the_pairs_that_a_mirror_swaps_come_back(tmp_path: Path):
    points = np.array([[[1, 2, 2], [0, 0, 0]]], np.float32)
    sample = Sample(
        image_file(tmp_path / "in" / "a.jpg"),
        SIZE,
        np.array([0]),
        np.array([[0, 0, 9, 9]], np.float32),
        keypoints=points,
        crowd=np.array([True]),
    )
    before = ImageSet(
        tmp_path / "in", "coco", ("cat",), (sample,), ("l", "r"), ((0, 1),)
    )
    after = formats.read(formats.write(before, tmp_path / "out", format="coco"))
    assert after.keypoint_names == ("l", "r")
    assert after.flip_pairs == ((0, 1),)
    assert (after.samples[0].keypoints == points).all()
    assert after.samples[0].crowd.tolist() == [True]


def test_a_hidden_keypoint_counts_and_one_without_a_place_does_not(tmp_path: Path):
    """COCO: 0 is not labelled, 1 labelled and hidden, 2 labelled and visible."""
    points = np.array([[[1, 2, 2], [3, 4, 1], [0, 0, 0]]], np.float32)
    sample = Sample(
        image_file(tmp_path / "in" / "a.jpg"),
        SIZE,
        np.array([0]),
        np.array([[0, 0, 9, 9]], np.float32),
        keypoints=points,
    )
    names = ("nose", "tail", "ear")
    found = ImageSet(tmp_path / "in", "coco", ("cat",), (sample,), names)
    out = formats.write(found, tmp_path / "out", format="coco")
    document = json.loads((out / "annotations" / "all.json").read_text())
    assert document["annotations"][0]["num_keypoints"] == 2


def posed(root: Path, *annotations: dict, **categories: list[str]) -> Path:
    """A sheet whose categories, numbered from 1, have these keypoints."""
    path = sheet(root, *annotations) / "annotations" / "instances_val2017.json"
    named = [
        {"id": number, "name": name, "keypoints": points, "flip_pairs": [[0, 1]]}
        for number, (name, points) in enumerate(categories.items(), start=1)
    ]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"categories": named}))
    return root


def test_categories_of_two_and_three_keypoints_keep_all_of_them(tmp_path: Path):
    cup = {**BOX, "category_id": 1, "keypoints": [1, 2, 2, 3, 4, 1]}
    jug = {**BOX, "id": 2, "category_id": 2, "keypoints": [5, 6, 2, 7, 8, 2, 9, 9, 1]}
    root = posed(tmp_path, cup, jug, cup=["l", "r"], jug=["l", "r", "lid"])
    found = formats.read(root, problems=(problems := []))
    assert found.samples[0].keypoints.tolist() == [
        [[1, 2, 2], [3, 4, 1], [0, 0, 0]],
        [[5, 6, 2], [7, 8, 2], [9, 9, 1]],
    ]
    assert (found.keypoint_names, found.flip_pairs) == (("l", "r", "lid"), ())
    assert [(p.kind, p.severity) for p in problems] == [("keypoints-differ", "warning")]
    assert "'cup' 2, 'jug' 3" in problems[0].message


def test_categories_of_the_same_keypoints_keep_their_pairs(tmp_path: Path):
    root = posed(tmp_path, BOX | {"category_id": 1}, cup=["l", "r"], jug=["l", "r"])
    found = formats.read(root, problems=(problems := []))
    assert (found.flip_pairs, problems) == (((0, 1),), [])


@pytest.mark.parametrize("points", [[1, 2, 2] * 3, [1, 2, 2, 3]])
def test_keypoints_that_no_category_has_room_for_are_a_fault(tmp_path: Path, points):
    one = {**BOX, "category_id": 1, "keypoints": points}
    root = posed(tmp_path, one, cup=["l", "r"])
    with pytest.raises(FormatError, match="wanted up to 2 keypoints of 3 numbers"):
        formats.read(root)
    (sample,) = formats.read(root, problems=[]).samples
    assert sample.keypoints.tolist() == [[[0, 0, 0], [0, 0, 0]]]


def test_an_image_without_objects_is_kept(tmp_path: Path):
    assert len(read_one(sheet(tmp_path)).labels) == 0


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"bbox": [1, 2, 3]}, "annotation-unreadable"),
        ({"bbox": [1, 2, "wide", 4]}, "annotation-unreadable"),
        ({"bbox": [1, 2, 0, 4]}, "box-degenerate"),
        ({"category_id": 4}, "class-unknown"),
        ({"image_id": 5}, "image-missing"),
        ({"segmentation": {"size": [3, 3], "counts": [9]}}, "mask-size"),
        ({"segmentation": [["x"]]}, "annotation-unreadable"),
    ],
)
def test_a_fault_is_named_and_strictly_the_end(tmp_path: Path, change: dict, kind: str):
    root = sheet(tmp_path, BOX | change)
    problems = []
    assert len(formats.read(root, problems=problems)) == 1
    assert kind in {problem.kind for problem in problems}
    with pytest.raises(FormatError):
        formats.read(root)


def test_a_box_beyond_the_frame_is_read_and_noted(tmp_path: Path):
    root = sheet(tmp_path, BOX | {"bbox": [50, 3, 30, 5]})
    problems = []
    assert formats.read(root, problems=problems).samples[0].boxes[0, 2] == 80
    assert [p.kind for p in problems] == ["box-outside"]
    assert len(formats.read(root)) == 1


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "C:\\secret.jpg"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str):
    image_file(tmp_path / "secret.jpg")
    root = sheet(tmp_path / "a" / "set", BOX, name=name)
    with pytest.raises(FormatError, match="outside the folder"):
        formats.read(root)
    problems = []
    assert len(formats.read(root, problems=problems)) == 0
    assert "path-outside" in {problem.kind for problem in problems}


def test_an_image_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(FormatError, match=r"'b\.jpg', which is not there"):
        formats.read(sheet(tmp_path, BOX, name="b.jpg"))


def test_another_size_than_stated_is_noted_and_the_file_is_believed(tmp_path: Path):
    root = sheet(tmp_path, BOX)
    image_file(root / "images" / "a.jpg", (20, 30))
    problems = []
    assert formats.read(root, problems=problems).samples[0].canvas_size == (20, 30)
    assert "size-disagrees" in {problem.kind for problem in problems}


def test_half_a_json_is_named(tmp_path: Path):
    root = sheet(tmp_path, BOX)
    path = root / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(FormatError, match="is no JSON"):
        Folder(root).json("annotations/instances_val2017.json")


def test_one_file_can_be_named_instead_of_its_folder(tmp_path: Path):
    root = sheet(tmp_path, BOX)
    (root / "annotations" / "instances_val2017.json").rename(root / "mine.json")
    assert len(formats.read(root / "mine.json")) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"segmentation": [[1, 1, float("nan"), 5, 3, 9]]}, "3 or more points"),
        ({"segmentation": [[1, 1, 5, 5]]}, "3 or more points"),
        ({"segmentation": {"size": [*SIZE], "counts": "hello"}}, "do not fill"),
        ({"segmentation": {"size": [*SIZE], "counts": ""}}, "do not fill"),
        ({"segmentation": {"size": [*SIZE], "counts": [10, 100]}}, "do not fill"),
        ({"keypoints": 5}, "no list of numbers"),
        ({"keypoints": ["a", "b", "c"]}, "no list of numbers"),
        ({"bbox": [0, 1, 10**400, 3]}, "bbox of 4 numbers"),
    ],
)
def test_a_field_that_cannot_be_is_a_fault_and_no_crash(tmp_path: Path, wrong, said):
    root = sheet(tmp_path, {**BOX, **wrong})
    with pytest.raises(FormatError, match=said):
        formats.read(root)
    problems = []
    formats.read(root, problems=problems)
    assert [p.kind for p in problems] == ["annotation-unreadable"]


def test_an_outline_far_outside_costs_no_more_than_its_frame(tmp_path: Path):
    far = [[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9]]
    sample = read_one(sheet(tmp_path, {**BOX, "segmentation": far}))
    assert sample.masks.all()


def test_an_image_whose_id_is_a_list_is_a_fault(tmp_path: Path):
    root = sheet(tmp_path, BOX)
    path = root / "annotations" / "instances_val2017.json"
    document = json.loads(path.read_text())
    document["images"][0]["id"] = [1]
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match="an id and a file_name"):
        formats.read(root)


def test_labels_without_boxes_are_refused(tmp_path: Path):
    sample = Sample(image_file(tmp_path / "a.jpg"), SIZE, np.array([0]))
    tagged = ImageSet(tmp_path, "tags", ("mug",), (sample,))
    with pytest.raises(FormatError, match=r"COCO holds boxes or masks, a\.jpg has"):
        formats.write(tagged, tmp_path / "out", format="coco")


def test_a_box_is_drawn_around_a_mask_without_one(tmp_path: Path):
    mask = np.zeros(SIZE, np.uint8)
    mask[5:9, 3:30] = 1
    sample = Sample(
        image_file(tmp_path / "a.jpg"), SIZE, np.array([0]), rles=encode_masks([mask])
    )
    found = ImageSet(tmp_path, "coco", ("mug",), (sample,))
    back = read_one(formats.write(found, tmp_path / "out", format="coco"))
    assert back.boxes.tolist() == [[3, 5, 30, 9]]


@pytest.mark.parametrize("stated", ["holdout", 3])
def test_a_split_that_is_none_is_named_and_left_undecided(tmp_path: Path, stated):
    path = sheet(tmp_path, BOX) / "annotations" / "instances_val2017.json"
    document = json.loads(path.read_text())
    document["images"][0]["split"] = stated
    path.write_text(json.dumps(document))
    path.rename(path.with_name("all.json"))
    with pytest.raises(FormatError, match="wanted train, valid, test or nothing"):
        formats.read(tmp_path)
    found = formats.read(tmp_path, problems=(problems := []))
    assert [p.kind for p in problems] == ["split-unknown"]
    assert found.samples[0].split == ""


def test_an_image_of_two_splits_is_a_fault(tmp_path: Path):
    path = sheet(tmp_path, BOX) / "annotations" / "instances_val2017.json"
    path.with_name("instances_test.json").write_text(path.read_text())
    with pytest.raises(FormatError, match="is listed 2 times, in test and valid"):
        formats.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("person_keypoints_train2017", "train"),
        ("my_val", "valid"),
        ("negatives_val", "negatives_valid"),
        ("people", ""),
    ],
)
def test_a_sheet_may_be_called_after_its_split(tmp_path: Path, name: str, split: str):
    path = sheet(tmp_path, BOX) / "annotations" / "instances_val2017.json"
    path.rename(path.with_name(f"{name}.json"))
    assert read_one(tmp_path).split == split


def test_one_name_in_two_splits_is_found_in_each(tmp_path: Path):
    for split in ("train", "val"):
        image_file(tmp_path / f"{split}2017" / "a.jpg")
    path = sheet(tmp_path, BOX) / "annotations" / "instances_val2017.json"
    (tmp_path / "images" / "a.jpg").unlink()
    path.with_name("instances_train2017.json").write_text(path.read_text())
    found = formats.read(tmp_path).samples
    assert {(s.path.parent.name, s.split) for s in found} == {
        ("train2017", "train"),
        ("val2017", "valid"),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"categories": 5},
        {"categories": [{"id": 7, "name": "mug", "keypoints": 5, "flip_pairs": 5}]},
        {"categories": [{"id": 7, "keypoints": ["a"], "flip_pairs": [["a", "b"]]}]},
        {"categories": [{"id": 7, "keypoints": ["a"], "flip_pairs": [[0, 99]]}]},
    ],
)
def test_categories_that_cannot_be_are_no_crash(tmp_path: Path, wrong: dict):
    path = sheet(tmp_path, BOX) / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    found = formats.read(tmp_path, problems=[])
    assert len(found) == 1 and found.flip_pairs == ()


def test_endless_keypoints_and_sizes_take_no_endless_memory(tmp_path: Path):
    many = {**BOX, "keypoints": [0] * 300_000, "segmentation": [[1, 1, 9, 1, 9, 9]]}
    path = sheet(tmp_path, many) / "annotations" / "instances_val2017.json"
    document = json.loads(path.read_text())
    document["images"][0] |= {"width": 1_000_000, "height": 1_000_000}
    path.write_text(json.dumps(document))
    (tmp_path / "images" / "a.jpg").write_bytes(b"no picture")
    (sample,) = formats.read(tmp_path, problems=[]).samples
    assert sample.canvas_size == (0, 0)
    assert sample.keypoints.shape[1] == 1000


@pytest.mark.parametrize(("masked", "area"), [(False, 50), (True, 7)])
def test_an_area_is_the_masks_else_the_boxs_and_a_crowd_is_stated(
    tmp_path: Path, masked: bool, area: int
):
    mask = np.zeros(SIZE, np.uint8)
    mask[3:10, 2] = 1
    sample = Sample(
        image_file(tmp_path / "in" / "a.jpg"),
        SIZE,
        np.array([0]),
        np.array([[2, 3, 12, 8]], np.float32),
        encode_masks([mask]) if masked else None,
    )
    for crowd in (None, np.array([True])):
        one = replace(sample, crowd=crowd)
        found = ImageSet(tmp_path / "in", "coco", ("cat",), (one,))
        (entry,) = coco.document(found, ["x/a.jpg"])["annotations"]
        assert (entry["area"], entry["iscrowd"]) == (area, int(crowd is not None))
        assert entry["bbox"] == [2, 3, 10, 5]


def test_a_document_has_the_names_that_it_is_given(tmp_path: Path):
    sample = Sample(tmp_path / "a.jpg", SIZE, split="valid", group="sofa")
    found = ImageSet(tmp_path, "coco", ("cat",), (sample,))
    document = coco.document(found, ["x/a.jpg"])
    assert document["images"] == [
        {
            "id": 1,
            "file_name": "x/a.jpg",
            "width": SIZE[1],
            "height": SIZE[0],
            "split": "valid",
            "group": "sofa",
        }
    ]
    assert document["categories"] == [{"id": 1, "name": "cat"}]


def test_a_sheet_called_as_roboflow_does_has_the_split_of_its_folder(tmp_path: Path):
    for split, box in (("train", BOX), ("valid", BOX)):
        root = sheet(tmp_path / split, box)
        (root / "images" / "a.jpg").rename(root / f"{split}.jpg")
        document = json.loads((root / "annotations/instances_val2017.json").read_text())
        document["images"][0]["file_name"] = f"{split}.jpg"
        (root / "_annotations.coco.json").write_text(json.dumps(document))
        (root / "annotations/instances_val2017.json").unlink()
    found = formats.read(tmp_path)
    assert [(s.path.name, s.split) for s in found] == [
        ("train.jpg", "train"),
        ("valid.jpg", "valid"),
    ]


@pytest.mark.parametrize(("deep", "count"), [("x", 1), ("x/y", 0)])
def test_sheets_are_looked_for_at_the_top_and_one_folder_down(
    tmp_path: Path, deep: str, count: int
):
    root = sheet(tmp_path, BOX)
    (root / deep).mkdir(parents=True)
    (root / "annotations/instances_val2017.json").rename(root / deep / "a.json")
    assert len(coco._sheets(Folder(root))) == count


def document_of(root: Path) -> tuple[Path, dict]:
    path = root / "annotations" / "instances_val2017.json"
    return path, json.loads(path.read_text())


def test_an_image_after_one_that_is_none_is_read(tmp_path: Path):
    path, document = document_of(sheet(tmp_path, BOX))
    document["images"].insert(0, {"id": 9})
    path.write_text(json.dumps(document))
    problems = []
    assert len(formats.read(tmp_path, problems=problems)) == 1
    assert [p.kind for p in problems] == ["annotation-unreadable"]


def test_an_image_is_looked_for_in_images_before_anywhere(tmp_path: Path):
    image_file(sheet(tmp_path, BOX) / "other" / "a.jpg")
    assert read_one(tmp_path).path == tmp_path / "images" / "a.jpg"
    assert read_one(tmp_path).group == ""


def test_a_category_without_a_name_is_called_by_its_number(tmp_path: Path):
    path, document = document_of(sheet(tmp_path, BOX))
    del document["categories"][1]["name"]
    path.write_text(json.dumps(document))
    assert formats.read(tmp_path).class_names == ("7", "jar")


def test_an_image_keeps_the_group_and_the_split_that_its_entry_states(tmp_path: Path):
    path, document = document_of(sheet(tmp_path, BOX))
    document["images"][0] |= {"group": "kitchen", "split": "test"}
    path.write_text(json.dumps(document))
    sample = read_one(tmp_path)
    assert (sample.group, sample.split) == ("kitchen", "test")


def test_a_sheet_of_no_split_finds_its_images_where_they_are_written(tmp_path: Path):
    path, document = document_of(sheet(tmp_path, BOX))
    path.unlink()
    (path.parent / "all.json").write_text(json.dumps(document))
    (tmp_path / "images" / "a.jpg").unlink()
    for folder in ("images/all", "images/other"):
        image_file(tmp_path / folder / "a.jpg")
    assert read_one(tmp_path).path == tmp_path / "images" / "all" / "a.jpg"
