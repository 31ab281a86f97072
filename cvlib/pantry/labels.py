"""Printed artwork: labels, cartons and decorations with invented brands.

A painter takes a `Texture` and returns an RGB picture. Letters are set in the DejaVu
faces that ship with matplotlib.
"""

from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cvlib.pantry.seeds import between, choose, generator
from cvlib.pantry.shapes import Colour, Texture

FACES = ("Sans-Bold", "Sans-BoldOblique", "Serif-Bold", "Serif-BoldItalic", "Sans")
_STARTS = (
    *("Mol", "Tar", "Ost", "Vur", "Kal", "Bru", "Lin", "Sor"),
    *("Pav", "Nel", "Dor", "Quil", "Ham", "Fen", "Ziv", "Ard"),
)
_ENDS = (
    *("vi", "nek", "rel", "ona", "ica", "etto", "ando", "ley"),
    *("mara", "ost", "ulli", "aya", "by", "und", "eo", "isk"),
)

Box = tuple[float, float, float, float]


def brand(rng: np.random.Generator) -> str:
    """An invented brand name of two syllables or so."""
    return choose(rng, _STARTS) + choose(rng, _ENDS)


def paint_wrap(texture: Texture) -> Image.Image:
    """A label for a turned body: its front is in the middle, small print aside."""
    width, height = texture.size
    canvas = Image.new("RGB", texture.size, _rgb(texture.colours[0]))
    draw = ImageDraw.Draw(canvas)
    rng = generator("label", texture.seed)
    _decorate(draw, (0, 0, width, height), texture, rng)
    _front(draw, (width * 0.34, 0, width * 0.66, height), texture, rng)
    _small_print(draw, (width * 0.06, height * 0.2, width * 0.2, height * 0.85), rng)
    _barcode(draw, (width * 0.82, height * 0.4, width * 0.93, height * 0.8), rng)
    return canvas


def paint_panels(texture: Texture) -> Image.Image:
    """A carton's strip of four sides, its lid above the front one.

    The strip's proportions are those of `shapes.box`: `words[3]` holds
    "width depth height".
    """
    canvas = Image.new("RGB", texture.size, _rgb(texture.colours[0]))
    draw = ImageDraw.Draw(canvas)
    rng = generator("label", texture.seed)
    width, depth, height = (float(word) for word in texture.words[3].split())
    top = texture.size[1] * depth / (height + depth)
    edges = np.cumsum([0, width, depth, width, depth])
    edges = edges / edges[-1] * texture.size[0]
    for i, (left, right) in enumerate(pairwise(edges)):
        panel = (float(left), top, float(right), float(texture.size[1]))
        again = generator("panel", texture.seed, i % 2)
        _decorate(draw, panel, texture, again)
        if i % 2 == 0:
            _front(draw, panel, texture, again)
        else:
            _small_print(draw, _inset(panel, 0.15, 0.3), rng)
    lid = (0.0, 0.0, float(edges[1]), top)
    _fit(draw, _inset(lid, 0.1, 0.3), texture.words[0], choose(rng, FACES), texture)
    return canvas


def paint_pattern(texture: Texture) -> Image.Image:
    """A glazed decoration that runs around: bands, dots, checks, leaves or a word."""
    width, height = texture.size
    canvas = Image.new("RGB", texture.size, _rgb(texture.colours[0]))
    draw = ImageDraw.Draw(canvas)
    rng = generator("pattern", texture.seed)
    kind = choose(rng, ("bands", "dots", "checks", "leaves", "word", "dip", "bars"))
    ink = _rgb(texture.colours[1])
    box = (0.0, 0.0, float(width), float(height))
    if kind == "word":
        front = (width * 0.36, height * 0.25, width * 0.64, height * 0.75)
        _fit(draw, front, texture.words[1], choose(rng, FACES), texture)
    elif kind == "dip":
        draw.rectangle((0, height * between(rng, 0.4, 0.7), width, height), fill=ink)
    else:
        _DECORATIONS[kind](draw, box, ink, rng)
    return canvas


