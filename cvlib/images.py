"""Images in any form in, upright RGB pixels out, one at a time or in batches.

Files disagree about everything: a phone stores its photograph lying down with a note to
turn it (EXIF), a scanner writes 16 bits, a printer's file holds CMYK, a logo has
transparency. The functions here settle that once, so no chapter meets it again.

A **picture** is a file's path (or a sample, which has one), a PIL image or a NumPy
array, [H, W, 3]: where a network looks at it, it becomes a square. A **tensor**,
[3, H, W], is taken as it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from cvlib.devices import pick_batch_size

ImagePath = str | PathLike[str]
Picture = ImagePath | Image.Image | NDArray[Any]


def open_image(picture: Picture | Tensor, *, size: int | None = None) -> Image.Image:
    """A picture as PIL holds it: RGB, upright, at full size or as a square of `size`.

    The square is the centre of the picture, its shorter side scaled to `size`. JPEGs
    are decoded straight at a smaller scale when that suffices, which is about twice
    as fast. Arrays are [H, W, 3], tensors [3, H, W], bytes or floats in 0–1. Raises
    FileNotFoundError, ValueError naming a file that is no image or is cut short,
    ValueError for an array of another shape or range, and TypeError for what is no
    picture. Used in book/classification/train.
    """
    picture = getattr(picture, "path", picture)
    if isinstance(picture, Tensor):
        picture = np.moveaxis(picture.detach().cpu().numpy(), 0, -1)
    if isinstance(picture, np.ndarray):
        picture = _from_array(picture)
    if not isinstance(picture, str | PathLike | Image.Image):
        raise TypeError(
            "an image must be a file's path, a PIL image, an array or a tensor, got "
            f"{type(picture).__name__}"
        )
    try:
        whole = _upright(picture, size)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read {picture} as an image: {error}") from error
    if size is None:
        return whole
    return ImageOps.fit(whole, (size, size), Image.Resampling.BICUBIC)


def letterbox(
    picture: Picture | Tensor, *, size: int
) -> tuple[Tensor, tuple[int, int]]:
    """The whole picture in a square, bytes [3, size, size], and its (height, width).

    Its longer side is scaled to `size`; it lies in the upper left corner, and grey
    fills the rest: a pixel of the square is max(height, width) / size of the picture's.
    Tensors are [3, H, W], bytes or 0–1. Errors as in `open_image`.
    """
    whole = open_image(picture)
    scale = size / max(whole.size)
    sides = [max(1, round(side * scale)) for side in whole.size]
    square = Image.new("RGB", (size, size), (128, 128, 128))
    small = whole.resize(sides, Image.Resampling.BICUBIC, reducing_gap=2.0)
    square.paste(small, (0, 0))
    return torch.from_numpy(_channels_first(square)), (whole.height, whole.width)


def load_image(picture: Picture, *, size: int | None = None) -> Tensor:
    """A picture as float32 [3, H, W] in 0–1; size and errors as in `open_image`."""
    return to_float(torch.from_numpy(_channels_first(open_image(picture, size=size))))


def load_images(pictures: Sequence[Picture], *, size: int, workers: int = 4) -> Tensor:
    """Pictures as one **uint8** tensor, [N, 3, size, size], decoded by threads.

    Bytes take a quarter of the memory of floats: 1,000 images of 224 px fit in 150 MB,
    so a small data set is decoded once instead of once an epoch. `to_float` turns a
    batch into 0–1. Errors as in `open_image`. Used in book/classification/train.
    """
    images = np.empty((len(pictures), 3, size, size), dtype=np.uint8)

    def load(index: int) -> None:
        images[index] = _channels_first(open_image(pictures[index], size=size))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(load, range(len(pictures))))
    return torch.from_numpy(images)


def as_sequence(images: Any) -> Sequence[Any]:
    """One image or many, in whatever form they come, as a sequence of images.

    Takes pictures and tensors, alone, in a list or any other iterable, or stacked
    (arrays [N, H, W, 3], tensors [N, 3, H, W]); and a set with `paths`, or
    samples, as `cvlib.load` gives them. Raises TypeError for anything else.
    """
    images = getattr(images, "paths", images)
    if isinstance(images, str | PathLike | Image.Image) or hasattr(images, "path"):
        return [images]
    if isinstance(images, Tensor):
        alone = images[None] if images.ndim == 3 else images
        return alone  # type: ignore[return-value]  # it has a length and slices
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OU":
        return list(images) if images.ndim == 4 else [images]
    if isinstance(images, Mapping | bytes) or not isinstance(images, Iterable):
        raise TypeError(
            "images must be a set, or files, PIL images, arrays or tensors, one or "
            f"several; got {type(images).__name__}"
        )
    return images if isinstance(images, Sequence) else list(images)


def as_batch(images: Any, *, size: int) -> Tensor:
    """Images in any form → one tensor, [B, 3, H, W], bytes or 0–1.

    Pictures become squares of `size`, in bytes; tensors stay. Raises ValueError for
    tensors of another shape or of several, and TypeError for tensors among pictures.
    """
    images = as_sequence(images)
    tensors = sum(isinstance(image, Tensor) for image in images)
    if not tensors:
        return load_images(images, size=size)
    if tensors < len(images):
        raise TypeError(f"tensors and pictures are mixed: {tensors} of {len(images)}")
    shapes = sorted({tuple(image.shape) for image in images})
    if len(shapes) > 1:
        raise ValueError(f"images must share one size, got {shapes[:3]}")
    if len(shapes[0]) != 3 or shapes[0][0] != 3:
        raise ValueError(f"images must be [3, H, W], got {shapes[0]}")
    return images if isinstance(images, Tensor) else torch.stack(list(images))


def batches(
    images: Any, *, size: int, device: torch.device, batch_size: int | None = None
) -> Iterator[Tensor]:
    """Images in any form as tensors [B, 3, H, W] on a device, a few at a time.

    The one loop over images that are only looked at. Pictures become squares of `size`;
    without `batch_size`, `devices.pick_batch_size` chooses. Errors as in `as_sequence`
    and `as_batch`.
    """
    images = as_sequence(images)
    first = images[0] if len(images) else None
    canvas_size = first.shape[-2:] if isinstance(first, Tensor) else (size, size)
    step = batch_size or pick_batch_size(canvas_size, device)
    for start in range(0, len(images), step):
        yield as_batch(images[start : start + step], size=size).to(device)


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


def _channels_first(picture: Image.Image) -> NDArray[np.uint8]:
    return np.array(picture).transpose(2, 0, 1)


def _upright(picture: ImagePath | Image.Image, size: int | None) -> Image.Image:
    """The whole picture, RGB; a JPEG may come smaller, but not below `size`."""
    if isinstance(picture, Image.Image):
        return _as_rgb(ImageOps.exif_transpose(picture))
    with Image.open(picture) as file:
        if size is not None:
            file.draft("RGB", (size, size))
        return _as_rgb(ImageOps.exif_transpose(file))


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    """[H, W], [H, W, 3] or [H, W, 4], bytes or floats in 0–1 → a PIL image."""
    floats = pixels.dtype.kind == "f" and pixels.size > 0
    if floats and pixels.min() >= 0 and pixels.max() <= 1:
        pixels = (255 * pixels).round().astype(np.uint8)
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not fits or not pixels.size:
        raise ValueError(
            "an array must be [H, W, 3], bytes or floats in 0–1, got "
            f"{pixels.dtype} {pixels.shape}; channels first is for tensors"
        )
    return Image.fromarray(pixels)


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
