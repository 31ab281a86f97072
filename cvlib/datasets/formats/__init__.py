"""Annotation formats, in and out: files of every common tool ↔ one `ImageSet`.

    from cvlib.datasets import formats

    found = formats.read("~/my_export")            # the format is recognised
    formats.write(found, "out", format="yolo")

Readers never follow a path out of the folder they were given. Boxes and sizes refer to
the pixels as stored, before EXIF turning. Used in book/data/annotate.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cvlib.datasets.formats import (
    class_folders,
    coco,
    defect_masks,
    index_masks,
    keypoint_json,
    label_studio,
    labelme,
    lists,
    tag_tables,
    voc,
    yolo,
)
from cvlib.datasets.formats.checks import note_left_out, note_twice
from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.problems import Problem
from cvlib.datasets.registry import DatasetError
from cvlib.files import replacing
from cvlib.samples import IMAGE_SUFFIXES, ImageSet

__all__ = [
    "FORMATS",
    "Format",
    "FormatError",
    "Module",
    "UnrecognisedError",
    "read",
    "recognise",
    "write",
]


log = logging.getLogger("cvlib")


class UnrecognisedError(DatasetError):
    """A folder is in none of the formats."""


class Module(Protocol):
    """What the module of a format holds: how its folders look, and its two verbs."""

    LOOKS_LIKE: str

    def recognise(self, folder: Folder) -> bool:
        """Whether a folder is in this format; never raises for what is in it."""
        ...

    def read(self, folder: Folder) -> ImageSet:
        """A folder's images and annotations; `folder.fault` is told what is wrong."""
        ...


@dataclass(frozen=True)
class Format:
    """A format: its module, who writes it, and what its folders hold besides.

    write: puts annotations into a folder and returns image path → name in it, for the
        copies; None for a format that is only read.
    sheets: endings of a file that may be named in place of its folder.
    mask: whether an image file is an annotation itself, and no picture.
    exempt: whether a picture needs no annotation, as one of none of the classes.
    """

    name: str
    module: Module
    write: Callable[[ImageSet, Path], dict[str, str]] | None = None
    sheets: tuple[str, ...] = ()
    mask: Callable[[str], bool] = lambda image: False
    exempt: Callable[[str], bool] = lambda image: False


# In the order in which they are tried: the more a format asks for, the earlier.
_FORMATS = (
    Format("coco", coco, coco.write, coco.SHEET_ENDINGS),
    Format("yolo", yolo, yolo.write, yolo.SHEET_ENDINGS),
    Format("voc", voc, voc.write),
    Format("label-studio", label_studio, None, label_studio.SHEET_ENDINGS),
    Format("labelme", labelme),
    Format("keypoint-json", keypoint_json),
    Format("defect-masks", defect_masks, mask=defect_masks.is_mask),
    Format("index-masks", index_masks, index_masks.write, mask=index_masks.is_mask),
    Format("lists", lists, exempt=lists.is_studio_picture),
    Format("tags", tag_tables, tag_tables.write, tag_tables.SHEET_ENDINGS),
    Format(
        "classes", class_folders, class_folders.write, exempt=class_folders.is_negative
    ),
)
FORMATS: dict[str, Format] = {entry.name: entry for entry in _FORMATS}


def recognise(folder: str | Path) -> str:
    """The name of the format that a folder, or a single annotation file, is in.

    Raises UnrecognisedError, which says what is there and what each format wants.
    """
    opened = _open(folder, [])
    sheet = opened.sheet
    for entry in FORMATS.values():
        fits = sheet is None or sheet.suffix.lower() in entry.sheets
        if fits and entry.module.recognise(opened):
            return entry.name
    wanted = "\n".join(f"  {f.name}: {f.module.LOOKS_LIKE}" for f in FORMATS.values())
    raise UnrecognisedError(
        f"{folder} is in no known format. It holds {_describe(opened)}.\n"
        f"Known:\n{wanted}"
    )


def read(
    folder: str | Path,
    *,
    format: str | None = None,
    problems: list[Problem] | None = None,
) -> ImageSet:
    """A folder (or the one annotation file in it) → its images and annotations.

    format: one of FORMATS; recognised when None.
    problems: with a list, faults are appended to it and what can be kept is kept;
        without one, the first fault that is an error raises FormatError.

    Raises UnrecognisedError. Used in book/data/annotate.
    """
    entry = _format(format or recognise(folder))
    opened = _open(folder, problems)
    found = entry.module.read(opened)
    if problems is None and opened.linked:  # the doctor looks for itself
        log.warning("%s%s", opened.root, _links(opened))
    if not found.samples:
        said = f"is in the form {entry.name}, and no image of it has an annotation"
        opened.fault("nothing-read", "", f"{said}; wanted {entry.module.LOOKS_LIKE}")
    note_twice(opened, found)
    note_left_out(opened, found, lambda i: entry.mask(i) or entry.exempt(i))
    return found


def write(
    image_set: ImageSet, folder: str | Path, *, format: str | None = None
) -> Path:
    """Write images (copied) and annotations to a new folder; returns it.

    format: one of FORMATS that is not only read. By default the one that the set was
        read in, or COCO where that is none of them.

    The folder appears whole or not at all. Raises FormatError when it exists and is not
    empty, when the format cannot hold the annotations, or when an image is missing.
    What each format loses stands in its module. Used in book/data/annotate.
    """
    writers = {entry.name: entry.write for entry in _FORMATS if entry.write}
    if format is None:
        format = image_set.format if image_set.format in writers else "coco"
    if format not in writers:
        said = "is only read" if format in FORMATS else "is no format"
        raise FormatError(f"{format!r} {said}; written are {', '.join(writers)}")
    out = Path(folder).expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FormatError(f"{out} is there already; give a folder that is new or empty")
    with replacing(out) as partial:
        partial.mkdir()
        for source, name in writers[format](image_set, partial).items():
            _copy(Path(source), partial / name)
    return out


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise FormatError(f"no format {name!r}; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def _open(folder: str | Path, problems: list[Problem] | None) -> Folder:
    path = Path(folder).expanduser()
    if path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES):
        raise FormatError(f"{path} is one image; wanted a folder, or annotations")
    if path.is_file():
        return Folder(path.parent, problems, sheet=path)
    if not path.is_dir():
        raise FormatError(f"no folder {path}; wanted one with images and annotations")
    return Folder(path, problems)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise FormatError(f"cannot copy {source}: it is not there") from error


def _describe(folder: Folder) -> str:
    if not folder.files:
        return f"no files{_links(folder)}"
    endings = Counter(Path(name).suffix.lower() or "no ending" for name in folder.files)
    counted = ", ".join(f"{n} {ending}" for ending, n in endings.most_common(5))
    some = ", ".join(folder.files[:3])
    return f"{len(folder.files)} files ({counted}), such as {some}{_links(folder)}"


def _links(folder: Folder) -> str:
    """What is to be said of links to folders; nothing where there are none."""
    if not (linked := folder.linked):
        return ""
    more = f" and {len(linked) - 5} more" if len(linked) > 5 else ""
    return f"; links to folders are not followed: {', '.join(linked[:5])}{more}"
