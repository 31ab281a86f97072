"""What stands where, seen from where, in which light: a photograph before it is taken.

A `Scene` is plain data, drawn from a seed without the renderer. `product_scene` and
`negative_scene` make those of `pantry/products`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cvlib.pantry import clutter, shapes
from cvlib.pantry.catalogue import Product
from cvlib.pantry.palette import (
    any_colour,
    dark,
    hsv,
    muted,
    wooden,
)
from cvlib.pantry.seeds import between, choose, generator
from cvlib.pantry.shapes import Colour, Material, Part, Texture

BACKGROUNDS = ("wood", "counter", "fridge", "cluttered")
LIGHTS = ("window", "warm", "cool", "dim", "mixed")
Vector = tuple[float, float, float]
Array = NDArray[np.float64]
Facts = dict[str, str | float]


@dataclass(frozen=True)
class Placed:
    """An object somewhere: leaned about x, then turned about z, then moved."""

    name: str
    parts: tuple[Part, ...]
    at: Vector = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    lean: float = 0.0

    def matrix(self) -> Array:
        """From the object's own coordinates to the scene's, [4, 4]."""
        (ca, sa), (cy, sy) = (_turn(angle) for angle in (self.lean, self.yaw))
        lean = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
        yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        matrix = np.eye(4)
        matrix[:3, :3] = yaw @ lean
        matrix[:3, 3] = self.at
        return matrix

    def vertices(self) -> Array:
        """Points on the surface, [N, 3], in the scene."""
        meshes = [shapes.build(part, segments=12).vertices for part in self.parts]
        matrix = self.matrix()
        return np.concatenate(meshes) @ matrix[:3, :3].T + matrix[:3, 3]


@dataclass(frozen=True)
class Camera:
    """A phone: where it is, what it looks at, its angle of view in degrees.

    `aperture` is the lens's radius in centimetres; 0 keeps everything sharp.
    """

    origin: Vector
    target: Vector
    up: Vector
    fov: float
    aperture: float
    focus: float

    def pinhole(self) -> "Camera":
        """The same view with everything sharp."""
        return replace(self, aperture=0.0)

    def project(self, points: Array) -> Array:
        """Points [N, 3] to the frame [N, 2], 0-1 from its top left corner."""
        origin, target = np.array(self.origin), np.array(self.target)
        ahead = _unit(target - origin)
        right = _unit(np.cross(ahead, np.array(self.up)))
        down = np.cross(ahead, right)
        away = points - origin
        depth = np.maximum(away @ ahead, 1e-3) * 2 * np.tan(np.radians(self.fov) / 2)
        return np.stack([away @ right, away @ down], axis=1) / depth[:, None] + 0.5


@dataclass(frozen=True)
class Scene:
    """Everything a picture depends on before the camera's own faults.

    `objects` are what masks and boxes are about, `stage` the surroundings, `room`
    the light from all around, `facts` plain values for the table of images.
    """

    objects: tuple[Placed, ...]
    stage: tuple[Placed, ...]
    camera: Camera
    room: Texture
    room_turn: float
    seed: int
    facts: Facts = field(default_factory=dict)


def product_scene(product: Product, photo: int, *, tries: int = 200) -> Scene:
    """Photograph number `photo` of a product, which is the scene's first object.

    Drawn again until at least 55 % of the product is in the frame and other things
    hide at most about half of it.
    """
    for attempt in range(tries):
        rng = generator("scene", product.name, photo, attempt)
        scene = _compose(rng, product)
        inside, hidden = _visibility(scene)
        if inside >= 0.55 and hidden <= 0.5:
            facts: Facts = {"in_frame": round(inside, 2), "hidden": round(hidden, 2)}
            return replace(scene, facts=scene.facts | facts)
    raise RuntimeError(f"no view of {product.name} in {tries} tries")


def negative_scene(split: str, number: int) -> Scene:
    """A scene without products: look-alikes, or in one scene of eight nothing."""
    rng = generator("negative", split, number)
    kind = choose(rng, clutter.LOOK_ALIKES[split])
    if number % 8 == 7:
        kind = "nothing"
    parts = clutter.thing("citrus" if kind == "nothing" else kind, rng)
    hero = standing(kind, parts, rng, lean=0.0)
    scene = _stage(rng, hero)
    others = () if kind == "nothing" else clutter.LOOK_ALIKES[split]
    objects = [] if kind == "nothing" else [hero, *_around(rng, hero, scene, others)]
    return replace(scene, objects=tuple(objects))


def _compose(rng: np.random.Generator, product: Product) -> Scene:
    lying = product.class_name not in ("mug", "bowl") and rng.random() < 0.08
    hero = standing(product.name, product.parts, rng, lean=90.0 if lying else 0.0)
    if not lying and rng.random() < 0.75:
        # Labels face the camera; a mug's handle, along +x, is seldom behind it.
        turn = (-200, 20) if product.class_name == "mug" else (-60, 60)
        hero = replace(hero, yaw=between(rng, *turn))
    scene = _stage(rng, hero)
    objects = [hero, *_around(rng, hero, scene, clutter.FILLERS)]
    occluder = _occluder(rng, hero, scene.camera)
    facts: Facts = {
        "pose": "lying" if lying else "standing",
        "occluder": occluder is not None,
    }
    objects += [occluder] if occluder else []
    return replace(scene, objects=tuple(objects), facts=scene.facts | facts)


def _stage(rng: np.random.Generator, hero: Placed) -> Scene:
    """Surroundings, light and camera for one main object."""
    background = choose(rng, BACKGROUNDS)
    in_fridge = ("cool", "cool", "warm", "dim")
    light = choose(rng, in_fridge if background == "fridge" else LIGHTS)
    camera, facts = view(rng, hero.vertices(), low=background == "fridge")
    facts |= {"yaw": round(hero.yaw, 1)}
    stage = fridge(rng) if background == "fridge" else kitchen(rng, background)
    if rng.random() < 0.6 and background != "fridge":
        stage.append(key_light(rng, light))
    walls = hsv(between(rng, 0.05, 0.6), between(rng, 0, 0.25), between(rng, 0.4, 0.8))
    room = Texture("room", int(rng.integers(1 << 30)), (256, 128), (walls,), (light,))
    facts = {"background": background, "light": light, **facts}
    turn, seed = between(rng, 0, 360), int(rng.integers(1 << 30))
    return Scene((hero,), tuple(stage), camera, room, turn, seed, facts)


def view(
    rng: np.random.Generator,
    points: Array,
    *,
    low: bool,
    fills: tuple[float, float] = (0.55, 1.25),
) -> tuple[Camera, Facts]:
    """A phone held towards points [N, 3], which fill this share of the frame.

    `low` keeps it near the height of what it looks at, as before a shelf.
    """
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    extent = float(np.linalg.norm(points.max(axis=0) - points.min(axis=0)))
    steep = rng.random() < 0.18 and not low
    elevation = between(rng, 35, 78) if steep else between(rng, 3, 22 if low else 35)
    fill = float(np.exp(rng.uniform(*np.log(fills))))
    fov = between(rng, 30, 52)
    distance = extent / (2 * fill * np.tan(np.radians(fov) / 2))
    side = between(rng, -25, 25) if low else between(rng, -40, 40)
    (ce, se), (cs, ss) = _turn(elevation), _turn(side)
    origin = centre + distance * np.array([ss * ce, -cs * ce, se])
    reach = extent * np.array([0.3, 0.3, 0.22]) * max(0.5, 0.5 / fill)
    target = centre + rng.uniform(-1, 1, 3) * reach
    up = np.array([0.0, 0.0, 1.0]) + rng.normal(0, 0.07, 3)
    focus = distance * (between(rng, 0.8, 1.5) if rng.random() < 0.15 else 1.0)
    aperture = between(rng, 0.03, 0.35)
    camera = Camera(_vector(origin), _vector(target), _vector(up), fov, aperture, focus)
    near = "near" if fill > 0.8 else "middle" if fill > 0.5 else "far"
    facts: Facts = {"distance": near, "fill": round(fill, 3)}
    return camera, facts | {"elevation": elevation}


def standing(
    name: str, parts: tuple[Part, ...], rng: np.random.Generator, *, lean: float
) -> Placed:
    """An object resting on z = 0, turned anyhow."""
    placed = Placed(name, parts, yaw=between(rng, -180, 180), lean=lean)
    low = float(placed.vertices()[:, 2].min())
    return replace(placed, at=(0.0, 0.0, round(-low, 3)))


def _around(
    rng: np.random.Generator, hero: Placed, scene: Scene, kinds: tuple[str, ...]
) -> list[Placed]:
    """Neighbours beside and behind, more of them where it is cluttered."""
    background = scene.facts["background"]
    most = {"cluttered": 7, "fridge": 5}.get(str(background), 3)
    taken = [(0.0, 0.0, footprint(hero))]
    placed: list[Placed] = []
    for _ in range(int(rng.integers(most // 3, most + 1)) if kinds else 0):
        kind = choose(rng, kinds)
        lean = 90.0 if kind in ("pin", "roll") and rng.random() < 0.6 else 0.0
        one = standing(kind, clutter.thing(kind, rng), rng, lean=lean)
        wide = footprint(one)
        for _ in range(12):
            away = taken[0][2] + wide + between(rng, 0.3, 22)
            turn = np.radians(between(rng, -30, 210))
            x, y = away * np.cos(turn), away * np.sin(turn)
            inside = background != "fridge" or (abs(x) < 24 and y < 18)
            if inside and all(np.hypot(x - a, y - b) > wide + r for a, b, r in taken):
                taken.append((x, y, wide))
                placed.append(replace(one, at=(round(x, 3), round(y, 3), one.at[2])))
                break
    return placed


def _occluder(rng: np.random.Generator, hero: Placed, camera: Camera) -> Placed | None:
    """Sometimes, something between the camera and the object, off to a side."""
    if rng.random() > 0.28:
        return None
    kind = choose(rng, clutter.FILLERS)
    one = standing(kind, clutter.thing(kind, rng), rng, lean=0.0)
    towards = _unit(np.array([*camera.origin[:2], 0.0]))
    aside = np.array([-towards[1], towards[0], 0.0])
    wide, own = footprint(one), footprint(hero)
    shift = choose(rng, (-1, 1)) * own * between(rng, 0.5, 1.3)
    x, y, _ = towards * (wide + own + between(rng, 0.5, 5)) + aside * shift
    clear = np.hypot(x - camera.origin[0], y - camera.origin[1]) > wide + 6
    return replace(one, at=(round(x, 3), round(y, 3), one.at[2])) if clear else None


def _visibility(scene: Scene) -> tuple[float, float]:
    """Shares of the first object's surface points in the frame, and hidden there."""
    seen = scene.camera.project(scene.objects[0].vertices())
    inside = ((seen >= 0) & (seen <= 1)).all(axis=1)
    eye = np.array(scene.camera.origin)
    own = np.linalg.norm(np.array(scene.objects[0].at) - eye)
    hidden = np.zeros(len(seen), dtype=bool)
    for other in scene.objects[1:]:
        points = other.vertices()
        if np.linalg.norm(points.mean(axis=0) - eye) < own:
            box = scene.camera.project(points)
            low, high = box.min(axis=0), box.max(axis=0)
            hidden |= ((seen >= low) & (seen <= high)).all(axis=1)
    return float(inside.mean()), float((hidden & inside).sum() / max(inside.sum(), 1))


