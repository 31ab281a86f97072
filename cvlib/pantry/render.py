"""From a scene's description to light: Mitsuba traces it, Open Image Denoise cleans it.

Only this module needs the extra `render` (mitsuba, pyoidn); they are imported when
the first scene is rendered.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvlib.pantry import labels, shapes, surfaces
from cvlib.pantry.scenes import Camera, Placed, Scene
from cvlib.pantry.shapes import Material, Texture

Array = NDArray[np.float32]
Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Rendering:
    """What the renderer sees, each [H, W, 3].

    `image` is linear light, denoised; `albedo` and `normal` were its guides.
    """

    image: Array
    albedo: Array
    normal: Array


class RendererMissingError(ImportError):
    """The renderer is not installed: `pip install` the package with `[render]`."""


def render(scene: Scene, *, size: int = 224, samples: int = 6) -> Rendering:
    """Trace a scene at `size` x `size` pixels with `samples` paths a pixel."""
    _, oidn = _renderer()
    world, _owners = _load(scene)
    # Guides need few samples, and asking for them in the same pass doubles its time.
    path = {"type": "path", "max_depth": 9, "rr_depth": 4}
    colour = _trace(world, path, scene, size, samples)
    aovs = {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"}
    guides = _trace(world, aovs, scene, size, 2)
    albedo, normal = np.clip(guides[..., -6:-3], 0, 1), guides[..., -3:]
    albedo, normal = np.ascontiguousarray(albedo), np.ascontiguousarray(normal)
    image = oidn.denoise(colour, albedo=albedo, normal=normal, hdr=True)
    return Rendering(np.maximum(image, 0), albedo, normal)


def instances(
    scene: Scene, *, size: int = 224, window: Window | None = None
) -> NDArray[np.uint8]:
    """Which object is seen at each pixel's centre, [H, W].

    0 is the surroundings, n the n-th of `scene.objects`. One ray a pixel through a
    pinhole: exact masks, without the picture's depth of field. Outside `window`, left,
    top, right and bottom in pixels, nothing is asked and all is 0.
    """
    mi, _ = _renderer()
    world, owners = _load(scene)
    sensor = mi.load_dict(_sensor(scene.camera.pinhole(), size, 1))
    order = dict(zip(world.shapes(), owners, strict=True))
    found = np.zeros((size, size), dtype=np.uint8)
    left, top, right, bottom = window or (0, 0, size, size)
    for row, column in product(range(top, bottom), range(left, right)):
        at = mi.ScalarPoint2f((column + 0.5) / size, (row + 0.5) / size)
        hit = world.ray_intersect(sensor.sample_ray(0.0, 0.5, at, [0.5, 0.5])[0])
        if hit.is_valid():
            found[row, column] = order[hit.shape]
    return found


def first_hits(scene: Scene, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far, [N], one sees from the camera towards points [N, 3]; inf if for ever."""
    mi, _ = _renderer()
    world, _owners = _load(scene)
    eye = np.array(scene.camera.origin)
    away = points - eye
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    rays = [mi.Ray3f(mi.ScalarPoint3f(*eye), mi.ScalarVector3f(*d)) for d in away]
    hits = [world.ray_intersect(ray) for ray in rays]
    return np.array([hit.t if hit.is_valid() else np.inf for hit in hits])


def paint(texture: Texture) -> Array:
    """A texture's picture, [H, W, 3] in 0-1."""
    painters = {
        "wrap": labels.paint_wrap,
        "panels": labels.paint_panels,
        "pattern": labels.paint_pattern,
    }
    if texture.kind in painters:
        picture = np.asarray(painters[texture.kind](texture), np.float32) / 255
        return np.asarray(picture**2.2, np.float32)
    picture = np.asarray(surfaces.PAINTERS[texture.kind](texture), np.float32)
    return np.asarray(picture ** (1.0 if texture.kind == "room" else 2.2), np.float32)


def _trace(
    world: Any, method: dict[str, Any], scene: Scene, size: int, samples: int
) -> Array:
    """What an integrator gathers, [H, W, C], without infinities or fireflies."""
    mi, _ = _renderer()
    sensor = mi.load_dict(_sensor(scene.camera, size, samples))
    tracer = mi.load_dict(method)
    raw = mi.render(world, integrator=tracer, sensor=sensor, seed=scene.seed)
    values = np.nan_to_num(np.array(raw, dtype=np.float32), posinf=50.0)
    return np.minimum(values, 50.0)


@cache
def _renderer() -> tuple[ModuleType, ModuleType]:
    try:
        import mitsuba
        import pyoidn
    except ImportError as error:
        wanted = "rendering needs mitsuba and pyoidn: install the extra [render]"
        raise RendererMissingError(wanted) from error
    mitsuba.set_variant("scalar_rgb")
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    # A scalar render's threads wait for each other: run processes side by side.
    import_module("drjit").set_thread_count(1)
    return mitsuba, pyoidn


