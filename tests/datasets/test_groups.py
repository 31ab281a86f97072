"""Which images belong together, and who says so."""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvlib.datasets import load
from cvlib.datasets.groups import (
    GroupError,
    grouped,
    names_of_things,
    parted_groups,
)
from cvlib.samples import ImageSet, Sample


def images(*names: str, label: int = 0, root: Path = Path("set")) -> ImageSet:
    samples = [Sample(root / name, (4, 4), np.array([label])) for name in names]
    return ImageSet(root, "classes", ("cat", "dog"), tuple(samples))


def pets(things: int, each: int) -> ImageSet:
    """`cat/cat-03-07.jpg` and so on: as many things of both classes, `each` images."""
    samples = [
        Sample(
            Path(f"set/{own}/{own}-{thing:02}-{i:02}.jpg"), (4, 4), np.array([label])
        )
        for label, own in enumerate(("cat", "dog"))
        for thing in range(things)
        for i in range(each)
    ]
    return ImageSet(Path("set"), "classes", ("cat", "dog"), tuple(samples))


def test_names_tell_things_where_they_make_many(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    found = grouped(pets(things=5, each=4))
    assert set(Counter(found.groups).values()) == {4}
    assert found.groups[0] == "cat-00" and len(set(found.groups)) == 10
    assert found.grouping == "by file names, as cat-00-00 → cat-00"
    assert "10 groups by file names, as cat-00-00 → cat-00" in caplog.text
    assert "10 groups: by file names" in repr(found)


def test_numbered_images_of_two_classes_are_not_two_groups(
    caplog: pytest.LogCaptureFixture,
):
    """What once made a 95 % interval of width nought."""
    caplog.set_level(logging.INFO)
    names = [f"{own}/{own}-{i:03}.jpg" for own in ("cat", "dog") for i in range(200)]
    found = grouped(images(*names))
    assert len(set(found.groups)) == 400
    assert "would make only 2, the largest of 200 images" in found.grouping
    assert "cat-000 → cat" in caplog.text and "group_by" in caplog.text


def test_as_many_groups_as_classes_are_classes():
    names = tuple(f"{i:02}" for i in range(20))
    found = pets(things=10, each=3)
    assert len(set(grouped(found).groups)) == 20
    assert len(set(grouped(replace(found, class_names=names)).groups)) == 60


def test_one_group_of_half_of_the_images_is_no_thing():
    few = [f"{thing}-{i}.jpg" for thing in "abcdefghijk" for i in range(2)]
    assert len(set(grouped(images(*few)).groups)) == 11
    many = [f"IMG-{i}.jpg" for i in range(22)]
    assert len(set(grouped(images(*few, *many)).groups)) == 44


def test_fewer_than_ten_groups_are_too_few():
    for count, groups in ((9, 18), (10, 10)):
        names = [f"thing{g}-{i}.jpg" for g in range(count) for i in range(2)]
        found = replace(images(*names), class_names=("thing",))
        assert len(set(grouped(found).groups)) == groups


def test_names_without_numbers_say_nothing():
    found = grouped(images("a.jpg", "b/c.jpg"))
    assert found.groups == ["a.jpg", "b/c.jpg"]
    assert found.grouping == "each image by itself"
    assert grouped(images()).groups == []


def test_numbers_that_start_again_in_each_split_are_other_pictures():
    both = [f"{s}/cat/{i:03}.jpg" for s in ("train", "test") for i in range(20)]
    found = grouped(images(*both))
    assert len(set(found.groups)) == 40 and not parted_groups(found)
    assert found.grouping == "each image by itself"


def test_a_thing_is_its_name_up_to_the_last_number():
    found = images("train/mug-03-07.jpg", "test/mug-03-08.jpg", "valid/x.jpg")
    assert names_of_things(found) == ["mug-03", "mug-03", "x"]


def test_equal_names_in_two_folders_or_classes_are_two_things():
    cats, dogs = images("IMG-1.jpg", "a/IMG-2.jpg"), images("IMG-3.jpg", label=1)
    both = cats.having([*cats, *dogs])
    assert names_of_things(both) == ["cat/IMG", "a/cat/IMG", "dog/IMG"]
    folders = images("cat/IMG-1.jpg", "train/sub/IMG-2.jpg")
    assert names_of_things(folders) == ["cat/IMG", "sub/cat/IMG"]


def test_the_classes_of_boxes_tell_no_names_apart():
    box = np.array([[0, 0, 2, 2]], np.float32)
    cat, dog = images("IMG-1.jpg"), images("IMG-2.jpg", label=1)
    both = cat.having(replace(s, boxes=box) for s in [*cat, *dog])
    assert names_of_things(both) == ["IMG", "IMG"]


def test_an_annotations_group_counts_before_names():
    found = pets(things=5, each=4)
    scenes = [replace(s, group=str(i % 4)) for i, s in enumerate(found)][:-1]
    found = grouped(found.having([*scenes, found[-1]]))
    assert found.groups[:4] == ["0", "1", "2", "3"]
    assert found.groups[-1] == "dog/dog-04-03.jpg"
    assert found.grouping == "as annotated"


def test_what_the_user_names_counts_before_the_annotation():
    found = images("a_1.jpg", "a_2.jpg", "odd.jpg")
    found = found.having(replace(s, group="scene") for s in found)
    asked = grouped(found, r"(.+)_\d+$")
    assert asked.groups == ["a", "a", "scene"]
    assert asked.grouping == r"by '(.+)_\\d+$'"


def table(root: Path, text: str) -> ImageSet:
    root.mkdir()
    (root / "facts.csv").write_text(text)
    return images("x/1.jpg", "x/2.jpg", "3.jpg", root=root)


def test_a_column_of_a_table_is_a_group(tmp_path: Path):
    text = "Path;owner\nx\\1.jpg;Ann\nx/2.jpg; Bob\n"
    found = grouped(table(tmp_path / "set", text), "owner")
    assert found.groups == ["Ann", "Bob", "3.jpg"]
    assert found.grouping == "by facts.csv's column owner"


@pytest.mark.parametrize(
    ("group_by", "message"),
    [
        ("own", r"got 'own'.*facts.csv has path, owner"),
        (r"\d+$", "a regular expression with a bracket"),
        ("(", "a regular expression with a bracket"),
        ("(mug)_", "fits no file; one is 'x/1'"),
        ("owner", "fits no file; one is 'x/1.jpg'"),
    ],
)
def test_what_fits_no_image_is_an_error(tmp_path: Path, group_by: str, message: str):
    found = table(tmp_path / "set", "path,owner\nother.jpg,Ann\n")
    with pytest.raises(GroupError, match=message):
        grouped(found, group_by)


def test_without_a_table_there_is_no_column(tmp_path: Path):
    with pytest.raises(GroupError, match=r"there is no \.csv"):
        grouped(images("a.jpg", root=tmp_path), "owner")


def test_products_of_the_pantry_are_told_by_their_column():
    found = load("pantry/products")
    assert found.grouping == "by products.csv's column product"
    assert len(set(found.groups)) == 96
    assert all(s.path.stem.startswith(f"{s.group}-") for s in found)


def test_scenes_of_the_pantry_are_told_by_their_annotations():
    found = load("pantry/shelves")
    assert found.grouping == "as annotated"
    assert 10 < len(set(found.groups)) <= len(found)


def test_groups_in_two_splits_are_named():
    found = images("a.jpg", "b.jpg", "c.jpg")
    where = [("train", "x"), ("test", "x"), ("negatives_test", "x")]
    once = [("train", "y"), ("negatives_train", "y"), ("", "y")]
    samples = [
        replace(s, split=split, group=group)
        for s, (split, group) in zip([*found, *found], where + once, strict=True)
    ]
    parted = parted_groups(found.having(samples))
    assert {name: [s.split for s in own] for name, own in parted.items()} == {
        "x": ["train", "test"]
    }
