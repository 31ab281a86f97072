import numpy as np
import pytest
from matplotlib.figure import Figure

from cvlib.classification import plot
from cvlib.classification.model import Prediction

EPOCHS = [
    {
        "epoch": epoch,
        "phase": int(epoch > 1),
        "train_loss": 2 / epoch,
        "valid_loss": 2.2 / epoch,
        "accuracy": 1 - 0.5 / epoch,
        "seconds": 1.0,
    }
    for epoch in (1, 2, 3)
]


@pytest.fixture
def ax():
    return Figure().subplots()


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_the_chosen_rate_is_marked_in_the_rate_finder(ax):
    drawn = plot.plot_lr_finder(ax, [1e-5, 1e-3, 1e-1], [2.0, 1.0, 9.0], chosen=1e-3)
    assert drawn is ax
    assert ax.get_xscale() == "log" and ax.get_xlabel() == "learning rate"
    assert texts(ax) == ["lr = 0.001"]
    assert ax.get_ylim()[1] < 9  # the explosion does not flatten the valley


def test_a_search_that_only_climbs_is_drawn_without_a_warning(ax):
    plot.plot_lr_finder(ax, [1e-5, 1e-3], [1.0, 9.0], chosen=1e-4)
    assert ax.get_ylim() == pytest.approx((0.97, 1.1))


def test_losses_show_training_and_validation(ax):
    assert plot.plot_losses(ax, EPOCHS) is ax
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["training", "validation"]
    assert ax.lines[1].get_ydata()[-1] == pytest.approx(2.2 / 3)


def test_accuracy_stands_over_its_baseline_and_the_last_is_labelled(ax):
    assert plot.plot_accuracy(ax, EPOCHS, baseline=0.7) is ax
    assert texts(ax) == ["frozen, linear head", "83%"]
    assert list(ax.lines[1].get_ydata()) == [0.7, 0.7]


def test_a_confusion_matrix_shows_its_counts_but_no_zeros(ax):
    assert plot.plot_confusion(ax, np.array([[3, 0], [1, 2]]), ["can", "mug"]) is ax
    assert texts(ax) == ["3", "1", "2"]
    row_of_mugs, column_of_cans = 1, 0
    assert ax.texts[1].get_position() == (column_of_cans, row_of_mugs)
    assert ax.images[0].get_array()[1].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")


def test_a_class_without_images_does_not_divide_by_zero(ax):
    plot.plot_confusion(ax, np.zeros((2, 2), int), ["can", "mug"])
    assert texts(ax) == []


def test_the_lowest_recall_is_on_top(ax):
    assert plot.plot_recall(ax, {"can": 0.5, "mug": 1.0, "box": 0.25}) is ax
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["mug", "can", "box"]
    assert texts(ax) == ["100%", "50%", "25%"]


def test_the_most_probable_class_is_on_top(ax):
    assert plot.plot_prediction(ax, Prediction(["can", "mug"], [0.9, 0.1])) is ax
    assert ax.yaxis_inverted()
    assert texts(ax) == ["90.0%", "10.0%"]


def test_a_reliability_diagram_has_a_dot_a_bin_and_the_diagonal(ax):
    plot.plot_reliability(ax, [(0.3, 0.2, 10), (0.9, 0.95, 30)])
    (dots,) = ax.collections
    assert dots.get_offsets().tolist() == [[0.3, 0.2], [0.9, 0.95]]
    assert dots.get_sizes()[1] > dots.get_sizes()[0]
    assert list(ax.lines[0].get_xdata()) == [0, 1]


def test_a_pareto_plot_names_every_dot_and_joins_the_front(ax):
    speeds, values, names = [10, 20, 30], [0.9, 0.7, 0.8], ["a", "b", "c"]
    assert plot.plot_pareto(ax, speeds, values, names, front=[2, 0]) is ax
    assert list(ax.lines[0].get_xdata()) == [30, 10]
    assert texts(ax) == ["1", "2", "3"]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["1  a", "2  b", "3  c"]
    assert ax.get_xscale() == "log"
