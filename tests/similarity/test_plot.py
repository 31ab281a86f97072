import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.patches import Rectangle

from cvlib.similarity.plot import (
    plot_closest,
    plot_intervals,
    plot_neighbours,
    plot_recalls,
)


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    fig.canvas.draw()  # what cannot be drawn fails here, glyphs too
    plt.close(fig)


def test_a_match_and_a_miss_differ_by_sign_and_by_frame(ax):
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    found = torch.zeros(2, 3, 3, 4, 4)
    hits = torch.tensor([[True, False, False], [False, True, True]])
    names = [["a", "b", "c"]] * 2
    drawn = plot_neighbours(
        ax, images, found, hits, query_names=["q", "r"], neighbour_names=names
    )
    assert drawn is ax and len(ax.images) == 8
    assert [t.get_text() for t in ax.texts][:4] == ["q", "✓ a", "✗ b", "✗ c"]
    frames = [p.get_linestyle() for p in ax.patches if isinstance(p, Rectangle)]
    assert frames == ["-", "--", "--", "--", "-", "-"]


def test_no_queries_are_an_empty_sheet(ax):
    nothing = torch.zeros(0, 3, 4, 4)
    plot_neighbours(
        ax,
        nothing,
        torch.zeros(0, 2, 3, 4, 4),
        torch.zeros(0, 2, dtype=torch.bool),
        query_names=[],
        neighbour_names=[],
    )
    assert len(ax.images) == 0


def test_each_search_has_a_line_that_needs_no_colour(ax):
    assert plot_recalls(ax, {"a": [0.1, 0.2], "b": [0.3, 0.4]}, at=[1, 5]) is ax
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert ax.lines[1].get_xydata().tolist() == [[1, 0.3], [5, 0.4]]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("k", "recall")


def test_a_single_search_needs_no_legend(ax):
    plot_recalls(ax, {"a": [0.1]}, at=[1], label="images of each thing")
    assert ax.get_legend() is None


def test_an_interval_is_a_line_and_its_value_a_dot(ax):
    found = {"by query": (0.5, 0.4, 0.6), "by thing": (0.5, 0.3, 0.7)}
    assert plot_intervals(ax, found, label="recall@1") is ax
    assert ax.lines[0].get_xdata().tolist() == [0.4, 0.6]
    assert ax.lines[3].get_xydata().tolist() == [[0.5, 1]]
    assert ax.texts[0].get_text() == "50.0%"
    assert [t.get_text() for t in ax.get_yticklabels()] == list(found)


def test_two_kinds_of_queries_are_counted_on_the_same_scale(ax):
    known, unknown = torch.tensor([0.9, 0.8, 0.9]), torch.tensor([0.3, 0.4])
    assert plot_closest(ax, known, unknown, similarity_threshold=0.6) is ax
    counts = [sum(p.get_height() for p in c) for c in ax.containers]
    assert counts == [3, 2]
    assert ax.lines[0].get_xdata() == [0.6, 0.6]
