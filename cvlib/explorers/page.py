"""What explorers share: thumbnails, the frame around them, a file of their own."""

import base64
import io
import json
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from PIL import Image
from torch import Tensor

from cvlib.files import write_text


@dataclass(frozen=True, repr=False)
class Explorer:
    """HTML that shows itself in a notebook and can be saved as a page.

    It holds its images, style and script, and asks nothing of the network.
    """

    html: str
    title: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"{self.title}, {len(self.html) / 1e6:.1f} MB of HTML"

    def save(self, path: str | Path) -> Path:
        """Write it as a page that any browser opens, offline too."""
        return write_text(path, fill("saved", title=self.title, html=self.html))


@cache
def pages() -> Environment:
    """The templates beside this module; whatever they are given is escaped."""
    loader = PackageLoader("cvlib.explorers", ".")
    return Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


def fill(template: str, **values: Any) -> str:
    """`<template>.html.jinja` with these values in it."""
    return pages().get_template(f"{template}.html.jinja").render(**values)


def frame(kind: str, title: str, **values: Any) -> Explorer:
    """An explorer of a kind: its template filled, the shared style, its own script."""
    files = resources.files(__package__)
    inside = fill(kind, **values)
    script = "".join(
        (files / f"{part}.js").read_text("utf8") for part in ("explorer", kind)
    )
    html = fill(
        "frame",
        id=f"explorer-{sha256(inside.encode()).hexdigest()[:12]}",
        title=title,
        style=(files / "explorer.css").read_text("utf8"),
        inside=inside,
        script=script,
    )
    return Explorer(html, title)


def thumbnail(image: Tensor, size: int) -> str:
    """An image, [3, H, W], bytes or 0–1, as the source of an <img>, `size` pixels."""
    if image.is_floating_point():
        image = (image.clamp(0, 1) * 255).byte()
    picture = Image.fromarray(image.cpu().permute(1, 2, 0).numpy())
    file = io.BytesIO()
    picture.resize((size, size), Image.Resampling.BICUBIC).save(
        file, "JPEG", quality=80
    )
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


@dataclass(frozen=True)
class Item:
    """A list item to press: an image that shows `what`, and a caption below it.

    `facts` and `known` become `data-` attributes, of the item and of the button in it;
    `kind` is the item's class.
    """

    source: str
    what: str
    caption: str
    facts: dict[str, str]
    known: dict[str, str]
    kind: str = ""


def as_texts(**values: Any) -> dict[str, str]:
    """What `data-` attributes hold: texts as they are, all else as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def any_of(names: Iterable[str]) -> dict[str, str]:
    """The options of a choice among names, or any."""
    return {"": "any", **{name: name for name in names}}


def check_images(images: Tensor, **others: Sized) -> None:
    """Raise ValueError unless `images` are [N, 3, H, W] and the others have N rows."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be [N, 3, H, W], got {tuple(images.shape)}")
    for name, values in others.items():
        if len(values) != len(images):
            raise ValueError(
                f"{name} must have a row for each of {len(images)} images, "
                f"got {len(values)}"
            )