def kitchen(rng: np.random.Generator, background: str) -> list[Placed]:
    """A table or a counter, sometimes with a wall behind."""
    kinds = {"wood": ("wood",), "counter": ("stone", "stone", "plaster")}
    kind = choose(rng, kinds.get(background, ("wood", "cloth", "stone", "cloth")))
    span = between(rng, 110, 180)
    top = Part("sheet", ((span, span, 0.0, span / 75),), _surface(rng, kind))
    edge = between(rng, 10, 45) - span / 2
    stage = [Placed("", (top,), at=(0.0, edge + 20, 0.0), yaw=between(rng, -8, 8))]
    if rng.random() < 0.7:
        kinds_behind = ("tiles", "tiles", "plaster", "wood")
        if background != "counter":
            kinds_behind = ("plaster", "paper", "plaster", "wood")
        covering = _surface(rng, choose(rng, kinds_behind))
        wall = Part("sheet", ((260.0, 180.0, 0.0, 3.0),), covering)
        back = between(rng, 28, 75)
        stage.append(
            Placed("", (wall,), (0.0, back, 60.0), between(rng, -12, 12), 90.0)
        )
    if background == "cluttered" and rng.random() < 0.5:
        at = (between(rng, -8, 8), between(rng, -8, 8), 0.05)
        mat = Part("sheet", ((40.0, 30.0, 0.0, 0.6),), _surface(rng, "cloth"))
        stage.append(Placed("", (mat,), at, between(rng, -40, 40)))
    return stage


