"""Real photographs, where a mirror is at hand: counted, loaded, split.

CVLIB_TEST_MIRROR names the mirror's folder or address, laid out as CVLIB_MIRROR wants.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from cvlib.datasets import fetch, load
from cvlib.datasets.formats.defect_masks import is_mask
from cvlib.datasets.formats.lists import catalogue
from cvlib.datasets.groups import parted_groups
from cvlib.datasets.registry import read_manifest

MIRROR = os.environ.get("CVLIB_TEST_MIRROR", "")
COUNTS = {  # images, labels, classes, groups
    "clothing": (1713, 1713, 10, 1713),
    "raccoon": (200, 217, 1, 200),
    "bccd": (364, 4888, 3, 364),
    "boards": (149, 177, 4, 34),
    "cards/test": (67, 143, 6, 67),
    "grocery/packages": (1745, 1745, 31, 1745),
    "pears/few": (83, 669, 1, 8),
    "piped/few": (192, 259, 1, 48),
    "tubes/few": (47, 89, 1, 47),
}
# The number of pictures in sets of which a mirror may hold a part.
WHOLE = {"cards": 363, "grocery": 5421, "pears": 712, "piped": 1192, "tubes": 134}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not MIRROR:
        pytest.skip("CVLIB_TEST_MIRROR names no mirror of the real photographs")
    monkeypatch.setenv("CVLIB_MIRROR", MIRROR)
    monkeypatch.setenv("CVLIB_CACHE", str(tmp_path))


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("name", COUNTS)
def test_a_real_set_holds_what_it_is_known_to_hold(name: str):
    found = load(name)
    images, labels, classes, groups = COUNTS[name]
    assert (len(found), len(found.class_names)) == (images, classes)
    assert found.counts().sum() == labels and len(set(found.groups)) == groups
    splits = {"test"} if name == "cards/test" else {"train", "valid", "test"}
    assert {s.split for s in found} == splits and found.name == name


@pytest.mark.usefixtures("mirror")
def test_the_sets_own_splits_are_kept():
    assert len(load("clothing").split("test")) == 372
    sizes = Counter(sample.split for sample in load("bccd").samples)
    assert sizes == {"train": 205, "valid": 87, "test": 72}


@pytest.mark.usefixtures("mirror")
def test_a_part_is_known_by_its_name_when_its_folder_is_loaded():
    """A mirror holds a set and its parts in one folder."""
    assert load(fetch("pears/few")).name == "pears/few"


@pytest.mark.usefixtures("mirror")
def test_groceries_have_families_and_studio_pictures():
    images = load("grocery/packages")
    entries = catalogue(images.root)
    assert len(entries) == 81 and len({e.coarse for e in entries.values()}) == 43
    pictured = {name for name, entry in entries.items() if entry.picture}
    assert pictured == set(images.class_names)
    sizes = [len(images.split(name)) for name in ("train", "valid", "test")]
    assert sizes == [864, 100, 781]


@pytest.mark.usefixtures("mirror")
def test_tubes_have_a_head_and_a_tail_and_papers_have_masks():
    tubes = load("tubes/few")
    assert (tubes.class_names, tubes.keypoint_names) == (("tube",), ("head", "tail"))
    assert all((sample.keypoints[..., 2] == 2).all() for sample in tubes)
    papers = load("piped/few")
    assert sum(len(sample.labels) > 0 for sample in papers) == 96
    faulty = next(sample for sample in papers if len(sample.labels))
    assert 0 < faulty.masks.sum() < 128 * 128 / 2, "black is the defect, not the paper"


@pytest.mark.usefixtures("mirror")
def test_pictures_of_one_burst_share_a_split():
    for name in ("boards", "pears/few", "piped/few"):
        assert parted_groups(load(name)) == {}, name


@pytest.mark.parametrize("name", WHOLE)
def test_the_manifest_of_a_whole_set_lists_its_pictures(name: str):
    listed = [path for path in read_manifest(name) if not path.startswith("iconic")]
    pictures = [p for p in listed if p.lower().endswith((".jpg", ".bmp"))]
    masks = [path for path in pictures if is_mask(path)]
    assert len(pictures) - len(masks) == WHOLE[name]


@pytest.mark.parametrize(
    ("name", "folder", "count"),
    [("raccoon", "images/", 200), ("bccd", "JPEGImages/", 364), ("clothing", "", 1713)],
)
def test_the_manifests_list_every_image(name: str, folder: str, count: int):
    listed = [path for path in read_manifest(name) if path.endswith(".jpg")]
    assert len([path for path in listed if path.startswith(folder)]) == count