def _load(scene: Scene) -> tuple[Any, list[int]]:
    """The Mitsuba scene, and for each of its shapes the object it belongs to."""
    mi, _ = _renderer()
    content: dict[str, Any] = {"type": "scene", "light": _environment(scene)}
    owners: list[int] = []
    things = [(0, thing) for thing in scene.stage]
    things += [(i + 1, thing) for i, thing in enumerate(scene.objects)]
    for owner, thing in things:
        for part in thing.parts:
            content[f"shape{len(owners):04d}"] = _shape(thing, part)
            owners.append(owner)
    return mi.load_dict(content), owners


def _shape(thing: Placed, part: shapes.Part) -> Any:
    mi, _ = _renderer()
    mesh = shapes.build(part)
    matrix = thing.matrix()
    props = mi.Properties()
    props["mesh_bsdf"] = mi.load_dict(_bsdf(part.material))
    if part.material.kind == "glow":
        light = {"type": "rgb", "value": list(part.material.colour)}
        props["emitter"] = mi.load_dict({"type": "area", "radiance": light})
    solid = mi.Mesh(
        "part",
        len(mesh.vertices),
        len(mesh.faces),
        has_vertex_normals=True,
        has_vertex_texcoords=True,
        props=props,
    )
    fields = mi.traverse(solid)
    vertices = mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3]
    fields["vertex_positions"] = vertices.astype(np.float32).ravel()
    fields["vertex_normals"] = (mesh.normals @ matrix[:3, :3].T).ravel()
    uv = mesh.uv * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)
    fields["vertex_texcoords"] = uv.ravel()
    fields["faces"] = mesh.faces.ravel()
    fields.update()
    return solid


def _bsdf(material: Material) -> dict[str, Any]:
    """How Mitsuba calls a material; every kind the catalogue uses is here."""
    kind, colour = material.kind, _reflectance(material)
    rough = {"distribution": "ggx", "alpha": max(material.roughness, 0.03)}
    glossy = {"type": "roughplastic", "diffuse_reflectance": colour, **rough}
    clear = {"type": "thindielectric", "specular_transmittance": colour}
    makers: dict[str, dict[str, Any]] = {
        "plastic": glossy,
        "paper": {"type": "diffuse", "reflectance": colour},
        "ceramic": glossy,
        "metal": {"type": "roughconductor", "material": "Al", **rough}
        | {"specular_reflectance": colour},
        "printed_metal": {"type": "principled", "base_color": colour, "metallic": 0.55}
        | {"roughness": 0.32, "specular": 0.5},
        "glass": clear,
        "liquid": {"type": "dielectric", "int_ior": 1.33}
        | {"specular_transmittance": colour},
        "translucent": {"type": "blendbsdf", "weight": 0.45, "a": glossy, "b": clear},
        "glow": {"type": "diffuse"},
    }
    chosen = makers[kind]
    if kind in ("glass", "liquid"):
        return chosen
    if kind == "translucent":
        return chosen | {"a": {"type": "twosided", "inner": glossy}}
    return {"type": "twosided", "inner": chosen}


def _reflectance(material: Material) -> dict[str, Any]:
    mi, _ = _renderer()
    if material.texture is None:
        power = 1.0 if material.kind in ("glass", "liquid", "metal") else 2.2
        return {"type": "rgb", "value": [float(c) ** power for c in material.colour]}
    picture = mi.Bitmap(paint(material.texture))
    return {"type": "bitmap", "bitmap": picture, "raw": True, "wrap_mode": "mirror"}


def _environment(scene: Scene) -> dict[str, Any]:
    mi, _ = _renderer()
    up = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    turn = mi.ScalarTransform4f().rotate([0, 0, 1], scene.room_turn)
    picture = mi.Bitmap(np.ascontiguousarray(paint(scene.room)))
    return {"type": "envmap", "bitmap": picture, "to_world": turn @ up}


def _sensor(camera: Camera, size: int, samples: int) -> dict[str, Any]:
    mi, _ = _renderer()
    lens: dict[str, Any] = {"type": "perspective"}
    if camera.aperture:
        lens = {"type": "thinlens", "aperture_radius": camera.aperture}
        lens["focus_distance"] = camera.focus
    view = mi.ScalarTransform4f().look_at(
        list(camera.origin), list(camera.target), list(camera.up)
    )
    film = {"type": "hdrfilm", "width": size, "height": size, **_FILM}
    sampler = {"type": "independent", "sample_count": samples}
    lens |= {"fov": camera.fov, "to_world": view, "film": film, "sampler": sampler}
    return lens


_FILM = {
    "pixel_format": "rgb",
    "component_format": "float32",
    "rfilter": {"type": "box"},
}
