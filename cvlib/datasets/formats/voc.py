"""Pascal VOC: an XML file an image, boxes only (masks and keypoints do not survive).

`Annotations/*.xml` and `JPEGImages/`, or `annotations/` and `images/`; splits in
`ImageSets/Main/*.txt`. VOC counts pixels from 1 and includes the last, so XYXY is
(xmin − 1, ymin − 1, xmax, ymax); a set that counts from 0 is read one pixel off to the
left and top. Source: the VOC2012 development kit, section 4.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from cvlib.datasets.formats.checks import checked
from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.formats.names import flat_names
from cvlib.datasets.split_names import split_of_path
from cvlib.samples import ImageSet, Sample, split_name

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
    """A sheet's sample, still without labels, and its objects' class names."""
    name = _image(folder, sheet, (root.findtext("filename") or "").strip())
    if not name:
        return None
    objects = [_object(folder, sheet, one) for one in root.iter("object")]
    kept = [one for one in objects if one is not None]
    sample = Sample(
        folder.root / name,
        folder.canvas_size(name, _stated_size(root.find("size"))),
        np.zeros(len(kept), np.int64),
        np.array([box for _, box in kept], np.float32).reshape(-1, 4),
        split=splits.get(PurePosixPath(sheet).stem) or split_of_path(sheet),
    )
    return sample, [class_name for class_name, _ in kept]


def _image(folder: Folder, sheet: str, given: str) -> str:
    """The image of a sheet: of the sheet's own name, else the one it names.

    Copied annotations often keep another image's name.
    """
    path = PurePosixPath(sheet)
    same = [i for i in folder.by_name.get(path.stem, []) if _parent(i) in IMAGES]
    same = _beside(folder, sheet) or same
    if len(same) == 1:
        return same[0]
    return folder.image(given or path.stem, sheet, folders=(_parent(sheet), *IMAGES))


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _stated_size(size: Any) -> tuple[int, int] | None:
    """(height, width) as a sheet states it; 0 for a side that is no number."""
    if size is None:
        return None
    height, width = (_number(size, side) for side in ("height", "width"))
    return int(np.nan_to_num(height)), int(np.nan_to_num(width))


def _object(folder: Folder, sheet: str, one: Any) -> tuple[str, list[float]] | None:
    """An object's class name and XYXY box, counted from 0; None and a fault."""
    place = one.find("bndbox")
    left, top, right, bottom = (
        _number(place, side) for side in ("xmin", "ymin", "xmax", "ymax")
    )
    if not np.isfinite([left, top, right, bottom]).all():
        said = "wanted an object with xmin, ymin, xmax and ymax in its bndbox"
        folder.fault("annotation-unreadable", sheet, said)
        return None
    class_name = (one.findtext("name") or "").strip()
    if not class_name:
        folder.fault("class-unknown", sheet, "wanted an object with a name")
        return None
    return class_name, [left - 1, top - 1, right, bottom]


def _labelled(
    folder: Folder, sample: Sample, own: list[str], names: list[str]
) -> Sample:
    labels = np.array([names.index(name) for name in own], np.int64)
    return checked(folder, replace(sample, labels=labels))


def _number(parent: Any, side: str) -> float:
    """A child's number; NaN when it has none, or an endless one."""
    text = parent.findtext(side) if parent is not None else None
    try:
        number = float(text or "")
    except ValueError:
        return float("nan")
    return number if np.isfinite(number) else float("nan")


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
