"""Painted surroundings: wood, stone, tiles, cloth, walls, and whole rooms of light."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cvlib.pantry.seeds import between, generator
from cvlib.pantry.shapes import Texture

Array = NDArray[np.float32]


def noise(
    rng: np.random.Generator, size: tuple[int, int], cells: tuple[float, float]
) -> Array:
    """Fractal noise in 0-1, [H, W]; `cells` is the coarsest grid (down, across)."""
    total = np.zeros((size[1], size[0]), dtype=np.float32)
    for octave in range(4):
        grid = [max(2, int(c * 2**octave)) for c in cells]
        coarse = Image.fromarray(rng.random(grid, dtype=np.float32))
        layer = coarse.resize(size, Image.Resampling.BICUBIC)
        total += np.asarray(layer) * 0.5 ** (octave + 1)
    return np.clip(total, 0, 1)


def paint_wood(texture: Texture) -> Array:
    """Planks with rings, streaks and darker joints."""
    rng = generator("wood", texture.seed)
    width, height = texture.size
    y, _ = np.mgrid[0:height, 0:width].astype(np.float32)
    plank = height / int(rng.integers(4, 9))
    which = (y // plank).astype(int)
    warp = noise(rng, texture.size, (9, 2))
    rings = 0.5 + 0.5 * np.sin(warp * between(rng, 20, 60) + which * 2.4)
    streaks = noise(rng, texture.size, (140, 3))
    tone = 0.25 * rings + 0.6 * streaks + 0.25 * rng.random(20)[which % 20]
    joint = np.exp(-(((y % plank) - 1) ** 2) / 3)
    return _blend(texture, tone - 0.2) * (1 - 0.6 * joint[..., None])


def paint_stone(texture: Texture) -> Array:
    """Marble veins or granite speckle."""
    rng = generator("stone", texture.seed)
    if rng.random() < 0.5:
        field = noise(rng, texture.size, (5, 5))
        veins = np.exp(-np.abs(field - 0.47) * between(rng, 50, 110))
        cloud = noise(rng, texture.size, (6, 6))
        veins *= between(rng, 0.2, 0.5) * cloud * 2
        return _blend(texture, veins + 0.25 * cloud)
    grains = noise(rng, texture.size, (160, 160)) + noise(rng, texture.size, (90, 90))
    return _blend(texture, np.clip((grains - between(rng, 0.8, 1.0)) * 1.8, 0, 0.9))


def paint_tiles(texture: Texture) -> Array:
    """Glazed tiles, square or like bricks, with grout."""
    rng = generator("tiles", texture.seed)
    width, height = texture.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    tall = height / int(rng.integers(5, 12))
    wide = tall * (1 if rng.random() < 0.5 else 2)
    row = (y // tall).astype(int)
    x = x + (row % 2) * wide / 2 * (wide > tall)
    shade = rng.random((40, 80)).astype(np.float32)
    tone = 0.35 * shade[row % 40, (x // wide).astype(int) % 80]
    grout = (np.minimum(x % wide, y % tall) < 2.5)[..., None]
    base = _blend(texture, tone + 0.15 * noise(rng, texture.size, (20, 20)))
    return np.where(grout, np.float32(between(rng, 0.35, 0.8)), base)


def paint_cloth(texture: Texture) -> Array:
    """Woven cloth: plain, striped or checked."""
    rng = generator("cloth", texture.seed)
    width, height = texture.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    period = between(rng, 18, 70)
    across, along = (x % period < period / 2), (y % period < period / 2)
    style = int(rng.integers(3))
    tone = [0 * x, 0.9 * across, 0.45 * across + 0.45 * along][style]
    weave = 0.06 * np.sin(x * 2.1) * np.sin(y * 2.1)
    return _blend(texture, tone + weave + 0.15 * noise(rng, texture.size, (5, 5)))


def paint_plaster(texture: Texture) -> Array:
    """A painted wall with stains."""
    rng = generator("plaster", texture.seed)
    tone = 0.5 * noise(rng, texture.size, (3, 3)) + 0.2 * noise(
        rng, texture.size, (60, 60)
    )
    return _blend(texture, tone)


def paint_paper(texture: Texture) -> Array:
    """A wall covering: stripes or a lattice of motifs."""
    rng = generator("paper", texture.seed)
    width, height = texture.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    step = between(rng, 30, 90)
    wave = np.sin(x * 6.283 / step) * np.sin(y * 6.283 / step)
    tone = wave > 0.5 if rng.random() < 0.5 else np.sin(x * 6.283 / step) > 0
    return _blend(texture, 0.7 * tone + 0.2 * noise(rng, texture.size, (6, 6)))


def paint_room(texture: Texture) -> Array:
    """Light from all around, [128, 256, 3] linear: walls, furniture, windows, lamps.

    Rows run from straight up to straight down. `words[0]` is the light: `window`,
    `warm`, `cool`, `dim` or `mixed`.
    """
    rng = generator("room", texture.seed)
    light = texture.words[0]
    room = np.ones((128, 256, 3), dtype=np.float32) * np.array(texture.colours[0])
    room[:45] *= between(rng, 0.9, 1.6)
    room[84:] *= between(rng, 0.3, 0.7)
    for _ in range(14):
        paint = (0.75 + 0.25 * rng.random(3)) * between(rng, 0.1, 1.0)
        _patch(room, rng, paint, (50, 100), (8, 40))
    room = _blurred(room * (0.25 if light == "dim" else 0.5), 2.5)
    if light in ("window", "mixed"):
        for _ in range(int(rng.integers(1, 3))):
            day = np.array([0.85, 0.97, 1.15]) * between(rng, 8, 22)
            _patch(room, rng, day, (24, 60), (14, 34))
    if light in ("warm", "dim", "mixed"):
        for _ in range(int(rng.integers(1, 3))):
            bulb = np.array([1.3, 0.85, 0.45]) * between(rng, 15, 45)
            _patch(room, rng, bulb, (18, 44), (7, 14))
    if light == "cool":
        tube = np.array([0.9, 1.02, 1.08]) * between(rng, 12, 25)
        _patch(room, rng, tube, (6, 30), (30, 70))
    return _blurred(room, 0.7)


def _patch(
    room: Array, rng: np.random.Generator, colour: Any, rows: Any, widths: Any
) -> None:
    """One rectangle of light or furniture, wrapping around the horizon."""
    top = int(rng.integers(*rows))
    tall = int(rng.integers(6, 30)) if rows[0] > 40 else int(rng.integers(6, 26))
    left, wide = int(rng.integers(256)), int(rng.integers(*widths))
    room[top : top + tall, np.arange(left, left + wide) % 256] = colour


def _blurred(room: Array, radius: float) -> Array:
    wide = np.concatenate([room[:, -16:], room, room[:, :16]], axis=1)
    blur = ImageFilter.GaussianBlur(radius)
    layers = [_blur_layer(wide[..., i], blur) for i in range(3)]
    return np.stack(layers, axis=-1)[:, 16:-16]


def _blur_layer(layer: Array, blur: ImageFilter.GaussianBlur) -> Array:
    """Pillow blurs bytes only, so the layer goes through two scales of them."""
    high = np.clip(layer / 48, 0, 1) ** 0.4
    image = Image.fromarray((high * 255).astype(np.uint8)).filter(blur)
    return np.asarray(image, np.float32) ** 2.5 / 255**2.5 * 48


def _blend(texture: Texture, tone: Any) -> Array:
    """Colours between the texture's first two, by `tone` in 0-1."""
    first, second = (np.array(c, np.float32) for c in texture.colours[:2])
    tone = np.clip(tone, 0, 1).astype(np.float32)[..., None]
    return first * (1 - tone) + second * tone


PAINTERS: dict[str, Callable[[Texture], Array]] = {
    "wood": paint_wood,
    "stone": paint_stone,
    "tiles": paint_tiles,
    "cloth": paint_cloth,
    "plaster": paint_plaster,
    "paper": paint_paper,
    "room": paint_room,
}
