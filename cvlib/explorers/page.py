"""What explorers share: thumbnails, the frame around them, a file of their own."""

import base64
import io
import json
from collections.abc import Sized
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

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
        head = (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title>"
            "<style>:root{color-scheme:light dark;font-family:system-ui}"
            "body{max-width:60rem;margin:1rem auto;padding:0 1rem}</style>"
            f"<main><h1>{escape(self.title)}</h1>"
        )
        return write_text(path, f"{head}{self.html}</main>")


def frame(kind: str, title: str, inside: str) -> Explorer:
    """`inside` as an explorer of a kind: with the shared style and its own script."""
    files = resources.files(__package__)
    style = (files / "explorer.css").read_text("utf8")
    script = "".join(
        (files / f"{part}.js").read_text("utf8") for part in ("explorer", kind)
    )
    name = f"explorer-{sha256(inside.encode()).hexdigest()[:12]}"
    html = (
        f'<section class="cvlib-explorer" id="{name}" aria-label="{escape(title)}">'
        f"<style>{style}</style>{inside}"
        f'<script>{{const root = document.getElementById("{name}");\n{script}}}'
        "</script></section>"
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


def attributes(**values: Any) -> str:
    """`data-` attributes, safe whatever the values hold; lists become JSON."""
    plain = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
    return " ".join(f'data-{name}="{escape(text)}"' for name, text in plain.items())


def button(facts: str, known: str, source: str, what: str, caption: str) -> str:
    """A list item to press: an image that shows `what`, and a caption below it.

    `facts` and `known` are attributes, of the item and of the button in it.
    """
    return (
        f'<li {facts}><button type="button" {known}>'
        f'<img src="{source}" alt="{escape(what)}" decoding="async">'
        f"<span>{escape(caption)}</span></button></li>"
    )


def choice(label: str, name: str, options: dict[str, str], chosen: str = "") -> str:
    """A labelled <select>; `options` maps values to what the reader sees."""
    entries = "".join(
        f'<option value="{escape(value)}"{" selected" * (value == chosen)}>'
        f"{escape(text)}</option>"
        for value, text in options.items()
    )
    return f'<label>{escape(label)} <select name="{name}">{entries}</select></label>'


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
