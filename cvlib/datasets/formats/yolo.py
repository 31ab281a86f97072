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
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from reprlib import repr
from typing import Any, TypeGuard

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

LOOKS_LIKE = "data.yaml with `names`, images/<split>/ and labels/<split>/*.txt"
SHEET_ENDINGS = (".yaml", ".yml")

log = logging.getLogger("cvlib")

Floats = NDArray[np.float64]
NAME_LISTS = ("classes.txt", "obj.names")
# What a hostile file may ask for.
MOST_CLASSES, MOST_POINTS, MOST_PLACES = 99_999, 1000, 1000
DEPTH = 12  # folders below each other in which a path is looked for
LISTED = 99  # a list names an image more exactly than any folder
NOTHING = ("", "~", "null", "Null", "NULL")  # how YAML says that there is no value


def recognise(folder: Folder) -> bool:
    """Whether text files lie in a `labels` folder, or of boxes beside images."""
    return bool(_sheets(folder))


def read(folder: Folder) -> ImageSet:
    """Every image with a text file; an empty file is an image without objects."""
    sheets = _sheets(folder)
    layout = _layout(folder)
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
    point_names: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    splits: dict[str, str] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()


def _layout(folder: Folder) -> _Layout:
    sheet, facts = _facts(folder)
    points, values = _shape(folder, sheet, facts)
    swapped = facts.get("flip_idx")
    swapped = swapped[:points] if isinstance(swapped, list) else []
    pairs = {(str(i), other) for i, other in enumerate(swapped) if type(other) is str}
    mutual = ((int(i), int(o)) for i, o in pairs if (o, i) in pairs)
    mirrored = sorted((i, other) for i, other in mutual if i < other)
    splits, lists = _splits(folder, sheet, facts)
    return _Layout(
        tuple(_names(folder, sheet, facts)),
        points,
        values,
        _point_names(facts, points),
        tuple(mirrored),
        splits,
        frozenset(lists),
    )


def _point_names(facts: dict[str, Any], points: int) -> tuple[str, ...]:
    """`kpt_names`, of every class or of the first; else numbers."""
    given = facts.get("kpt_names")
    if isinstance(given, dict):
        given = next(iter(given.values()), None)
    if _are_texts(given) and len(given) == points:
        return tuple(given)
    return tuple(f"point {i}" for i in range(points))


def _are_texts(given: Any) -> TypeGuard[list[str]]:
    return isinstance(given, list) and all(isinstance(x, str) and x for x in given)


def _shape(folder: Folder, sheet: str, facts: dict[str, Any]) -> tuple[int, int]:
    """Keypoints an object and numbers a keypoint, of `kpt_shape`."""
    match facts.get("kpt_shape"):
        case None:
            return 0, 3
        case [str(points), ("2" | "3") as values] if (
            points.isdecimal() and len(points) < 5 and 0 < int(points) <= MOST_POINTS
        ):
            return int(points), int(values)
        case other:
            said = f"wanted kpt_shape: [keypoints, 2 or 3], got {repr(other)}"
            folder.fault("annotation-unreadable", sheet, said)
            return 0, 3


def _facts(folder: Folder) -> tuple[str, dict[str, Any]]:
    """The YAML that has `names`, at the top or in a folder there, and its content."""
    if folder.sheet is not None:
        places = [folder.sheet.name]
    else:
        near = [f for f in folder.files if f.count("/") < 2]
        places = [f for f in near if f.endswith((".yaml", ".yml"))]
        places.sort(key=lambda f: (f.count("/"), PurePosixPath(f).stem != "data"))
    broken: dict[str, Exception] = {}
    for sheet in places:
        try:
            found = _yaml((folder.root / sheet).read_text("utf-8-sig"))
        except Exception as error:  # its constructors raise many kinds
            broken[sheet] = error
            continue
        if isinstance(found, dict) and isinstance(found.get("names"), list | dict):
            return sheet, found
    for sheet in (f for f in folder.files if PurePosixPath(f).name == "obj.data"):
        lines = (line.partition("=") for line in folder.text(sheet).splitlines())
        return sheet, {key.strip(): value.strip() for key, _, value in lines}
    for sheet, reason in broken.items():
        folder.fault("annotation-unreadable", sheet, f"is no YAML: {reason}")
    return "", {}


def _yaml(text: str) -> Any:
    """A document whose values are all texts: a class may be called no, or 007.

    Without the keys that have no value.
    """
    import yaml

    merging = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}
    loader = type("Texts", (yaml.SafeLoader,), {"yaml_implicit_resolvers": merging})
    found = yaml.load(text, loader)
    if not isinstance(found, dict):
        return found
    return {key: value for key, value in found.items() if value not in NOTHING}


def _names(folder: Folder, sheet: str, facts: dict[str, Any]) -> list[str]:
    """Class names of data.yaml (a list or a dict), else of a list beside the labels."""
    names = facts.get("names")
    if isinstance(names, dict):
        names = _in_order(folder, sheet, names)
    if _are_texts(names):
        return names
    if names and not isinstance(names, str):
        said = f"wanted names, got {repr(names)}"
        folder.fault("annotation-unreadable", sheet, said)
    for listed in (f for f in folder.files if PurePosixPath(f).name in NAME_LISTS):
        return [x.strip() for x in folder.text(listed).splitlines() if x.strip()]
    return []


