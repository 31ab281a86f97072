"""The rendered products: the shipped images are what the generator says they are."""

import csv
import hashlib
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.pantry import catalogue, generate, labels, photo, scenes, shapes

SHOTS = generate.shots()
PRODUCTS = [
    catalogue.product(class_name, number)
    for class_name in catalogue.CLASS_NAMES
    for number in range(1, catalogue.PRODUCTS_PER_CLASS + 1)
]


@pytest.fixture(scope="module")
def files() -> list[Path]:
    return sorted(generate.FOLDER.rglob("*.jpg"))


@pytest.fixture(scope="module")
def table() -> list[dict[str, str]]:
    with (generate.FOLDER / "products.csv").open(newline="", encoding="utf8") as file:
        return list(csv.DictReader(file))


def test_the_set_has_the_agreed_sizes():
    counts = Counter((shot.split, shot.class_name) for shot in SHOTS)
    for class_name in catalogue.CLASS_NAMES:
        sizes = [counts[split, class_name] for split in ("train", "valid", "test")]
        assert sizes == [60, 20, 40]
    assert counts["train", "negative"] == counts["test", "negative"] == 80


def test_the_folders_hold_exactly_the_shots(files: list[Path]):
    found = {path.relative_to(generate.FOLDER).as_posix() for path in files}
    assert found == {shot.path for shot in SHOTS}


def test_no_product_is_in_two_splits(table: list[dict[str, str]]):
    splits: dict[str, set[str]] = {}
    for row in table:
        splits.setdefault(row["product"], set()).add(row["split"])
    splits.pop("")
    assert len(splits) == 96
    assert all(len(found) == 1 for found in splits.values())


def test_products_are_split_by_seed_and_not_in_order():
    orders = {
        tuple(catalogue.split_of(name, n) for n in range(1, 13))
        for name in catalogue.CLASS_NAMES
    }
    assert len(orders) > 1
    assert all(list(order) != sorted(order) for order in orders)


def test_look_alikes_of_train_and_test_differ(table: list[dict[str, str]]):
    kinds: dict[str, set[str]] = {"train": set(), "test": set()}
    for row in table:
        if row["class_name"] == "negative":
            kinds[row["split"]] |= set(row["objects"].split())
    assert not kinds["train"] & kinds["test"]
    assert min(len(found) for found in kinds.values()) >= 6


def test_every_image_decodes_as_rgb_of_the_stated_size(files: list[Path]):
    for path in files:
        with Image.open(path) as image:
            image.load()
            assert (image.mode, image.size) == ("RGB", (224, 224)), path.name


def test_no_two_images_are_the_same(files: list[Path]):
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert len(digests) == len(files)


def test_no_image_is_blank(files: list[Path]):
    for path in files:
        pixels = np.asarray(Image.open(path).convert("L"), np.float32)
        assert pixels.std() > 4, path.name
        assert 8 < pixels.mean() < 247, path.name


def test_the_set_is_under_fifteen_megabytes():
    every = [path for path in generate.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in every) < 15e6


def test_the_table_agrees_with_the_folders(table: list[dict[str, str]]):
    assert [row["path"] for row in table] == [shot.path for shot in SHOTS]
    for row in table:
        folders = row["path"].split("/")
        if row["class_name"] == "negative":
            assert folders[:2] == ["negatives", row["split"]]
        else:
            assert folders[:2] == [row["split"], row["class_name"]]
            assert folders[2].startswith(row["product"])


def test_the_table_is_what_the_generator_draws(table: list[dict[str, str]]):
    for shot, row in list(zip(SHOTS, table, strict=True))[::70]:
        drawn = {name: str(value) for name, value in generate.describe(shot).items()}
        assert drawn == {name: row[name] for name in drawn}, shot.name


def test_a_scene_is_drawn_the_same_again():
    for shot in SHOTS[::150]:
        assert shot.scene() == shot.scene()


def test_other_photographs_of_a_product_are_other_scenes():
    item = PRODUCTS[0]
    assert scenes.product_scene(item, 0) != scenes.product_scene(item, 1)


