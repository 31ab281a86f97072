"""One look at each image file: can it be read, what is it, how does it look small?

A file is opened once. JPEGs are decoded at a smaller scale, and what declares more
pixels than any photograph has is never decoded.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cvlib.datasets.problems import Problem

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

THUMB = 48  # pixels a side of the picture that is kept
LARGE, BOMB = 8_000_000, 100_000_000  # pixels
ENDINGS = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
}


@dataclass(frozen=True)
class Facts:
    """What one look showed: its faults, the sha256 of its bytes, a small grey picture.

    `thumb` is uint8 [THUMB, THUMB], None for what could not be decoded; `size` is
    (width, height).
    """

    path: Path
    problems: tuple[Problem, ...] = ()
    digest: str = ""
    size: tuple[int, int] = (0, 0)
    thumb: NDArray[np.uint8] | None = field(default=None, repr=False)


def look_at_all(paths: Sequence[Path], *, workers: int) -> Iterator[Facts]:
    """`look_at` every file, in order, by threads: decoding lets go of Python's lock."""
    with ThreadPoolExecutor(workers) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's about sizes and broken EXIF
        yield from pool.map(look_at, paths)


def look_at(path: Path) -> Facts:
    """The facts of one file; never raises for what is in it."""
    from PIL import Image

    try:
        content = path.read_bytes()
    except OSError as error:
        return Facts(
            path, (Problem("unreadable", (path,), f"cannot be read: {error}"),)
        )
    if not content:
        return Facts(path, (Problem("zero-byte", (path,), "has no bytes"),))
    digest = hashlib.sha256(content).hexdigest()
    del content  # Pillow reads what it needs
    try:
        with Image.open(path) as file:
            return _decoded(path, file, digest)
    except Exception as error:  # a broken file may raise anything in a decoder
        return Facts(path, (_unreadable(path, error),), digest)


def _decoded(path: Path, file: Picture, digest: str) -> Facts:
    from PIL import Image

    found = [*_format_faults(path, file), *_size_faults(path, file)]
    size = file.size
    if any(problem.kind == "bomb" for problem in found):
        return Facts(path, tuple(found), digest, size)
    mode = file.mode
    file.draft("L", (2 * THUMB, 2 * THUMB))
    grey = _grey(file, mode)
    thumb = np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX))
    if thumb.std() < 2:
        said = "shows one even tone, nothing else"
        found.append(Problem("blank", (path,), said, "warning"))
    return Facts(path, tuple(found), digest, size, thumb)


def _grey(file: Picture, mode: str) -> Picture:
    """Grey, 8 bits; 16 bits are scaled, transparency is laid on white."""
    from PIL import Image

    if mode.startswith(("I", "F")):
        pixels = np.asarray(file).astype(np.float32)
        top = max(float(pixels.max(initial=0)), 255.0)
        return Image.fromarray((pixels.clip(0) * (255 / top)).astype(np.uint8))
    if file.has_transparency_data:
        white = Image.new("RGBA", file.size, "white")
        return Image.alpha_composite(white, file.convert("RGBA")).convert("L")
    return file.convert("L")


def _format_faults(path: Path, file: Picture) -> Iterator[Problem]:
    kind = file.format or "?"
    if path.suffix.lower() not in ENDINGS.get(kind, (path.suffix.lower(),)):
        said = f"is a {kind} file called {path.suffix}"
        yield Problem("wrong-extension", (path,), said, "warning")
    odd = {"CMYK": "CMYK colours", "LA": "transparency", "RGBA": "transparency"}
    said = odd.get(file.mode, "16 bits a pixel" if file.mode[0] in "IF" else "")
    if said:
        said += "; tools differ in how they read that, convert it to RGB"
        yield Problem("mode", (path,), f"has {said}", "warning")
    turned = file.getexif().get(0x0112, 1)
    if turned not in (0, 1):
        said = (
            f"is stored turned (EXIF orientation {turned}); tools that ignore the note"
        )
        yield Problem("exif-rotated", (path,), f"{said} see it lying", "warning")


def _size_faults(path: Path, file: Picture) -> Iterator[Problem]:
    width, height = file.size
    pixels, said = width * height, f"is {width} × {height} pixels"
    if pixels > BOMB:
        yield Problem("bomb", (path,), f"{said}: more than a photograph; not decoded")
    elif pixels > LARGE:
        said += "; reading it takes longer than training on it, store it smaller"
        yield Problem("huge", (path,), said, "warning")
    elif min(width, height) < 32:
        yield Problem("tiny", (path,), f"{said}, too small to show much", "warning")


def _unreadable(path: Path, error: Exception) -> Problem:
    from PIL import Image, UnidentifiedImageError

    text = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return Problem("bomb", (path,), "declares more pixels than any photograph has")
    if isinstance(error, UnidentifiedImageError):
        return Problem("unreadable", (path,), "is no image that can be read")
    if "truncated" in text or "broken" in text or "end of" in text:
        return Problem("truncated", (path,), f"is cut short: {text}")
    return Problem("unreadable", (path,), f"cannot be decoded: {text}")
