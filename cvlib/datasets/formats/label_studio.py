"""Label Studio's JSON exports, read: one file with a list of tasks.

Rectangles, polygons and choices; sizes are percentages there. Rotated rectangles become
the upright box around them. Source: https://labelstud.io/guide/export
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.formats.outlines import Shape, outlined
from cvlib.samples import IMAGE_SUFFIXES, ImageSet

LOOKS_LIKE = "a .json with a list of tasks, as Label Studio's JSON export"
SHEET_ENDINGS = (".json",)

Size = tuple[int, int]  # height, width
Floats = NDArray[np.float64]


def recognise(folder: Folder) -> bool:
    """Whether a JSON file is a list of tasks with `data` and `annotations`."""
    return any(
        _is_export(folder.json(name, quiet=True)) for name in _candidates(folder)
    )


def read(folder: Folder) -> ImageSet:
    """Tasks that were done; of several annotations, the first not cancelled."""
    found = []
    for sheet in _candidates(folder):
        document = folder.json(sheet)
        for task in document if _is_export(document) else []:
            results = _results(task)
            image = _image(folder, sheet, task) if results is not None else ""
            if results is not None and image:
                size = folder.canvas_size(image)
                shapes = [_shapes(folder, sheet, one, size) for one in results]
                found.append((image, [s for own in shapes for s in own], ""))
    return outlined(folder, "label-studio", found)


def _candidates(folder: Folder) -> list[str]:
    if folder.sheet is not None:
        return [folder.sheet.name]
    return [n for n in folder.files if n.endswith(".json") and n.count("/") < 2]


def _is_export(document: Any) -> bool:
    return (
        isinstance(document, list)
        and bool(document)
        and all(
            isinstance(t, dict) and isinstance(t.get("data"), dict) for t in document
        )
        and any("annotations" in t or "completions" in t for t in document)
    )


def _image(folder: Folder, sheet: str, task: dict[str, Any]) -> str:
    """The task's image: by its address's last part, less the upload's prefix."""
    text = [v for v in task["data"].values() if isinstance(v, str)]
    if not text:
        folder.fault("image-missing", sheet, f"task {task.get('id')} names no image")
        return ""
    # Other columns of the task, such as a camera's name, are text too.
    try:
        paths = [_path_in(value) for value in text]
    except ValueError as error:
        folder.fault("image-missing", sheet, f"task {task.get('id')}: {error}")
        return ""
    path = next((p for p in paths if p.lower().endswith(IMAGE_SUFFIXES)), paths[0])
    bare = PurePosixPath(path).name
    without = bare.partition("-")[2]
    uploaded = bare not in folder.by_name and without in folder.by_name
    return folder.image(without if uploaded else path, sheet, folders=("", "images"))


def _path_in(address: str) -> str:
    """The path of an address; of a local file's, what stands behind `?d=`."""
    parts = urlsplit(address)
    path = parse_qs(parts.query).get("d", [parts.path])[0]
    return unquote(path).replace("\\", "/")


def _results(task: dict[str, Any]) -> list[Any] | None:
    """What the annotator drew; None for a task that nobody finished."""
    every = task.get("annotations") or task.get("completions") or []
    done = [a for a in every if isinstance(a, dict) and not a.get("was_cancelled")]
    found = done[0].get("result") if done else None
    return found if isinstance(found, list) else None


def _shapes(folder: Folder, sheet: str, one: Any, size: Size) -> list[Shape]:
    """A result as (name, points [P, 2] in pixels); a choice has no points."""
    try:
        kind, value = one["type"], one["value"]
        if kind == "choices":
            return [(str(name), None) for name in value["choices"]]
        if kind in ("rectanglelabels", "rectangle"):
            return [(str(value["rectanglelabels"][0]), _corners(value, size))]
        if kind in ("polygonlabels", "polygon"):
            points = _pixels(value["points"], size)
            return [(str(value["polygonlabels"][0]), points)]
    except (KeyError, TypeError, ValueError, IndexError):
        folder.fault("annotation-unreadable", sheet, f"a result is {one!r:.80}")
        return []
    said = f"a result of type {kind!r} is neither a box, a polygon nor a choice"
    folder.fault("annotation-unreadable", sheet, said, severity="warning")
    return []


def _pixels(shares: Any, size: Size) -> Floats:
    """Points in percent of width and height → pixels, [P, 2]."""
    found: Floats = np.array(shares, np.float64) * size[::-1] / 100
    return found


def _corners(value: dict[str, Any], size: Size) -> Floats:
    """The two corners, [2, 2], of the upright box around a rectangle, in pixels.

    It is turned by `rotation` degrees about its left upper corner, clockwise as seen.
    """
    angle = np.radians(value.get("rotation") or 0)
    across, down = (value["width"], 0), (0, value["height"])
    # Percentages of width and height differ: turn in pixels.
    sides = _pixels([(0, 0), across, down, (value["width"], value["height"])], size)
    turn = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    points = sides @ np.array(turn) + _pixels((value["x"], value["y"]), size)
    return np.array([points.min(axis=0), points.max(axis=0)])
