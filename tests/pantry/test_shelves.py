"""`pantry/shelves`: what is shipped is what the generator and the renderer say."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.masks import boxes_of_masks
from cvlib.pantry import arrangements, generate, truth
from cvlib.pantry.generate import EMPTY, SHELF_FOLDER, SHELF_SIZE, SHELVES

SHOTS = generate.shelf_shots()
FOLDERS = (*SHELVES, *(f"negatives_{split}" for split in EMPTY))
INDEX = {"x": 0, "y": 1, "seen": 2}


@pytest.fixture(scope="module")
def sheets() -> dict[str, dict]:
    folder = SHELF_FOLDER / "annotations"
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in FOLDERS}


@pytest.fixture(scope="module")
def objects(sheets: dict[str, dict]) -> list[dict]:
    return [one for sheet in sheets.values() for one in sheet["annotations"]]


def decoded(annotation: dict) -> np.ndarray:
    from pycocotools import mask as coco_mask

    return coco_mask.decode(annotation["segmentation"])


def test_the_files_are_exactly_the_shots():
    found = {
        p.relative_to(SHELF_FOLDER).as_posix() for p in SHELF_FOLDER.rglob("*.jpg")
    }
    assert found == {shot.path for shot in SHOTS}


def test_the_sheets_list_every_image_once(sheets: dict[str, dict]):
    listed = [image["file_name"] for s in sheets.values() for image in s["images"]]
    assert sorted(listed) == sorted(shot.path for shot in SHOTS)


def test_there_are_enough_scenes_and_negatives(sheets: dict[str, dict]):
    assert sum(len(sheets[name]["images"]) for name in SHELVES) >= 360
    negatives = [sheets[name] for name in FOLDERS if name.startswith("negatives")]
    assert sum(len(sheet["images"]) for sheet in negatives) >= 80
    assert not any(sheet["annotations"] for sheet in negatives)


def test_every_scene_holds_three_to_twelve_objects(sheets: dict[str, dict]):
    for name in SHELVES:
        counts = Counter(one["image_id"] for one in sheets[name]["annotations"])
        assert set(counts) == {image["id"] for image in sheets[name]["images"]}
        assert min(counts.values()) >= 3
        assert max(counts.values()) <= 12


def test_no_product_is_in_two_splits(sheets: dict[str, dict]):
    seen = [{o["product"] for o in sheets[name]["annotations"]} for name in SHELVES]
    assert all(seen)
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


def test_a_fifth_of_the_objects_is_small(objects: list[dict]):
    small = [one["area"] < 32 * 32 for one in objects]
    assert np.mean(small) >= 0.2


def test_some_objects_are_hidden_in_part_and_some_are_cut_off(objects: list[dict]):
    assert np.mean([one["occlusion"] > 0.3 for one in objects]) > 0.1
    assert np.mean([one["in_frame"] < 0.98 for one in objects]) > 0.02


def test_masks_do_not_overlap_and_boxes_enclose_them(sheets: dict[str, dict]):
    sheet = sheets["test"]
    for image in sheet["images"][:20]:
        own = [a for a in sheet["annotations"] if a["image_id"] == image["id"]]
        masks = np.array([decoded(one) for one in own])
        assert masks.sum(axis=0).max() == 1
        assert masks.sum(axis=(1, 2)).tolist() == [one["area"] for one in own]
        for box, one in zip(boxes_of_masks(masks), own, strict=True):
            left, top, width, height = one["bbox"]
            assert box.tolist() == [left, top, left + width, top + height]


def test_tags_name_the_classes_that_are_there(sheets: dict[str, dict]):
    for sheet in sheets.values():
        names = {c["id"]: c["name"] for c in sheet["categories"]}
        tags = {image["id"]: set() for image in sheet["images"]}
        for one in sheet["annotations"]:
            tags[one["image_id"]].add(names[one["category_id"]])
        for image in sheet["images"]:
            assert image["tags"] == sorted(tags[image["id"]])


def test_keypoints_lie_on_their_object_or_near_it(objects: list[dict]):
    for one in objects[::7]:
        points = np.array(one["keypoints"]).reshape(-1, 3)
        left, top, width, height = one["bbox"]
        seen = points[points[:, INDEX["seen"]] == 2]
        slack = 6 + 0.1 * max(width, height)
        assert (seen[:, :2] >= [left - slack, top - slack]).all()
        assert (seen[:, :2] <= [left + width + slack, top + height + slack]).all()
        assert one["num_keypoints"] == (points[:, 2] > 0).sum()


def test_a_point_out_of_the_frame_is_unlabelled(objects: list[dict]):
    points = np.concatenate([np.reshape(o["keypoints"], (-1, 3)) for o in objects])
    unlabelled = points[points[:, 2] == 0]
    assert len(unlabelled) and not unlabelled.any()
    assert ((points[:, :2] >= 0) & (points[:, :2] < SHELF_SIZE + 0.1)).all()


def test_images_are_rgb_of_the_stated_size_and_the_set_is_small():
    for path in sorted(SHELF_FOLDER.rglob("*.jpg"))[::9]:
        with Image.open(path) as image:
            image.load()
            assert (image.mode, image.size) == ("RGB", (SHELF_SIZE, SHELF_SIZE))
    every = [p for p in SHELF_FOLDER.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in every) < 20e6


def test_a_scene_is_drawn_the_same_again_and_differs_from_the_next():
    first = arrangements.shelf_scene("test", 3)
    assert first == arrangements.shelf_scene("test", 3)
    assert first != arrangements.shelf_scene("test", 4)


def test_an_empty_scene_has_things_but_no_products():
    scene = arrangements.empty_scene("valid", 2)
    assert not scene.objects
    assert any(thing.name for thing in scene.stage)


@pytest.mark.slow
@pytest.mark.render
@pytest.mark.parametrize("shot", [SHOTS[4], SHOTS[SHELVES["train"] + 61]], ids=str)
def test_rendering_a_scene_again_gives_the_same_masks(
    shot: generate.ShelfShot, sheets: dict[str, dict]
):
    sheet = sheets[shot.folder]
    (image,) = [i for i in sheet["images"] if i["file_name"] == shot.path]
    stored = [a for a in sheet["annotations"] if a["image_id"] == image["id"]]
    again = generate.annotated(shot)["annotations"]
    assert len(again) == len(stored)
    for old, new in zip(stored, again, strict=True):
        assert (decoded(old) == decoded(new)).all()
        assert {k: old[k] for k in ("bbox", "keypoints", "occlusion")} == {
            k: new[k] for k in ("bbox", "keypoints", "occlusion")
        }


@pytest.mark.slow
@pytest.mark.render
def test_rendering_a_picture_again_gives_the_same_picture(tmp_path: Path):
    shot = SHOTS[-1]
    made = generate.make(shot, tmp_path, size=SHELF_SIZE)
    shipped = Image.open(SHELF_FOLDER / shot.path)
    again = Image.open(io.BytesIO(made.read_bytes()))
    difference = np.abs(np.asarray(shipped, float) - np.asarray(again, float))
    assert difference.mean() < 1


@pytest.mark.slow
def test_what_nobody_could_see_is_dropped():
    scene = arrangements.shelf_scene("train", 0)
    settled = truth.settle(scene)
    assert set(settled.objects) <= set(scene.objects)
    assert truth.settle(settled) == settled
