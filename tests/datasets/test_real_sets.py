"""Real photographs, where a mirror is at hand: counted, loaded, split.

CVLIB_TEST_MIRROR names the mirror's folder or address, laid out as CVLIB_MIRROR wants.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from cvlib.datasets import load
from cvlib.datasets.registry import read_manifest

MIRROR = os.environ.get("CVLIB_TEST_MIRROR", "")
COUNTS = {  # images, labels, classes
    "clothing": (1713, 1713, 10),
    "raccoon": (200, 217, 1),
    "bccd": (364, 4888, 3),
}


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
    images, labels, classes = COUNTS[name]
    assert (len(found), len(found.class_names)) == (images, classes)
    assert found.counts().sum() == labels
    assert {s.split for s in found.samples} == {"train", "valid", "test"}


@pytest.mark.usefixtures("mirror")
def test_the_sets_own_splits_are_kept():
    assert len(load("clothing").split("test")) == 372
    sizes = Counter(sample.split for sample in load("bccd").samples)
    assert sizes == {"train": 205, "valid": 87, "test": 72}


@pytest.mark.parametrize(
    ("name", "folder", "count"),
    [("raccoon", "images/", 200), ("bccd", "JPEGImages/", 364), ("clothing", "", 1713)],
)
def test_the_manifests_list_every_image(name: str, folder: str, count: int):
    listed = [path for path in read_manifest(name) if path.endswith(".jpg")]
    assert len([path for path in listed if path.startswith(folder)]) == count
