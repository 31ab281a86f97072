"""YOLO: a text file an image, a line an object: its class, then its box or its outline.

`data.yaml` (or another YAML with `names`), `images/<split>/` and `labels/<split>/` (or
`<split>/images/`); without it, `classes.txt` or `obj.names`, and labels there or beside
the images. The folders or lists that `train`, `val`
and `test` name there decide the split. Numbers are shares of width and height: four are
a box's middle and size, six or more a polygon; with `kpt_shape`, keypoints follow the
box. A line holds a polygon or keypoints: of a set that has both, polygons are written.
Source: https://docs.ultralytics.com/datasets/detect/ and /pose/
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvlib.datasets.formats.checks import checked
from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.formats.names import flat_names
from cvlib.datasets.formats.yolo.layout import (
    MOST_CLASSES,
    MOST_POINTS,
    NAME_LISTS,
    Layout,
    read_layout,
)
from cvlib.datasets.formats.yolo.outline import Floats, encode_outlines, outline_of
from cvlib.datasets.split_names import split_of_path
from cvlib.samples import ImageSet, Sample

log = logging.getLogger("cvlib")

LOOKS_LIKE = "data.yaml with `names`, images/<split>/ and labels/<split>/*.txt"
SHEET_ENDINGS = (".yaml", ".yml")


def recognise(folder: Folder) -> bool:
    """Whether text files lie in a `labels` folder, or of boxes beside images."""
    return bool(_sheets(folder))


def read(folder: Folder) -> ImageSet:
    """Every image with a text file; an empty file is an image without objects."""
    sheets = _sheets(folder)
    layout = read_layout(folder)
    used: set[str] = set()
    samples = []
    for image in folder.images:
        sheet = next((place for place in _places(image) if place in sheets), "")
        if sheet:
            used.add(sheet)
            samples.append(_sample(folder, image, sheet, layout))
    for sheet in sorted(sheets - used - layout.lists):
        said = f"{sheet} has no image of its name below images/"
        folder.fault("image-missing", sheet, said)
    most = max((int(s.labels.max(initial=-1)) for s in samples), default=-1)
    named = len(layout.class_names)
    names = (*layout.class_names, *(f"class {i}" for i in range(named, most + 1)))
    if not any(s.rles for s in samples):
        samples = [replace(s, rles=None) for s in samples]
    points, pairs = layout.point_names, layout.flip_pairs
    return ImageSet(folder.root, "yolo", names, tuple(samples), points, pairs)


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """`data.yaml` and a text file an image; returns image path → name in `out`."""
    import yaml

    if any(sample.boxes is None for sample in image_set.samples):
        raise FormatError(f"YOLO holds boxes; {image_set.root} has images without any")
    placed: dict[str, str] = {}
    splits: dict[str, str] = {}
    names = flat_names(image_set, by_stem=True)
    points = _points(image_set)
    for name, sample in zip(names, image_set.samples, strict=True):
        split = sample.split or "all"
        placed[str(sample.path)] = f"images/{split}/{name}"
        splits["val" if split == "valid" else split] = f"images/{split}"
        sheet = out / "labels" / split / f"{name.rpartition('.')[0]}.txt"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        lines = _lines(sample, points)
        sheet.write_text("".join(f"{line}\n" for line in lines), "utf8")
    facts = {"path": ".", **splits, "names": dict(enumerate(image_set.class_names))}
    facts |= _point_facts(image_set, points)
    out.mkdir(parents=True, exist_ok=True)
    (out / "data.yaml").write_text(
        yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), "utf8"
    )
    return placed


def _sheets(folder: Folder) -> set[str]:
    """Text files in a `labels` folder, or beside images where classes are listed."""
    named = any(PurePosixPath(f).name in NAME_LISTS for f in folder.files)
    stems = {image.rpartition(".")[0] for image in folder.images} if named else set()
    found = set()
    for text in (f for f in folder.files if f.endswith(".txt")):
        path = PurePosixPath(text)
        beside = text.removesuffix(".txt") in stems and _is_boxes(folder, text)
        if ("labels" in path.parts[:-1] or beside) and path.name not in NAME_LISTS:
            found.add(text)
    return found


def _is_boxes(folder: Folder, text: str) -> bool:
    """Whether a text file is empty, or starts with the numbers of a box."""
    first = folder.text(text).partition("\n")[0].split()
    return not first or (
        len(first) >= 5 and _values(" ".join(first[:5]), Layout()) is not None
    )


def _places(image: str) -> Iterator[str]:
    """Where an image's text file may be: `images/train/a.jpg` → `labels/train/a.txt`.

    `train/images/a.jpg` likewise; of two folders `images`, the last, then the first;
    else below `labels/`; else beside the image.
    """
    path = PurePosixPath(image).with_suffix(".txt")
    places = [i for i, part in enumerate(path.parts[:-1]) if part == "images"]
    for place in reversed(places):
        yield PurePosixPath(
            *path.parts[:place], "labels", *path.parts[place + 1 :]
        ).as_posix()
    yield f"labels/{path}"
    yield str(path)


def _sample(folder: Folder, image: str, sheet: str, layout: Layout) -> Sample:
    size = folder.canvas_size(image)
    scale = np.array(size[::-1], np.float64)
    objects = list(_objects(folder, sheet, layout))
    end = 5 if layout.points else None
    shapes = [np.array(one[1:end]).reshape(-1, 2) * scale for one in objects]
    boxes = [_box(points) for points in shapes]
    outlines = [points if len(points) > 2 else None for points in shapes]
    sample = Sample(
        folder.root / image,
        size,
        np.array([one[0] for one in objects], np.int64),
        np.array(boxes, np.float32).reshape(-1, 4),
        rles=encode_outlines(outlines, boxes, size),
        split=layout.splits.get(image) or split_of_path(image),
    )
    if layout.points:
        found = [_keypoints(one[5:], layout, scale) for one in objects]
        points = np.array(found, np.float32).reshape(-1, layout.points, 3)
        sample = replace(sample, keypoints=points)
    return checked(folder, sample)


def _objects(folder: Folder, sheet: str, layout: Layout) -> Iterator[list[float]]:
    """The numbers of each line that is an object of a known class; or a fault."""
    names = layout.class_names
    most = len(names) - 1 if names else MOST_CLASSES
    for number, line in enumerate(folder.text(sheet).splitlines(), start=1):
        if not line.strip():
            continue
        values = _values(line, layout)
        if values is None:
            said = f"line {number}: wanted {_wanted(layout)}, got {line[:60]!r}"
            folder.fault("annotation-unreadable", sheet, said)
        elif not (0 <= values[0] <= most and values[0].is_integer()):
            said = f"line {number}: no class {values[0]:g}; they go from 0 to {most}"
            folder.fault("class-unknown", sheet, said)
        else:
            yield values


def _wanted(layout: Layout) -> str:
    if layout.points:
        return f"a class, 4 numbers and {layout.points} × {layout.values} of keypoints"
    return "a class and 4 or more numbers"


def _values(line: str, layout: Layout) -> list[float] | None:
    """A line's numbers; None for a line that is no object."""
    try:
        found = [float(word) for word in line.split()]
    except ValueError:
        return None
    pose = len(found) == 5 + layout.points * layout.values
    outline = len(found) == 5 or (len(found) > 5 and len(found) % 2 == 1)
    fits = pose if layout.points else outline
    return found if fits and np.isfinite(found).all() else None


