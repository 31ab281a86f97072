"""How the book's figures look: one palette, one style, one contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

from cvlib.images import to_float

# Okabe and Ito's colours, which the colour-blind tell apart; text in `ink`.
PALETTE = {
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "pink": "#cc79a7",
    "sky": "#56b4e9",
    "yellow": "#e69f00",
    "grey": "#6b7280",
    "ink": "#1f2933",
}


def use_figure_style() -> None:
    """One look for all figures: this palette on a white card, sized for the column.

    The card stays white on dark pages, so no colour changes its meaning there. Used at
    the top of every chapter that draws.
    """
    import matplotlib as mpl
    from cycler import cycler

    colours = [colour for name, colour in PALETTE.items() if name != "ink"]
    mpl.rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.edgecolor": PALETTE["grey"],
            "axes.grid": True,
            "axes.labelcolor": PALETTE["ink"],
            "axes.prop_cycle": cycler(color=colours),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "figure.facecolor": "white",
            "figure.figsize": (7.2, 3.2),
            "font.size": 9.5,
            "grid.color": "#e5e7eb",
            "legend.frameon": False,
            "savefig.bbox": "standard",
            "savefig.facecolor": "white",
            "text.color": PALETTE["ink"],
            "xtick.color": PALETTE["ink"],
            "ytick.color": PALETTE["ink"],
        }
    )


def show_images(
    ax: Axes,
    images: Sequence[Tensor],
    captions: Sequence[str] = (),
    *,
    columns: int = 8,
) -> Axes:
    """A contact sheet: square images, row by row, each over its caption.

    `images` are [3, H, W], bytes or 0–1; a caption may have several lines. Used in
    book/classification/train.
    """
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    columns = min(columns, max(len(images), 1))
    rows = -(-len(images) // columns)
    step = 1.06 + 0.17 * lines * columns / 8
    for index, image in enumerate(images):
        x, y = index % columns * 1.06, index // columns * step
        pixels = to_float(image).permute(1, 2, 0).numpy()
        ax.imshow(pixels, extent=(x, x + 1, y + 1, y), interpolation="antialiased")
        if index < len(captions):
            ax.text(x + 0.5, y + 1.04, captions[index], ha="center", va="top", size=8)
    ax.set(xlim=(0, columns * 1.06), ylim=(rows * step, 0), aspect="equal")
    ax.axis("off")
    return ax
