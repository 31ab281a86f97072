"""Make the image set `pantry/products`: which pictures there are, and writing them.

`python -m cvlib.datasets.pantry` is its command line. A file that exists is not made
again, each is written whole or not at all, and any one can be made alone.
"""

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from cvlib.datasets.pantry.catalogue import (
    CLASS_NAMES,
    PRODUCTS_PER_CLASS,
    product,
    split_of,
)
from cvlib.datasets.pantry.photo import draw_effects, photograph
from cvlib.datasets.pantry.scenes import Scene, negative_scene, product_scene

SIZE = 224
SAMPLES = 6
PHOTOS = 10
NEGATIVES = 80
FOLDER = Path(__file__).parent / "products"


@dataclass(frozen=True)
class Shot:
    """One picture to be made: its name, its place in the set, and what it shows."""

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


def shots() -> list[Shot]:
    """Every picture of the set, photograph by photograph so that all classes grow."""
    return [*_product_shots(), *_negative_shots()]


def make(
    shot: Shot,
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
        effects = draw_effects(shot.name, str(scene.facts["light"]))
        _write(target, photograph(linear, effects, name=shot.name))
    return target


def make_all(
    wanted: list[Shot],
    out: Path,
    *,
    jobs: int = 1,
    size: int = SIZE,
    samples: int = SAMPLES,
    light: Path | None = None,
) -> Iterator[Shot]:
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
    _write(out / "products.csv", text.getvalue().encode())
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
    from cvlib.datasets.pantry.render import render

    if light is None:
        return render(scene, size=size, samples=samples).image
    mark = hashlib.sha256(repr((scene, size, samples)).encode()).hexdigest()[:12]
    kept = light / f"{name}-{mark}.npy"
    if not kept.exists():
        buffer = io.BytesIO()
        np.save(buffer, render(scene, size=size, samples=samples).image.astype("f2"))
        _write(kept, buffer.getvalue())
    return np.load(kept).astype(np.float32)


def _write(target: Path, content: bytes) -> None:
    """Whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.partial")
    part.write_bytes(content)
    part.replace(target)
