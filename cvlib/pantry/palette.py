"""Colours and materials that the catalogue and the clutter draw from."""

import colorsys

import numpy as np

from cvlib.pantry.seeds import between, choose
from cvlib.pantry.shapes import Colour, Material, Texture

WHITE: Colour = (0.86, 0.86, 0.84)
BLACK: Colour = (0.03, 0.03, 0.035)
STEEL = Material("metal", (0.82, 0.82, 0.82), 0.16)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue, saturation and value, all 0-1, with three decimals."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red, 3), round(green, 3), round(blue, 3)


def vivid(rng: np.random.Generator) -> Colour:
    """A saturated colour, as on packaging."""
    return hsv(rng.random(), between(rng, 0.6, 0.95), between(rng, 0.35, 0.85))


def pale(rng: np.random.Generator) -> Colour:
    """Off-whites and pastels."""
    return hsv(rng.random(), between(rng, 0.02, 0.25), between(rng, 0.65, 0.9))


def dark(rng: np.random.Generator) -> Colour:
    """Deep colours."""
    return hsv(rng.random(), between(rng, 0.2, 0.8), between(rng, 0.06, 0.25))


def muted(rng: np.random.Generator) -> Colour:
    """What walls, tiles and table tops are: white, cream, grey, now and then a tint."""
    warm = hsv(
        between(rng, 0.06, 0.14), between(rng, 0.02, 0.2), between(rng, 0.6, 0.92)
    )
    grey = hsv(between(rng, 0.5, 0.65), between(rng, 0, 0.08), between(rng, 0.35, 0.9))
    tint = hsv(rng.random(), between(rng, 0.12, 0.38), between(rng, 0.4, 0.8))
    return choose(rng, (warm, warm, grey, tint))


def any_colour(rng: np.random.Generator) -> Colour:
    """Vivid, pale or dark."""
    return choose(rng, (vivid, vivid, pale, dark))(rng)


def wooden(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """The light and the dark of one wood."""
    hue, value = between(rng, 0.04, 0.11), between(rng, 0.25, 0.8)
    saturation = between(rng, 0.3, 0.7)
    return hsv(hue, saturation, value), hsv(hue - 0.015, saturation + 0.1, value * 0.55)


def wood(rng: np.random.Generator) -> Material:
    """Oiled or bare wood with its grain."""
    grain = Texture("wood", int(rng.integers(1 << 30)), (192, 192), wooden(rng))
    return Material("plastic", roughness=between(rng, 0.2, 0.5), texture=grain)
