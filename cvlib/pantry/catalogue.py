"""The products of the pantry: eight classes of twelve, each with its own shape,
materials and printed brand, all drawn from a seed.

Used by `cvlib.pantry.scenes`. Nothing here needs the renderer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from cvlib.pantry import labels
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
from cvlib.pantry.seeds import between, choose, generator
from cvlib.pantry.shapes import (
    Colour,
    Material,
    Part,
    Points,
    Texture,
    rounded,
)

PRODUCTS_PER_CLASS = 12
STYLES_PER_CLASS = 6
_GROUNDS = (any_colour, vivid, pale)


@dataclass(frozen=True)
class Product:
    """One thing one could buy: class, number from 1, style, brand and its parts."""

    class_name: str
    number: int
    style: str
    brand: str
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """For example `can-03`."""
        return f"{self.class_name}-{self.number:02d}"


@cache
def product(class_name: str, number: int) -> Product:
    """The product with this class and number; always the same one."""
    rng = generator("product", class_name, number)
    styles = STYLES[class_name]
    style = styles[(number - 1) % len(styles)]
    words = (labels.brand(rng), choose(rng, _WORDS[class_name]), _amount(rng))
    parts = _BUILDERS[class_name](rng, style, words)
    return Product(class_name, number, style, words[0], tuple(parts))


@cache
def split_of(class_name: str, number: int) -> str:
    """`train`, `valid` or `test`: drawn by seed, not by order of design.

    The two products of each style are parted: one, either, is for training, so that
    the others ask about new products of known styles. No product is in two splits.
    """
    rng = generator("split", class_name)
    order, chosen = (
        list(rng.permutation(STYLES_PER_CLASS)),
        rng.integers(2, size=STYLES_PER_CLASS),
    )
    twin, style = divmod(number - 1, STYLES_PER_CLASS)
    if twin == chosen[style]:
        return "train"
    return "test" if order.index(style) < 4 else "valid"


def bottle_profile(
    radius: float, body: float, neck: float, length: float, shoulder: float
) -> Points:
    """A bottle's outside: body height, neck radius and length, shoulder height."""
    curve = [
        (
            radius + (neck - radius) * (1 - np.cos(np.pi * t)) / 2,
            body + shoulder * t,
        )
        for t in np.linspace(0, 1, 9)
    ]
    top = body + shoulder + length
    base = [(0, 0.25), (radius * 0.8, 0), (radius * 0.95, 0.15), (radius, 0.6)]
    lip = [(neck, top - 1), (neck * 1.12, top - 0.9), (neck * 1.12, top)]
    return rounded([*base, *curve, *lip, (neck * 0.8, top)])


def inset(profile: Points, gap: float, level: float) -> Points:
    """What fills a vessel: its profile drawn in by `gap`, closed at height `level`."""
    inside = [(max(r - gap, 0), max(z, gap)) for r, z in profile if z < level]
    rows = np.array(profile)
    keep = int(np.argmax(rows[:, 1]))
    at = np.interp(level, rows[1 : keep + 1, 1], rows[1 : keep + 1, 0]) - gap
    return rounded([*inside, (at, level), (0, level)])