def fridge(rng: np.random.Generator) -> list[Placed]:
    """White ribbed walls, a glossy shelf, a shelf above and a lamp at the top."""
    tint = between(rng, 0.5, 0.62), between(rng, 0.01, 0.08)
    white = hsv(*tint, between(rng, 0.85, 0.95))
    plastic, tall = Material("plastic", white, 0.25), between(rng, 36, 44)
    shelf = Material("plastic", hsv(0.45, between(rng, 0.03, 0.15), 0.72), 0.08)
    back, depth = between(rng, 24, 30), 62.0
    boxes = [
        (shelf, (66.0, depth, 1.0), (0.0, back - depth / 2, -1.0)),
        (plastic, (66.0, 2.0, tall + 20), (0.0, back + 1, -10.0)),
        (plastic, (66.0, depth, 2.0), (0.0, back - depth / 2, tall)),
    ]
    for side in (-1, 1):
        at = (side * 34.0, back - depth / 2, -10.0)
        boxes.append((plastic, (2.0, depth, tall + 20), at))
        for z in (8.0, 22.0):
            rail = (side * 32.5, back - depth / 2, z)
            boxes.append((plastic, (1.4, depth, 1.2), rail))
    strength = between(rng, 4, 14)
    glow = tuple(round(strength * c, 2) for c in (0.95, 1.0, 1.05))
    lamp = Material("glow", (glow[0], glow[1], glow[2]))
    boxes.append((lamp, (16.0, 4.0, 0.6), (between(rng, -15, 15), 2.0, tall - 0.7)))
    edge = Material("metal", (0.8, 0.8, 0.8), 0.3)
    boxes.append((edge, (66.0, 1.2, 1.6), (0.0, back - depth, -1.2)))
    return [Placed("", (Part("box", (size,), m),), at) for m, size, at in boxes]


