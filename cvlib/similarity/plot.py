"""Pictures of searches and of what they are worth; each draws on `ax`, returns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import torch
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from cvlib.figures import PALETTE
from cvlib.images import to_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")


def plot_neighbours(
    ax: Axes,
    queries: Tensor,
    neighbours: Tensor,
    hits: Tensor,
    *,
    query_names: Sequence[str],
    neighbour_names: Sequence[Sequence[str]],
) -> Axes:
    """A row a query: the query, then its neighbours, the closest first.

    `queries` [R, 3, H, W] and `neighbours` [R, K, 3, H, W] are bytes or 0–1, `hits`
    bool [R, K]; names stand below. A match has a solid frame and ✓, another image a
    dashed one and ✗. Used in book/similarity/search.
    """
    for row, query in enumerate(queries):
        _draw(ax, query, -0.3, row, query_names[row], "")
        names = neighbour_names[row]
        for column, (image, hit) in enumerate(
            zip(neighbours[row], hits[row], strict=True)
        ):
            verdict = "✓" if hit else "✗"
            _draw(ax, image, 1.06 * (column + 1), row, names[column], verdict)
    columns = neighbours.shape[1] + 1
    ax.set(xlim=(-0.35, columns * 1.06), ylim=(len(queries) * 1.25, -0.05))
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def plot_recalls(
    ax: Axes,
    recalls: Mapping[str, Sequence[float]],
    *,
    at: Sequence[int],
    label: str = "k",
) -> Axes:
    """A line for each entry: recall against k, or against whatever `label` names.

    `recalls` holds a value for each of `at`. Lines differ by dashes and markers too.
    Used in book/similarity/search and book/similarity/evaluate.
    """
    styles = zip(cycle(LINES), cycle(MARKERS), strict=False)
    for (name, values), (line, marker) in zip(recalls.items(), styles, strict=False):
        ax.plot(at, values, linestyle=line, marker=marker, markersize=4, label=name)
    ax.set(xlabel=label, ylabel="recall", ylim=(0, 1.03))
    ax.set_xticks(at, [f"{value:g}" for value in at])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    if len(recalls) > 1:
        ax.legend()
    return ax


def plot_intervals(
    ax: Axes, intervals: Mapping[str, tuple[float, float, float]], *, label: str
) -> Axes:
    """A dot and its interval for each entry, (value, low, high), the first on top.

    Used in book/similarity/evaluate and book/similarity/train.
    """
    for place, (value, low, high) in enumerate(intervals.values()):
        ax.plot([low, high], [place, place], color=PALETTE["blue"], lw=2)
        ax.plot(value, place, "o", color=PALETTE["blue"])
        ax.annotate(
            f"{value:.1%}",
            (value, place),
            (0, 6),
            textcoords="offset points",
            ha="center",
        )
    ax.set_yticks(range(len(intervals)), list(intervals))
    ax.set(ylim=(len(intervals) - 0.5, -0.7), xlabel=label)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.grid(visible=False, axis="y")
    return ax


def plot_closest(
    ax: Axes, known: Tensor, unknown: Tensor, *, similarity_threshold: float
) -> Axes:
    """How close the closest image is, [N] each: of the thing known, and of it missing.

    The threshold is marked. Used in book/similarity/search.
    """
    both = torch.cat([known, unknown])
    edges = torch.linspace(float(both.min()), float(both.max()), 31).tolist()
    for values, name, hatch in ((known, "is", ""), (unknown, "is not", "///")):
        ax.hist(
            values.numpy(),
            edges,
            alpha=0.5,
            hatch=hatch,
            label=f"thing {name} in the gallery",
        )
    ax.axvline(similarity_threshold, color=PALETTE["ink"], ls=":", label="threshold")
    ax.set(xlabel="similarity of the closest image", ylabel="queries")
    ax.legend()
    return ax


def _draw(ax: Axes, image: Tensor, x: float, row: int, name: str, verdict: str) -> None:
    y = row * 1.25
    extent = (x, x + 1, y + 1, y)
    pixels = to_float(image).permute(1, 2, 0).numpy()
    ax.imshow(pixels, extent=extent, interpolation="antialiased")
    caption = f"{verdict} {name}" if verdict else name
    ax.text(x + 0.5, y + 1.03, caption, ha="center", va="top", size=7.5)
    if verdict:
        hit = verdict == "✓"
        colour, line = (PALETTE["blue"], "-") if hit else (PALETTE["orange"], "--")
        ax.add_patch(
            Rectangle(
                (x, y), 1, 1, fill=False, ec=colour, ls=line, lw=2.5 if hit else 1.5
            )
        )