def _can(rng: np.random.Generator, style: str, words: tuple[str, ...]) -> list[Part]:
    radius, height = {
        "drink": (between(rng, 3.1, 3.4), between(rng, 11.5, 12.5)),
        "slim": (between(rng, 2.5, 2.8), between(rng, 13.0, 15.5)),
        "food": (between(rng, 3.4, 4.0), between(rng, 9.5, 11.5)),
        "flat": (between(rng, 3.8, 4.6), between(rng, 3.2, 4.6)),
        "ribbed": (between(rng, 3.4, 4.2), between(rng, 8.5, 12.0)),
        "large": (between(rng, 4.8, 5.4), between(rng, 12, 16)),
    }[style]
    if style in ("drink", "slim"):
        return _drink_can(rng, radius, height, words)
    lid = [(radius + 0.08, height - 0.1), (radius, height), (radius - 0.2, height)]
    rings = [(radius * f, height - 0.35 - 0.1 * (i % 2)) for i, f in _RINGS]
    side = [(radius, z) for z in (0.3, height - 0.3)]
    if style == "ribbed":
        side = [
            (radius - 0.12 * (i % 2), z)
            for i, z in enumerate(np.linspace(0.3, height - 0.3, 21))
        ]
    metal = Material("metal", (0.8, 0.79, 0.76), between(rng, 0.12, 0.3))
    foot = [(0, 0.2), (radius - 0.2, 0.2), (radius - 0.1, 0), (radius + 0.08, 0.15)]
    tin = Part("lathe", rounded([*foot, *side, *lid, *rings]), metal)
    parts = [tin, *_pull_ring(rng, radius, height)]
    if style != "ribbed" or rng.random() < 0.5:
        band = (0.6, height - 0.6) if style != "ribbed" else (0.25, height * 0.75)
        parts.append(_wrap(rng, radius + 0.04, band[0], band[1], words, "paper"))
    return parts


def _drink_can(
    rng: np.random.Generator, radius: float, height: float, words: tuple[str, ...]
) -> list[Part]:
    neck = radius - between(rng, 0.4, 0.7)
    body = _wrap(rng, radius, 0.9, height - 1.4, words, "printed_metal")
    assert body.material.texture is not None
    ground = Material("printed_metal", body.material.texture.colours[0], 0.2)
    foot = [(0, 0.5), (radius - 1, 0.3), (radius - 0.8, 0), (radius, 0.9)]
    rim = [(neck, height - 0.3), (neck + 0.08, height - 0.1), (neck, height)]
    lid = [(neck - 0.12, height), (neck - 0.2, height - 0.35), (0, height - 0.35)]
    shoulder = [(radius, height - 1.4), (neck, height - 0.3)]
    return [
        Part("lathe", rounded(foot), STEEL),
        body,
        Part("lathe", rounded(shoulder), ground),
        Part("lathe", rounded([*rim, *lid]), STEEL),
        Part("box", ((0.9, 1.8, 0.12),), STEEL, at=(0, -0.3, height - 0.34)),
    ]


def _pull_ring(rng: np.random.Generator, radius: float, height: float) -> list[Part]:
    if rng.random() < 0.4:
        return []
    ring = ((radius * 0.35, radius * 0.9, 0.12),)
    return [Part("box", ring, STEEL, at=(0, -radius * 0.3, height - 0.35))]


def _carton(rng: np.random.Generator, style: str, words: tuple[str, ...]) -> list[Part]:
    width, depth, height = {
        "gable": (between(rng, 6.5, 7.5), between(rng, 6.5, 7.5), between(rng, 16, 20)),
        "cream": (between(rng, 5.2, 6), between(rng, 5.2, 6), between(rng, 7.5, 10)),
        "brick": (between(rng, 7, 9.5), between(rng, 5.5, 6.5), between(rng, 17, 22)),
        "juice": (between(rng, 4.6, 6), between(rng, 3.4, 4.2), between(rng, 9, 12.5)),
    }[style]
    # Milk and juice are sold in white more than in colours; boxes are not.
    grounds = (pale, pale, pale, vivid)
    panels = _panels(rng, width, depth, height, words, grounds)
    cap = Material("plastic", any_colour(rng), 0.2)
    if style == "juice":
        bend = (width * 0.3, 0, height + 3.2)
        straw = ((width * 0.3, 0, height, 0.25), (*bend, 0.25))
        tip = ((*bend, 0.25), (width * 0.3 + 1.8, 0.3, height + 4.2, 0.25))
        body = Part("box", ((width, depth, height),), panels)
        return [body, Part("tube", straw, cap), Part("tube", tip, cap)]
    if style == "brick":
        body = Part("box", ((width, depth, height),), panels)
        return [body, _screw_cap(cap, between(rng, 1.2, 1.7), 1.2, (0, 0, height))]
    roof = depth * between(rng, 0.38, 0.5)
    body = Part("gable", ((width, depth, height, roof),), panels)
    if rng.random() < 0.4:
        return [body]
    spot = (0.0, -depth * 0.27, height + roof * 0.4)
    return [body, _screw_cap(cap, 1.4, 1.5, spot)]


