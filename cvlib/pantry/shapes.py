"""Solids as triangles: what a part of an object looks like before it has a material.

Lengths are centimetres, z points up and an object stands on z = 0. Used by
`cvlib.pantry.render`; `Part` is what the catalogue is made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
Points = tuple[tuple[float, ...], ...]
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Texture:
    """A picture to be painted: `kind` names a painter, the rest are its inputs."""

    kind: str
    seed: int
    size: tuple[int, int] = (384, 192)
    colours: tuple[Colour, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Material:
    """What light does at a surface. `kind` is one of the keys of `render.MATERIALS`."""

    kind: str
    colour: Colour = (0.8, 0.8, 0.8)
    roughness: float = 0.15
    texture: Texture | None = None


@dataclass(frozen=True)
class Part:
    """One surface of an object.

    `form` says how `points` are read: `lathe` turns a profile of (radius, z) about
    the z axis, `box` takes one (width, depth, height), `gable` adds a roof height to
    a box, `tube` sweeps a circle along (x, y, z, radius), `sheet` is a
    (width, depth, wave height, repeats) cloth or plane. `squash` scales y, `at` moves.
    """

    form: str
    points: Points
    material: Material
    squash: float = 1.0
    at: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Mesh:
    """Triangles: vertices and normals [V, 3], uv [V, 2], faces [F, 3]."""

    vertices: Array
    normals: Array
    uv: Array
    faces: NDArray[np.uint32] = field(repr=False)


def build(part: Part, *, segments: int = 40) -> Mesh:
    """The triangles of a part, `segments` of them around each turn."""
    makers: dict[str, Any] = {
        "lathe": lambda p: lathe(p, segments=segments),
        "box": lambda p: box(*p[0]),
        "gable": lambda p: gable(*p[0]),
        "tube": tube,
        "sheet": lambda p: sheet(*p[0]),
    }
    mesh = makers[part.form](part.points)
    scale = np.array([1, part.squash, 1], dtype=np.float32)
    normals = _unit(mesh.normals / scale)
    at = np.array(part.at, dtype=np.float32)
    return Mesh(mesh.vertices * scale + at, normals, mesh.uv, mesh.faces)


def lathe(profile: Points, *, segments: int = 40) -> Mesh:
    """The surface swept by a profile of (radius, z), bottom to top, about z.

    The outside is on the right of the direction of travel. Bends sharper than about
    40 degrees stay sharp. u runs once around, v from the lowest z to the highest.
    """
    rings, normals = _split_corners(np.array(profile, dtype=np.float64))
    angle = np.linspace(-np.pi, np.pi, segments + 1)
    turn = np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    vertices = _sweep(rings, turn)
    z = rings[:, 1]
    v = (z - z.min()) / max(float(np.ptp(z)), 1e-6)
    u = np.linspace(0, 1, segments + 1)
    uv = np.stack(np.broadcast_arrays(u[None], v[:, None]), axis=-1)
    faces = _grid_faces(len(rings), segments + 1)
    return _mesh(vertices, _sweep(normals, turn), uv.reshape(-1, 2), faces)


def box(width: float, depth: float, height: float) -> Mesh:
    """A cuboid: its sides share the texture's lower strip, lid and base the upper.

    The strip is front, right, back, left; the lid is above the front panel.
    """
    x, y = width / 2, depth / 2
    corners = [(-x, -y), (x, -y), (x, y), (-x, y)]
    around = np.cumsum([0, width, depth, width, depth]) / (2 * (width + depth))
    top = height / (height + depth)
    quads, uvs = [], []
    for i, (a, b) in enumerate(zip(corners, corners[1:] + corners[:1], strict=True)):
        quads.append([(*a, 0), (*b, 0), (*b, height), (*a, height)])
        u0, u1 = around[i], around[i + 1]
        uvs.append([(u0, 0), (u1, 0), (u1, top), (u0, top)])
    lid_uv = [(0, top), (around[1], top), (around[1], 1), (0, 1)]
    quads.append([(*corner, height) for corner in corners])
    quads.append([(*corner, 0) for corner in corners[::-1]])
    return _quads(quads, [*uvs, lid_uv, lid_uv])


def gable(width: float, depth: float, height: float, roof: float) -> Mesh:
    """A carton with a gabled roof and a sealing fin, its ridge along x."""
    body = box(width, depth, height)
    x, y, ridge, fin = width / 2, depth / 2, height + roof, height + roof * 1.35
    t, inner = 0.12, x - width * 0.12
    slopes: list[Any] = [
        [(-x, -y, height), (x, -y, height), (x, -t, ridge), (-x, -t, ridge)],
        [(x, y, height), (-x, y, height), (-x, t, ridge), (x, t, ridge)],
        [(x, -y, height), (x, y, height), (inner, t, ridge), (inner, -t, ridge)],
        [(-x, y, height), (-x, -y, height), (-inner, -t, ridge), (-inner, t, ridge)],
        [(-x, -t, ridge), (x, -t, ridge), (x, -t, fin), (-x, -t, fin)],
        [(x, t, ridge), (-x, t, ridge), (-x, t, fin), (x, t, fin)],
        [(x, -t, ridge), (x, t, ridge), (x, t, fin), (x, -t, fin)],
        [(-x, t, ridge), (-x, -t, ridge), (-x, -t, fin), (-x, t, fin)],
        [(-x, -t, fin), (x, -t, fin), (x, t, fin), (-x, t, fin)],
    ]
    top = height / (height + depth)
    panel = width / (2 * (width + depth))
    uv = [(0, top), (panel, top), (panel, 0.99), (0, 0.99)]
    return _join(body, _quads(slopes, [uv] * len(slopes)))


def tube(path: Points, *, segments: int = 12) -> Mesh:
    """A pipe along a path of (x, y, z, radius), open at both ends."""
    rows = np.array(path, dtype=np.float64)
    centres, radii = rows[:, :3], rows[:, 3]
    tangents = _unit(np.gradient(centres, axis=0))
    helper = np.array([0.31, 0.95, 0.05])
    side = _unit(np.cross(tangents, helper))
    other = np.cross(tangents, side)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    normals = (
        np.cos(angle)[None, :, None] * side[:, None]
        + np.sin(angle)[None, :, None] * other[:, None]
    )
    vertices = centres[:, None] + radii[:, None, None] * normals
    uv = np.zeros((vertices.shape[0] * (segments + 1), 2))
    faces = _grid_faces(len(rows), segments + 1)
    return _mesh(vertices.reshape(-1, 3), normals.reshape(-1, 3), uv, faces)


def sheet(width: float, depth: float, wave: float, repeats: float) -> Mesh:
    """A level rectangle, crumpled by `wave` centimetres, its texture repeated."""
    count = 36 if wave else 2
    s, t = np.meshgrid(np.linspace(0, 1, count), np.linspace(0, 1, count))
    bumps = sum(
        np.sin(2 * np.pi * (f * s + g * t) + 2.1 * f + 0.7 * g) / (f + abs(g))
        for f, g in [(1, 2), (2, -1), (3, 2), (2, -4), (5, 1)]
    )
    z = wave * (np.asarray(bumps) / 2 + 1) if wave else np.zeros_like(s)
    vertices = np.stack([(s - 0.5) * width, (t - 0.5) * depth, z], axis=-1)
    slope_t, slope_s = np.gradient(z, depth / (count - 1), width / (count - 1))
    normals = _unit(np.stack([-slope_s, -slope_t, np.ones_like(z)], axis=-1))
    uv = np.stack([s, t * depth / width], axis=-1) * repeats
    faces = _grid_faces(count, count)
    return _mesh(
        vertices.reshape(-1, 3), normals.reshape(-1, 3), uv.reshape(-1, 2), faces
    )


def bounds(parts: tuple[Part, ...]) -> tuple[Array, Array]:
    """The lowest and highest corner, each [3], of the parts together."""
    points = np.concatenate([build(part, segments=12).vertices for part in parts])
    return points.min(axis=0), points.max(axis=0)


def rounded(rows: Sequence[Sequence[float]]) -> Points:
    """Rows as the points of a `Part`, to a hundredth of a millimetre."""
    return tuple(tuple(round(float(value), 3) for value in row) for row in rows)


def _split_corners(profile: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rings and their normals; a ring at a sharp bend appears twice."""
    steps = _unit(np.diff(profile, axis=0))
    outward = np.stack([steps[:, 1], -steps[:, 0]], axis=1)
    rings, normals = [profile[0]], [outward[0]]
    for i in range(1, len(profile) - 1):
        before, after = outward[i - 1], outward[i]
        if before @ after < 0.77:
            rings += [profile[i], profile[i]]
            normals += [before, after]
        else:
            rings.append(profile[i])
            normals.append(_unit(before + after))
    return np.array([*rings, profile[-1]]), np.array([*normals, outward[-1]])


