"""Make `pantry/products` and `pantry/shelves`: which pictures, which files.

`python -m cvlib.pantry` is its command line. A file that exists is not made
again, each is written whole or not at all, and any one can be made alone.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from cvlib.files import write_bytes
from cvlib.pantry.arrangements import empty_scene, shelf_scene
from cvlib.pantry.catalogue import (
    CLASS_NAMES,
    PRODUCTS_PER_CLASS,
    product,
    split_of,
)
from cvlib.pantry.photo import Effects, draw_effects, photograph
from cvlib.pantry.scenes import Scene, negative_scene, product_scene

SIZE = 224
SAMPLES = 6
PHOTOS = 10
NEGATIVES = 80
SHIPPED = Path(__file__).parents[1] / "datasets" / "shipped" / "pantry"
FOLDER = SHIPPED / "products"
SHELF_SIZE = 384
SHELVES = {"train": 240, "valid": 60, "test": 80}
EMPTY = {"train": 32, "valid": 16, "test": 32}
SHELF_FOLDER = SHIPPED / "shelves"


class Picture(Protocol):
    """A picture to be made: its name, where it goes, what it shows and how badly."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def path(self) -> str: ...  # noqa: D102

    def scene(self) -> Scene: ...  # noqa: D102

    def effects(self, scene: Scene) -> Effects: ...  # noqa: D102


P = TypeVar("P", bound=Picture)


@dataclass(frozen=True)
class Shot:
    """One picture of `pantry/products`."""

    name: str
    split: str
    class_name: str
    number: int
    photo: int

    @property
    def path(self) -> str:
        """Where it is in the image set, with forward slashes."""
        if self.class_name == "negative":
            return f"negatives/{self.split}/{self.name}.jpg"
        return f"{self.split}/{self.class_name}/{self.name}.jpg"

    def scene(self) -> Scene:
        """What is photographed."""
        if self.class_name == "negative":
            return negative_scene(self.split, self.number)
        return product_scene(product(self.class_name, self.number), self.photo)

    def effects(self, scene: Scene) -> Effects:
        """The camera's faults."""
        return draw_effects(self.name, str(scene.facts["light"]))


@dataclass(frozen=True)
class ShelfShot:
    """One picture of `pantry/shelves`; `empty` ones hold look-alikes only."""

    split: str
    number: int
    empty: bool = False

    @property
    def name(self) -> str:
        """For example `shelf-train-012`."""
        return f"{'empty' if self.empty else 'shelf'}-{self.split}-{self.number:03d}"

    @property
    def folder(self) -> str:
        """Where its annotations are: pictures without products have their own split."""
        return f"negatives_{self.split}" if self.empty else self.split

    @property
    def path(self) -> str:
        """Where it is in the image set, with forward slashes."""
        return f"images/{self.folder}/{self.name}.jpg"

    def scene(self) -> Scene:
        """What is photographed: drawn again until three products can be seen."""
        from cvlib.pantry.truth import settle

        if self.empty:
            return empty_scene(self.split, self.number)
        for attempt in range(20):
            drawn = shelf_scene(self.split, self.number, attempt=attempt)
            scene = settle(drawn)
            if len(scene.objects) >= 3:
                return scene
        raise RuntimeError(f"no view of three products for {self.name} in 20 tries")

    def effects(self, scene: Scene) -> Effects:
        """The camera's faults, milder than a close-up's: these objects are small."""
        drawn = draw_effects(self.name, str(scene.facts["light"]))
        return replace(drawn, defocus=drawn.defocus / 2, motion=drawn.motion / 2)


def shots() -> list[Shot]:
    """Every picture of the set, photograph by photograph so that all classes grow."""
    return [*_product_shots(), *_negative_shots()]


def shelf_shots() -> list[ShelfShot]:
    """Every picture of `pantry/shelves`."""
    filled = [ShelfShot(s, n) for s, count in SHELVES.items() for n in range(count)]
    empty = [ShelfShot(s, n, True) for s, count in EMPTY.items() for n in range(count)]
    return [*filled, *empty]


def make(
    shot: Picture,
    out: Path,
    *,
    size: int = SIZE,
    samples: int = SAMPLES,
    light: Path | None = None,
) -> Path:
    """Render and photograph one shot unless its file exists.

    With `light`, a folder, the renderer's linear image is kept there and used again,
    so that the camera's effects can be changed without rendering.
    """
    target = out / shot.path
    if not target.exists():
        scene = shot.scene()
        linear = _linear(scene, shot.name, size, samples, light)
        photo = photograph(linear, shot.effects(scene), name=shot.name)
        write_bytes(target, photo)
    return target