def _glass_bottle(
    rng: np.random.Generator, style: str, words: tuple[str, ...]
) -> list[Part]:
    radius, body, neck, length, shoulder = {
        "wine": (between(rng, 3.5, 4), between(rng, 17, 20), 1.4, 7, 3),
        "slope": (between(rng, 3.8, 4.3), between(rng, 13, 16), 1.4, 4.5, 9),
        "beer": (between(rng, 2.8, 3.1), between(rng, 11, 14), 1.3, 4, 6),
        "sauce": (between(rng, 2.3, 3), between(rng, 8, 11), 1.1, 3, 3),
        "spirit": (between(rng, 3.8, 4.6), between(rng, 13, 18), 1.6, 5, 1.6),
        "stubby": (between(rng, 3.0, 3.6), between(rng, 8, 10), 1.4, 3, 3),
    }[style]
    profile = bottle_profile(radius, body, neck, length, shoulder)
    tint = choose(rng, ((0.93, 0.97, 0.95), (0.25, 0.5, 0.22), (0.5, 0.26, 0.07)))
    tint = (0.2, 0.4, 0.2) if style == "wine" and rng.random() < 0.6 else tint
    squash = 0.7 if style == "spirit" and rng.random() < 0.5 else 1.0
    parts = [Part("lathe", profile, Material("glass", tint), squash)]
    parts += _filling(rng, profile, body + shoulder * between(rng, 0.1, 1.1), squash)
    low = body * between(rng, 0.08, 0.3)
    label = _wrap(rng, radius + 0.05, low, body * between(rng, 0.7, 0.95), words)
    parts.append(Part(label.form, label.points, label.material, squash))
    return parts + _stopper(rng, style, neck, body + shoulder + length, squash)


def _stopper(
    rng: np.random.Generator, style: str, neck: float, top: float, squash: float
) -> list[Part]:
    """A crown cap, a foil capsule, a cork or a screw cap."""
    if style in ("beer", "stubby"):
        crown = [(neck * 1.25, top - 0.35), (neck * 1.1, top + 0.3), (0, top + 0.35)]
        metal = Material("printed_metal", any_colour(rng), 0.25)
        return [Part("lathe", rounded(crown), metal, squash)]
    if style in ("wine", "slope") and rng.random() < 0.7:
        low = top - between(rng, 3, 5.5)
        foil = [(neck * 1.06, low), (neck * 1.18, top), (0, top + 0.05)]
        paint = Material("printed_metal", any_colour(rng), 0.3)
        return [Part("lathe", rounded(foil), paint, squash)]
    if rng.random() < 0.3:
        cork = Material("paper", (0.6, 0.42, 0.26))
        return [_screw_cap(cork, neck * 0.9, 1.6, (0, 0, top - 0.4))]
    cap = Material(choose(rng, ("plastic", "printed_metal")), any_colour(rng), 0.25)
    return [_screw_cap(cap, neck * 1.2, between(rng, 1.3, 3.0), (0, 0, top - 1.1))]


def _plastic_bottle(
    rng: np.random.Generator, style: str, words: tuple[str, ...]
) -> list[Part]:
    if style in ("water", "soda"):
        return _drink_bottle(rng, style, words)
    radius, body, neck, length, shoulder = {
        "shampoo": (between(rng, 3.4, 4.2), between(rng, 13, 17), 1.7, 0.8, 1.2),
        "detergent": (between(rng, 4.2, 5.2), between(rng, 16, 20), 1.6, 1.6, 5),
        "squeeze": (between(rng, 2.8, 3.4), between(rng, 11, 14), 1.6, 0.8, 4),
        "jug": (between(rng, 4.5, 5.5), between(rng, 13, 16), 1.8, 1.6, 5),
    }[style]
    squash = between(rng, 0.5, 0.75) if style in ("shampoo", "detergent") else 1.0
    colour = WHITE if style == "jug" else any_colour(rng)
    kind = choose(rng, ("translucent", "plastic")) if style != "jug" else "translucent"
    shell = Material(kind, colour, between(rng, 0.12, 0.3))
    profile = bottle_profile(radius, body, neck, length, shoulder)
    label = _wrap(rng, radius + 0.04, body * 0.2, body * 0.85, words, "plastic")
    parts = [
        Part("lathe", profile, shell, squash),
        Part(label.form, label.points, label.material, squash),
    ]
    if style == "jug":
        ends = (body * 0.55, body + shoulder)
        parts.append(_handle(radius * 0.75, *ends, 3, 0.7, shell))
    return parts + _closure(rng, style, neck, body + shoulder + length)


