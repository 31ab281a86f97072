"""Scenes of several products: on tables, in fridges, on racks, near and far.

`shelf_scene` and `empty_scene` make those of `pantry/shelves`. Products are the
scene's objects, everything else belongs to its stage. Nothing here needs the renderer.
"""

from dataclasses import replace

import numpy as np

from cvlib.pantry import clutter, scenes
from cvlib.pantry.catalogue import (
    CLASS_NAMES,
    PRODUCTS_PER_CLASS,
    Product,
    product,
    split_of,
)
from cvlib.pantry.palette import hsv, muted, wooden
from cvlib.pantry.scenes import LIGHTS, Facts, Placed, Scene
from cvlib.pantry.seeds import between, choose, generator
from cvlib.pantry.shapes import Material, Part, Texture

PLACES = ("wood", "counter", "cluttered", "fridge", "rack", "rack")
FLAT = ("can", "jar", "box")  # another thing can stand on these
LIGHT = ("can", "jar", "box", "mug", "bowl", "egg", "apple")  # and these on another
BOARDS = (0.0, 27.0)  # heights of a rack's boards, in centimetres
Room = tuple[float, float]  # half the width and half the depth to stand on


def shelf_scene(split: str, number: int, *, attempt: int = 0) -> Scene:
    """Scene `number` of a split: up to 12 of the split's products, some stacked."""
    rng = generator("shelf", split, number, attempt)
    wanted = _products(rng, split)
    return _compose(rng, [(item.name, item.parts) for item in wanted], most=4)


def empty_scene(split: str, number: int) -> Scene:
    """A scene without products: 3 to 8 look-alikes of the split (valid shares train's).

    A model that finds something here is mistaken.
    """
    rng = generator("empty shelf", split, number)
    kinds = clutter.LOOK_ALIKES["test" if split == "test" else "train"]
    names = [choose(rng, kinds) for _ in range(int(rng.integers(3, 9)))]
    things = [(name, clutter.thing(name, rng)) for name in names]
    scene = _compose(rng, things, most=0)
    return replace(scene, objects=(), stage=scene.stage + scene.objects)


def class_of(thing: Placed) -> str:
    """The class of a product in a scene, from its name: `can-03` → `can`."""
    return thing.name.rpartition("-")[0]