def test_products_of_a_class_are_distinct():
    assert len({repr(item.parts) for item in PRODUCTS}) == len(PRODUCTS)
    assert len({item.name for item in PRODUCTS}) == len(PRODUCTS)


@pytest.mark.parametrize("item", PRODUCTS[::5], ids=lambda item: item.name)
def test_a_product_stands_on_the_table_and_is_of_household_size(
    item: catalogue.Product,
):
    low, high = shapes.bounds(item.parts)
    assert low[2] == pytest.approx(0, abs=0.3)
    assert 3 < (high - low).max() < 35


def test_the_product_is_in_the_frame_and_mostly_unhidden():
    for shot in SHOTS[:960:60]:
        facts = shot.scene().facts
        assert float(facts["in_frame"]) >= 0.55
        assert float(facts["hidden"]) <= 0.5


def test_a_box_has_the_area_of_its_faces():
    mesh = shapes.box(2, 3, 4)
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    assert areas.sum() == pytest.approx(2 * (2 * 3 + 2 * 4 + 3 * 4))


def test_normals_of_turned_bodies_point_outwards():
    mesh = shapes.lathe(((2.0, 0.0), (2.0, 5.0)))
    radial = mesh.vertices * [1, 1, 0] / 2
    np.testing.assert_allclose(mesh.normals, radial, atol=1e-5)


def test_a_camera_sees_its_target_in_the_middle_and_up_as_up():
    camera = scenes.Camera((0, -50, 10), (0, 0, 10), (0, 0, 1), 40, 0, 50)
    points = np.array([[0, 0, 10.0], [0, 0, 12.0], [2.0, 0, 10]])
    middle, above, right = camera.project(points)
    assert middle == pytest.approx([0.5, 0.5])
    assert above[1] < 0.5
    assert right[0] > 0.5


def test_a_label_is_painted_the_same_again():
    colours = (
        (0.9, 0.9, 0.8),
        (0.5, 0.1, 0.1),
        (0.1, 0.3, 0.2),
        *[(0.2, 0.2, 0.2)] * 2,
    )
    words = ("Molvi", "HONEY", "200 g")
    texture = shapes.Texture("wrap", 7, (320, 120), colours, words)
    first, second = labels.paint_wrap(texture), labels.paint_wrap(texture)
    assert first.size == (320, 120)
    assert first.tobytes() == second.tobytes()
    other = labels.paint_wrap(replace(texture, seed=8))
    assert first.tobytes() != other.tobytes()


def test_a_photograph_is_taken_the_same_again():
    light = np.full((32, 32, 3), 0.3, np.float32)
    effects = photo.draw_effects("can-01-00", "dim")
    first = photo.photograph(light, effects, name="can-01-00")
    assert first == photo.photograph(light, effects, name="can-01-00")
    assert Image.open(io.BytesIO(first)).size == (32, 32)


def test_a_file_that_exists_is_not_made_again(tmp_path: Path):
    target = tmp_path / SHOTS[0].path
    target.parent.mkdir(parents=True)
    target.write_bytes(b"kept")
    generate.make(SHOTS[0], tmp_path)
    assert target.read_bytes() == b"kept"


@pytest.mark.slow
@pytest.mark.render
@pytest.mark.parametrize("name", ["bowl-11-03", "carton-07-00"])
def test_rendering_again_gives_the_shipped_image(name: str, tmp_path: Path):
    shot = next(shot for shot in SHOTS if shot.name == name)
    again = np.asarray(Image.open(generate.make(shot, tmp_path)), np.float32)
    shipped = np.asarray(Image.open(generate.FOLDER / shot.path), np.float32)
    # Another processor may round otherwise; another scene differs by far more.
    assert np.abs(again - shipped).mean() < 3


@pytest.mark.render
def test_the_renderer_says_which_object_each_pixel_shows():
    from cvlib.pantry import render

    scene = SHOTS[0].scene()
    found = render.instances(scene, size=48)
    assert found.shape == (48, 48)
    assert 1 in found
    assert found.max() <= len(scene.objects)