def _drink_bottle(
    rng: np.random.Generator, style: str, words: tuple[str, ...]
) -> list[Part]:
    radius, body = between(rng, 2.9, 4.2), between(rng, 13, 19)
    neck, shoulder = 1.3, between(rng, 4, 8)
    plain = bottle_profile(radius, body, neck, 1.6, shoulder)
    ribs = [
        (radius - 0.16 * (i % 2), z)
        for i, z in enumerate(np.linspace(0.7, body * 0.99, 23))
    ]
    profile = plain if style == "soda" else rounded([*plain[:4], *ribs, *plain[5:]])
    tint = choose(rng, ((0.95, 0.97, 0.98), (0.75, 0.88, 0.98), (0.6, 0.88, 0.66)))
    parts = [Part("lathe", profile, Material("glass", tint))]
    parts += _filling(rng, plain, body + shoulder * between(rng, -0.2, 0.8), 1.0)
    low = body * between(rng, 0.3, 0.5)
    high = low + body * between(rng, 0.25, 0.45)
    parts.append(_wrap(rng, radius + 0.06, low, high, words, "plastic"))
    cap = Material("plastic", any_colour(rng), 0.2)
    top = body + shoulder + 1.6
    return [*parts, _screw_cap(cap, 1.6, 1.7, (0, 0, top - 1.2))]


def _closure(
    rng: np.random.Generator, style: str, neck: float, top: float
) -> list[Part]:
    cap = Material("plastic", any_colour(rng), 0.2)
    wide = neck * between(rng, 1.1, 1.5)
    parts = [_screw_cap(cap, wide, between(rng, 1.4, 2.4), (0, 0, top - 0.6))]
    if style == "squeeze":
        nozzle = ((wide * 0.8, top + 0.6), (0.35, top + 3.2), (0, top + 3.3))
        parts.append(Part("lathe", nozzle, cap))
    if style == "shampoo" and rng.random() < 0.5:
        stem = ((0, 0, top, 0.5), (0, 0, top + 3.5, 0.5))
        spout = ((-0.8, 0, top + 3.5, 0.7), (3.2, 0, top + 3.2, 0.45))
        parts += [Part("tube", stem, cap), Part("tube", spout, cap)]
    return parts


def _jar(rng: np.random.Generator, style: str, words: tuple[str, ...]) -> list[Part]:
    radius, body = {
        "jam": (between(rng, 3.2, 3.8), between(rng, 7, 9)),
        "honey": (between(rng, 3.2, 4.4), between(rng, 6, 8)),
        "pickle": (between(rng, 4, 5), between(rng, 11, 14)),
        "spread": (between(rng, 3.4, 4.4), between(rng, 8, 11)),
        "storage": (between(rng, 4.2, 5.5), between(rng, 12, 19)),
        "spice": (between(rng, 2, 2.4), between(rng, 7, 9)),
    }[style]
    mouth = radius * between(rng, 0.72, 0.92)
    bulge = radius * (1.12 if style == "honey" else 1.0)
    base = [(0, 0.2), (radius * 0.85, 0), (radius, 0.7), (bulge, body * 0.4)]
    top = [(radius, body), (mouth, body + 1), (mouth, body + 2.0)]
    top.append((mouth - 0.2, body + 2))
    profile = rounded([*base, *top])
    kind = "plastic" if style == "spread" and rng.random() < 0.3 else "glass"
    parts = [Part("lathe", profile, Material(kind, (0.94, 0.97, 0.95)))]
    parts += _filling(rng, profile, body * between(rng, 0.6, 1.05), 1.0, solid=True)
    if style != "storage" or rng.random() < 0.5:
        low = body * between(rng, 0.1, 0.3)
        high = body * between(rng, 0.65, 0.92)
        parts.append(_wrap(rng, bulge + 0.05, low, high, words))
    return [*parts, *_lid(rng, style, mouth, body + 1.1)]


