"""Registered data sets as they are read."""

import json
from pathlib import Path

import pytest

from cvlib.datasets.formats import FormatError
from cvlib.datasets.known import read_known
from cvlib.datasets.registry import DATASETS, Dataset, Shipped, read_manifest
from tests.datasets.formats.sets import image_file

PARTS = [dataset for dataset in DATASETS.values() if dataset.part_of]


def orchard(root: Path, *boxes: list[int]) -> Path:
    """One picture with these boxes, XYWH, in COCO JSON."""
    image_file(root / "a.jpg")
    image = {"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}
    objects = [
        {"id": i, "image_id": 1, "category_id": 7, "bbox": box, "iscrowd": 0}
        for i, box in enumerate(boxes)
    ]
    sheet = {"images": [image], "annotations": objects}
    sheet["categories"] = [{"id": 7, "name": "pear640"}]
    (root / "data.json").write_text(json.dumps(sheet))
    return root


def known(*faults: str) -> Dataset:
    source = Shipped("nowhere")
    names = ("pear",)
    return Dataset(
        "pears", "", "MIT", source, class_names=names, known_faults=tuple(faults)
    )


def test_known_faults_leave_and_the_registrys_names_come(tmp_path: Path):
    root = orchard(tmp_path, [1, 2, 10, 0], [3, 4, 10, 10])
    found = read_known(known("box-degenerate"), root)
    assert (found.name, found.class_names) == ("pears", ("pear",))
    assert found[0].boxes.tolist() == [[3, 4, 13, 14]]
    assert found[0].labels.tolist() == [0] and found[0].crowd.tolist() == [False]


def test_a_fault_that_is_not_known_is_an_error(tmp_path: Path):
    root = orchard(tmp_path, [1, 2, 10, 0], [3, 4, 10, 10])
    for faults in ((), ("class-absent",)):
        with pytest.raises(FormatError, match="it has no area"):
            read_known(known(*faults), root)


def test_a_box_beyond_the_frame_is_read_as_in_a_folder_of_yours(tmp_path: Path):
    root = orchard(tmp_path, [50, 2, 30, 10])
    assert len(read_known(known("box-degenerate"), root)[0].labels) == 1


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_part_has_the_files_licence_and_groups_of_its_whole(part: Dataset):
    whole = DATASETS[part.part_of]
    assert read_manifest(part.name).items() <= read_manifest(whole.name).items()
    assert (part.licence, part.group_by) == (whole.licence, whole.group_by)
    assert (part.class_names, part.keypoint_names) == (
        whole.class_names,
        whole.keypoint_names,
    )
    assert part.source.files == whole.source.files