def _splits(
    folder: Folder, sheet: str, facts: dict[str, Any]
) -> tuple[dict[str, str], set[str]]:
    """Image → split, as train, val and test of data.yaml say; and the lists read."""
    path = facts.get("path")
    base = PurePosixPath(sheet).parent / (path if isinstance(path, str) else "")
    depths: dict[str, dict[str, int]] = {}  # split → image → how exactly it is named
    lists: set[str] = set()
    for key in ("train", "val", "valid", "test"):
        for place in _flat(facts.get(key)):
            listed, named = _images_at(folder, sheet, base, place)
            lists |= {listed} if listed else set()
            depths.setdefault(split_name(key), {}).update(named)
            if not named:
                said = f"{key}: {place!r:.80} has no image of this folder"
                _warn(folder, sheet, said)
    return _decided(folder, sheet, depths), lists


def _decided(
    folder: Folder, sheet: str, depths: dict[str, dict[str, int]]
) -> dict[str, str]:
    """Image → split: a folder within another wins over it, and a list over both.

    The same images under two names are no decision, an image in two is a fault.
    """
    owners: dict[frozenset[str], list[str]] = {}
    for split, named in depths.items():
        owners.setdefault(frozenset(named), []).append(split)
    for same in (own for images, own in owners.items() if len(own) > 1 and images):
        _warn(folder, sheet, f"{' and '.join(same)} name the same images: no split")
        depths = {split: d for split, d in depths.items() if split not in same}
    splits: dict[str, str] = {}
    for image in {image: None for named in depths.values() for image in named}:
        own = {split: d[image] for split, d in depths.items() if image in d}
        best = [split for split, depth in own.items() if depth == max(own.values())]
        splits[image] = best[0]
        if len(best) > 1:
            folder.fault("image-twice", image, f"is in {' and '.join(best)} of {sheet}")
    return splits


def _warn(folder: Folder, sheet: str, said: str) -> None:
    """A split that was meant and is not there: also told to who reads strictly."""
    folder.fault("split-missing", sheet, said, severity="warning")
    if folder.problems is None:
        log.warning("%s: %s", folder.root / sheet, said)


def _flat(given: Any) -> Iterator[str]:
    """The texts in a value, a list, or a list of lists; of a hostile one, the first."""
    waiting = [given]
    for _ in range(MOST_PLACES):
        one = waiting.pop() if waiting else ""
        if isinstance(one, list):
            waiting += one[MOST_PLACES::-1]
        elif isinstance(one, str) and one:
            yield one


def _images_at(
    folder: Folder, sheet: str, base: PurePosixPath, place: str
) -> tuple[str, dict[str, int]]:
    """A list's name, if it is one, and the images named → how exactly.

    Exports often say `../train/images` of a folder beside data.yaml, or a path of
    another machine: where nothing is there, its longest end counts that is.
    """
    plain = place.replace("\\", "/")
    beside = PurePosixPath(sheet).parent
    ends = [base / plain, *(beside / end for end in _ends(plain)), *_ends(plain)]
    for inside in map(_plain, ends):
        if inside in folder.files:
            return inside, dict.fromkeys(_listed(folder, inside), LISTED)
        below = "" if inside == "." else f"{inside}/"
        named = [image for image in folder.images if image.startswith(below)]
        if named:
            return "", dict.fromkeys(named, inside.count("/") + (inside != "."))
    return "", {}


def _listed(folder: Folder, sheet: str) -> list[str]:
    """The images of a list: below its own folder, else by the longest end there is."""
    found = []
    beside = PurePosixPath(sheet).parent
    for line in filter(None, map(str.strip, folder.text(sheet).splitlines())):
        plain = line.replace("\\", "/")
        places = (_plain(p) for p in (beside / plain, *_ends(plain)))
        found += [p for p in places if p in folder.image_names][:1]
    return found


def _ends(path: str) -> list[PurePosixPath]:
    """A path's last parts, the longest first; no more than a folder is deep."""
    parts = [part for part in path.split("/")[-DEPTH:] if part not in ("", ".", "..")]
    return [PurePosixPath(*parts[start:]) for start in range(len(parts))]


def _plain(path: PurePosixPath) -> str:
    """A path without dots; one that leads out stays what no file is called."""
    return posixpath.normpath(path.as_posix())


def _in_order(folder: Folder, sheet: str, names: dict[Any, Any]) -> list[Any]:
    """Names by their numbers; a number that is left out is a class without images."""
    try:
        numbered = {int(number): name for number, name in names.items()}
        last = max(numbered, default=-1)
        if min(numbered, default=0) < 0 or last > MOST_CLASSES:
            raise ValueError("out of range")
    except (TypeError, ValueError, OverflowError):
        said = f"wanted names with numbers from 0, got {repr(names)}"
        folder.fault("annotation-unreadable", sheet, said)
        return []
    return [numbered.get(number, f"class {number}") for number in range(last + 1)]


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
        len(first) >= 5 and _values(" ".join(first[:5]), _Layout()) is not None
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
        most = len(names) - 1 if names else MOST_CLASSES
        if not 0 <= label <= most or label != values[0]:
            said = f"line {number}: no class {values[0]:g}; they go from 0 to {most}"
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
