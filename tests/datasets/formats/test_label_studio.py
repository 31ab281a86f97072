"""Label Studio's exports."""

import json
from pathlib import Path

import pytest

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from tests.datasets.formats.sets import image_file, named


def result(kind: str, **value: object) -> dict:
    return {"type": kind, "value": value}


BOX = result(
    "rectanglelabels", x=10, y=25, width=50, height=50, rectanglelabels=["mug"]
)


def export(
    root: Path, *results: dict, image: str = "/data/upload/1/3f2a-a.jpg"
) -> Path:
    image_file(root / "a.jpg")
    done = [{"was_cancelled": True, "result": []}, {"result": results}]
    task = {"id": 1, "data": {"image": image}, "annotations": done}
    (root / "export.json").write_text(json.dumps([task]))
    return root


def test_percentages_become_pixels(tmp_path: Path):
    found = formats.read(export(tmp_path, BOX))
    assert found.format == "label-studio"
    assert found.samples[0].boxes.tolist() == [[6, 10, 36, 30]]


def test_a_rectangle_turned_by_a_quarter_swaps_its_sides(tmp_path: Path):
    turned = json.loads(json.dumps(BOX))
    turned["value"] |= {"x": 50, "y": 25, "rotation": 90}
    (sample,) = formats.read(export(tmp_path, turned)).samples
    assert sample.boxes[0].tolist() == pytest.approx([10, 10, 30, 40], abs=1e-3)


def test_polygons_become_masks(tmp_path: Path):
    corners = [[0, 0], [50, 0], [50, 50], [0, 50]]
    shape = result("polygonlabels", points=corners, polygonlabels=["jar"])
    (sample,) = formats.read(export(tmp_path, shape)).samples
    assert sample.masks.sum() == 30 * 20


def test_choices_are_labels_of_the_image(tmp_path: Path):
    found = formats.read(export(tmp_path, result("choices", choices=["mug", "blue"])))
    (sample,) = found.samples
    assert sample.boxes is None
    assert sorted(named(found, sample)) == ["blue", "mug"]


def test_a_choice_beside_a_rectangle_is_told_and_no_object(tmp_path: Path, caplog):
    root = export(tmp_path, result("choices", choices=["indoor"]), BOX)
    found = formats.read(root, problems=(problems := []))
    assert found.class_names == ("mug",)
    assert found.samples[0].boxes.tolist() == [[6, 10, 36, 30]]
    assert [(p.kind, p.paths[0].name) for p in problems] == [("label-unused", "a.jpg")]
    formats.read(root)
    assert "'indoor'" in caplog.text


def test_a_task_with_a_choice_in_a_set_of_boxes_is_an_image_without_objects(
    tmp_path: Path,
):
    path = export(tmp_path, BOX) / "export.json"
    image_file(tmp_path / "b.jpg")
    choice = [{"result": [result("choices", choices=["blurred"])]}]
    other = {"id": 2, "data": {"image": "b.jpg"}, "annotations": choice}
    path.write_text(json.dumps([*json.loads(path.read_text()), other]))
    found = formats.read(tmp_path, problems=(problems := []))
    assert found.class_names == ("mug",)
    assert [sample.boxes.shape for sample in found.samples] == [(1, 4), (0, 4)]
    assert [(p.kind, p.paths[0].name) for p in problems] == [("label-unused", "b.jpg")]


def test_a_local_address_is_taken_by_its_name(tmp_path: Path):
    root = export(tmp_path, BOX, image="/data/local-files/?d=photos/a.jpg")
    assert len(formats.read(root)) == 1


def test_a_result_that_is_none_is_a_fault(tmp_path: Path):
    with pytest.raises(FormatError, match="a result is"):
        formats.read(export(tmp_path, result("rectanglelabels", x=1)))


