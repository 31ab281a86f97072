"""YOLO: a text file an image, a line an object: its class, then its box or its outline.

`data.yaml` with `names`, `images/<split>/` and `labels/<split>/` (or
`<split>/images/`); without it, `classes.txt`. The folders or lists that `train`, `val`
and `test` name there decide the split. Numbers are shares of width and height: four are
a box's middle and size, six or more a polygon; with `kpt_shape`, keypoints follow the
box. Those are read, not written. Source: https://docs.ultralytics.com/datasets/detect/
and /pose/
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvlib.datasets.formats.folder import (
    Folder,
    FormatError,
    flat_names,
    split_name,
    split_of_path,
)
from cvlib.datasets.samples import ImageSet, Sample, boxes_of_masks, encode_polygons

Floats = NDArray[np.float64]
SHEETS = ("data.yaml", "data.yml", "dataset.yaml")


def recognise(folder: Folder) -> bool:
    """Whether there is a data.yaml with names, or text files in a `labels` folder."""
    return bool(_facts(folder, quiet=True)) or any(
        "labels" in PurePosixPath(f).parts[:-1] and f.endswith(".txt")
        for f in folder.files
    )


def read(folder: Folder) -> ImageSet:
    """Every image with a text file; an empty file is an image without objects."""
    sheets = {
        f
        for f in folder.files
        if f.endswith(".txt") and "labels" in PurePosixPath(f).parts[:-1]
    }
    layout = _layout(folder)
    used: set[str] = set()
    samples = []
    for image in folder.images:
        sheet = _sheet_of(image)
        if sheet in sheets:
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
    points = tuple(f"point {i}" for i in range(layout.points))
    return ImageSet(
        folder.root, "yolo", names, tuple(samples), points, layout.flip_pairs
    )


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """`data.yaml` and a text file an image; returns image path → name in `out`."""
    import yaml

    if any(sample.boxes is None for sample in image_set.samples):
        raise FormatError(f"YOLO holds boxes; {image_set.root} has images without any")
    placed: dict[str, str] = {}
    splits: dict[str, str] = {}
    names = flat_names(image_set, by_stem=True)
    for name, sample in zip(names, image_set.samples, strict=True):
        split = sample.split or "all"
        placed[str(sample.path)] = f"images/{split}/{name}"
        splits["val" if split == "valid" else split] = f"images/{split}"
        sheet = out / "labels" / split / f"{name.rpartition('.')[0]}.txt"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        lines = _lines(sample)
        sheet.write_text("".join(f"{line}\n" for line in lines), "utf8")
    facts = {"path": ".", **splits, "names": dict(enumerate(image_set.class_names))}
    out.mkdir(parents=True, exist_ok=True)
    (out / "data.yaml").write_text(
        yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), "utf8"
    )
    return placed


@dataclass(frozen=True)
class _Layout:
    """What data.yaml says.

    points: keypoints an object, each of `values` numbers, after its box; 0 without.
    splits: image → split, where `train`, `val` and `test` name folders or lists.
    lists: the text files that are such lists.
    """

    class_names: tuple[str, ...] = ()
    points: int = 0
    values: int = 3
    flip_pairs: tuple[tuple[int, int], ...] = ()
    splits: dict[str, str] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()


def _layout(folder: Folder) -> _Layout:
    facts = _facts(folder)
    points, values = _whole(facts.get("kpt_shape")) or (0, 3)
    if points < 0 or values not in (2, 3):
        said = f"wanted kpt_shape: [keypoints, 2 or 3], got {facts['kpt_shape']!r:.60}"
        folder.fault("annotation-unreadable", SHEETS[0], said)
        points, values = 0, 3
    swapped = _whole(facts.get("flip_idx"))
    pairs = tuple((i, other) for i, other in enumerate(swapped) if i < other < points)
    splits, lists = _splits(folder, facts)
    return _Layout(
        tuple(_names(folder, facts)), points, values, pairs, splits, frozenset(lists)
    )


def _facts(folder: Folder, *, quiet: bool = False) -> dict[str, Any]:
    """The content of data.yaml, {} when there is none that has names."""
    import yaml

    for sheet in SHEETS:
        if sheet in folder.files:
            try:
                found = yaml.safe_load((folder.root / sheet).read_text("utf-8-sig"))
            except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
                if not quiet:
                    folder.fault("annotation-unreadable", sheet, f"is no YAML: {error}")
                continue
            if isinstance(found, dict) and isinstance(found.get("names"), list | dict):
                return found
    return {}


def _names(folder: Folder, facts: dict[str, Any]) -> list[str]:
    """Class names of data.yaml (a list or a dict), else from classes.txt."""
    names = facts.get("names")
    if isinstance(names, dict):
        names = _in_order(folder, names)
    if names:
        return [str(name) for name in names]
    for sheet in ("classes.txt", "labels/classes.txt"):
        if sheet in folder.files:
            return [x.strip() for x in folder.text(sheet).splitlines() if x.strip()]
    return []


def _splits(folder: Folder, facts: dict[str, Any]) -> tuple[dict[str, str], set[str]]:
    """Image → split, as train, val and test of data.yaml say; and the lists read."""
    splits: dict[str, str] = {}
    lists: set[str] = set()
    for key in ("train", "val", "valid", "test"):
        given = facts.get(key)
        for place in given if isinstance(given, list) else [given] if given else []:
            listed, images = _images_at(folder, str(facts.get("path") or ""), place)
            lists |= {listed} - {""}
            splits |= {
                image: split_name(key) for image in images if image not in splits
            }
            if not images:
                said = f"{key}: {place!r:.80} has no image of this folder"
                folder.fault("split-missing", SHEETS[0], said, severity="warning")
    return splits, lists


def _images_at(folder: Folder, base: str, place: Any) -> tuple[str, list[str]]:
    """A list's name, if it is one, and the images that a folder or a list names.

    Exports often say `../train/images` of a folder beside data.yaml, so dots at the
    start are passed over where nothing is there otherwise.
    """
    plain = str(place).replace("\\", "/")
    bare = plain.lstrip("./")
    for path in (f"{base}/{plain}", plain, bare):
        inside = PurePosixPath(path.removeprefix("./").removeprefix("/")).as_posix()
        if inside in folder.files:
            lines = folder.text(inside).split("\n")
            known = {image: image for image in folder.images}
            found = [_listed(line.strip(), known) for line in lines if line.strip()]
            return inside, [image for image in found if image]
        below = "" if inside == "." else f"{inside}/"
        images = [image for image in folder.images if image.startswith(below)]
        if images:
            return "", images
    return "", []


def _listed(line: str, known: dict[str, str]) -> str:
    """The image of a list's line: the longest end of its path that is there."""
    parts = line.replace("\\", "/").split("/")
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((known[end] for end in ends if end in known), "")


