import json

import pytest
import torch

from cvlib.explorers.results import results_explorer
from tests.explorers.test_page import Reader, decoded

NAMES = ["bowl", "can", '"mug"']
IMAGES = torch.zeros(3, 3, 8, 8)
LABELS = torch.tensor([0, 1, 2])
PROBABILITIES = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.3, 0.4]])


@pytest.fixture
def page() -> Reader:
    files = ["a.jpg", "b.jpg", "c.jpg"]
    made = results_explorer(IMAGES, LABELS, PROBABILITIES, NAMES, names=files, size=8)
    return Reader(made.html)


def test_the_highest_loss_comes_first(page: Reader):
    items = page.all("li")
    assert [i["data-label"] for i in items] == ["can", '"mug"', "bowl"]
    assert [i["data-predicted"] for i in items] == ["bowl", '"mug"', "bowl"]
    assert [i["data-verdict"] for i in items] == ["wrong", "right", "right"]
    assert [float(i["data-score"]) for i in items] == [80, 40, 90]


def test_two_classes_of_one_name_are_still_two():
    labels = torch.tensor([0, 1, 2])
    probabilities = torch.tensor([[0.1, 0.9, 0.0], [0.1, 0.9, 0.0], [0.1, 0.0, 0.9]])
    made = results_explorer(
        IMAGES, labels, probabilities, ["bag", "bag", "mug"], size=8
    )
    verdicts = [i["data-verdict"] for i in Reader(made.html).all("li")]
    assert verdicts == ["wrong", "right", "right"]


def test_an_image_tells_its_three_best_classes_and_its_file(page: Reader):
    first = page.all("button")[0]
    assert json.loads(first["data-top"]) == [["bowl", 80], ["can", 20], ['"mug"', 0]]
    assert first["data-name"] == "b.jpg"


def test_every_picture_is_inside_and_says_what_it_shows(page: Reader):
    pictures = page.all("img")
    assert all(decoded(p["src"]).size == (8, 8) for p in pictures)
    assert pictures[0]["alt"] == "Image of can, said bowl 80 %"


def test_no_images_are_an_empty_list():
    nothing = results_explorer(IMAGES[:0], LABELS[:0], PROBABILITIES[:0], NAMES)
    assert Reader(nothing.html).all("li") == []


def test_a_probability_for_each_class_is_wanted():
    with pytest.raises(ValueError, match=r"\[N, 2\], one a class name, got \(3, 3\)"):
        results_explorer(IMAGES, LABELS, PROBABILITIES, NAMES[:2])
    with pytest.raises(ValueError, match="labels must have a row for each of 3"):
        results_explorer(IMAGES, LABELS[:2], PROBABILITIES, NAMES)