def test_another_column_of_the_task_is_not_taken_for_its_image(tmp_path: Path):
    root = export(tmp_path, BOX)
    (task,) = json.loads((root / "export.json").read_text())
    task["data"] = {"camera": "north", **task["data"]}
    (root / "export.json").write_text(json.dumps([task]))
    assert len(formats.read(root)) == 1


@pytest.mark.parametrize("done", [[], [{"was_cancelled": True, "result": []}]])
def test_a_task_that_nobody_finished_is_no_empty_image(tmp_path: Path, done: list):
    path = export(tmp_path, BOX) / "export.json"
    image_file(tmp_path / "b.jpg")
    open_task = {"id": 2, "data": {"image": "b.jpg"}, "annotations": done}
    path.write_text(json.dumps([*json.loads(path.read_text()), open_task]))
    found = formats.read(tmp_path, problems=(problems := []))
    assert [s.path.name for s in found.samples] == ["a.jpg"]
    assert [(p.kind, p.paths[0].name) for p in problems] == [
        ("annotation-missing", "b.jpg")
    ]


@pytest.mark.parametrize("points", [[[1, 2]], [[1, 2], [3, float("nan")]], [5, 6]])
def test_points_that_are_none_are_a_fault(tmp_path: Path, points: list):
    drawn = result("polygonlabels", points=points, polygonlabels=["mug"])
    with pytest.raises(FormatError, match=r"wanted points|a result is"):
        formats.read(export(tmp_path, drawn))


def test_an_address_that_is_none_is_a_fault(tmp_path: Path):
    with pytest.raises(FormatError, match="task 1"):
        formats.read(export(tmp_path, BOX, image="//[x"))


def test_a_local_file_in_a_folder_is_found_beside_other_columns(tmp_path: Path):
    root = export(tmp_path, BOX)
    for place in ("one", "two"):
        image_file(root / place / "f.jpg")
    data = {"cam": "front", "image": "/data/local-files/?d=one%2Ff.jpg"}
    task = {"id": 1, "data": data, "annotations": [{"result": [BOX]}]}
    (root / "export.json").write_text(json.dumps([task]))
    (sample,) = formats.read(root).samples
    assert sample.path == root / "one" / "f.jpg"


def test_a_task_without_a_text_is_named_by_its_number(tmp_path: Path):
    root = export(tmp_path, BOX)
    task = json.loads((root / "export.json").read_text())[0]
    (root / "export.json").write_text(json.dumps([task, task | {"id": 7, "data": {}}]))
    assert len(formats.read(root, problems=(problems := []))) == 1
    assert [(p.kind, p.message) for p in problems] == [
        ("image-missing", "task 7 names no image")
    ]


@pytest.mark.parametrize("document", [[], {}, [1], [{"data": "a.jpg"}]])
def test_what_is_no_list_of_tasks_is_no_export(tmp_path: Path, document: object):
    image_file(tmp_path / "mug" / "a.jpg")
    image_file(tmp_path / "jar" / "b.jpg")
    (tmp_path / "notes.json").write_text(json.dumps(document))
    assert formats.recognise(tmp_path) == "classes"


def test_a_turned_rectangle_gets_the_upright_box_around_it(tmp_path: Path):
    """30 × 20 pixels, turned by 30 degrees around its upper left corner."""
    turned = json.loads(json.dumps(BOX))
    turned["value"] |= {"x": 50, "y": 25, "rotation": 30}
    (sample,) = formats.read(export(tmp_path, turned))
    sine, cosine = 0.5, 3**0.5 / 2
    wanted = [30 - 20 * sine, 10, 30 + 30 * cosine, 10 + 30 * sine + 20 * cosine]
    assert sample.boxes[0].tolist() == pytest.approx(wanted, abs=1e-3)


def test_only_the_first_part_of_an_uploaded_name_is_label_studios(tmp_path: Path):
    image_file(tmp_path / "my-red-cup.jpg")
    root = export(tmp_path, BOX, image="/data/upload/1/3f2a-my-red-cup.jpg")
    assert formats.read(root)[0].path == root / "my-red-cup.jpg"
