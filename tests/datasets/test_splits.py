"""Splits: stratified, by group, and written down."""

import hashlib
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvlib.datasets.splits import (
    SplitError,
    assign,
    check_groups,
    read_splits,
    refuse_parted,
    write_splits,
)
from cvlib.samples import ImageSet, Sample


def images(*labels: int, names: list[str] | None = None, **known: object) -> ImageSet:
    """One image a label, `000.jpg` and so on."""
    names = names or [f"{i:03d}.jpg" for i in range(len(labels))]
    samples = [
        Sample(Path("set") / name, (4, 4), np.array([label]), **known)
        for name, label in zip(names, labels, strict=True)
    ]
    return ImageSet(Path("set"), "classes", ("a", "b", "c"), tuple(samples))


def counts(found: ImageSet) -> Counter:
    return Counter((s.split, int(s.labels[0])) for s in found.samples)


def test_every_class_gets_the_shares_asked_for():
    found = counts(assign(images(*[0] * 100, *[1] * 40)))
    assert [found["train", 0], found["valid", 0], found["test", 0]] == [70, 15, 15]
    assert [found["train", 1], found["valid", 1], found["test", 1]] == [28, 6, 6]


def test_shares_are_of_images_and_not_of_groups():
    """Ten things of sixteen images weigh as much as forty of four, not a quarter."""
    names = [f"big{g}_{i}.jpg" for g in range(10) for i in range(16)]
    names += [f"small{g:02}_{i}.jpg" for g in range(40) for i in range(4)]
    for seed in range(5):
        drawn = assign(
            images(*[0] * 320, names=names), seed=seed, group_by=r"(.+)_\d+$"
        )
        found = counts(drawn)
        got = [found[split, 0] for split in ("train", "valid", "test")]
        assert got == pytest.approx([224, 48, 48], abs=8)


def test_the_class_of_fewest_images_is_drawn_first():
    """So that the others, which are many, make up for what it brings along."""
    alone = images(*[0] * 40).samples
    names = [f"rare{i}.jpg" for i in range(20)]
    rare = images(*[0] * 20, names=names, group="one").samples
    both = [replace(sample, labels=np.array([0, 1])) for sample in rare]
    found = Counter(s.split for s in assign(images().having([*alone, *both])))
    assert found == {"train": 42, "valid": 9, "test": 9}


def test_of_equal_needs_trains_comes_first():
    found = counts(assign(images(0, 0, 0), fractions=(0.5, 0.5, 0)))
    assert found == {("train", 0): 2, ("valid", 0): 1}


def test_a_class_of_three_things_is_in_all_three_splits():
    found = counts(assign(images(*[0] * 50, 1, 1, 1)))
    assert [found[s, 1] for s in ("train", "valid", "test")] == [1, 1, 1]


@given(st.lists(st.integers(0, 6), min_size=12, max_size=60), st.integers(0, 5))
def test_no_group_is_parted(groups: list[int], seed: int):
    names = [f"thing{g}_{i}.jpg" for i, g in enumerate(groups)]
    found = images(*[0] * len(groups), names=names)
    if len(set(groups)) < 3:
        return
    drawn = assign(found, seed=seed, group_by=r"(thing\d+)_\d+$")
    splits = {}
    for sample in drawn.samples:
        assert splits.setdefault(sample.group, sample.split) == sample.split


def test_the_draw_depends_on_the_seed_and_not_on_the_order():
    found = images(*[0] * 40)
    backwards = found.having(found.samples[::-1])
    by_path = [{s.path: s.split for s in assign(x).samples} for x in (found, backwards)]
    assert by_path[0] == by_path[1]
    other = {s.path: s.split for s in assign(found, seed=1).samples}
    assert other != by_path[0]


def test_a_group_of_the_data_counts_before_the_names():
    found = images(*[0] * 6)
    grouped = [replace(s, group=str(i % 3)) for i, s in enumerate(found.samples)]
    drawn = assign(found.having(grouped))
    assert len({(s.group, s.split) for s in drawn.samples}) == 3


def test_what_has_a_split_keeps_it_and_its_group_follows():
    found = images(*[0] * 20)
    first, second, *rest = found.samples
    first = replace(first, split="test", group="one")
    second = replace(second, group="one")
    drawn = assign(found.having([first, second, *rest]))
    assert [s.split for s in drawn.samples[:2]] == ["test", "test"]


