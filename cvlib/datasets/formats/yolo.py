"""YOLO: a text file an image, a line an object: its class, then its box or its outline.

`data.yaml` with `names`, `images/<split>/` and `labels/<split>/` (or
`<split>/images/`); without it, `classes.txt`. Numbers are shares of width and height.
Four of them are a box's middle and size, six or more a polygon. Keypoints do not
survive. Source: https://docs.ultralytics.com/datasets/detect/
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvlib.datasets.formats.folder import Folder, FormatError, flat_names, split_of_path
from cvlib.datasets.samples import ImageSet, Sample, boxes_of_masks, encode_polygons

Floats = NDArray[np.float64]


def recognise(folder: Folder) -> bool:
    """Whether there is a data.yaml with names, or text files in a `labels` folder."""
    return bool(_names(folder, quiet=True)) or any(
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
    names = _names(folder) or []
    used: set[str] = set()
    samples = []
    for image in folder.images:
        sheet = _sheet_of(image)
        if sheet in sheets:
            used.add(sheet)
            samples.append(_sample(folder, image, sheet, names))
    for sheet in sorted(sheets - used):
        said = f"{sheet} has no image of its name below images/"
        folder.fault("image-missing", sheet, said)
    folder.unannotated(samples)
    most = max((int(s.labels.max(initial=-1)) for s in samples), default=-1)
    names += [f"class {i}" for i in range(len(names), most + 1)]
    if not any(s.rles for s in samples):
        from dataclasses import replace

        samples = [replace(s, rles=None) for s in samples]
    return ImageSet(folder.root, "yolo", tuple(names), tuple(samples))


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """`data.yaml` and a text file an image; returns image path → name in `out`."""
    import yaml

    if any(sample.boxes is None for sample in image_set.samples):
        raise FormatError(f"YOLO holds boxes; {image_set.root} has images without any")
    placed: dict[str, str] = {}
    splits: dict[str, str] = {}
    for name, sample in zip(flat_names(image_set), image_set.samples, strict=True):
        split = sample.split or "all"
        placed[str(sample.path)] = f"images/{split}/{name}"
        splits["val" if split == "valid" else split] = f"images/{split}"
        sheet = out / "labels" / split / f"{name.rpartition('.')[0]}.txt"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        lines = [_line(sample, index) for index in range(len(sample.labels))]
        sheet.write_text("".join(f"{line}\n" for line in lines), "utf8")
    facts = {"path": ".", **splits, "names": dict(enumerate(image_set.class_names))}
    out.mkdir(parents=True, exist_ok=True)
    (out / "data.yaml").write_text(
        yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), "utf8"
    )
    return placed


def _names(folder: Folder, *, quiet: bool = False) -> list[str]:
    """Class names from data.yaml (a list or a dict), else from classes.txt."""
    import yaml

    for sheet in ("data.yaml", "data.yml", "dataset.yaml"):
        if sheet in folder.files:
            try:
                found = yaml.safe_load((folder.root / sheet).read_text("utf-8-sig"))
            except (OSError, ValueError, yaml.YAMLError) as error:
                if not quiet:
                    folder.fault("annotation-unreadable", sheet, f"is no YAML: {error}")
                continue
            names = found.get("names") if isinstance(found, dict) else None
            if isinstance(names, dict):
                names = _in_order(folder, sheet, names, quiet=quiet)
            if isinstance(names, list):
                return [str(name) for name in names]
    for sheet in ("classes.txt", "labels/classes.txt"):
        if sheet in folder.files and not quiet:
            return [x.strip() for x in folder.text(sheet).splitlines() if x.strip()]
    return []


def _in_order(
    folder: Folder, sheet: str, names: dict[Any, Any], *, quiet: bool
) -> list[Any]:
    """Names by their numbers; a number that is left out is a class without images."""
    try:
        numbered = {int(number): name for number, name in names.items()}
        last = max(numbered, default=-1)
        if min(numbered, default=0) < 0 or last > 99_999:
            raise ValueError("out of range")
    except (TypeError, ValueError):
        if not quiet:
            said = f"wanted names with numbers from 0, got {names!r:.80}"
            folder.fault("annotation-unreadable", sheet, said)
        return []
    return [numbered.get(number, f"class {number}") for number in range(last + 1)]


def _sheet_of(image: str) -> str:
    """`images/train/a.jpg` → `labels/train/a.txt`; `train/images/a.jpg` likewise."""
    parts = list(PurePosixPath(image).with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        parts[parts.index("images")] = "labels"
        return "/".join(parts)
    return "/".join(["labels", *parts])


def _sample(folder: Folder, image: str, sheet: str, names: list[str]) -> Sample:
    height, width = folder.canvas_size(image)
    labels, boxes, outlines = [], [], []
    for number, line in enumerate(folder.text(sheet).splitlines(), start=1):
        values = _values(line)
        if (
            values is None
            or len(values) < 5
            or (len(values) > 5 and len(values) % 2 == 0)
        ):
            if line.strip():
                said = f"line {number}: wanted a class and 4 or more numbers"
                said += f", got {line[:60]!r}"
                folder.fault("annotation-unreadable", sheet, said)
            continue
        label = int(values[0])
        if label < 0 or (names and label >= len(names)) or label != values[0]:
            said = f"line {number}: no class {values[0]:g}; there are {len(names)}"
            folder.fault("class-unknown", sheet, said)
            continue
        points = np.array(values[1:]).reshape(-1, 2) * (width, height)
        labels.append(label)
        outlines.append(points if len(points) > 2 else None)
        middle, half = points[0], points[1] / 2
        ends = (middle - half, middle + half)
        if len(points) > 2:
            ends = (points.min(axis=0), points.max(axis=0))
        boxes.append(np.concatenate(ends))
    found = np.array(boxes, np.float32).reshape(-1, 4)
    return folder.checked(
        Sample(
            folder.root / image,
            (height, width),
            np.array(labels, np.int64),
            found,
            rles=tuple(
                _rle(o, b, height, width) for o, b in zip(outlines, boxes, strict=True)
            )
            if any(o is not None for o in outlines)
            else None
            if labels
            else (),
            split=split_of_path(image),
        )
    )


def _values(line: str) -> list[float] | None:
    try:
        found = [float(word) for word in line.split()]
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def _rle(outline: Floats | None, box: Floats, height: int, width: int) -> Any:
    """A polygon's mask; a box's own area where there is no polygon."""
    if outline is None:
        left, top, right, bottom = box
        outline = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return encode_polygons([outline], (height, width))


def _line(sample: Sample, index: int) -> str:
    assert sample.boxes is not None
    height, width = sample.canvas_size
    box = np.asarray(sample.boxes[index], np.float64)
    numbers = np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])
    outline = _outline(sample.masks[index]) if sample.rles is not None else None
    if outline is not None:
        ends = np.concatenate([outline.min(axis=0), outline.max(axis=0)])
        if np.abs(ends - box).max() <= 0.5:  # the box is what most readers train on
            numbers = outline.ravel()
    shares = numbers / np.tile([width, height], len(numbers) // 2)
    return " ".join([str(int(sample.labels[index])), *(f"{v:.7f}" for v in shares)])


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
