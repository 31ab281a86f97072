"""Image files in, upright RGB pixels out; and how the book shows them.

Files disagree about everything: a phone stores its photograph lying down with a note to
turn it (EXIF), a scanner writes 16 bits, a printer's file holds CMYK, a logo has
transparency. The functions here settle that once, so no chapter meets it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ImagePath = str | PathLike[str]
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def open_image(path: ImagePath, *, size: int | None = None) -> Image.Image:
    """The picture in a file: RGB, upright, at full size or as a `size` × `size` square.

    The square is the centre of the picture, its shorter side scaled to `size`. JPEGs
    are decoded straight at a smaller scale when that suffices, which is about twice
    as fast. Raises FileNotFoundError, and ValueError naming a file that is no image or
    is cut short. Used in book/classification/train.
    """
    try:
        with Image.open(path) as file:
            if size is not None:
                file.draft("RGB", (size, size))
            picture = _as_rgb(ImageOps.exif_transpose(file))
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read {path} as an image: {error}") from error
    if size is None:
        return picture
    return ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)


def load_image(path: ImagePath, *, size: int | None = None) -> Tensor:
    """An image file as float32 [3, H, W] in 0–1; size and errors as in `open_image`."""
    return to_float(_to_bytes(open_image(path, size=size)))


def load_images(paths: Sequence[ImagePath], *, size: int, workers: int = 4) -> Tensor:
    """Image files as one **uint8** tensor, [N, 3, size, size], decoded by threads.

    Bytes take a quarter of the memory of floats: 1,000 images of 224 px fit in 150 MB,
    so a small data set is decoded once instead of once an epoch. `to_float` turns a
    batch into 0–1. Used in book/classification/train.
    """
    images = torch.empty(len(paths), 3, size, size, dtype=torch.uint8)

    def load(index: int) -> None:
        images[index] = _to_bytes(open_image(paths[index], size=size))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(load, range(len(paths))))
    return images


def to_float(images: Tensor) -> Tensor:
    """uint8 pixels in 0–255 → float32 in 0–1; floating pixels pass unchanged."""
    return images if images.is_floating_point() else images.float().div_(255)


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


def _to_bytes(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def _as_rgb(picture: Image.Image) -> Image.Image:
    """Any PIL mode → RGB; 16 bits scaled to 8, transparency laid on white."""
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64)
        if grey.max(initial=0) > 255:
            grey = grey >> 8
        picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    elif picture.mode == "F":
        raise OSError("floating-point pixels have no known range; convert to 8 bits")
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")