def test_images_with_several_tags_or_none_are_spread_too():
    samples = [
        Sample(Path("set") / f"{i}.jpg", (4, 4), np.array([0, 1][: i % 3]))
        for i in range(90)
    ]
    drawn = assign(ImageSet(Path("set"), "tags", ("a", "b"), tuple(samples)))
    for split, share in (("train", 0.7), ("valid", 0.15), ("test", 0.15)):
        own = drawn.split(split)
        both = sum(len(s.labels) == 2 for s in own.samples)
        none = sum(len(s.labels) == 0 for s in own.samples)
        assert both == pytest.approx(30 * share, abs=2)
        assert none == pytest.approx(30 * share, abs=2)


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (0.7, 0.3)])
def test_fractions_must_be_three_shares(fractions: tuple):
    with pytest.raises(SplitError, match="three shares that sum to 1"):
        assign(images(0, 0, 0), fractions=fractions)


def test_too_few_groups_are_an_error():
    with pytest.raises(SplitError, match="2 groups are too few for train, valid, test"):
        assign(images(0, 0))


def test_what_is_written_is_read_again(tmp_path: Path):
    names = ["a b.jpg", 'it\'s "c", d.jpg', "кружка.jpg"]
    found = assign(images(0, 0, 0, names=names), group_by=None)
    write_splits(found, tmp_path / "splits.csv")
    bare = images(0, 0, 0, names=names)
    again = read_splits(bare, tmp_path / "splits.csv")
    assert [(s.split, s.group) for s in again.samples] == [
        (s.split, s.group) for s in found.samples
    ]


def test_new_images_have_no_split_and_lost_ones_are_passed_over(tmp_path: Path):
    (tmp_path / "splits.csv").write_text("path,split\n000.jpg,val\ngone.jpg,test\n")
    found = read_splits(images(0, 0), tmp_path / "splits.csv")
    assert [s.split for s in found.samples] == ["valid", ""]


@pytest.mark.parametrize("row", ["000.jpg,exam", ",train", "000.jpg"])
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, row: str):
    (tmp_path / "splits.csv").write_text(f"path,split\n{row}\n")
    with pytest.raises(SplitError, match="line 2: wanted a path and one of train"):
        read_splits(images(0), tmp_path / "splits.csv")


def told(found: ImageSet, file: Path, text: str) -> str:
    """What reading the splits in `text` is refused with, from the file's name on."""
    file.write_text(text, "utf8")
    with pytest.raises(SplitError) as error:
        read_splits(found, file)
    return str(error.value).removeprefix(str(file))


def test_what_is_wrong_with_a_file_of_splits_is_told_in_full(tmp_path: Path):
    found, file = images(0, 0), tmp_path / "splits.csv"
    assert told(found, file, "path,split\n000.jpg,hold\n") == (
        ", line 2: wanted a path and one of train, valid, test, got '000.jpg' and "
        "'hold'"
    )
    twice = "path,split\n000.jpg,train\n000.jpg,test\n"
    assert told(found, file, twice) == ", line 3: '000.jpg' has two splits"
    assert told(found, file, "path,split\nx/9.jpg,train\n") == (
        " lists none of the images: wanted paths such as '000.jpg', got 'x/9.jpg'"
    )
    file.write_bytes(b"path,split\n\xff.jpg,train\n")
    with pytest.raises(SplitError, match=r"splits\.csv cannot be read: 'utf-8' codec"):
        read_splits(found, file)


def test_paths_of_windows_are_found(tmp_path: Path):
    file = tmp_path / "splits.csv"
    file.write_text("path,split\na\\000.jpg,val\n", "utf8")
    found = read_splits(images(0, names=["a/000.jpg"]), file)
    assert [sample.split for sample in found] == ["valid"]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["000.jpg", "009.jpg"], "1 of its images are gone and 1 are new"),
        (["000.jpg"], ""),  # some are gone
        (["000.jpg", "001.jpg", "009.jpg"], ""),  # some are new
    ],
)
def test_a_folder_that_was_renamed_is_suspected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, names: list[str], told: str
):
    file = tmp_path / "splits.csv"
    file.write_text("path,split\n000.jpg,train\n001.jpg,test\n", "utf8")
    read_splits(images(*[0] * len(names), names=names), file)
    wanted = [f"{file}: {told}; was a folder renamed?"] if told else []
    assert [record.getMessage() for record in caplog.records] == wanted


def test_a_group_that_a_split_parts_is_named_with_its_images():
    parted = images(0, group="film")
    parted = replace(
        parted,
        samples=(
            replace(parted[0], split="train"),
            replace(parted[0], split="test", path=Path("set/a/b.jpg")),
        ),
    )
    with pytest.raises(SplitError) as error:
        refuse_parted(parted)
    assert str(error.value) == (
        "1 groups are parted, such as 'film': it is in train (000.jpg) and test "
        "(a/b.jpg). Put each group into one split, or do without group_by"
    )