def _lid(rng: np.random.Generator, style: str, mouth: float, at: float) -> list[Part]:
    """A screw lid, printed or plain, or the stopper of a storage jar."""
    if style == "storage":
        material = choose(rng, (wood(rng), Material("paper", (0.6, 0.42, 0.26)), STEEL))
        return [_screw_cap(material, mouth + 0.2, between(rng, 1.4, 2.6), (0, 0, at))]
    tall = between(rng, 1.2, 1.9) if style != "spice" else between(rng, 1.8, 2.6)
    kind = choose(rng, ("printed_metal", "printed_metal", "plastic"))
    texture = None
    if rng.random() < 0.35:
        colours = (vivid(rng), WHITE)
        texture = Texture("cloth", int(rng.integers(1 << 30)), (128, 128), colours)
    lid = Material(kind, any_colour(rng), 0.2, texture)
    return [_screw_cap(lid, mouth + 0.3, tall, (0, 0, at))]


def _mug(rng: np.random.Generator, style: str, words: tuple[str, ...]) -> list[Part]:
    radius, height, foot = {
        "straight": (between(rng, 3.8, 4.4), between(rng, 9, 10.5), 1.0),
        "tapered": (between(rng, 4.2, 4.8), between(rng, 8.5, 11), 0.7),
        "round": (between(rng, 4.0, 4.6), between(rng, 7.5, 9), 0.75),
        "espresso": (between(rng, 2.8, 3.2), between(rng, 5, 6), 0.8),
        "latte": (between(rng, 4.0, 4.5), between(rng, 12, 14), 0.72),
        "enamel": (between(rng, 4.2, 4.8), between(rng, 7.5, 8.5), 1.0),
    }[style]
    swell = 0.12 * radius if style == "round" else 0.0
    outside = [
        (radius * (foot + (1 - foot) * t) + swell * np.sin(np.pi * t), height * t)
        for t in np.linspace(0.04, 1, 9)
    ]
    wall = 0.15 if style == "enamel" else between(rng, 0.3, 0.5)
    inside = [(r - wall, max(z, wall)) for r, z in outside[::-1]]
    profile = rounded([(0, 0), (outside[0][0] * 0.9, 0), *outside, *inside, (0, wall)])
    glaze = _glaze(rng, words, "plastic" if style == "enamel" else "ceramic")
    ring = Material("ceramic", any_colour(rng) if rng.random() < 0.3 else glaze.colour)
    reach = between(rng, 1.8, 3.2)
    thick = between(rng, 0.4, 0.65)
    low, high = height * between(rng, 0.15, 0.3), height * between(rng, 0.75, 0.92)
    at = float(np.interp((low + high) / 2, *np.array(outside)[:, ::-1].T)) - 0.15
    parts = [Part("lathe", profile, glaze), _handle(at, low, high, reach, thick, ring)]
    if style == "enamel":
        rim = ((radius + 0.05, height - 0.35), (radius + 0.08, height + 0.02))
        parts.append(Part("lathe", rim, Material("plastic", dark(rng), 0.1)))
    return parts + _drink(rng, outside, wall, height)


def _drink(
    rng: np.random.Generator,
    outside: list[tuple[float, float]],
    wall: float,
    top: float,
) -> list[Part]:
    if rng.random() < 0.5:
        return []
    level = top * between(rng, 0.6, 0.88)
    radius = float(np.interp(level, *np.array(outside)[:, ::-1].T)) - wall
    colour = choose(rng, ((0.06, 0.03, 0.015), (0.35, 0.2, 0.1), (0.3, 0.11, 0.02)))
    surface = rounded([(radius, level - 0.02), (radius, level), (0, level)])
    return [Part("lathe", surface, Material("ceramic", colour))]