def _sweep(rows: NDArray[Any], turn: NDArray[Any]) -> NDArray[Any]:
    """(radius, z) rows turned through the directions `turn`, as [rows x turns, 3]."""
    flat = rows[:, None, :1] * turn[None]
    z = np.broadcast_to(rows[:, None, 1:], (*flat.shape[:2], 1))
    return np.concatenate([flat, z], axis=2).reshape(-1, 3)


def _grid_faces(rows: int, columns: int) -> NDArray[Any]:
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, 1:].ravel(), index[1:, :-1].ravel()
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def _quads(quads: list[Any], uvs: list[Any]) -> Mesh:
    corners = np.array(quads, dtype=np.float64)
    normal = _unit(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    )
    normals = np.repeat(normal, 4, axis=0)
    start = 4 * np.arange(len(quads))[:, None]
    faces = np.concatenate([start + np.array(t) for t in ((0, 1, 2), (0, 2, 3))])
    uv = np.array(uvs, dtype=np.float64).reshape(-1, 2)
    return _mesh(corners.reshape(-1, 3), normals, uv, faces)


def _join(first: Mesh, second: Mesh) -> Mesh:
    vertices = np.concatenate([first.vertices, second.vertices])
    normals = np.concatenate([first.normals, second.normals])
    uv = np.concatenate([first.uv, second.uv])
    faces = np.concatenate([first.faces, second.faces + len(first.vertices)])
    return _mesh(vertices, normals, uv, faces)


def _mesh(vertices: Any, normals: Any, uv: Any, faces: Any) -> Mesh:
    vertices, normals, uv = (np.asarray(a, np.float32) for a in (vertices, normals, uv))
    return Mesh(vertices, normals, uv, np.asarray(faces, np.uint32))


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.maximum(length, 1e-9)
