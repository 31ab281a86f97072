"""Pictures of boxes, of precision and recall, of counts; each draws on `ax`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvlib.figures import PALETTE
from cvlib.images import Picture, open_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RECALLS = np.linspace(0, 1, 101)


def plot_boxes(
    ax: Axes,
    picture: Picture,
    boxes: ArrayLike,
    captions: Sequence[str] = (),
    *,
    color: str = PALETTE["orange"],
    dashed: bool = False,
) -> Axes:
    """A picture with boxes, [N, 4], each under its caption; call again for more.

    Used in book/detection/predict.
    """
    from matplotlib.patches import Rectangle

    if not ax.images:
        ax.imshow(open_image(picture))
        ax.axis("off")
    line = "--" if dashed else "-"
    for place, (x, y, right, bottom) in enumerate(np.asarray(boxes).reshape(-1, 4)):
        shape = Rectangle((x, y), right - x, bottom - y, fill=False, lw=1.6, ls=line)
        shape.set_edgecolor(color)
        ax.add_patch(shape)
        if place < len(captions):
            said = ax.text(x, y, captions[place], size=7, color="white", va="bottom")
            said.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 1})
            said.set_clip_on(True)
    return ax


def plot_precision_recall(
    ax: Axes, precision: NDArray[np.float64], class_names: Sequence[str]
) -> Axes:
    """A line a class at one IoU, of `Scores.precision[0]`, [101, classes].

    A class without objects has none. Used in book/detection/how-good.
    """
    for place, (name, own) in enumerate(zip(class_names, precision.T, strict=True)):
        if (own > -1).any():
            dashes = ("-", "--", ":")[place // (len(PALETTE) - 1) % 3]  # ink is none
            ax.plot(RECALLS, own, label=name, linestyle=dashes)
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    ax.legend(fontsize=7, loc="lower left", ncols=2)
    return ax


def plot_training(
    ax: Axes, history: Sequence[Mapping[str, float]], *, metric: str = "ap50"
) -> Axes:
    """Training loss of each epoch, and on a second axis what `judge` said.

    Used in book/detection/train.
    """
    epochs = [line["epoch"] for line in history]
    ax.plot(epochs, [line["train_loss"] for line in history], color=PALETTE["blue"])
    ax.set_xlabel("epoch")
    ax.locator_params(axis="x", integer=True)
    ax.set_ylabel("training loss", color=PALETTE["blue"])
    judged = [(line["epoch"], line[metric]) for line in history if metric in line]
    if judged:
        beside: Any = ax.twinx()
        beside.plot(*zip(*judged, strict=True), color=PALETTE["orange"], marker="o")
        beside.set_ylabel(f"{metric.upper()} on validation", color=PALETTE["orange"])
        beside.set_ylim(0, 1)
        beside.grid(visible=False)
    return ax


def plot_counts(
    ax: Axes,
    score_thresholds: ArrayLike,
    curves: Mapping[str, NDArray[np.int64]],
    *,
    chosen: float | None = None,
) -> Axes:
    """Missed objects and false detections against the score threshold, in counts.

    `curves` as `evaluate.count_curves` gives them; `chosen` is marked. Used in
    book/detection/operating-point.
    """
    shown = {"missed": "blue", "false": "orange"}
    for name, colour in shown.items():
        ax.plot(score_thresholds, curves[name], color=PALETTE[colour], label=name)
    if chosen is not None:
        ax.axvline(chosen, color=PALETTE["grey"], linestyle="--")
    ax.set(xlabel="score threshold", ylabel="objects", yscale="symlog")
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax
