"""COCO JSON: boxes, polygons and run-length masks, keypoints; our master format.

Read: `annotations/<split>.json` (or `instances_<split>.json`), `<split>/
_annotations.coco.json`, or one `.json` beside the images. Images without objects are
kept. Our extra keys `split` and `group` of an image and `flip_pairs` of a category are
read and written. Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from cvlib.datasets.formats.checks import checked
from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.formats.names import flat_names
from cvlib.datasets.split_names import split_of_name
from cvlib.masks import Floats, Rle, count_pixels, encode_polygons
from cvlib.samples import ImageSet, Sample, relative_path

LOOKS_LIKE = (
    "a .json with `images` and `annotations`, in annotations/ or beside the images"
)
SHEET_ENDINGS = (".json",)

Entry = dict[str, Any]
POINTS = 1000  # the most keypoints an object: a hostile file asks for more


@dataclass(frozen=True)
class _Known:
    """What the sheets say together: the categories' ids, and the objects' keypoints.

    points: how many an object has. Of categories that differ, those of the longest; the
        others' points are followed by points that nobody labelled.
    """

    ids: list[int]
    points: int
    point_names: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()


def recognise(folder: Folder) -> bool:
    """Whether a JSON file near the top has `images` and `annotations`."""
    return bool(_sheets(folder))


def read(folder: Folder) -> ImageSet:
    """Every sheet's images, in order; labels follow the categories' ids."""
    sheets = _sheets(folder)
    categories = _categories(folder, sheets)
    known = _known(folder, sheets, categories)
    return ImageSet(
        folder.root,
        "coco",
        tuple(c["name"] for c in categories.values()),
        tuple(
            sample for sheet in sheets for sample in _read_sheet(folder, sheet, known)
        ),
        known.point_names,
        known.flip_pairs,
    )


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """One JSON a split below `annotations/`; returns image path → name in `out`."""
    placed: dict[str, str] = {}
    sheets: dict[str, list[Sample]] = defaultdict(list)
    for name, sample in zip(flat_names(image_set), image_set.samples, strict=True):
        split = sample.split or "all"
        placed[str(sample.path)] = f"images/{split}/{name}"
        sheets[split].append(sample)
    (out / "annotations").mkdir(parents=True)
    for split, samples in sheets.items():
        names = [placed[str(sample.path)] for sample in samples]
        text = json.dumps(
            document(image_set.having(samples), names), ensure_ascii=False
        )
        (out / "annotations" / f"{split}.json").write_text(text, "utf8")
    return placed


def document(image_set: ImageSet, names: Sequence[str]) -> Entry:
    """A set as one COCO document, its images under these names.

    Raises FormatError for labels without boxes and masks.
    """
    bare = [
        s for s in image_set if len(s.labels) and s.boxes is None and s.rles is None
    ]
    if bare:
        raise FormatError(
            f"COCO holds boxes or masks, {relative_path(image_set, bare[0])} has "
            "neither; write tags, or a folder a class"
        )
    annotations: list[Entry] = []
    for image_id, sample in enumerate(image_set, start=1):
        for index in range(len(sample.labels)):
            ids = {"id": len(annotations) + 1, "image_id": image_id}
            annotations.append(ids | _annotation(sample, index))
    pairs = zip(names, image_set, strict=True)
    return {
        "images": [_image(i, *pair) for i, pair in enumerate(pairs, start=1)],
        "annotations": annotations,
        "categories": _category_entries(image_set),
    }


def _image(image_id: int, name: str, sample: Sample) -> Entry:
    height, width = sample.canvas_size
    known = {"split": sample.split, "group": sample.group}
    return {
        "id": image_id,
        "file_name": name,
        "width": width,
        "height": height,
        **{key: value for key, value in known.items() if value},
    }


def _category_entries(image_set: ImageSet) -> list[Entry]:
    extra: Entry = {}
    if image_set.keypoint_names:
        extra = {"keypoints": image_set.keypoint_names, "skeleton": []}
        extra |= {"flip_pairs": image_set.flip_pairs}
    return [
        {"id": number, "name": name, **extra}
        for number, name in enumerate(image_set.class_names, start=1)
    ]


def _sheets(folder: Folder) -> list[str]:
    if folder.sheet is not None:
        chosen = [folder.sheet.name]
    else:
        chosen = [f for f in folder.files if f.endswith(".json") and f.count("/") < 2]
    found = [name for name in chosen if _is_sheet(folder.json(name, quiet=True))]
    instances = [n for n in found if PurePosixPath(n).name.startswith("instances")]
    return instances or found


def _is_sheet(document: Any) -> bool:
    return isinstance(document, dict) and all(
        isinstance(document.get(key), list) for key in ("images", "annotations")
    )


def _split_of(sheet: str) -> str:
    path = PurePosixPath(sheet)
    own = path.parent.name if path.name == "_annotations.coco.json" else path.stem
    return split_of_name(own)


def _categories(folder: Folder, sheets: list[str]) -> dict[int, Entry]:
    """Category id → category, over all sheets, by id."""
    found: dict[int, Entry] = {}
    for sheet in sheets:
        given = folder.json(sheet).get("categories") or []
        for one in given if isinstance(given, list) else [given]:
            if not (isinstance(one, dict) and isinstance(one.get("id"), int)):
                said = f"wanted categories with an id and a name, got {one!r:.80}"
                folder.fault("annotation-unreadable", sheet, said)
                continue
            name = str(one.get("name", one["id"]))
            if found.setdefault(one["id"], {**one, "name": name})["name"] != name:
                said = f"category {one['id']} is {name!r} here, another name elsewhere"
                folder.fault("class-unknown", sheet, said)
    return dict(sorted(found.items()))


def _known(folder: Folder, sheets: list[str], categories: dict[int, Entry]) -> _Known:
    posed = [c for c in categories.values() if _point_names(c)]
    longest = max(posed, key=lambda c: len(_point_names(c)), default={})
    names = _point_names(longest)[:POINTS]
    pairs = _flip_pairs(longest, len(names))
    if any(_point_names(category) != _point_names(longest) for category in posed):
        said = ", ".join(f"{c['name']!r} {len(_point_names(c))}" for c in posed)
        said = f"its categories differ in their keypoints ({said}): the names are of "
        said += f"{longest['name']!r}, and no pairs are kept that a mirror swaps"
        folder.warn("keypoints-differ", {sheets[0]: said})
        pairs = ()
    every = (one for sheet in sheets for one in _annotations(folder, sheet))
    drawn = max((len(_points(one)) // 3 for one in every), default=0)
    points = min(len(names) or drawn, POINTS) if drawn else 0
    return _Known(list(categories), points, names, pairs)


def _annotations(folder: Folder, sheet: str) -> list[Entry]:
    """A sheet's annotations, without what is no object."""
    return [o for o in folder.json(sheet)["annotations"] if isinstance(o, dict)]


def _point_names(category: Entry) -> tuple[str, ...]:
    given = category.get("keypoints")
    return tuple(map(str, given)) if isinstance(given, list) else ()


def _flip_pairs(category: Entry, points: int) -> tuple[tuple[int, int], ...]:
    """Pairs of keypoint numbers; what is no such pair is passed over."""
    given = category.get("flip_pairs")
    listed = given if isinstance(given, list) else []
    pairs = [tuple(pair) for pair in listed if isinstance(pair, list)]
    numbers = range(points)
    return tuple(p for p in pairs if len(p) == 2 and all(n in numbers for n in p))


def _read_sheet(folder: Folder, sheet: str, known: _Known) -> Iterator[Sample]:
    """The images that a sheet lists, those without objects too."""
    objects = _by_image(folder, sheet)
    masked = any(one.get("segmentation") for own in objects.values() for one in own)
    for image in folder.json(sheet)["images"]:
        if not _is_image(image):
            said = f"wanted an image with an id and a file_name, got {image!r:.80}"
            folder.fault("annotation-unreadable", sheet, said)
            continue
        given = objects.pop(image["id"], [])
        name = _place(folder, sheet, image)
        if name:
            own = [one for one in given if _is_object(folder, sheet, one, known)]
            sample = _sample(folder, name, image, own, known)
            if masked:
                rles = tuple(_rle(folder, name, o, sample.canvas_size) for o in own)
                sample = replace(sample, rles=rles)
            yield _in_split(folder, sheet, sample, image)
    for image_id in objects:
        said = f"annotations of image {image_id!r}, which the sheet does not list"
        folder.fault("image-missing", sheet, said)


def _by_image(folder: Folder, sheet: str) -> dict[int | str, list[Entry]]:
    """Image id → its annotations."""
    objects: dict[int | str, list[Entry]] = defaultdict(list)
    for one in folder.json(sheet)["annotations"]:
        image_id = one.get("image_id") if isinstance(one, dict) else None
        if isinstance(image_id, int | str):
            objects[image_id].append(one)
        else:
            said = f"wanted an annotation with an image_id, got {one!r:.80}"
            folder.fault("annotation-unreadable", sheet, said)
    return objects


def _is_image(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("id"), int | str)
        and isinstance(one.get("file_name"), str)
    )


def _is_number(value: Any) -> bool:
    """Whether it is a number that pixels can have; NaN is left to the box's check."""
    return isinstance(value, int | float) and not abs(value) > 1e12


def _points(one: Entry) -> list[float]:
    """An object's keypoints, [x, y, visibility, …]; none where they are no numbers."""
    given = one.get("keypoints")
    return given if isinstance(given, list) and all(map(_is_number, given)) else []


def _in_split(folder: Folder, sheet: str, sample: Sample, image: Entry) -> Sample:
    stated = folder.split(str(image.get("split") or ""), sheet)
    group = str(image.get("group") or "")
    return replace(sample, split=stated or _split_of(sheet), group=group)


def _place(folder: Folder, sheet: str, image: Entry) -> str:
    """Where an image of a sheet lies; "" when it is missing."""
    beside = PurePosixPath(sheet).parent.as_posix()
    split = _split_of(sheet)
    places = ("", beside, "images", f"images/{split or 'all'}", split)
    return folder.image(image["file_name"], sheet, folders=places, split=split)