def _decorate(
    draw: ImageDraw.ImageDraw, box: Box, texture: Texture, rng: np.random.Generator
) -> None:
    """The ground of a panel: one or two decorations in the label's colours."""
    kinds = list(_DECORATIONS)
    for colour in texture.colours[1:3]:
        if rng.random() < 0.7:
            _DECORATIONS[choose(rng, kinds)](draw, box, _rgb(colour), rng)


def _front(
    draw: ImageDraw.ImageDraw, box: Box, texture: Texture, rng: np.random.Generator
) -> None:
    """The face a shop shows: a badge, the brand, what it is and how much."""
    left, top, right, bottom = _inset(box, 0.06, 0.08)
    height = bottom - top
    at = top + height * between(rng, 0.02, 0.3)
    plate = (left, at, right, at + height * between(rng, 0.22, 0.34))
    if rng.random() < 0.6:
        shape = draw.ellipse if rng.random() < 0.4 else draw.rectangle
        shape(plate, fill=_rgb(texture.colours[3]))
    face = choose(rng, FACES)
    _fit(draw, _inset(plate, 0.1, 0.12), texture.words[0], face, texture)
    below = plate[3] + height * 0.04
    line = (left, below, right, below + height * 0.1)
    _fit(draw, line, texture.words[1], choose(rng, FACES), texture)
    if rng.random() < 0.75:
        _picture(draw, (left, line[3], right, bottom - height * 0.12), texture, rng)
    foot = (right - (right - left) * 0.4, bottom - height * 0.09, right, bottom)
    _fit(draw, foot, texture.words[2], "Sans", texture)


def _picture(
    draw: ImageDraw.ImageDraw, box: Box, texture: Texture, rng: np.random.Generator
) -> None:
    """Fruit, seeds or drops: shaded discs in a heap."""
    left, top, right, bottom = box
    if bottom - top < 6:
        return
    colour = np.array(texture.colours[4])
    for _ in range(int(rng.integers(3, 9))):
        size = (bottom - top) * between(rng, 0.15, 0.35)
        x, y = between(rng, left + size, right - size), between(rng, top, bottom)
        y = max(top + size / 2, min(y, bottom - size / 2))
        for step in range(4):
            shade = _rgb(tuple(np.clip(colour * (0.75 + 0.17 * step), 0, 1)))
            r = size * (0.5 - 0.11 * step)
            dx = size * 0.06 * step
            draw.ellipse((x - r - dx, y - r - dx, x + r - dx, y + r - dx), fill=shade)


def _small_print(draw: ImageDraw.ImageDraw, box: Box, rng: np.random.Generator) -> None:
    """A table of lines too small to read."""
    left, top, right, bottom = box
    draw.rectangle(box, fill=(245, 244, 238))
    step = max(4.0, (bottom - top) / 14)
    for y in np.arange(top + 2, bottom - 3, step):
        end = left + (right - left) * between(rng, 0.5, 0.95)
        draw.line((left + 2, y, end, y), fill=(70, 70, 70), width=max(1, int(step / 4)))


def _barcode(draw: ImageDraw.ImageDraw, box: Box, rng: np.random.Generator) -> None:
    left, top, right, bottom = box
    draw.rectangle(box, fill=(255, 255, 255))
    for x in np.arange(left + 3, right - 3, 2):
        if rng.random() < 0.5:
            draw.line((x, top + 2, x, bottom - 4), fill=(10, 10, 10))


def _bands(d: ImageDraw.ImageDraw, b: Box, ink: str, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 4))):
        y = b[1] + (b[3] - b[1]) * between(rng, 0.0, 0.95)
        d.rectangle((b[0], y, b[2], y + (b[3] - b[1]) * between(rng, 0.03, 0.2)), ink)