def _keypoints(values: list[float], layout: Layout, scale: Floats) -> Floats:
    """[K, 3] in pixels. Without a visibility, a point at 0, 0 is not labelled."""
    found = np.full((layout.points, 3), 2.0)
    given = np.array(values).reshape(layout.points, layout.values)
    found[:, : layout.values] = given
    if layout.values == 2:
        found[(given == 0).all(axis=1), 2] = 0
    found[:, :2] *= scale
    return found


def _box(points: Floats) -> Floats:
    """XYXY, [4]: of a middle and a size, or around an outline's points."""
    if len(points) > 2:
        return np.concatenate([points.min(axis=0), points.max(axis=0)])
    middle, half = points[0], points[1] / 2
    return np.concatenate([middle - half, middle + half])


def _points(image_set: ImageSet) -> int:
    """How many keypoints an object is written with: none where there are masks."""
    posed = [s.keypoints for s in image_set.samples if s.keypoints is not None]
    most = max((keypoints.shape[1] for keypoints in posed), default=0)
    masked = any(sample.rles for sample in image_set.samples)
    if most and (masked or most > MOST_POINTS):
        why = "beside its masks" if masked else f"of more than {MOST_POINTS} points"
        log.info("%s: YOLO holds no keypoints %s", image_set.root, why)
        return 0
    return most


def _point_facts(image_set: ImageSet, points: int) -> dict[str, Any]:
    """What data.yaml says of keypoints.

    Without `flip_idx` nothing is mirrored in training, so it is written only if known.
    """
    facts: dict[str, Any] = {"kpt_shape": [points, 3]} if points else {}
    pairs = [pair for pair in image_set.flip_pairs if max(pair) < points]
    if pairs:
        swapped = dict(pairs) | {o: i for i, o in pairs}
        facts["flip_idx"] = [swapped.get(i, i) for i in range(points)]
    names = image_set.keypoint_names
    if points and len(names) == points:
        classes = range(len(image_set.class_names))
        facts["kpt_names"] = {i: [*names] for i in classes}
    return facts


def _lines(sample: Sample, points: int) -> list[str]:
    assert sample.boxes is not None
    masks = sample.masks if sample.rles is not None else [None] * len(sample.labels)
    objects = zip(sample.labels.tolist(), sample.boxes, masks, strict=True)
    lines = [_line(*one, sample.canvas_size) for one in objects]
    if not points:
        return lines
    tails = map(_tail, _shares(sample, points))
    return [f"{line} {tail}" for line, tail in zip(lines, tails, strict=True)]


def _shares(sample: Sample, points: int) -> Floats:
    """Keypoints [N, points, 3] in shares of the image; zeros where there is none."""
    found = np.zeros((len(sample.labels), points, 3))
    if sample.keypoints is not None:
        found[:, : sample.keypoints.shape[1]] = sample.keypoints
    found[~np.isfinite(found).all(axis=2)] = 0
    shares: Floats = found / np.array([*sample.canvas_size[::-1], 1])
    return shares


def _tail(shares: Floats) -> str:
    return " ".join(f"{x:.7f} {y:.7f} {v:g}" for x, y, v in shares)


def _line(
    label: int, box: Any, mask: NDArray[np.uint8] | None, size: tuple[int, int]
) -> str:
    box = np.asarray(box, np.float64)
    numbers = np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])
    outline = outline_of(mask) if mask is not None else None
    if outline is not None:
        ends = np.concatenate([outline.min(axis=0), outline.max(axis=0)])
        if np.abs(ends - box).max() <= 0.5:  # the box is what most readers train on
            numbers = outline.ravel()
    shares = numbers / np.tile(size[::-1], len(numbers) // 2)
    return " ".join([str(label), *(f"{v:.7f}" for v in shares)])