def _sample(
    folder: Folder, name: str, image: Entry, objects: list[Entry], known: _Known
) -> Sample:
    stated = (_whole(image.get("height")), _whole(image.get("width")))
    labels = [known.ids.index(one["category_id"]) for one in objects]
    boxes = [_xyxy(one["bbox"]) for one in objects]
    return checked(
        folder,
        Sample(
            folder.root / name,
            folder.canvas_size(name, stated),
            np.array(labels, np.int64),
            np.array(boxes, np.float32).reshape(-1, 4),
            keypoints=_keypoints(objects, known.points) if known.points else None,
            crowd=np.array([bool(one.get("iscrowd")) for one in objects], np.bool_),
        ),
    )


def _is_object(folder: Folder, sheet: str, one: Entry, known: _Known) -> bool:
    """Whether an annotation has a box and a category; its faults are noted."""
    box, category = one.get("bbox"), one.get("category_id")
    mine = f"annotation {one.get('id')}"
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        said = f"{mine}: wanted a bbox of 4 numbers, got {box!r:.60}"
        folder.fault("annotation-unreadable", sheet, said)
        return False
    if category not in known.ids:
        folder.fault("class-unknown", sheet, f"{mine}: no category {category!r:.30}")
        return False
    points = len(_points(one))
    if one.get("keypoints") and not points:
        said = f"{mine}: its keypoints are no list of numbers"
        folder.fault("annotation-unreadable", sheet, said)
    elif points % 3 or points > 3 * known.points:
        said = f"{mine}: wanted up to {known.points} keypoints of 3 numbers, "
        said += f"got {points} numbers; they are left out"
        folder.fault("annotation-unreadable", sheet, said)
    return True


def _rle(folder: Folder, name: str, one: Entry, size: tuple[int, int]) -> Rle:
    """An annotation's mask as COCO's compressed code; an empty one with a fault."""
    from pycocotools import mask as coco_mask

    given, (height, width) = one.get("segmentation"), size
    empty = {"size": [height, width], "counts": [height * width]}
    nothing: Rle = coco_mask.frPyObjects(empty, height, width)
    try:
        if not given or (isinstance(given, list) and not height * width):
            return nothing
        if isinstance(given, list):
            return encode_polygons(given, size)
        if list(given["size"]) == [height, width]:
            return _compressed(given["counts"], height, width)
        said = f"a mask is {given['size']}, the image {[height, width]}"
        folder.fault("mask-size", name, said)
    except FormatError:
        raise
    except Exception as error:  # pycocotools raises bare ones
        folder.fault("annotation-unreadable", name, f"a mask cannot be read: {error}")
    return nothing


def _compressed(counts: Any, height: int, width: int) -> Rle:
    """Run lengths, a list or COCO's code of it, as the code; ValueError for others."""
    from pycocotools import mask as coco_mask

    listed = isinstance(counts, list)
    runs = counts if listed else str(counts).encode()
    if (sum(runs) if listed else count_pixels(runs)) != height * width or min(runs) < 0:
        raise ValueError(f"its counts do not fill {height} × {width} pixels")
    mine: Rle = {"size": [height, width], "counts": runs}
    return coco_mask.frPyObjects(mine, height, width) if listed else mine


def _keypoints(objects: list[Entry], count: int) -> Floats:
    """[N, count, 3]; what an object has no points for is not labelled, zeros."""
    found = np.zeros((len(objects), count, 3), np.float32)
    for row, one in zip(found, objects, strict=True):
        given = _points(one)
        if len(given) % 3 == 0 and len(given) <= 3 * count:
            row[: len(given) // 3] = np.reshape(given, (-1, 3))
    return found


def _xyxy(box: list[float]) -> list[float]:
    left, top, width, height = box
    return [left, top, left + width, top + height]


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _annotation(sample: Sample, index: int) -> Entry:
    from pycocotools import mask as coco_mask

    entry: Entry = {"category_id": int(sample.labels[index]) + 1, "iscrowd": 0}
    if sample.crowd is not None:
        entry["iscrowd"] = int(sample.crowd[index])
    if sample.boxes is not None:
        left, top, right, bottom = map(float, sample.boxes[index])
        entry["bbox"] = [left, top, right - left, bottom - top]
    else:
        assert sample.rles is not None
        entry["bbox"] = coco_mask.toBbox(sample.rles[index]).tolist()
    entry["area"] = entry["bbox"][2] * entry["bbox"][3]
    if sample.rles is not None:
        rle = sample.rles[index]
        counts = rle["counts"]
        text = counts.decode() if isinstance(counts, bytes) else counts
        entry["segmentation"] = {"size": list(rle["size"]), "counts": text}
        entry["area"] = float(coco_mask.area(rle))
    if sample.keypoints is not None:
        points = sample.keypoints[index]
        entry["keypoints"] = [float(v) for v in points.ravel()]
        entry["num_keypoints"] = int((points[:, 2] > 0).sum())
    return entry
