import numpy as np
import pytest
from matplotlib.figure import Figure

from cvlib.detection import plot


@pytest.fixture
def ax():
    return Figure().subplots()


def test_boxes_lie_on_their_picture_and_others_are_added(ax):
    pixels = np.zeros((40, 60, 3), np.uint8)
    assert plot.plot_boxes(ax, pixels, [[1, 2, 11, 22]], ["mug"]) is ax
    plot.plot_boxes(ax, pixels, np.zeros((0, 4)))
    plot.plot_boxes(ax, pixels, [[5, 5, 9, 9]], color="black", dashed=True)
    assert len(ax.images) == 1 and ax.images[0].get_array().shape == (40, 60, 3)
    first, second = ax.patches
    assert (*first.get_xy(), first.get_width(), first.get_height()) == (1, 2, 10, 20)
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")
    assert [text.get_text() for text in ax.texts] == ["mug"]


def test_a_class_without_objects_has_no_line(ax):
    precision = np.stack([np.linspace(1, 0, 101), np.full(101, -1.0)], axis=1)
    plot.plot_precision_recall(ax, precision, ["mug", "jar"])
    (line,) = ax.lines
    assert line.get_label() == "mug" and line.get_xdata()[-1] == 1
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("recall", "precision")


@pytest.mark.parametrize("judged", [True, False])
def test_training_shows_the_loss_and_what_was_judged(ax, judged: bool):
    history = [{"epoch": e, "train_loss": 2 / e, "seconds": 1.0} for e in (1, 2)]
    if judged:
        history[1]["ap50"] = 0.4
    plot.plot_training(ax, history)
    assert ax.lines[0].get_ydata() == pytest.approx([2, 1])
    others = [one for one in ax.figure.axes if one is not ax]
    assert [one.lines[0].get_ydata().tolist() for one in others] == [[0.4]] * judged


def test_counts_are_drawn_and_the_chosen_threshold_marked(ax):
    curves = {"missed": np.array([1, 5]), "false": np.array([9, 0])}
    plot.plot_counts(ax, [0.1, 0.9], curves, chosen=0.4)
    labels = [line.get_label() for line in ax.lines]
    assert labels[:2] == ["missed", "false"]
    assert list(ax.lines[2].get_xdata()) == [0.4, 0.4]
