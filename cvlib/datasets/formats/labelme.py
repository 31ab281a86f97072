"""LabelMe exports, read: a JSON file an image, with rectangles and polygons.

Source: https://github.com/wkentaro/labelme (its JSON files hold `shapes` and
`imagePath`). Other shapes (circles, lines, points) are noted and left out.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np

from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.formats.outlines import Shape, outlined
from cvlib.datasets.split_names import split_of_path
from cvlib.samples import ImageSet

LOOKS_LIKE = "a .json an image, with `shapes` and `imagePath`"


def recognise(folder: Folder) -> bool:
    """Whether a JSON file has `shapes` and `imagePath`."""
    return any(_is_sheet(folder.json(name, quiet=True)) for name in _candidates(folder))


def read(folder: Folder) -> ImageSet:
    """Every JSON file's image, with boxes, and masks where polygons were drawn."""
    found = []
    for sheet in _candidates(folder):
        document = folder.json(sheet)
        if not _is_sheet(document):
            continue
        beside = PurePosixPath(sheet).parent.as_posix()
        image = folder.image(
            document["imagePath"], sheet, folders=(beside, "", "images")
        )
        if image:
            shapes = [
                s for one in document["shapes"] for s in _shape(folder, sheet, one)
            ]
            found.append((image, shapes, split_of_path(image)))
    return outlined(folder, "labelme", found)


def _candidates(folder: Folder) -> list[str]:
    return [name for name in folder.files if name.endswith(".json")]


def _is_sheet(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and isinstance(document.get("shapes"), list)
        and isinstance(document.get("imagePath"), str)
    )


def _shape(folder: Folder, sheet: str, one: Any) -> list[Shape]:
    """One shape as (name, points [P, 2]); a rectangle has two points."""
    try:
        kind, name = one.get("shape_type", "polygon"), str(one["label"])
        points = np.array(one["points"], np.float64).reshape(-1, 2)
    except (AttributeError, KeyError, TypeError, ValueError):
        folder.fault("annotation-unreadable", sheet, f"a shape is {one!r:.80}")
        return []
    wanted = {"rectangle": len(points) in (2, 4), "polygon": len(points) > 2}
    if not wanted.get(kind, False):
        said = f"a {kind} of {len(points)} points is neither a box nor a polygon"
        folder.fault("annotation-unreadable", sheet, said, severity="warning")
        return []
    if kind == "rectangle":
        points = np.array([points.min(axis=0), points.max(axis=0)])
    return [(name, points)]