@pytest.mark.parametrize(
    ("group_by", "split", "said"),
    [
        ("x", "train", "group_by puts '000.jpg' into 'new', splits.csv into 'old'"),
        (None, "", "1 images are new, such as '001.jpg'; splits.csv has groups"),
    ],
)
def test_splits_that_were_drawn_by_other_groups_are_not_drawn_on(group_by, split, said):
    found = images(0, 0, group="new")
    kept = replace(
        found,
        samples=(
            replace(found[0], split="train", group="old"),
            replace(found[1], split=split),
        ),
    )
    with pytest.raises(SplitError) as error:
        check_groups(found, kept, group_by)
    wanted = f"{said}: give the group_by it was drawn by, or delete it to draw again"
    assert str(error.value) == wanted
    check_groups(kept, kept, None)


@pytest.mark.parametrize(
    "columns", ["image,split\n000.jpg,train", "path,part\n000.jpg,x"]
)
def test_a_column_that_is_not_there_is_a_bad_row(tmp_path: Path, columns: str):
    (tmp_path / "splits.csv").write_text(f"{columns}\n", "utf8")
    with pytest.raises(SplitError, match="wanted a path and one of train"):
        read_splits(images(0), tmp_path / "splits.csv")


def test_groups_of_the_file_are_said_to_be_its_own(tmp_path: Path):
    file, found = tmp_path / "splits.csv", images(0, group="mug")
    for group, grouping in (("jar", "as splits.csv says"), ("mug", found.grouping)):
        file.write_text(f"path,split,group\n000.jpg,train,{group}\n", "utf8")
        again = read_splits(found, file)
        assert (again[0].group, again.grouping) == (group, grouping)


def test_the_order_of_the_draw_is_that_of_a_checksum():
    """Of four things two are left to teach: the last two go where nothing is yet."""
    names = ["a", "b", "c", "d"]
    for seed in (0, 7):
        order = sorted(
            names, key=lambda n: hashlib.sha256(f"{seed}/{n}".encode()).hexdigest()
        )
        found = images(0, 0, 0, 0)
        samples = zip(found, names, strict=True)
        found = found.having(replace(one, group=name) for one, name in samples)
        drawn = {s.group: s.split for s in assign(found, seed=seed)}
        assert [drawn[name] for name in order] == ["train", "train", "valid", "test"]


def test_a_group_whose_name_is_not_utf8_is_drawn():
    odd = images(0, 0, 0, names=[os.fsdecode(b"caf\xe9.jpg"), "b.jpg", "c.jpg"])
    assert {s.split for s in assign(odd)} == {"train", "valid", "test"}


def test_a_group_of_several_classes_counts_for_the_one_of_fewest_images():
    """Class 1 has two images: each split that lacks it comes before class 0's needs."""
    samples = [
        Sample(Path("set") / f"{i}.jpg", (4, 4), np.array(own))
        for i, own in enumerate([[0, 1], [0, 1], *[[0]] * 18])
    ]
    found = ImageSet(Path("set"), "tags", ("a", "b"), tuple(samples))
    drawn = assign(found, fractions=(0.5, 0, 0.5)).samples
    assert sorted(s.split for s in drawn[:2]) == ["test", "train"]
    assert Counter(s.split for s in drawn) == {"train": 10, "test": 10}


def test_a_share_of_nought_gets_nothing_and_a_rounded_sum_is_no_fault():
    found = counts(assign(images(*[0] * 10), fractions=(0.9, 0, 0.1)))
    assert found == {("train", 0): 9, ("test", 0): 1}
    assert len(assign(images(0, 0, 0), fractions=(0.1, 0.2, 0.7 + 1e-9))) == 3
    for wrong in ((0.7, 0.15, 0.14), (0.25, 0.25, 0.25, 0.25), (0.6, 0.6, -0.2)):
        with pytest.raises(SplitError) as error:
            assign(images(0, 0, 0), fractions=wrong)
        said = f"fractions must be three shares that sum to 1: {wrong}"
        assert str(error.value) == said


def test_too_few_groups_are_told_with_what_would_be_empty():
    with pytest.raises(SplitError) as error:
        assign(images(0, 0))
    assert str(error.value) == (
        "2 groups are too few for train, valid, test: test would be empty; add images, "
        "or split them yourself"
    )
    with pytest.raises(SplitError, match=r"1 groups .* train, valid: valid would be"):
        assign(images(0), fractions=(0.5, 0.5, 0))


