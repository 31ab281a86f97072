"""Things that are in kitchens and belong to none of the classes.

They surround the products, hide parts of them, and alone they make the negatives.
"""

from collections.abc import Callable

import numpy as np

from cvlib.pantry.catalogue import ball
from cvlib.pantry.palette import (
    BLACK,
    STEEL,
    WHITE,
    any_colour,
    dark,
    hsv,
    pale,
    vivid,
    wood,
)
from cvlib.pantry.seeds import between, choose
from cvlib.pantry.shapes import Material, Part, Texture, rounded

Parts = tuple[Part, ...]


def thing(kind: str, rng: np.random.Generator) -> Parts:
    """One object of a kind in `LOOK_ALIKES` or `FILLERS`, freshly drawn."""
    return tuple(_MAKERS[kind](rng))


def _vase(rng: np.random.Generator) -> list[Part]:
    radius, tall = between(rng, 3.5, 6), between(rng, 10, 18)
    waist = radius * between(rng, 0.35, 0.7)
    side = [
        (waist + (radius - waist) * np.sin(np.pi * t**0.8) ** 1.2, tall * t)
        for t in np.linspace(0.02, 0.94, 12)
    ]
    flare = [(waist * 1.4, tall), (waist * 1.1, tall * 0.98), (waist * 0.8, tall * 0.8)]
    glaze = Material("ceramic", any_colour(rng), between(rng, 0.05, 0.4))
    return [Part("lathe", rounded([(0, 0), *side, *flare]), glaze)]


def _candle(rng: np.random.Generator) -> list[Part]:
    radius, tall = between(rng, 2, 4), between(rng, 5, 14)
    side = [(0, 0), (radius, 0), (radius, tall - 0.2), (radius - 0.3, tall)]
    wax = Material("plastic", choose(rng, (pale, vivid))(rng), 0.4)
    wick = ((0, 0, tall - 0.5, 0.12), (0.1, 0, tall + 0.9, 0.1))
    body = Part("lathe", rounded([*side, (0, tall - 0.3)]), wax)
    return [body, Part("tube", wick, Material("paper", BLACK))]


def _apple(rng: np.random.Generator) -> list[Part]:
    size = between(rng, 3.2, 4.2)
    rows = [
        (size * np.sin(a) * (1 - 0.12 * np.cos(a)), size * 0.85 * (1 - np.cos(a)))
        for a in np.linspace(0.05, 2.75, 12)
    ]
    rows.append((0.0, rows[-1][1] - size * 0.25))
    hue = choose(rng, (0.0, 0.02, 0.22, 0.13))
    skin = Material("plastic", hsv(hue, 0.8, between(rng, 0.35, 0.75)), 0.15)
    stem = ((0, 0, size * 1.4, 0.15), (0.3, 0, size * 2, 0.15))
    bark = Material("paper", (0.25, 0.16, 0.08))
    return [Part("lathe", rounded(rows), skin), Part("tube", stem, bark)]


def _citrus(rng: np.random.Generator) -> list[Part]:
    size, hue = between(rng, 2.6, 4.2), between(rng, 0.06, 0.16)
    skin = Material("plastic", hsv(hue, 0.9, between(rng, 0.6, 0.9)), 0.3)
    return [Part("lathe", ball(size, tall=between(rng, 0.9, 1.25)), skin)]


def _egg(rng: np.random.Generator) -> list[Part]:
    shell = Material("plastic", hsv(0.07, between(rng, 0.1, 0.5), 0.8), 0.45)
    places = ((0, 0, 0), (4.6, 0.8, 0), (1.9, 4.2, 0))[: int(rng.integers(1, 4))]
    return [Part("lathe", ball(2.2, tall=1.25), shell, at=at) for at in places]


def _banana(rng: np.random.Generator) -> list[Part]:
    skin = Material("plastic", hsv(0.14, 0.85, between(rng, 0.6, 0.85)), 0.35)
    turns = np.linspace(-1.0, 1.0, 11)
    rows = [
        (9 * np.sin(t), 9 * np.cos(t) - 7, 1.8, 1.8 * (1.02 - abs(t) ** 3 * 0.75))
        for t in turns
    ]
    return [Part("tube", rounded(rows), skin)]