def _dots(d: ImageDraw.ImageDraw, b: Box, ink: str, rng: np.random.Generator) -> None:
    r = (b[3] - b[1]) * between(rng, 0.03, 0.08)
    for row, y in enumerate(np.arange(b[1], b[3], r * 4)):
        for x in np.arange(b[0] + r * 2 * (row % 2), b[2] - r, r * 4):
            d.ellipse((x - r, y - r, x + r, y + r), fill=ink)


def _checks(d: ImageDraw.ImageDraw, b: Box, ink: str, rng: np.random.Generator) -> None:
    s = (b[3] - b[1]) / int(rng.integers(6, 12))
    for row, y in enumerate(np.arange(b[1], b[3] - 1, s)):
        for x in np.arange(b[0] + s * (row % 2), b[2] - s, s * 2):
            d.rectangle((x, y, x + s, y + s), fill=ink)


def _leaves(d: ImageDraw.ImageDraw, b: Box, ink: str, rng: np.random.Generator) -> None:
    h = b[3] - b[1]
    for _ in range(int(rng.integers(10, 30))):
        x, y = between(rng, b[0], b[2] - h * 0.15), between(rng, b[1], b[3] - h * 0.1)
        d.ellipse((x, y, x + h * between(rng, 0.05, 0.15), y + h * 0.08), fill=ink)


def _bars(d: ImageDraw.ImageDraw, b: Box, ink: str, rng: np.random.Generator) -> None:
    step = (b[2] - b[0]) / int(rng.integers(4, 20))
    for x in np.arange(b[0], b[2] - step / 2, step):
        d.rectangle((x, b[1], x + step * 0.45, b[3]), fill=ink)


def _wedge(d: ImageDraw.ImageDraw, b: Box, ink: str, rng: np.random.Generator) -> None:
    y, z = (b[1] + (b[3] - b[1]) * between(rng, 0.2, 0.9) for _ in range(2))
    d.polygon([(b[0], y), (b[2], z), (b[2], b[3]), (b[0], b[3])], fill=ink)


_DECORATIONS: dict[str, Callable[..., None]] = {
    "bands": _bands,
    "dots": _dots,
    "checks": _checks,
    "leaves": _leaves,
    "bars": _bars,
    "wedge": _wedge,
}


def _fit(
    draw: ImageDraw.ImageDraw, box: Box, text: str, face: str, texture: Texture
) -> None:
    """Text as large as the box allows, in whichever ink shows on what is there."""
    left, top, right, bottom = box
    size = max(5, int((bottom - top) * 0.95))
    font = _font(face, size)
    wide = font.getlength(text)
    if wide > right - left:
        font = _font(face, max(5, int(size * (right - left) / wide)))
    middle = ((left + right) / 2, (top + bottom) / 2)
    under = np.array(draw.im.getpixel(_clip(middle, texture.size)))
    inks = np.array([_rgb8(colour) for colour in texture.colours[1:]])
    ink = inks[np.argmax(np.abs(inks - under).sum(axis=1))]
    draw.text(middle, text, fill=tuple(int(c) for c in ink), font=font, anchor="mm")


def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("labels are set in matplotlib's fonts: install it")
    fonts = Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(str(fonts / f"DejaVu{face}.ttf"), size)


def _clip(point: tuple[float, float], size: tuple[int, int]) -> tuple[int, int]:
    x, y = (min(max(int(p), 0), s - 1) for p, s in zip(point, size, strict=True))
    return x, y


def _inset(box: Box, across: float, down: float) -> Box:
    left, top, right, bottom = box
    x, y = (right - left) * across, (bottom - top) * down
    return left + x, top + y, right - x, bottom - y


def _rgb8(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (round(255 * float(c)) for c in colour)
    return red, green, blue


def _rgb(colour: tuple[float, ...]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(round(255 * float(c)) for c in colour))
