"""Pictures of data, training and mistakes; each draws on `ax` and returns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from cvlib.figures import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cvlib.classification.model import Prediction


def plot_lr_finder(
    ax: Axes, lrs: Sequence[float], losses: Sequence[float], *, chosen: float
) -> Axes:
    """Loss against learning rate, smoothed as fastai recorded it; `chosen` is marked.

    Used in book/classification/train.
    """
    ax.plot(lrs, losses, color=PALETTE["blue"])
    ax.axvline(chosen, color=PALETTE["orange"], linestyle="--")
    ax.annotate(
        f"lr = {chosen:g}",
        (chosen, 0.93),
        xycoords=("data", "axes fraction"),
        xytext=(5, 0),
        textcoords="offset points",
        color=PALETTE["orange"],
    )
    # The loss explodes at the right end; the valley is what one looks for.
    lowest, start = min(losses), losses[0]
    span = max(start - lowest, 0.2 * lowest)  # a good start may have no valley
    ax.set_ylim(lowest - 0.15 * span, start + 0.5 * span)
    ax.set(xscale="log", xlabel="learning rate", ylabel="training loss")
    return ax


def plot_losses(ax: Axes, epochs: Sequence[Mapping[str, float]]) -> Axes:
    """Training and validation loss of each epoch in `History.epochs`."""
    _plot_epochs(ax, epochs, "train_loss", PALETTE["blue"], "training")
    _plot_epochs(ax, epochs, "valid_loss", PALETTE["orange"], "validation")
    ax.set_ylabel("loss")
    ax.legend()
    return ax


def plot_accuracy(
    ax: Axes, epochs: Sequence[Mapping[str, float]], *, baseline: float
) -> Axes:
    """Validation accuracy of each epoch in `History.epochs`, over a `baseline`."""
    _plot_epochs(ax, epochs, "accuracy", PALETTE["orange"], "validation")
    ax.axhline(baseline, color=PALETTE["grey"], linestyle="--")
    ax.annotate(
        "frozen, linear head",
        (1, baseline),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        color=PALETTE["grey"],
    )
    last = epochs[-1]
    ax.annotate(
        f"{last['accuracy']:.0%}",
        (last["epoch"], last["accuracy"]),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
    )
    ax.margins(y=0.15)
    ax.set_ylabel("validation accuracy")
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return ax


def plot_confusion(
    ax: Axes, matrix: NDArray[np.int64], class_names: Sequence[str]
) -> Axes:
    """Counts, row the true class; darker is a larger share of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if shares[row, column] > 0.5 else PALETTE["ink"]
            ax.text(column, row, str(count), ha="center", va="center", color=colour)
    ticks = range(len(class_names))
    ax.set_xticks(ticks, class_names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(ticks, class_names)
    ax.set(xlabel="predicted", ylabel="true")
    ax.grid(visible=False)
    return ax


def plot_recall(ax: Axes, recalls: Mapping[str, float]) -> Axes:
    """A bar a class, the lowest recall on top, each labelled."""
    names = sorted(recalls, key=recalls.__getitem__, reverse=True)
    values = [recalls[name] for name in names]
    bars = ax.barh(names, values, color=PALETTE["blue"])
    ax.bar_label(bars, [f"{value:.0%}" for value in values], padding=3)
    ax.set(xlim=(0, 1.12), xlabel="recall")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if value <= 1 else "")
    ax.grid(visible=False, axis="y")
    return ax


def plot_reliability(ax: Axes, bins: Sequence[tuple[float, float, int]]) -> Axes:
    """Share correct against mean score, a dot a bin, its area its images.

    `bins` are those of `evaluate.calibration_bins`. Used in book/classification/trust.
    """
    scores, shares, counts = zip(*bins, strict=True)
    total = sum(counts)
    ax.plot([0, 1], [0, 1], ":", color=PALETTE["grey"])
    ax.plot(scores, shares, color=PALETTE["sky"], lw=1)
    ax.scatter(scores, shares, s=[15 + 500 * n / total for n in counts], alpha=0.8)
    ax.set(xlabel="mean score", ylabel="share correct", xlim=(0, 1), ylim=(0, 1.03))
    return ax


def plot_prediction(ax: Axes, prediction: Prediction) -> Axes:
    """The most probable classes of one image, the first on top."""
    bars = ax.barh(
        prediction.class_names, prediction.scores, color=PALETTE["blue"], height=0.6
    )
    ax.bar_label(bars, [f"{score:.1%}" for score in prediction.scores], padding=3)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.2), xlabel="probability", xticks=[0, 0.25, 0.5, 0.75, 1])
    ax.grid(visible=False, axis="y")
    return ax


def _plot_epochs(
    ax: Axes,
    epochs: Sequence[Mapping[str, float]],
    key: str,
    colour: str,
    label: str,
) -> None:
    ax.plot(
        [epoch["epoch"] for epoch in epochs],
        [epoch[key] for epoch in epochs],
        color=colour,
        marker="o",
        label=label,
    )
    ax.set(xlabel="epoch", xlim=(0.5, len(epochs) + 0.5))
    ax.set_xticks(range(1, len(epochs) + 1))


def plot_pareto(
    ax: Axes,
    speeds: Sequence[float],
    values: Sequence[float],
    names: Sequence[str],
    *,
    front: Sequence[int],
) -> Axes:
    """A numbered dot for each candidate, named beside; a line through those of `front`.

    Higher is better on both axes; speed is drawn on a logarithmic one. The front is
    that of `evaluate.pareto_front`. Used in book/classification/accuracy-vs-speed.
    """
    ax.plot([speeds[i] for i in front], [values[i] for i in front], lw=1)
    for index, (speed, value, name) in enumerate(
        zip(speeds, values, names, strict=True)
    ):
        colour = PALETTE["blue"] if index in front else PALETTE["grey"]
        ax.plot(speed, value, "o", color=colour, label=f"{index + 1}  {name}")
        ax.annotate(str(index + 1), (speed, value), (5, 5), textcoords="offset points")
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(0.1, 0.15)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), handlelength=1)
    return ax
