from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cvlib.datasets import DatasetError
from cvlib.samples import ImageSet, Sample
from cvlib.similarity.data import (
    comparative_sets,
    read_splits,
    shared_labels,
)


def add(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)
    return folder


def of_labels(labels: list[int], names: tuple[str, ...]) -> ImageSet:
    samples = [Sample(Path(), (4, 4), np.array([label])) for label in labels]
    return ImageSet(Path(), "classes", names, tuple(samples))


@pytest.fixture
def folder(tmp_path):
    """Mugs 1 and 2 to train, 3 to validate, 4 to test; and a bowl in each split."""
    for split, mugs in (("train", "12"), ("valid", "3"), ("test", "4")):
        for mug in mugs:
            add(tmp_path, *[f"{split}/mug/mug-{mug}-{i}.png" for i in range(3)])
        add(tmp_path, f"{split}/bowl/bowl-{mugs}-0.png")
    return tmp_path


def test_a_label_is_a_thing_and_each_split_counts_its_own(folder):
    splits = read_splits(folder)
    assert list(splits) == ["train", "valid", "test"]
    assert splits["train"].class_names == ("bowl-12", "mug-1", "mug-2")
    assert splits["train"].labels.tolist() == [0, 1, 1, 1, 2, 2, 2]
    assert splits["test"].class_names == ("bowl-4", "mug-4")
    assert splits["test"].labels.tolist() == [0, 1, 1, 1]
    assert splits["test"].paths[0].stem == "bowl-4-0"
    assert splits["test"].groups == ["bowl-4", "mug-4", "mug-4", "mug-4"]


def test_products_of_the_pantry_are_unseen_in_other_splits():
    splits = read_splits("pantry/products")
    names = {name: set(split.class_names) for name, split in splits.items()}
    assert [len(found) for found in names.values()] == [48, 16, 32]
    assert len(set.union(*names.values())) == 96
    assert splits["test"].labels.bincount().tolist() == [10] * 32


def test_where_each_image_shows_its_own_thing_the_class_is_the_label(tmp_path):
    for split in ("train", "valid", "test"):
        for own in ("dress", "hat"):
            add(tmp_path, f"{split}/{own}/a{own}.png", f"{split}/{own}/b{own}.png")
    splits = read_splits(tmp_path)
    assert all(split.class_names == ("dress", "hat") for split in splits.values())
    assert splits["test"].labels.tolist() == [0, 0, 1, 1]
    assert len(set(splits["test"].groups)) == 4


def test_equal_names_in_two_classes_are_two_things(tmp_path):
    for split in ("train", "valid", "test"):
        for own in ("can", "mug"):
            add(tmp_path, *[f"{split}/{own}/IMG-{i}.png" for i in range(2)])
    assert read_splits(tmp_path)["test"].class_names == ("can/IMG", "mug/IMG")


def test_a_pattern_says_which_images_belong_together(folder):
    splits = read_splits(folder, group_by=r"(bowl|mug)-")
    assert splits["train"].class_names == ("bowl", "mug")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("spoon(.)", "fits no file; one is"), ("mug", "with a bracket"), ("(", "bracket")],
)
def test_a_pattern_that_finds_nothing_is_an_error(folder, pattern, message):
    with pytest.raises(DatasetError, match=message):
        read_splits(folder, group_by=pattern)


def test_a_split_without_two_images_of_one_thing_is_an_error(folder):
    for i in (1, 2):
        (folder / f"valid/mug/mug-3-{i}.png").unlink()
    with pytest.raises(DatasetError, match="valid has no two images of one thing"):
        read_splits(folder)


def test_images_with_boxes_are_refused():
    with pytest.raises(DatasetError, match="got boxes for"):
        read_splits("pantry/shelves")


def test_across_splits_a_thing_is_known_by_its_name():
    queries = of_labels([0, 1, 1], ("cup", "mug"))
    gallery = of_labels([1, 0], ("bowl", "cup"))
    ours, theirs = shared_labels(queries, gallery)
    assert ours.tolist() == [1, 2, 2] and theirs.tolist() == [1, 0]
    nothing = of_labels([], ())
    assert len(shared_labels(queries, nothing)[1]) == 0


@given(
    st.lists(st.integers(0, 5), min_size=3, max_size=40), st.integers(0, 9), st.data()
)
def test_no_negative_comes_twice_and_none_is_a_match(labels, seed, data):
    labels = torch.tensor(labels)
    counts = labels.bincount()
    most = len(labels) - int(counts.max())
    if counts.max() < 2 or most < 1:
        return
    negatives = data.draw(st.integers(1, most))
    sets = comparative_sets(labels, negatives=negatives, seed=seed)
    wanted = (counts[labels] > 1).nonzero().flatten()
    assert torch.equal(sets.queries, wanted)
    assert torch.equal(labels[sets.positives], labels[sets.queries])
    assert (sets.positives != sets.queries).all()
    assert sets.negatives.shape == (len(wanted), negatives)
    assert (labels[sets.negatives] != labels[sets.queries][:, None]).all()
    assert all(len(set(row)) == negatives for row in sets.negatives.tolist())


def test_the_seed_decides_the_sets_and_nothing_else_does():
    labels = torch.arange(40).repeat(3)
    one = comparative_sets(labels, seed=1)
    again, other = comparative_sets(labels, seed=1), comparative_sets(labels, seed=2)
    assert torch.equal(one.negatives, again.negatives)
    assert torch.equal(one.positives, again.positives)
    assert not torch.equal(one.negatives, other.negatives)


def test_every_image_of_other_things_is_drawn_about_equally_often():
    labels = torch.arange(20).repeat(2)
    sets = [comparative_sets(labels, negatives=19, seed=s) for s in range(100)]
    drawn = torch.stack([s.negatives for s in sets]).flatten().bincount(minlength=40)
    # 100 sets of 40 queries draw 19 of 38: each image 1,900 times, give or take.
    assert drawn.min() > 1750 and drawn.max() < 2050


def test_two_companions_are_drawn_about_equally_often():
    labels = torch.tensor([0, 1, 0, 2, 0, 3])
    drawn = [
        comparative_sets(labels, negatives=3, seed=s).positives.tolist()
        for s in range(300)
    ]
    first = [row[0] for row in drawn]
    assert set(first) == {2, 4} and 110 < first.count(2) < 190


@pytest.mark.parametrize(
    ("labels", "negatives", "message"),
    [
        (torch.tensor([0, 1, 2]), 1, "no thing has two images"),
        (torch.tensor([0, 0, 1, 2]), 3, "negatives must be 1 to 2, .* got 3"),
        (torch.tensor([0, 0, 1, 2]), 0, "got 0"),
        (torch.tensor([0, 0]), 1, "1 to 0"),
        (torch.tensor([]), 1, r"int64 \[N\], N > 0"),
        (torch.zeros(2, 2, dtype=torch.int64), 1, r"got torch.int64 \(2, 2\)"),
    ],
)
def test_sets_that_cannot_be_drawn_are_an_error(labels, negatives, message):
    with pytest.raises(ValueError, match=message):
        comparative_sets(labels, negatives=negatives, seed=0)
