"""COCO JSON: boxes, polygons and run-length masks, keypoints; our master format.

Read: `annotations/<split>.json` (or `instances_<split>.json`), `<split>/
_annotations.coco.json`, or one `.json` beside the images. Images without objects are
kept. Our extra keys `split` and `group` of an image and `flip_pairs` of a category are
read and written. Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.formats.names import flat_names, relative_path
from cvlib.datasets.split_names import split_of_name
from cvlib.masks import Rle, count_pixels, encode_polygons
from cvlib.samples import ImageSet, Sample

LOOKS_LIKE = (
    "a .json with `images` and `annotations`, in annotations/ or beside the images"
)
SHEET_ENDINGS = (".json",)

Entry = dict[str, Any]
POINTS = 1000  # keypoints an object, where no category says how many there are


def recognise(folder: Folder) -> bool:
    """Whether a JSON file near the top has `images` and `annotations`."""
    return bool(_sheets(folder))


def read(folder: Folder) -> ImageSet:
    """Every sheet's images, in order; labels follow the categories' ids."""
    sheets = _sheets(folder)
    categories = _categories(folder, sheets)
    names = [c["name"] for c in categories.values()]
    samples: list[Sample] = []
    for sheet in sheets:
        samples += _read_sheet(folder, sheet, categories)
    points = next((c for c in categories.values() if _point_names(c)), {})
    keypoint_names = _point_names(points)
    pairs = _flip_pairs(points, len(keypoint_names))
    return ImageSet(
        folder.root, "coco", tuple(names), tuple(samples), keypoint_names, pairs
    )


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """One JSON a split below `annotations/`; returns image path → name in `out`."""
    placed: dict[str, str] = {}
    sheets: dict[str, list[tuple[str, Sample]]] = defaultdict(list)
    for name, sample in zip(flat_names(image_set), image_set.samples, strict=True):
        split = sample.split or "all"
        placed[str(sample.path)] = f"images/{split}/{name}"
        sheets[split].append((f"images/{split}/{name}", sample))
    (out / "annotations").mkdir(parents=True)
    for split, entries in sheets.items():
        text = json.dumps(_document(image_set, entries), ensure_ascii=False)
        (out / "annotations" / f"{split}.json").write_text(text, "utf8")
    return placed


def document(image_set: ImageSet) -> Entry:
    """The whole set as one COCO document, its images under their own names."""
    names = flat_names(image_set)
    return _document(image_set, list(zip(names, image_set.samples, strict=True)))


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


def _read_sheet(
    folder: Folder, sheet: str, categories: dict[int, Entry]
) -> list[Sample]:
    ids = list(categories)
    declared = max((len(_point_names(c)) for c in categories.values()), default=0)
    document = folder.json(sheet)
    objects: dict[Any, list[Entry]] = defaultdict(list)
    for one in document["annotations"]:
        image_id = one.get("image_id") if isinstance(one, dict) else None
        if not isinstance(image_id, int | str):
            said = f"wanted an annotation with an image_id, got {one!r:.80}"
            folder.fault("annotation-unreadable", sheet, said)
            continue
        objects[image_id].append(one)
    masked = any("segmentation" in o and o["segmentation"] for o in _flat(objects))
    pointed = max((len(_points(o)) for o in _flat(objects)), default=0)
    pointed = min(pointed, 3 * (declared or POINTS))
    samples = []
    for image in document["images"]:
        if not _is_image(image):
            said = f"wanted an image with an id and a file_name, got {image!r:.80}"
            folder.fault("annotation-unreadable", sheet, said)
            continue
        own = objects.pop(image["id"], [])
        sample = _sample(folder, sheet, image, own, ids, masked, pointed // 3)
        if sample is not None:
            samples.append(_in_split(folder, sheet, sample, image))
    for image_id in objects:
        said = f"annotations of image {image_id!r}, which the sheet does not list"
        folder.fault("image-missing", sheet, said)
    return samples


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
    from dataclasses import replace

    stated = folder.split(str(image.get("split") or ""), sheet)
    group = str(image.get("group") or "")
    return replace(sample, split=stated or _split_of(sheet), group=group)


def _flat(objects: dict[Any, list[Entry]]) -> list[Entry]:
    return [one for found in objects.values() for one in found]


def _sample(
    folder: Folder,
    sheet: str,
    image: Entry,
    objects: list[Entry],
    ids: list[int],
    masked: bool,
    points: int,
) -> Sample | None:
    beside = PurePosixPath(sheet).parent.as_posix()
    split = _split_of(sheet)
    places = ("", beside, "images", f"images/{split or 'all'}", split)
    name = folder.image(image["file_name"], sheet, folders=places, split=split)
    if not name:
        return None
    stated = (_whole(image.get("height")), _whole(image.get("width")))
    size = folder.canvas_size(name, stated)
    kept = [o for o in objects if _is_object(folder, sheet, o, ids)]
    rles = tuple(_rle(folder, name, o, size) for o in kept) if masked else None
    return folder.checked(
        Sample(
            folder.root / name,
            size,
            labels=np.array([ids.index(o["category_id"]) for o in kept], np.int64),
            boxes=np.array([_xyxy(o["bbox"]) for o in kept], np.float32).reshape(-1, 4),
            rles=rles,
            keypoints=_keypoints(kept, points) if points else None,
            crowd=np.array([bool(o.get("iscrowd")) for o in kept], np.bool_),
        )
    )


def _is_object(folder: Folder, sheet: str, one: Entry, ids: list[int]) -> bool:
    box = one.get("bbox")
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        said = (
            f"annotation {one.get('id')}: wanted a bbox of 4 numbers, got {box!r:.60}"
        )
        folder.fault("annotation-unreadable", sheet, said)
        return False
    if one.get("category_id") not in ids:
        said = f"annotation {one.get('id')}: no category {one.get('category_id')!r:.30}"
        folder.fault("class-unknown", sheet, said)
        return False
    if one.get("keypoints") and not _points(one):
        said = f"annotation {one.get('id')}: its keypoints are no list of numbers"
        folder.fault("annotation-unreadable", sheet, said)
    return True


def _rle(folder: Folder, name: str, one: Entry, size: tuple[int, int]) -> Rle:
    """A polygon list, counts or a compressed code → COCO's compressed code."""
    from pycocotools import mask as coco_mask

    found, (height, width) = one.get("segmentation"), size
    empty = {"size": [height, width], "counts": [height * width]}
    nothing: Rle = coco_mask.frPyObjects(empty, height, width)
    try:
        if not found:
            return nothing
        if isinstance(found, list):
            return encode_polygons(found, size) if height and width else nothing
        if list(found["size"]) != [height, width]:
            said = f"a mask is {found['size']}, the image {[height, width]}"
            folder.fault("mask-size", name, said)
            return nothing
        counts = found["counts"]
        if not isinstance(counts, list):
            counts = str(counts).encode()
        told = sum(counts) if isinstance(counts, list) else count_pixels(counts)
        if told != height * width or min(counts) < 0:
            raise ValueError(f"its counts do not fill {height} × {width} pixels")
        if isinstance(counts, list):
            return coco_mask.frPyObjects(found, height, width)
        return {"size": [height, width], "counts": counts}
    except Exception as error:  # pycocotools raises bare ones
        folder.fault("annotation-unreadable", name, f"a mask cannot be read: {error}")
        return nothing


def _keypoints(objects: list[Entry], count: int) -> Any:
    found = np.zeros((len(objects), count, 3), np.float32)
    for row, one in zip(found, objects, strict=True):
        given = _points(one)
        if len(given) == 3 * count:
            row[:] = np.reshape(given, (count, 3))
    return found


def _xyxy(box: list[float]) -> list[float]:
    left, top, width, height = box
    return [left, top, left + width, top + height]


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _document(image_set: ImageSet, entries: list[tuple[str, Sample]]) -> Entry:
    labelled = [s for _, s in entries if len(s.labels)]
    bare = [s for s in labelled if s.boxes is None and s.rles is None]
    if bare:
        raise FormatError(
            f"COCO holds boxes or masks, {relative_path(image_set, bare[0])} has "
            "neither; write tags, or a folder a class"
        )
    images: list[Entry] = []
    annotations: list[Entry] = []
    for image_id, (name, sample) in enumerate(entries, start=1):
        height, width = sample.canvas_size
        image = {"id": image_id, "file_name": name, "width": width, "height": height}
        known = {"split": sample.split, "group": sample.group}
        images.append(image | {k: v for k, v in known.items() if v})
        for index in range(len(sample.labels)):
            ids = {"id": len(annotations) + 1, "image_id": image_id}
            annotations.append(ids | _annotation(sample, index))
    extra: Entry = {}
    if image_set.keypoint_names:
        extra = {"keypoints": image_set.keypoint_names, "skeleton": []}
        extra |= {"flip_pairs": image_set.flip_pairs}
    categories = [
        {"id": number, "name": name, **extra}
        for number, name in enumerate(image_set.class_names, start=1)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


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
