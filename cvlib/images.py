"""Image files in, upright RGB pixels out; and how the book shows them.

Files disagree about everything: a phone stores its photograph lying down with a note to
turn it (EXIF), a scanner writes 16 bits, a printer's file holds CMYK, a logo has
transparency. The functions here settle that once, so no chapter meets it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

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


class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Decoded images, uint8 [N, 3, H, W], and labels → (image in 0–1, label).

    `transform` sees the bytes (torchvision's transforms are fastest there) and may
    change the size. Used in book/classification/train.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if len(images) != len(labels):
            raise ValueError(
                f"one label an image wanted, got {len(labels)} labels for "
                f"{len(images)} images"
            )
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.images[index]
        if self.transform is not None:
            image = self.transform(image)
        return to_float(image), self.labels[index]


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
