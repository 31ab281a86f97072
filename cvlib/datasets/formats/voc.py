"""Pascal VOC: an XML file an image, boxes only (masks and keypoints do not survive).

`Annotations/*.xml` and `JPEGImages/`, or `annotations/` and `images/`; splits in
`ImageSets/Main/*.txt`. VOC counts pixels from 1 and includes the last, so XYXY is
(xmin − 1, ymin − 1, xmax, ymax); a set that counts from 0 is read one pixel off to the
left and top. Source: the VOC2012 development kit, section 4.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.formats.names import flat_names
from cvlib.datasets.split_names import split_name, split_of_path
from cvlib.samples import ImageSet, Sample

LOOKS_LIKE = "Annotations/*.xml, and images in JPEGImages/ or images/"

SHEETS = ("Annotations", "annotations")
IMAGES = ("JPEGImages", "images", "", "Annotations", "annotations")


def recognise(folder: Folder) -> bool:
    """Whether there are XML files in `Annotations/`, or beside the images."""
    return any(_sheets(folder))


def read(folder: Folder) -> ImageSet:
    """Every XML file's image and boxes; class names in alphabetical order."""
    splits = _splits(folder)
    found: list[tuple[Sample, list[str]]] = []
    for sheet in _sheets(folder):
        root = _parse(folder, sheet)
        entry = _entry(folder, sheet, root, splits) if root is not None else None
        if entry is not None:
            found.append(entry)
    names = sorted({name for _, own in found for name in own})
    samples = tuple(_labelled(folder, s, own, names) for s, own in found)
    return ImageSet(folder.root, "voc", tuple(names), samples)


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """XML and split files; returns image path → name in `out`."""
    if any(sample.boxes is None for sample in image_set.samples):
        raise FormatError(f"VOC holds boxes; {image_set.root} has images without any")
    placed: dict[str, str] = {}
    splits: dict[str, list[str]] = {}
    (out / "Annotations").mkdir(parents=True)
    names = flat_names(image_set, by_stem=True)
    for name, sample in zip(names, image_set.samples, strict=True):
        placed[str(sample.path)] = f"JPEGImages/{name}"
        stem = name.rpartition(".")[0]
        splits.setdefault(sample.split, []).append(stem)
        text = _xml(name, sample, image_set.class_names)
        (out / "Annotations" / f"{stem}.xml").write_text(text, "utf8")
    lists = out / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, stems in splits.items():
        if split:
            own = "val" if split == "valid" else split
            (lists / f"{own}.txt").write_text("\n".join(stems) + "\n", "utf8")
    return placed


def _sheets(folder: Folder) -> list[str]:
    named = folder.under(*SHEETS, suffix=".xml")
    every = [f for f in folder.files if f.endswith(".xml")]
    return named or [f for f in every if "/" not in f or _beside(folder, f)]


def _beside(folder: Folder, sheet: str) -> list[str]:
    """The images of a sheet's name in its own folder."""
    path = PurePosixPath(sheet)
    same = folder.by_name.get(path.stem, [])
    return [i for i in same if PurePosixPath(i).parent == path.parent]


def _splits(folder: Folder) -> dict[str, str]:
    """Stem → split, from the lists; `trainval` says nothing that the others do not."""
    found: dict[str, str] = {}
    for name in folder.under("ImageSets/Main", suffix=".txt"):
        split = split_name(PurePosixPath(name).stem)
        if split in ("train", "valid", "test"):
            for line in folder.text(name).splitlines():
                if line.strip():
                    flagged = re.fullmatch(r"(.+?)\s+(-1|0|1)", line.strip())
                    stem = line.strip()
                    if flagged and stem not in folder.by_name:
                        stem = flagged[1]
                    if found.setdefault(stem, split) != split:
                        said = f"lists {stem!r}, which is in {found[stem]} too"
                        folder.fault("image-twice", name, said)
    return found


def _parse(folder: Folder, sheet: str) -> Any:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import parse

    try:
        return parse(folder.root / sheet).getroot()
    except (ParseError, DefusedXmlException, OSError, ValueError, LookupError) as error:
        said = f"is no XML that may be read: {str(error) or type(error).__name__}"
        folder.fault("annotation-unreadable", sheet, said)
        return None


def _entry(
    folder: Folder, sheet: str, root: Any, splits: dict[str, str]
) -> tuple[Sample, list[str]] | None:
    stem = PurePosixPath(sheet).stem
    given = (root.findtext("filename") or "").strip()
    # Copied annotations often keep another image's name; the file's own is the rule.
    beside = PurePosixPath(sheet).parent.as_posix()
    same = [i for i in folder.by_name.get(stem, []) if i.rpartition("/")[0] in IMAGES]
    same = _beside(folder, sheet) or same
    name = same[0] if len(same) == 1 else ""
    places = (beside, *IMAGES)
    name = name or folder.image(given or stem, sheet, folders=places)
    if not name:
        return None
    size = root.find("size")
    stated = (
        (_number(size, "height"), _number(size, "width")) if size is not None else ()
    )
    canvas = folder.canvas_size(
        name, (int(stated[0]), int(stated[1])) if stated else None
    )
    boxes, classes = [], []
    for one in root.iter("object"):
        place = one.find("bndbox")
        corners = [_number(place, key) for key in ("xmin", "ymin", "xmax", "ymax")]
        if place is None or any(np.isnan(v) for v in corners):
            said = "wanted an object with xmin, ymin, xmax and ymax in its bndbox"
            folder.fault("annotation-unreadable", sheet, said)
            continue
        said = (one.findtext("name") or "").strip()
        if not said:
            folder.fault("class-unknown", sheet, "wanted an object with a name")
            continue
        boxes.append([corners[0] - 1, corners[1] - 1, corners[2], corners[3]])
        classes.append(said)
    found = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.zeros(len(classes), np.int64)
    split = splits.get(stem) or split_of_path(sheet)
    return Sample(folder.root / name, canvas, labels, found, split=split), classes


def _labelled(
    folder: Folder, sample: Sample, own: list[str], names: list[str]
) -> Sample:
    from dataclasses import replace

    labels = np.array([names.index(name) for name in own], np.int64)
    return folder.checked(replace(sample, labels=labels))


def _number(parent: Any, key: str) -> float:
    """A child's number; NaN when it has none, 0 for a missing size."""
    text = parent.findtext(key) if parent is not None else None
    try:
        found = float(text or "")
    except ValueError:
        found = float("nan")
    if np.isfinite(found):
        return found
    return 0.0 if key in ("height", "width") else float("nan")


def _xml(name: str, sample: Sample, class_names: tuple[str, ...]) -> str:
    height, width = sample.canvas_size
    lines = ["<annotation>", f"  <filename>{escape(name)}</filename>"]
    lines.append(
        f"  <size><width>{width}</width><height>{height}</height>"
        "<depth>3</depth></size>"
    )
    assert sample.boxes is not None
    for box, label in zip(sample.boxes.tolist(), sample.labels, strict=True):
        left, top, right, bottom = box
        lines.append(
            f"  <object><name>{escape(class_names[label])}</name><bndbox>"
            f"<xmin>{left + 1:.2f}</xmin><ymin>{top + 1:.2f}</ymin>"
            f"<xmax>{right:.2f}</xmax><ymax>{bottom:.2f}</ymax></bndbox></object>"
        )
    return "\n".join([*lines, "</annotation>", ""])