def _book(rng: np.random.Generator) -> list[Part]:
    width, depth = between(rng, 11, 17), between(rng, 16, 22)
    parts, low = [], 0.0
    for _ in range(int(rng.integers(1, 4))):
        thick = between(rng, 1.2, 3)
        cover = Material("plastic", any_colour(rng), 0.35)
        pages = ((width - 0.4, depth - 0.6, thick - 0.4),)
        for z in (low, low + thick - 0.2):
            parts.append(Part("box", ((width, depth, 0.2),), cover, at=(0, 0, z)))
        spine = ((0.2, depth, thick),)
        parts.append(Part("box", spine, cover, at=(width / 2, 0, low)))
        paper = Material("paper", (0.85, 0.82, 0.72))
        parts.append(Part("box", pages, paper, at=(0.15, 0, low + 0.2)))
        low = round(low + thick, 3)
    return parts


def _plate(rng: np.random.Generator) -> list[Part]:
    radius, parts = between(rng, 8, 12), []
    glaze = Material("ceramic", choose(rng, (pale, any_colour))(rng), 0.08)
    rows = [(0, 0), (radius * 0.55, 0), (radius, 1.4), (radius, 1.6)]
    rows += [(radius * 0.62, 0.5), (0, 0.4)]
    for i in range(int(rng.integers(1, 5))):
        parts.append(Part("lathe", rounded(rows), glaze, at=(0, 0, round(0.55 * i, 2))))
    return parts