def test_what_is_there_already_counts_towards_the_shares():
    """Of ten, two are in test: of the other eight seven teach and one decides."""
    found = images(*[0] * 10)
    first = [replace(s, split="test") for s in found.samples[:2]]
    drawn = assign(found.having([*first, *found.samples[2:]]))
    assert Counter(s.split for s in drawn) == {"train": 7, "valid": 1, "test": 2}
    assert [s.split for s in drawn[:2]] == ["test", "test"]


def test_a_table_of_splits_in_full(tmp_path: Path):
    found = images(0, 0, names=["a/x.jpg", "b, c.jpg"])
    found = found.having(
        [
            replace(found[0], split="valid", group="film"),
            replace(found[1], split="train"),
        ]
    )
    write_splits(found, tmp_path / "splits.csv")
    assert (tmp_path / "splits.csv").read_bytes() == (
        b'path,split,group\na/x.jpg,valid,film\n"b, c.jpg",train,\n'
    )


def test_a_name_that_no_list_can_hold_is_named(tmp_path: Path):
    odd = os.fsdecode(b"caf\xe9.jpg")
    found = images(0, 0, 0, names=["кружка.jpg", odd, "c.jpg"], split="train")
    with pytest.raises(SplitError) as error:
        write_splits(found, tmp_path / "splits.csv")
    assert str(error.value) == (
        r"'set/caf\udce9.jpg': its name is not UTF-8, so no list can hold it; rename it"
    )
    assert not (tmp_path / "splits.csv").exists()


def read(tmp_path: Path, text: str, found: ImageSet) -> list[tuple[str, str]]:
    """Split and group of each image, as a file with this text gives them."""
    (tmp_path / "splits.csv").write_text(text, "utf8")
    return [(s.split, s.group) for s in read_splits(found, tmp_path / "splits.csv")]


def test_rows_are_read_as_people_and_spreadsheets_write_them(tmp_path: Path):
    found = images(0, 0, 0, group="own")
    text = "\ufeffpath;split;group\n./000.jpg; val ;film\n 001.jpg ;test;\n"
    assert read(tmp_path, text, found) == [
        ("valid", "film"),
        ("test", "own"),
        ("", "own"),
    ]
    text = "path,split\n000.jpg,train\n000.jpg,train\n"  # twice, and the same
    assert read(tmp_path, text, found)[0] == ("train", "own")


def test_a_file_of_no_rows_and_a_set_of_no_images_go_together_with_any(tmp_path: Path):
    assert read(tmp_path, "path,split\n", images(0)) == [("", "")]
    assert read(tmp_path, "path,split\nx.jpg,train\n", images()) == []
    with pytest.raises(SplitError, match=r"splits\.csv cannot be read: .*No such file"):
        read_splits(images(0), tmp_path / "none" / "splits.csv")


def test_how_many_images_are_gone_and_new_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Five rows, of which two are images; of the four images two have none."""
    rows = "".join(f"{name}.jpg,train\n" for name in ("000", "001", "x", "y", "z"))
    read(tmp_path, f"path,split\n{rows}", images(0, 0, 0, 0))
    (record,) = caplog.records
    assert "3 of its images are gone and 2 are new" in record.getMessage()


def test_groups_are_checked_only_where_more_is_to_be_drawn():
    found = images(0, 0, group="new")
    written = [replace(s, split="train", group="old") for s in found]
    kept = found.having(written)
    check_groups(found, kept, None)  # nothing is new: the file's groups hold
    with pytest.raises(SplitError, match=r"group_by puts '000\.jpg' into 'new'"):
        check_groups(found, kept, "x")
    again = found.having([replace(found[0], split="train"), found[1]])
    check_groups(found, again, "x")  # one is new, of the same groups
    parted = [replace(found[0], split="train"), replace(found[1], split="test")]
    with pytest.raises(SplitError, match="1 groups are parted, such as 'new'"):
        check_groups(found, found.having(parted), "x")
    check_groups(found, found.having(parted), None)


def test_an_image_that_is_new_has_no_group_to_differ_by():
    """The second image is new: that the file puts it nowhere is no other group."""
    found = images(0, 0, group="new")
    kept = found.having([replace(found[0], split="train"), replace(found[1], group="")])
    check_groups(found, kept, None)


def test_groups_that_are_whole_are_not_refused():
    refuse_parted(images(0, 0, group="film", split="train"))
    refuse_parted(images(0, 0, split="train"))
