"""Names of files that are written."""

from pathlib import Path

from cvlib.datasets.formats.names import flat_names, told_apart
from cvlib.samples import ImageSet, Sample, relative_path


def test_same_names_in_two_folders_are_told_apart():
    paths = [Path("set/x/a.jpg"), Path("set/y/a.jpg")]
    found = ImageSet(Path("set"), "", (), tuple(Sample(p, (1, 1)) for p in paths))
    assert flat_names(found) == ["x__a.jpg", "y__a.jpg"]


def test_names_are_told_apart_with_and_without_their_endings():
    names = ["a.jpg", "A.JPG", "a.png", "b.png"]
    assert told_apart(names) == ["a.jpg", "A (2).JPG", "a.png", "b.png"]
    by_stem = ["a.jpg", "A (2).JPG", "a (3).png", "b.png"]
    assert told_apart(names, by_stem=True) == by_stem


def named(*paths: str) -> ImageSet:
    samples = tuple(Sample(Path("set", path), (1, 1)) for path in paths)
    return ImageSet(Path("set"), "", (), samples)


def test_names_that_differ_stay():
    assert flat_names(named("x/a.jpg", "y/b.jpg")) == ["a.jpg", "b.jpg"]
    assert flat_names(named()) == []


def test_names_that_share_a_stem_stay_unless_their_sheets_would_be_one():
    found = named("x/a.jpg", "y/a.png")
    assert flat_names(found) == ["a.jpg", "a.png"]
    assert flat_names(found, by_stem=True) == ["x__a.jpg", "y__a.png"]


def test_names_that_differ_by_case_alone_are_told_apart():
    assert flat_names(named("A.jpg", "a.jpg")) == ["A.jpg", "a (2).jpg"]


def test_a_number_that_is_taken_is_not_given_again():
    assert told_apart(["a.jpg", "a (2).jpg", "a.jpg"]) == [
        "a.jpg",
        "a (2).jpg",
        "a (3).jpg",
    ]


def test_a_path_is_relative_to_the_set_or_its_bare_name():
    found = named("x/a.jpg")
    assert relative_path(found, found.samples[0]) == "x/a.jpg"
    assert relative_path(found, Sample(Path("other/b.jpg"), (1, 1))) == "b.jpg"


def test_only_the_last_dot_begins_an_ending_and_its_case_is_kept():
    assert told_apart(["a.b.jpg", "a.c.jpg"]) == ["a.b.jpg", "a.c.jpg"]
    assert told_apart(["a.b.jpg", "A.B.jpg"]) == ["a.b.jpg", "A.B (2).jpg"]
    thrice = ["a.JPG", "a.jpg", "a.Jpg"]
    assert told_apart(thrice) == ["a.JPG", "a (2).jpg", "a (3).Jpg"]
    taken = ["a (2).jpg", "a.jpg", "a.jpg"]
    assert told_apart(taken) == ["a (2).jpg", "a.jpg", "a (3).jpg"]