def key_light(rng: np.random.Generator, light: str) -> Placed:
    """A lamp outside the frame that casts shadows."""
    colours = {"warm": (1.3, 0.85, 0.45), "dim": (1.3, 0.85, 0.5)}
    colours["mixed"] = (1.2, 0.9, 0.6)
    strength = between(rng, 4, 30) * (0.4 if light == "dim" else 1)
    red, green, blue = (strength * c for c in colours.get(light, (0.95, 1.0, 1.1)))
    wide, turn = between(rng, 6, 22), np.radians(between(rng, -200, 20))
    away, high = between(rng, 50, 90), between(rng, 70, 120)
    at = (round(away * np.cos(turn), 2), round(away * np.sin(turn) * 0.5, 2), high)
    glow = Material("glow", (round(red, 2), round(green, 2), round(blue, 2)))
    return Placed("", (Part("box", ((wide, wide, 1.0),), glow),), at)


def _surface(rng: np.random.Generator, kind: str) -> Material:
    """A covering for tables and walls."""
    pairs: dict[str, Callable[[], tuple[Colour, Colour]]] = {
        "wood": lambda: wooden(rng),
        "stone": lambda: choose(
            rng, ((muted(rng), dark(rng)), (dark(rng), muted(rng)))
        ),
        "cloth": lambda: (muted(rng), choose(rng, (muted, any_colour))(rng)),
        "tiles": lambda: (muted(rng), muted(rng)),
        "paper": lambda: (muted(rng), muted(rng)),
    }
    first, second = pairs.get(kind, lambda: _shades(muted(rng)))()
    seed = int(rng.integers(1 << 30))
    texture = Texture(kind, seed, (768, 768), (first, second))
    if kind in ("cloth", "plaster", "paper"):
        return Material("paper", texture=texture)
    low = 0.06 if kind in ("stone", "tiles") else 0.15
    return Material("plastic", roughness=between(rng, low, low + 0.25), texture=texture)


def _shades(colour: Colour) -> tuple[Colour, Colour]:
    """A colour and a slightly darker one."""
    red, green, blue = (round(0.8 * c, 3) for c in colour)
    return colour, (red, green, blue)


def footprint(thing: Placed) -> float:
    """The radius around the object's axis that it needs, in centimetres."""
    points = thing.vertices()[:, :2] - np.array(thing.at[:2])
    return float(np.percentile(np.hypot(points[:, 0], points[:, 1]), 95))


def _turn(degrees: float) -> tuple[float, float]:
    """Cosine and sine."""
    return float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector)


def _vector(values: Array) -> Vector:
    x, y, z = (round(float(value), 3) for value in values)
    return x, y, z