def _whole(values: Any) -> list[int]:
    """A list of whole numbers, [] for anything else."""
    right = isinstance(values, list) and all(isinstance(v, int) for v in values)
    return values if right else []


def _in_order(folder: Folder, names: dict[Any, Any]) -> list[Any]:
    """Names by their numbers; a number that is left out is a class without images."""
    try:
        numbered = {int(number): name for number, name in names.items()}
        last = max(numbered, default=-1)
        if min(numbered, default=0) < 0 or last > 99_999:
            raise ValueError("out of range")
    except (TypeError, ValueError):
        said = f"wanted names with numbers from 0, got {names!r:.80}"
        folder.fault("annotation-unreadable", SHEETS[0], said)
        return []
    return [numbered.get(number, f"class {number}") for number in range(last + 1)]


def _sheet_of(image: str) -> str:
    """`images/train/a.jpg` → `labels/train/a.txt`; `train/images/a.jpg` likewise."""
    parts = list(PurePosixPath(image).with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        parts[parts.index("images")] = "labels"
        return "/".join(parts)
    return "/".join(["labels", *parts])


def _sample(folder: Folder, image: str, sheet: str, layout: _Layout) -> Sample:
    size = folder.canvas_size(image)
    scale = np.array(size[::-1], np.float64)
    labels, boxes, outlines, keypoints = [], [], [], []
    for number, line in enumerate(folder.text(sheet).splitlines(), start=1):
        values = _values(line, layout)
        if values is None:
            if line.strip():
                said = f"line {number}: wanted {_wanted(layout)}, got {line[:60]!r}"
                folder.fault("annotation-unreadable", sheet, said)
            continue
        names = layout.class_names
        label = int(values[0])
        if label < 0 or (names and label >= len(names)) or label != values[0]:
            said = f"line {number}: no class {values[0]:g}; there are {len(names)}"
            folder.fault("class-unknown", sheet, said)
            continue
        labels.append(label)
        if layout.points:
            keypoints.append(_keypoints(values[5:], layout, scale))
            values = values[:5]
        points = np.array(values[1:]).reshape(-1, 2) * scale
        outlines.append(points if len(points) > 2 else None)
        boxes.append(_box(points))
    return folder.checked(
        Sample(
            folder.root / image,
            size,
            np.array(labels, np.int64),
            np.array(boxes, np.float32).reshape(-1, 4),
            rles=_rles(outlines, boxes, size),
            keypoints=np.array(keypoints, np.float32).reshape(-1, layout.points, 3)
            if layout.points
            else None,
            split=layout.splits.get(image) or split_of_path(image),
        )
    )


def _wanted(layout: _Layout) -> str:
    if layout.points:
        return f"a class, 4 numbers and {layout.points} × {layout.values} of keypoints"
    return "a class and 4 or more numbers"


def _values(line: str, layout: _Layout) -> list[float] | None:
    """A line's numbers; None for a line that is no object."""
    try:
        found = [float(word) for word in line.split()]
    except ValueError:
        return None
    pose = len(found) == 5 + layout.points * layout.values
    outline = len(found) == 5 or (len(found) > 5 and len(found) % 2 == 1)
    fits = pose if layout.points else outline
    return found if fits and np.isfinite(found).all() else None


def _keypoints(values: list[float], layout: _Layout, scale: Floats) -> Floats:
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


def _rles(
    outlines: list[Floats | None], boxes: list[Floats], size: tuple[int, int]
) -> tuple[Any, ...] | None:
    """Masks where any outline was drawn; () for an image without objects."""
    if outlines and all(outline is None for outline in outlines):
        return None
    pairs = zip(outlines, boxes, strict=True)
    return tuple(_rle(outline, box, *size) for outline, box in pairs)


def _rle(outline: Floats | None, box: Floats, height: int, width: int) -> Any:
    """A polygon's mask; a box's own area where there is no polygon."""
    if outline is None:
        left, top, right, bottom = box
        outline = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return encode_polygons([outline], (height, width))


def _lines(sample: Sample) -> list[str]:
    assert sample.boxes is not None
    masks = sample.masks if sample.rles is not None else [None] * len(sample.labels)
    objects = zip(sample.labels.tolist(), sample.boxes, masks, strict=True)
    return [_line(*one, sample.canvas_size) for one in objects]


def _line(
    label: int, box: Any, mask: NDArray[np.uint8] | None, size: tuple[int, int]
) -> str:
    box = np.asarray(box, np.float64)
    numbers = np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])
    outline = _outline(mask) if mask is not None else None
    if outline is not None:
        ends = np.concatenate([outline.min(axis=0), outline.max(axis=0)])
        if np.abs(ends - box).max() <= 0.5:  # the box is what most readers train on
            numbers = outline.ravel()
    shares = numbers / np.tile(size[::-1], len(numbers) // 2)
    return " ".join([str(label), *(f"{v:.7f}" for v in shares)])


def _outline(mask: NDArray[np.uint8]) -> Floats | None:
    """A polygon [P, 2] around a mask; lines without width join several parts."""
    from contourpy import contour_generator

    if not mask.any():
        return None
    left, top, right, bottom = boxes_of_masks(mask[None])[0].astype(int)
    framed = np.pad(mask[top:bottom, left:right].astype(float), 1)
    parts = contour_generator(z=framed).lines(0.5)
    # A pixel's value stands at its middle: half a pixel in, and one for the frame.
    origin = np.array([left - 0.5, top - 0.5])
    points = [np.asarray(part)[:-1] + origin for part in parts]
    rings = [np.concatenate([part, part[:1]]) for part in points]
    if len(rings) == 1:
        return points[0]
    back = [ring[:1] for ring in rings[-2::-1]]
    return np.concatenate([*rings, *back])