def _bowl(rng: np.random.Generator, style: str, words: tuple[str, ...]) -> list[Part]:
    radius, height, power = {
        "deep": (between(rng, 6.5, 8.5), between(rng, 6, 8), 0.55),
        "shallow": (between(rng, 8, 10), between(rng, 4, 5.2), 0.6),
        "cone": (between(rng, 7, 9), between(rng, 6, 7.5), 0.95),
        "small": (between(rng, 4.2, 5.5), between(rng, 3.2, 4.8), 0.5),
        "footed": (between(rng, 6, 7.5), between(rng, 6, 7.5), 0.6),
        "mixing": (between(rng, 9, 11), between(rng, 8, 10), 0.4),
    }[style]
    foot = radius * between(rng, 0.35, 0.5)
    lift = 1.2 if style == "footed" else 0.3
    outside = [
        (foot + (radius - foot) * t**power, lift + (height - lift) * t**1.3)
        for t in np.linspace(0, 1, 11)
    ]
    wall = between(rng, 0.25, 0.45)
    inside = [(max(r - wall, 0.5), z + wall * 0.8) for r, z in outside[::-1]]
    profile = rounded([(0, 0), (foot, 0), *outside, *inside, (0, lift + wall)])
    shell = {
        "mixing": lambda: choose(rng, (STEEL, Material("plastic", pale(rng), 0.2))),
        "shallow": lambda: choose(rng, (wood(rng), _glaze(rng, words, "ceramic"))),
        "cone": lambda: choose(rng, (_glaze(rng, words, "ceramic"), wood(rng))),
    }.get(style, lambda: _glaze(rng, words, "ceramic"))()
    if style == "small" and rng.random() < 0.4:
        shell = Material("glass", (0.9, 0.95, 0.97))
    return [Part("lathe", profile, shell), *_meal(rng, outside, wall, height)]


def _meal(
    rng: np.random.Generator,
    outside: list[tuple[float, float]],
    wall: float,
    top: float,
) -> list[Part]:
    """Nothing, soup, or a heap of something round."""
    kind = choose(rng, ("nothing", "nothing", "soup", "heap"))
    level = top * between(rng, 0.6, 0.8)
    radius = float(np.interp(level, *np.array(outside)[:, ::-1].T)) - wall
    food = hsv(between(rng, 0.0, 0.3), between(rng, 0.4, 0.9), between(rng, 0.2, 0.8))
    if kind == "soup":
        surface = rounded([(radius, level - 0.02), (radius, level), (0, level)])
        return [Part("lathe", surface, Material("plastic", food, 0.1))]
    if kind == "nothing":
        return []
    size = radius * between(rng, 0.16, 0.4)
    parts = []
    for _ in range(int(np.clip(6 / (size / radius) ** 1.3, 6, 22))):
        out, turn = (radius - size) * np.sqrt(rng.random()), rng.random() * 6.283
        at = (round(float(out * np.cos(turn)), 3), round(float(out * np.sin(turn)), 3))
        high = level - size + size * between(rng, 0, 0.8)
        material = Material("plastic", food, 0.25)
        parts.append(Part("lathe", ball(size), material, at=(*at, round(high, 3))))
    return parts