def make_all(
    wanted: list[P],
    out: Path,
    *,
    jobs: int = 1,
    size: int = SIZE,
    samples: int = SAMPLES,
    light: Path | None = None,
) -> Iterator[P]:
    """Make the wanted shots in `jobs` processes, yielding each once it is there."""
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    with pool:
        waiting = {
            pool.submit(make, shot, out, size=size, samples=samples, light=light): shot
            for shot in wanted
        }
        for done in as_completed(waiting):
            done.result()
            yield waiting[done]


def write_table(out: Path) -> Path:
    """Write `products.csv`: one row a picture with everything that was drawn for it."""
    rows = [describe(shot) for shot in shots()]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, names, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_bytes(out / "products.csv", text.getvalue().encode())
    return out / "products.csv"


def describe(shot: Shot) -> dict[str, object]:
    """A shot's row in `products.csv`."""
    scene = shot.scene()
    row: dict[str, object] = {"path": shot.path, "split": shot.split}
    row |= {"class_name": shot.class_name, "product": "", "style": "", "brand": ""}
    if shot.class_name != "negative":
        item = product(shot.class_name, shot.number)
        row |= {"product": item.name, "style": item.style, "brand": item.brand}
    row["objects"] = " ".join(dict.fromkeys(thing.name for thing in scene.objects))
    effects = draw_effects(shot.name, str(scene.facts["light"]))
    return row | scene.facts | asdict(effects)


def write_truth(out: Path, *, jobs: int = 1) -> Iterator[str]:
    """Write one COCO JSON a split to `annotations/`, yielding each picture's name.

    Everything in it is asked of the renderer, scene by scene; the pictures themselves
    are not looked at.
    """
    shots = shelf_shots()
    found: dict[str, dict[str, Any]] = {}
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    with pool:
        for shot, entry in zip(shots, pool.map(annotated, shots), strict=True):
            found[shot.name] = entry
            yield shot.name
    for folder in dict.fromkeys(shot.folder for shot in shots):
        here = [found[shot.name] for shot in shots if shot.folder == folder]
        text = json.dumps(_coco(here), separators=(",", ":"))
        write_bytes(out / "annotations" / f"{folder}.json", text.encode())


def annotated(shot: ShelfShot) -> dict[str, Any]:
    """COCO's entries for one picture: {"image": …, "annotations": […]}, without ids."""
    from cvlib.pantry.truth import annotate

    scene = shot.scene()
    objects = [] if shot.empty else annotate(scene, size=SHELF_SIZE)
    known = {k: scene.facts[k] for k in ("background", "light", "distance")}
    image = {"file_name": shot.path, "width": SHELF_SIZE, "height": SHELF_SIZE}
    tags = sorted({one["category"] for one in objects})
    image |= {"split": shot.folder, "group": shot.name, "tags": tags, **known}
    return {"image": image, "annotations": objects}


def _coco(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Entries with ids, and what COCO wants beside them."""
    from cvlib.pantry.truth import FLIP_PAIRS, KEYPOINT_NAMES

    numbers = {name: i for i, name in enumerate(CLASS_NAMES, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, entry in enumerate(entries, start=1):
        images.append({"id": image_id, **entry["image"]})
        for one in entry["annotations"]:
            rest = {k: v for k, v in one.items() if k != "category"}
            ids = {"id": len(annotations) + 1, "image_id": image_id}
            ids["category_id"] = numbers[one["category"]]
            annotations.append(ids | rest)
    categories = [
        {"id": number, "name": name, "supercategory": "product"}
        | {"keypoints": KEYPOINT_NAMES, "skeleton": [], "flip_pairs": FLIP_PAIRS}
        for name, number in numbers.items()
    ]
    licence = {"id": 1, "name": "CC0-1.0"}
    return {
        "info": {"description": "pantry/shelves", "version": "1"},
        "licenses": [licence],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def _product_shots() -> list[Shot]:
    return [
        Shot(
            f"{class_name}-{number:02d}-{photo:02d}",
            split_of(class_name, number),
            class_name,
            number,
            photo,
        )
        for photo in range(PHOTOS)
        for number in range(1, PRODUCTS_PER_CLASS + 1)
        for class_name in CLASS_NAMES
    ]


def _negative_shots() -> list[Shot]:
    places = [("train", 0), ("test", NEGATIVES)]
    return [
        Shot(f"negative-{start + n:03d}", split, "negative", start + n, 0)
        for split, start in places
        for n in range(NEGATIVES)
    ]


def _linear(
    scene: Scene, name: str, size: int, samples: int, light: Path | None
) -> np.ndarray:
    from cvlib.pantry.render import render

    if light is None:
        return render(scene, size=size, samples=samples).image
    mark = hashlib.sha256(repr((scene, size, samples)).encode()).hexdigest()[:12]
    kept = light / f"{name}-{mark}.npy"
    if not kept.exists():
        buffer = io.BytesIO()
        np.save(buffer, render(scene, size=size, samples=samples).image.astype("f2"))
        write_bytes(kept, buffer.getvalue())
    return np.load(kept).astype(np.float32)
