"""What a text means, and whose a folder is."""

import hashlib
from pathlib import Path

import pytest

from cvlib.datasets import DATASETS, fetch, registry
from cvlib.datasets.places import cache_folder, dataset_at, is_ours, resolve


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with a folder that is called like a data set."""
    monkeypatch.setenv("CVLIB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "clothing").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_registered_name_wins_over_a_folder_of_that_name():
    assert resolve("clothing") is DATASETS["clothing"]
    assert resolve("pantry/products") is DATASETS["pantry/products"]


@pytest.mark.parametrize("text", ["./clothing", "clothing/", "x", "~/clothing"])
def test_everything_else_is_a_path(text: str):
    assert resolve(text) == Path(text).expanduser()
    assert resolve(Path("clothing")) == Path("clothing")


def test_a_shipped_folder_knows_its_name():
    assert dataset_at(fetch("pantry/products")) is DATASETS["pantry/products"]
    assert is_ours(fetch("pantry/products") / "train")


def test_a_copy_in_the_cache_or_a_mirror_knows_its_name(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CVLIB_MIRROR", str(here / "mirror"))
    copies = [here / "cache/clothing-0123456789ab", here / "mirror/clothing"]
    assert [dataset_at(copy) for copy in copies] == [DATASETS["clothing"]] * 2
    assert all(is_ours(copy) for copy in copies)
    assert is_ours(here / "mirror/other/sub") and dataset_at(here / "mirror/x") is None


def test_a_mirror_has_a_set_and_its_part_in_one_folder_and_fetch_tells_which(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    pear = here / "mirror/pears/pear.jpg"
    pear.parent.mkdir(parents=True)
    pear.write_bytes(b"pear")
    monkeypatch.setattr(registry, "MANIFESTS", here)
    monkeypatch.setenv("CVLIB_MIRROR", str(here / "mirror"))
    registry.write_manifest(pear.parent, here / "pears-few.sha256.tsv")
    assert dataset_at(pear.parent) is DATASETS["pears"], "nobody has looked"
    assert fetch("pears/few") == pear.parent.resolve()
    assert dataset_at(pear.parent) is DATASETS["pears/few"]


def test_your_folder_is_yours(here: Path):
    assert not is_ours(here / "clothing") and dataset_at(here / "clothing") is None


def test_the_cache_is_where_the_setting_says(here: Path):
    assert cache_folder() == here / "cache"
    assert cache_folder("other") == here / "other"


def test_what_else_lies_in_the_cache_is_ours_and_has_no_name(here: Path):
    assert is_ours(here / "cache/splits")
    assert dataset_at(here / "cache/clothing-old") is None


def test_a_copy_in_a_cache_of_its_own_is_known_by_its_stamp(here: Path):
    place = here / "other/clothing-0123456789ab"
    assert dataset_at(place) is None
    mark = hashlib.sha256(bytes(place)).hexdigest()[:12]
    place.parent.mkdir()
    (here / f"other/clothing-0123456789ab.{mark}.verified").touch()
    assert dataset_at(place) is DATASETS["clothing"]


@pytest.mark.parametrize("nothing", [None, 3])
def test_what_is_neither_text_nor_path_is_named(nothing):
    with pytest.raises(
        TypeError, match=f"a data set's name or a folder, got {nothing}"
    ):
        resolve(nothing)