def _blocks(rng: np.random.Generator) -> list[Part]:
    parts = []
    for i in range(int(rng.integers(2, 6))):
        size, paint = between(rng, 2.5, 4), Material("plastic", vivid(rng), 0.3)
        at = (between(rng, -4, 4) if i % 3 else 0.0, 4.2 * (i % 3) - 4, 4.0 * (i // 3))
        parts.append(Part("box", ((size, size, 4.0),), paint, at=at))
    return parts


def _lamp(rng: np.random.Generator) -> list[Part]:
    base = Material(choose(rng, ("ceramic", "metal")), any_colour(rng), 0.15)
    tall, wide = between(rng, 10, 16), between(rng, 5, 8)
    foot = [(0, 0), (4, 0), (4, 0.8), (1, 1.4), (0.6, tall), (0, tall)]
    shade = [(wide, tall - 2), (wide * between(rng, 0.5, 0.9), tall + 6)]
    cloth = Material("paper", pale(rng))
    return [Part("lathe", rounded(foot), base), Part("lathe", rounded(shade), cloth)]


def _plant(rng: np.random.Generator) -> list[Part]:
    radius, tall = between(rng, 3.5, 5.5), between(rng, 6, 9)
    rows = [(0, 0), (radius * 0.7, 0), (radius, tall), (radius * 1.08, tall)]
    rows += [(radius * 0.95, tall - 0.2), (radius * 0.9, tall - 1), (0, tall - 1)]
    clay = Material("paper", choose(rng, ((0.6, 0.3, 0.18), pale(rng), dark(rng))))
    parts = [Part("lathe", rounded(rows), clay)]
    leaf = Material("plastic", hsv(between(rng, 0.24, 0.38), 0.7, 0.35), 0.35)
    for _ in range(int(rng.integers(9, 18))):
        turn, out = rng.random() * 6.283, radius * between(rng, 0.5, 1.6)
        high = tall + between(rng, 1, 9)
        end = (out * np.cos(turn), out * np.sin(turn), high)
        half = (end[0] * 0.5, end[1] * 0.5, (tall + high) / 2 + 1)
        path = [(0, 0, tall - 1, 0.2), (*half, between(rng, 0.5, 1.3)), (*end, 0.05)]
        parts.append(Part("tube", rounded(path), leaf))
    return parts


def _roll(rng: np.random.Generator) -> list[Part]:
    radius, tall = between(rng, 4.5, 6), between(rng, 9, 23)
    rows = [(2, 0), (radius, 0), (radius, tall), (2, tall), (2, 0.1)]
    paper = Texture("plaster", int(rng.integers(1 << 30)), (96, 96), (WHITE, pale(rng)))
    return [Part("lathe", rounded(rows), Material("paper", texture=paper))]


def _stemware(rng: np.random.Generator) -> list[Part]:
    radius, stem = between(rng, 3.2, 4.5), between(rng, 6, 9)
    rows = [(0, 0), (3.2, 0), (3.2, 0.2), (0.4, 0.8), (0.4, stem)]
    cup = [(radius * np.sin(t), stem + 7 * (1 - np.cos(t)) / 1.6) for t in _CUP]
    profile = rounded([*rows, *cup])
    parts = [Part("lathe", profile, Material("glass", (0.95, 0.97, 0.97)))]
    if rng.random() < 0.5:
        colour = choose(rng, ((0.2, 0.01, 0.03), (0.7, 0.55, 0.2)))
        wine = Material("plastic", colour, 0.05)
        inside = [(r - 0.15, z + 0.1) for r, z in cup[:4]]
        rows = [(0, stem + 0.1), *inside, (0, inside[-1][1])]
        parts.append(Part("lathe", rounded(rows), wine))
    return parts


def _loaf(rng: np.random.Generator) -> list[Part]:
    crust = (hsv(0.08, 0.6, 0.55), hsv(0.06, 0.75, 0.3))
    grain = Texture("plaster", int(rng.integers(1 << 30)), (96, 96), crust)
    bread = Material("paper", texture=grain)
    return [Part("lathe", ball(between(rng, 8, 11), tall=0.5), bread, 0.6)]


def _board(rng: np.random.Generator) -> list[Part]:
    size = ((between(rng, 18, 28), between(rng, 12, 18), between(rng, 1, 2)),)
    return [Part("box", size, wood(rng))]


def _spoon(rng: np.random.Generator) -> list[Part]:
    stuff = choose(rng, (STEEL, wood(rng)))
    shaft = ((0, -8, 0.8, 0.35), (0, 0, 0.6, 0.35), (0, 8, 0.8, 0.45))
    head = Part("lathe", ball(2.2, tall=0.25), stuff, 1.4, at=(0, 10, 0.2))
    return [Part("tube", shaft, stuff), head]


def _sponge(rng: np.random.Generator) -> list[Part]:
    size = (between(rng, 8, 11), between(rng, 6, 7))
    soft, hard = Material("paper", vivid(rng)), Material("paper", dark(rng))
    low = Part("box", ((*size, 2.6),), soft)
    return [low, Part("box", ((*size, 0.7),), hard, at=(0, 0, 2.6))]


def _towel(rng: np.random.Generator) -> list[Part]:
    colours = (pale(rng), any_colour(rng))
    weave = Texture("cloth", int(rng.integers(1 << 30)), (256, 256), colours)
    size = ((between(rng, 16, 26), between(rng, 14, 20), between(rng, 0.8, 2.2), 1.0),)
    return [Part("sheet", size, Material("paper", texture=weave), at=(0, 0, -0.4))]


def _pin(rng: np.random.Generator) -> list[Part]:
    rows = [(0, 0), (1, 0), (1.2, 3), (0.8, 4), (2.6, 4.2), (2.6, 22), (0.8, 22.2)]
    return [Part("lathe", rounded([*rows, (1.2, 23), (1, 26), (0, 26)]), wood(rng))]


def _pot(rng: np.random.Generator) -> list[Part]:
    radius, tall = between(rng, 8, 11), between(rng, 8, 13)
    rows = [(0, 0), (radius - 0.5, 0), (radius, 0.6), (radius, tall)]
    rows += [(radius + 0.3, tall + 0.2), (radius * 0.6, tall + 1.6), (0, tall + 2.2)]
    metal = choose(rng, (STEEL, Material("plastic", dark(rng), 0.15)))
    knob = Part("lathe", ball(1.5), Material("plastic", BLACK), at=(0, 0, tall + 2.2))
    shaft = ((radius, 0, tall - 2, 0.9), (radius + 14, 0, tall - 1, 0.9))
    grip = Part("tube", shaft, Material("plastic", BLACK, 0.3))
    return [Part("lathe", rounded(rows), metal), knob, grip]


_CUP = np.linspace(0.12, 2.1, 8)
_MAKERS: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "vase": _vase,
    "candle": _candle,
    "apple": _apple,
    "citrus": _citrus,
    "egg": _egg,
    "banana": _banana,
    "book": _book,
    "plate": _plate,
    "blocks": _blocks,
    "lamp": _lamp,
    "plant": _plant,
    "roll": _roll,
    "stemware": _stemware,
    "loaf": _loaf,
    "board": _board,
    "spoon": _spoon,
    "sponge": _sponge,
    "towel": _towel,
    "pin": _pin,
    "pot": _pot,
}
LOOK_ALIKES = {
    "train": ("vase", "candle", "book", "citrus", "plate", "blocks", "pot"),
    "test": ("lamp", "plant", "roll", "apple", "stemware", "loaf", "banana"),
}
FILLERS = (
    *("apple", "citrus", "egg", "banana", "book", "plate", "plant", "roll"),
    *("loaf", "board", "spoon", "sponge", "towel", "candle", "vase", "blocks", "pin"),
)