def _box(rng: np.random.Generator, style: str, words: tuple[str, ...]) -> list[Part]:
    width, depth, height = {
        "cereal": (between(rng, 17, 20), between(rng, 5, 7), between(rng, 24, 30)),
        "tea": (between(rng, 12, 15), between(rng, 6, 8), between(rng, 7, 9)),
        "biscuit": (between(rng, 18, 22), between(rng, 4.5, 6), between(rng, 11, 14)),
        "tissue": (between(rng, 20, 24), between(rng, 11, 13), between(rng, 7, 9)),
        "parcel": (between(rng, 16, 24), between(rng, 12, 16), between(rng, 9, 14)),
        "medicine": (between(rng, 7, 11), between(rng, 2.5, 4), between(rng, 5, 12)),
    }[style]
    size = ((width, depth, height),)
    if style == "parcel":
        tan = hsv(0.08, between(rng, 0.4, 0.55), between(rng, 0.5, 0.7))
        tape = Material("plastic", choose(rng, ((0.65, 0.5, 0.3), WHITE)), 0.1)
        strip = Part("box", ((width + 0.06, 4.5, height + 0.06),), tape)
        seams = Part("box", ((width, 0.15, 0.1),), Material("paper", dark(rng)))
        seams = Part("box", seams.points, seams.material, at=(0, 0, height + 0.01))
        return [Part("box", size, Material("paper", tan)), strip, seams]
    grounds = (vivid, vivid, dark, any_colour)
    board = _panels(rng, width, depth, height, words, grounds)
    parts = [Part("box", size, board)]
    if style == "tissue":
        slot = ((0, height + 0.03), (width * 0.18, height + 0.02))
        parts.append(Part("lathe", slot[::-1], Material("paper", BLACK), 0.45))
        tuft = ((width * 0.15, height), (1.2, height + 2), (width * 0.12, height + 6))
        parts.append(Part("lathe", tuft, Material("paper", WHITE), 0.35))
    return parts