def _products(rng: np.random.Generator, split: str) -> list[Product]:
    """What stands there; sometimes the same product several times, as in a shop."""
    pool = [
        product(name, number)
        for name in CLASS_NAMES
        for number in range(1, PRODUCTS_PER_CLASS + 1)
        if split_of(name, number) == split
    ]
    count = int(rng.integers(4, 13))
    wanted = [choose(rng, pool) for _ in range(count)]
    if rng.random() < 0.3:
        wanted[: count // 2] = [wanted[0]] * (count // 2)
    return wanted


def _compose(
    rng: np.random.Generator, things: list[tuple[str, tuple[Part, ...]]], *, most: int
) -> Scene:
    """Things in a place, up to `most` pieces of clutter among them, light, camera."""
    place, far = choose(rng, PLACES), rng.random() < 0.45
    room = (26.0, 13.0) if place == "fridge" else _room(len(things), far)
    levels = BOARDS if place == "rack" else BOARDS[:1]
    objects: list[Placed] = []
    for name, parts in things:
        objects += _place(rng, name, parts, room, objects, levels, stack=0.4)
    stage: list[Placed] = []
    for _ in range(int(rng.integers(0, most + 1))):
        kind = choose(rng, clutter.FILLERS)
        taken = objects + stage
        parts = clutter.thing(kind, rng)
        stage += _place(rng, kind, parts, room, taken, levels, stack=0.0)
    light = choose(rng, LIGHTS)
    fills = (0.5, 0.8) if far else (0.85, 1.6)
    points = np.concatenate([thing.vertices() for thing in objects])
    low = place in ("fridge", "rack")
    camera, facts = scenes.view(rng, points, low=low, fills=fills)
    camera = replace(camera, aperture=camera.aperture / 2)  # a group is deep
    stage += _surroundings(rng, place, light, room)
    walls = hsv(between(rng, 0.05, 0.6), between(rng, 0, 0.25), between(rng, 0.4, 0.8))
    painted = Texture(
        "room", int(rng.integers(1 << 30)), (256, 128), (walls,), (light,)
    )
    known: Facts = {"background": place, "light": light, **facts}
    turn, seed = between(rng, 0, 360), int(rng.integers(1 << 30))
    return Scene(tuple(objects), tuple(stage), camera, painted, turn, seed, known)


def _room(count: int, far: bool) -> Room:
    """More things need more room; what is seen from far away stands further apart."""
    wide = (7.0 + 2.2 * count) * (1.3 if far else 1.0)
    return wide, min(wide * 0.55, 17.0)


def _place(
    rng: np.random.Generator,
    name: str,
    parts: tuple[Part, ...],
    room: Room,
    taken: list[Placed],
    levels: tuple[float, ...],
    *,
    stack: float,
) -> list[Placed]:
    """The thing where it fits, on a board or on another thing; nothing if nowhere."""
    lying = rng.random() < 0.07 and not name.startswith(("mug", "bowl"))
    one = scenes.standing(name, parts, rng, lean=90.0 if lying else 0.0)
    wide = scenes.footprint(one)
    if not lying and name.startswith(LIGHT) and rng.random() < stack:
        for base in taken:
            if _can_carry(base, wide, taken):
                top = float(base.vertices()[:, 2].max())
                return [replace(one, at=(base.at[0], base.at[1], one.at[2] + top))]
    for _ in range(40):
        x, y = between(rng, -room[0], room[0]), between(rng, -room[1], room[1])
        z = choose(rng, levels)
        near = [t for t in taken if abs(t.at[2] - z) < 20]
        if all(
            np.hypot(x - t.at[0], y - t.at[1]) > 0.92 * (wide + scenes.footprint(t))
            for t in near
        ):
            return [replace(one, at=(x, y, round(one.at[2] + z, 3)))]
    return []


def _can_carry(base: Placed, wide: float, taken: list[Placed]) -> bool:
    """Whether a thing this wide can stand on `base`: flat, upright, broad and free."""
    if not base.name.startswith(FLAT) or base.lean:
        return False
    alone = all(t is base or t.at[:2] != base.at[:2] for t in taken)
    low = base.vertices()[:, 2].max() < 18 or base.at[2] > 20
    return alone and bool(low) and wide < 1.15 * scenes.footprint(base)


def _surroundings(
    rng: np.random.Generator, place: str, light: str, room: Room
) -> list[Placed]:
    if place == "fridge":
        return scenes.fridge(rng)
    stage = _rack(rng, room) if place == "rack" else scenes.kitchen(rng, place)
    return [*stage, scenes.key_light(rng, light)] if rng.random() < 0.6 else stage


def _rack(rng: np.random.Generator, room: Room) -> list[Placed]:
    """Two boards between uprights before a wall, in wood or in painted metal."""
    wide, deep = 2 * room[0] + 18, 2 * room[1] + 12
    seed = int(rng.integers(1 << 30))
    board = Material("plastic", muted(rng), between(rng, 0.15, 0.4))
    if rng.random() < 0.5:
        grain = Texture("wood", seed, (768, 768), wooden(rng))
        board = Material("plastic", roughness=0.3, texture=grain)
    paint = Material("paper", muted(rng))
    at_back = deep / 2 + 1
    boxes = [(board, (wide, deep, 1.6), (0.0, 0.0, z - 1.6)) for z in (*BOARDS, 58.0)]
    boxes += [
        (board, (1.6, deep, 64.0), (side * wide / 2, 0.0, -4.0)) for side in (-1, 1)
    ]
    boxes.append((paint, (wide + 160, 1.0, 220.0), (0.0, at_back, -90.0)))
    return [Placed("", (Part("box", (size,), m),), at) for m, size, at in boxes]
