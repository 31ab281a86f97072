"""A name or a path in, images in splits out."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest

from cvlib.datasets import DatasetError, fetch, formats, load, registry
from cvlib.datasets.loading import with_kept_splits
from cvlib.datasets.splits import SplitError
from tests.datasets.formats.sets import boxed, image_file


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def folder(root: Path, count: int = 10, *, splits: tuple[str, ...] = ("",)) -> Path:
    for split in splits:
        for name in ("mug", "jar"):
            for i in range(count):
                image_file(root / split / name / f"{name}{i // 2}_{i}.jpg")
    return root


def splits_of(found: object) -> dict[str, str]:
    return {s.path.name: s.split for s in found.samples}


def test_a_split_is_drawn_written_and_kept(tmp_path: Path):
    root = folder(tmp_path / "set")
    first = splits_of(load(root))
    assert set(first.values()) == {"train", "valid", "test"}
    assert (root / "splits.csv").is_file()
    assert splits_of(load(root, seed=5)) == first


def test_new_images_are_added_and_no_old_one_moves(tmp_path: Path):
    root = folder(tmp_path / "set")
    first = splits_of(load(root))
    image_file(root / "mug" / "new.jpg")
    second = splits_of(load(root))
    assert second.pop("new.jpg") in ("train", "valid", "test")
    assert second == first
    assert "mug/new.jpg" in (root / "splits.csv").read_text()


def test_things_stay_together(tmp_path: Path):
    root = folder(tmp_path / "set", 20)
    found = load(root, group_by=r"(.+)_\d+$")
    assert len({(s.group, s.split) for s in found.samples}) == 20


def test_your_own_file_is_honoured(tmp_path: Path):
    root = folder(tmp_path / "set", 3)
    with (root / "splits.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "split"])
        for i, name in enumerate(["train", "valid", "test"]):
            table.writerow([f"mug/mug{i // 2}_{i}.jpg", name])
            table.writerow([f"jar/jar{i // 2}_{i}.jpg", name])
    assert Counter(splits_of(load(root)).values()) == {
        "train": 2,
        "valid": 2,
        "test": 2,
    }


def test_your_own_folders_are_honoured_and_nothing_is_written(tmp_path: Path):
    root = folder(tmp_path / "set", 2, splits=("train", "val", "test"))
    found = load(root)
    assert Counter(s.split for s in found.samples) == {
        "train": 4,
        "valid": 4,
        "test": 4,
    }
    assert not (root / "splits.csv").exists()


def test_without_valid_it_is_drawn_from_train(tmp_path: Path):
    root = folder(tmp_path / "set", 20, splits=("train", "test"))
    found = Counter(s.split for s in load(root).samples)
    assert found["test"] == 40
    assert found["train"] + found["valid"] == 40
    assert found["valid"] == pytest.approx(40 * 0.15 / 0.85, abs=1)


def test_without_test_it_is_drawn_from_train_and_valid_stays(tmp_path: Path):
    root = folder(tmp_path / "set", 20, splits=("train", "val"))
    found = Counter(s.split for s in load(root).samples)
    assert found["valid"] == 40
    assert found["test"] == pytest.approx(40 * 0.15 / 0.85, abs=1)


def test_train_alone_gives_all_three(tmp_path: Path):
    found = load(folder(tmp_path / "set", 20, splits=("train",)))
    assert set(Counter(s.split for s in found.samples)) == {"train", "valid", "test"}


def test_without_train_the_way_out_is_named(tmp_path: Path):
    text = "image,tags,split\na.jpg,mug,test\nb.jpg,mug,valid\n"
    for name in ("a.jpg", "b.jpg"):
        image_file(tmp_path / name)
    (tmp_path / "tags.csv").write_text(text)
    with pytest.raises(SplitError, match="no train images"):
        load(tmp_path)


def test_a_registered_part_may_be_test_images_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / "mirror/cards"
    image_file(root / "a.jpg")
    (root / "tags.csv").write_text("image,tags,split\na.jpg,ace,test\n")
    monkeypatch.setattr(registry, "MANIFESTS", tmp_path)
    monkeypatch.setenv("CVLIB_MIRROR", str(tmp_path / "mirror"))
    registry.write_manifest(root, tmp_path / "cards-test.sha256.tsv")
    assert {sample.split for sample in load("cards/test")} == {"test"}


def test_a_renamed_folder_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    root = folder(tmp_path / "set")
    load(root)
    (root / "mug").rename(root / "cup")
    load(root)
    assert "10 of its images are gone and 10 are new" in caplog.text


def test_a_folder_that_cannot_be_written_keeps_its_split_in_the_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    root = folder(tmp_path / "set")
    monkeypatch.setattr("cvlib.datasets.loading.os.access", lambda *_: False)
    first = splits_of(load(root))
    assert not (root / "splits.csv").exists()
    assert len(list((cache / "splits").glob("set-*.csv"))) == 1
    assert splits_of(load(root, seed=3)) == first


def test_a_registered_name_loads_with_its_annotations():
    found = load("pantry/shelves")
    assert len(found.split("test")) == 80
    assert found.split("test").samples[0].keypoints.shape[1:] == (6, 3)


def test_boxes_are_split_as_well(tmp_path: Path):
    drawn = {f"{i}.jpg": ([((1, 2, 5, 5), i % 3)], "") for i in range(30)}
    root = formats.write(boxed(tmp_path / "in", drawn), tmp_path / "set", format="voc")
    found = Counter(s.split for s in load(root).samples)
    assert found["train"] == pytest.approx(21, abs=1)


def test_one_annotation_file_is_enough(tmp_path: Path):
    drawn = {f"{i}.jpg": ([((1, 2, 5, 5), 0)], "") for i in range(9)}
    there = formats.write(
        boxed(tmp_path / "in", drawn), tmp_path / "set", format="coco"
    )
    assert len(load(there)) == 9


def test_what_is_no_data_says_so(tmp_path: Path):
    with pytest.raises(DatasetError, match="known datasets"):
        load("clothin")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="in no known format"):
        load(tmp_path / "empty")


def grouped(tmp_path: Path) -> Path:
    root = folder(tmp_path / "set", 20)
    load(root, group_by=r"(.+)_\d+$")
    return root


def test_the_groups_of_before_are_kept_and_others_refused(tmp_path: Path):
    root = grouped(tmp_path)
    load(root)
    load(root, group_by=r"(.+)_\d+$")
    with pytest.raises(SplitError, match=r"group_by puts .* into .*splits\.csv into"):
        load(root, group_by=r"(mug|jar)")


def test_a_later_group_by_is_not_ignored(tmp_path: Path):
    root = folder(tmp_path / "set", 20)
    load(root)
    with pytest.raises(SplitError, match="delete it to draw again"):
        load(root, group_by=r"(.+)_\d+$")


def test_new_images_of_a_grouped_set_want_its_pattern(tmp_path: Path):
    root = grouped(tmp_path)
    image_file(root / "mug" / "mug0_99.jpg")
    with pytest.raises(
        SplitError, match=r"1 images are new, such as 'mug/mug0_99\.jpg"
    ):
        load(root)
    found = load(root, group_by=r"(.+)_\d+$")
    own = {s.split for s in found.samples if s.path.stem in ("mug0_0", "mug0_99")}
    assert len(own) == 1


def test_a_valid_out_of_train_is_written_and_kept(tmp_path: Path):
    root = folder(tmp_path / "set", 20, splits=("train", "test"))
    first = {str(s.path): s.split for s in load(root).samples}
    assert "test/" not in (root / "splits.csv").read_text()
    image_file(root / "train" / "mug" / "new.jpg")
    second = {str(s.path): s.split for s in load(root, seed=7).samples}
    assert first.items() <= second.items()


def test_one_image_is_no_data_set(tmp_path: Path):
    with pytest.raises(DatasetError, match="is one image; wanted a folder"):
        load(image_file(tmp_path / "a.jpg"))


def listed(root: Path, *rows: str) -> Path:
    (root / "splits.csv").write_text("\n".join(["path,split", *rows, ""]))
    return root


def test_a_split_of_your_own_is_not_changed_by_its_groups(tmp_path: Path):
    root = folder(tmp_path / "set", 4)
    names = [f"{n}/{n}{i // 2}_{i}.jpg" for n in ("mug", "jar") for i in range(4)]
    rows = [f"{n},{'test' if i % 2 else 'train'}" for i, n in enumerate(names)]
    listed(root, *rows)
    before = (root / "splits.csv").read_text()
    image_file(root / "mug" / "mug0_9.jpg")
    with pytest.raises(SplitError, match="groups are parted"):
        load(root, group_by=r"(.+)_\d+$")
    assert (root / "splits.csv").read_text() == before


def test_groups_that_your_folders_part_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    root = folder(tmp_path / "set", 4, splits=("train", "valid", "test"))
    load(root)
    assert "part" not in caplog.text
    load(root, group_by=r"(mug\d|jar\d)_\d+$")
    assert "its splits part 4 groups" in caplog.text
    caplog.clear()
    for split in ("train", "valid", "test"):
        for i in range(3):
            for thing in range(10):
                image_file(tmp_path / "named" / split / "mug" / f"mug-{thing}-{i}.jpg")
            image_file(tmp_path / "named" / split / "jar" / f"{i}.jpg")
    assert load(tmp_path / "named").grouping.startswith("by file names")
    assert "part" not in caplog.text  # only where groups were asked for


def test_a_file_of_splits_may_come_from_a_spreadsheet(tmp_path: Path):
    root = folder(tmp_path / "set", 1)
    rows = ("Path;Split", "", r"mug\mug0_0.jpg;Train", r"jar\jar0_0.jpg;val", ";")
    (root / "splits.csv").write_text("\r\n".join(rows), newline="")
    assert splits_of(load(root)) == {"mug0_0.jpg": "train", "jar0_0.jpg": "valid"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["images/mug0_0.jpg,train"], "lists none of the images"),
        (["mug/mug0_0.jpg,train", "mug/mug0_0.jpg,test"], "line 3: .* has two splits"),
    ],
)
def test_a_file_of_splits_that_cannot_be_meant_is_refused(
    tmp_path: Path, rows: list[str], said: str
):
    root = listed(folder(tmp_path / "set", 2), *rows)
    before = (root / "splits.csv").read_text()
    with pytest.raises(SplitError, match=said):
        load(root)
    assert (root / "splits.csv").read_text() == before


def test_a_file_of_splits_outside_is_not_read(tmp_path: Path):
    root = folder(tmp_path / "set", 2)
    (tmp_path / "secret").write_text("path,split\nhunter2,secret\n")
    (root / "splits.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(DatasetError, match="is a link"):
        load(root)


def test_a_file_named_of_another_format_is_not_passed_over(tmp_path: Path):
    image_file(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "tags.csv").write_text("image,tags\na.jpg,mug\n")
    assert formats.read(tmp_path / "tags.csv").format == "tags"
    assert formats.read(tmp_path).format == "yolo"


def test_a_set_knows_the_name_it_was_asked_for_by(tmp_path: Path):
    assert load("pantry/products").name == "pantry/products"
    assert load(fetch("pantry/products")).name == "pantry/products"
    root = folder(tmp_path / "set", splits=("train", "valid", "test"))
    assert load(str(root)).name == str(root)
    assert load(root).split("test")[:2].name == str(root)


def test_a_shipped_set_has_its_groups_however_it_is_asked_for():
    groups = load("pantry/products").groups
    assert load(fetch("pantry/products")).groups == groups
    assert len(set(groups)) == 96


def test_a_folder_called_like_a_data_set_is_asked_for_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder(tmp_path / "pantry/products")
    monkeypatch.chdir(tmp_path)
    assert len(load("pantry/products")) == 960
    assert len(load("./pantry/products")) == 20


def registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: Path
) -> registry.Dataset:
    """A registered set of two classes without a split, in a mirror."""
    folder(mirror / "tiny")
    source = registry.Remote("https://example.org", "https://example.org/{path}")
    dataset = registry.Dataset("tiny", "Twenty files.", "MIT", source)
    monkeypatch.setattr(registry, "MANIFESTS", tmp_path)
    monkeypatch.setitem(registry.DATASETS, "tiny", dataset)
    registry.write_manifest(mirror / "tiny", tmp_path / "tiny.sha256.tsv")
    return dataset


@pytest.mark.parametrize("by_setting", [True, False])
def test_a_drawn_split_never_lands_in_a_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, by_setting: bool
):
    mirror = tmp_path / "mirror"
    registered(tmp_path, monkeypatch, mirror)
    if by_setting:
        monkeypatch.setenv("CVLIB_MIRROR", str(mirror))
    place = fetch("tiny", mirror=mirror)
    assert place == mirror / "tiny"
    first = load(place)
    assert first.name == "tiny"
    assert not (place / "splits.csv").exists()
    assert len(list((cache / "splits").glob("tiny-*.csv"))) == 1
    assert fetch("tiny", mirror=mirror) == place
    assert splits_of(load(place, seed=3)) == splits_of(first)


def test_a_drawn_split_in_the_cache_outlives_the_next_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
):
    registered(tmp_path, monkeypatch, tmp_path / "elsewhere")
    copied = cache / f"tiny-{registry.manifest_digest('tiny')[:12]}"
    shutil.copytree(tmp_path / "elsewhere/tiny", copied)
    assert fetch("tiny") == copied
    first = load(copied)
    before = sorted(path.name for path in copied.rglob("*"))
    assert fetch("tiny") == copied
    assert sorted(path.name for path in copied.rglob("*")) == before
    (kept,) = (cache / "splits").glob("*.csv")
    edited = kept.read_text().replace("mug/mug0_0.jpg,train", "mug/mug0_0.jpg,test")
    kept.write_text(edited)
    again = splits_of(load(fetch("tiny"), seed=1))
    assert again == splits_of(first) | {"mug0_0.jpg": again["mug0_0.jpg"]}


def test_a_split_of_yours_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = folder(tmp_path / "set", 3)
    names = [f"{n}/{n}{i // 2}_{i}.jpg" for n in ("mug", "jar") for i in range(3)]
    parts = ("train", "valid", "test") * 2
    listed(root, *[f"{n},{split}" for n, split in zip(names, parts, strict=True)])
    monkeypatch.setattr("cvlib.datasets.loading.os.access", lambda *_: False)
    assert Counter(splits_of(load(root)).values()) == {
        "train": 2,
        "valid": 2,
        "test": 2,
    }


def test_a_drawn_split_does_not_part_what_names_tell(tmp_path: Path):
    for own in ("mug", "jar"):
        for thing in range(10):
            for i in range(3):
                image_file(tmp_path / "set" / own / f"{own}-{thing}-{i}.jpg")
    found = load(tmp_path / "set")
    assert len({(s.group, s.split) for s in found}) == 20
    image_file(tmp_path / "set/mug/mug-3-9.jpg")
    again = load(tmp_path / "set")
    assert len({(s.group, s.split) for s in again}) == 20
    assert again.grouping.startswith("by file names")


def test_groups_of_a_written_split_are_said_to_be_its(tmp_path: Path):
    assert load(grouped(tmp_path)).grouping == "as splits.csv says"


def test_without_a_file_of_splits_the_layouts_stay(tmp_path: Path):
    root = folder(tmp_path / "set", 4, splits=("train", "test"))
    found = with_kept_splits(formats.read(root))
    assert Counter(s.split for s in found) == {"train": 8, "test": 8}


def test_a_layout_with_all_splits_needs_no_file_and_reads_none(tmp_path: Path):
    root = folder(tmp_path / "set", 2, splits=("train", "valid", "test"))
    (root / "splits.csv").write_text("no,list,of,splits\n1,2,3,4\n")
    assert len(load(root).split("test")) == 4


def test_a_list_of_splits_outside_of_the_folder_is_not_read(tmp_path: Path):
    root = folder(tmp_path / "set", 4)
    (tmp_path / "outside.csv").write_text("path,split\nmug/mug0_0.jpg,test\n")
    (root / "splits.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(DatasetError, match="is a link that leads out"):
        load(root)
    found = formats.read(root, problems=[])
    with pytest.raises(SplitError, match="is a link out of the folder"):
        with_kept_splits(found)


def test_the_seed_draws_another_split(tmp_path: Path):
    drawn = [
        splits_of(load(folder(tmp_path / str(n) / "set", 20), seed=seed))
        for n, seed in enumerate((0, 0, 1))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_split_that_cannot_be_written_beside_the_images_goes_to_the_cache(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
):
    root = folder(tmp_path / "set")
    (root / "splits.csv").mkdir()
    (root / "splits.csv/notes.txt").touch()  # so no file can take its place
    first = splits_of(load(root))
    assert "could not be written" in caplog.text
    assert len(list((cache / "splits").glob("set-*.csv"))) == 1
    assert splits_of(load(root, seed=3)) == first