def ball(radius: float, *, tall: float = 1.0) -> Points:
    """A sphere's profile, standing on z = 0; `tall` stretches it upwards."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    rows = [(radius * np.cos(a), radius * tall * (1 + np.sin(a))) for a in angle]
    return rounded(rows)


def _filling(
    rng: np.random.Generator,
    profile: Points,
    level: float,
    squash: float,
    *,
    solid: bool = False,
) -> list[Part]:
    """What is inside: water, juice, wine; jam or honey when `solid`; or nothing."""
    if rng.random() < (0.1 if solid else 0.2):
        return []
    inside = inset(profile, 0.18, round(level, 3))
    hue, value = between(rng, -0.03, 0.3), between(rng, 0.1, 0.75)
    if solid:
        kind = choose(rng, ("plastic", "plastic", "liquid"))
        colour = hsv(hue, between(rng, 0.5, 0.95), value)
    else:
        kind = choose(rng, ("liquid", "liquid", "plastic"))
        clear = kind == "liquid" and rng.random() < 0.5
        colour = (0.96, 0.97, 0.98) if clear else hsv(hue, 0.85, value)
    return [Part("lathe", inside, Material(kind, colour, 0.1), squash)]


def _wrap(
    rng: np.random.Generator,
    radius: float,
    low: float,
    high: float,
    words: tuple[str, ...],
    kind: str = "paper",
) -> Part:
    """A printed band round a body between two heights."""
    size = (int(2 * np.pi * radius * 18), max(24, int((high - low) * 18)))
    texture = Texture("wrap", int(rng.integers(1 << 30)), size, _inks(rng), words)
    material = Material(kind, roughness=between(rng, 0.1, 0.35), texture=texture)
    return Part("lathe", rounded([(radius, low), (radius, high)]), material)


def _panels(
    rng: np.random.Generator,
    width: float,
    depth: float,
    height: float,
    words: tuple[str, ...],
    grounds: Sequence[Callable[[np.random.Generator], Colour]],
) -> Material:
    """The printed board of a carton or a box."""
    size = (int(2 * (width + depth) * 12), int((height + depth) * 12))
    words = (*words, f"{width} {depth} {height}")
    texture = Texture(
        "panels", int(rng.integers(1 << 30)), size, _inks(rng, grounds), words
    )
    return Material("plastic", roughness=between(rng, 0.2, 0.5), texture=texture)


def _glaze(rng: np.random.Generator, words: tuple[str, ...], kind: str) -> Material:
    """Plain or decorated, glossy or matt."""
    ground = pale(rng) if rng.random() < 0.5 else any_colour(rng)
    texture = None
    if rng.random() < 0.6:
        colours = (ground, any_colour(rng))
        seed = int(rng.integers(1 << 30))
        texture = Texture("pattern", seed, (480, 180), colours, words)
    return Material(kind, ground, between(rng, 0.04, 0.25), texture)


def _inks(
    rng: np.random.Generator,
    grounds: Sequence[Callable[[np.random.Generator], Colour]] = _GROUNDS,
) -> tuple[Colour, ...]:
    """Ground, two decorations, plate and picture."""
    ground = choose(rng, grounds)(rng)
    decorations = any_colour(rng), any_colour(rng)
    return ground, *decorations, choose(rng, (pale, dark))(rng), vivid(rng)


def _screw_cap(
    material: Material, radius: float, tall: float, at: tuple[float, float, float]
) -> Part:
    side = [(radius, 0.0), (radius, tall - 0.15), (radius - 0.15, tall), (0, tall)]
    place = (at[0], round(at[1], 3), round(at[2], 3))
    return Part("lathe", rounded(side), material, at=place)


def _handle(
    at: float, low: float, high: float, reach: float, thick: float, material: Material
) -> Part:
    """A C-shaped grip along +x between two heights."""
    turns = np.linspace(-np.pi / 2, np.pi / 2, 13)
    middle, half = (low + high) / 2, (high - low) / 2
    path = [
        (at + reach * np.cos(t) ** 0.7, 0.0, middle + half * np.sin(t), thick)
        for t in turns
    ]
    return Part("tube", rounded(path), material)


def _amount(rng: np.random.Generator) -> str:
    return f"{int(rng.integers(2, 20)) * 50} {choose(rng, ('g', 'ml'))}"


_RINGS = list(enumerate((0.93, 0.9, 0.7, 0.66, 0.45, 0.0)))
_FOODS = ("TOMATO SOUP", "SWEET CORN", "CHICK PEAS", "PEACHES", "TUNA", "RED BEANS")
_DRINKS = ("LEMON SODA", "ORANGE", "SPARKLING WATER", "GINGER", "COLA", "ICED TEA")
_WORDS: dict[str, tuple[str, ...]] = {
    "can": _FOODS + _DRINKS,
    "carton": (
        "WHOLE MILK",
        "OAT DRINK",
        "APPLE JUICE",
        "CREAM",
        "BROTH",
        "RICE DRINK",
    ),
    "glass_bottle": ("RED WINE", "PALE ALE", "OLIVE OIL", "SOY SAUCE", "CIDER", "GIN"),
    "plastic_bottle": ("SPRING WATER", "SHAMPOO", "KETCHUP", "DISH SOAP", *_DRINKS),
    "jar": ("PLUM JAM", "HONEY", "PICKLES", "PEANUT BUTTER", "OLIVES", "PAPRIKA"),
    "mug": ("HELLO", "No. 7", "COFFEE", "HOME", "MONDAY", "TEA"),
    "bowl": ("BREAKFAST", "SOUP", "CAT", "YUM"),
    "box": ("CORN FLAKES", "GREEN TEA", "CRACKERS", "TISSUES", "PASTA", "TABLETS"),
}
STYLES: dict[str, tuple[str, ...]] = {
    "can": ("drink", "food", "slim", "flat", "ribbed", "large"),
    "carton": ("gable", "cream", "brick", "gable", "cream", "juice"),
    "glass_bottle": ("wine", "beer", "sauce", "slope", "spirit", "stubby"),
    "plastic_bottle": ("water", "shampoo", "soda", "detergent", "squeeze", "jug"),
    "jar": ("jam", "honey", "pickle", "spread", "storage", "spice"),
    "mug": ("straight", "tapered", "round", "espresso", "latte", "enamel"),
    "bowl": ("deep", "shallow", "cone", "small", "footed", "mixing"),
    "box": ("cereal", "tea", "biscuit", "tissue", "parcel", "medicine"),
}
CLASS_NAMES = tuple(STYLES)
_BUILDERS: dict[str, Callable[..., list[Part]]] = {
    "can": _can,
    "carton": _carton,
    "glass_bottle": _glass_bottle,
    "plastic_bottle": _plastic_bottle,
    "jar": _jar,
    "mug": _mug,
    "bowl": _bowl,
    "box": _box,
}
