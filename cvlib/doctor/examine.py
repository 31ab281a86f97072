"""What is wrong with a data set, before a model learns it.

    from cvlib.doctor import examine

    report = examine("~/my_folder")     # or: cvlib doctor ~/my_folder

`files` looks at every image once, `duplicates` compares them, `labels` checks the
annotations, `report` says it. cleanvision finds some of this, but imports pandas and
matplotlib and knows neither splits nor boxes; imagededup wants torch to compare two
hashes. Both were weighed; cleanvision is the peer in tests/benchmarks. cleanlab does
serve, behind `deep`. Used in book/data/check-your-data.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cvlib.datasets import formats
from cvlib.datasets.download import fetch
from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.loading import with_kept_splits
from cvlib.datasets.places import resolve
from cvlib.datasets.problems import Problem
from cvlib.datasets.registry import DatasetError
from cvlib.doctor import duplicates, labels
from cvlib.doctor.files import Facts, look_at_all
from cvlib.doctor.report import Report
from cvlib.samples import IMAGE_SUFFIXES, ImageSet, Sample

# What phones, cameras and drawing programs save, and this book's tools do not read.
OTHER_SUFFIXES = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".jfif", ".psd", ".svg"),
    *(".cr2", ".cr3", ".nef", ".arw", ".dng"),
)


def examine(
    data: str | Path,
    *,
    deep: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Look at every image and annotation of a data set; writes nothing, anywhere.

    data: what `load` takes: a registered name, a folder of yours, or the annotation
        file to read in it.
    deep: also ask a model which labels look wrong (minutes; needs cleanlab).
    workers: threads that decode, by default one a core.
    progress: a bar on standard error.

    Raises DatasetError for what is none of these. Used in book/data/check-your-data.
    """
    started = time.perf_counter()
    path = _place(data)
    root = path if path.is_dir() else path.parent
    problems: list[Problem] = []
    found = _read(path, problems)
    images = _images(root, found, problems)
    facts = _looks(images, workers=workers, progress=progress)
    broken = {one.path for one in facts if one.thumb is None}
    # A reader needs the header only, and would name the same file once more.
    known = [p for p in problems if p.kind != "unreadable" or p.paths[0] not in broken]
    known += [problem for one in facts for problem in one.problems]
    known += [*_not_read(root), *_copies(facts, found)]
    if found is not None:
        known += [*labels.check_classes(found), *labels.check_objects(found)]
        known += labels.suspect_labels(found, broken) if deep else []
    seconds = time.perf_counter() - started
    return Report(root, len(images), _sorted(known), seconds, found)


def _place(data: str | Path) -> Path:
    """The folder or the annotation file that is meant."""
    known = resolve(data)
    if not (isinstance(known, Path) and known.is_file()):
        return fetch(data)
    if known.name.lower().endswith(IMAGE_SUFFIXES):
        raise DatasetError(
            f"{known} is one image; wanted a folder, an annotation file or the name of "
            "a data set"
        )
    return known


def _read(path: Path, problems: list[Problem]) -> ImageSet | None:
    """The images with annotations and kept splits; None in no known format."""
    try:
        found = formats.read(path, problems=problems)
    except DatasetError as error:
        if path.is_file():
            raise
        said = f"is read as images without annotations: {str(error).splitlines()[0]}"
        problems.append(Problem("unrecognised", (path,), said))
        return None
    try:
        return with_kept_splits(found)
    except DatasetError as error:
        place = (found.root / "splits.csv",)
        problems.append(Problem("splits-unreadable", place, str(error)))
        return found


def _images(root: Path, found: ImageSet | None, problems: list[Problem]) -> list[Path]:
    """Every image file that is a picture; masks are none.

    Links that lead out are noted and left, as is that there is no image at all.
    """
    names = Folder(root, problems).images
    if found is not None:
        is_mask = formats.FORMATS[found.format].mask
        names = [name for name in names if not is_mask(name)]
    paths = [root / name for name in names]
    if not paths:
        problems.append(Problem("nothing-read", (root,), "holds no image"))
    return paths


def _looks(paths: list[Path], *, workers: int | None, progress: bool) -> list[Facts]:
    """The facts of every file, with a bar where one is asked for and can be seen."""
    looks = look_at_all(paths, workers=workers or os.cpu_count() or 1)
    if not progress:
        return list(looks)
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = not console.is_terminal
    shown = track(looks, "Looking", total=len(paths), console=console, disable=hidden)
    return list(shown)


def _not_read(root: Path) -> Iterator[Problem]:
    """What a folder holds and nothing here opens: a loss nobody would notice."""
    errors: list[OSError] = []
    for parent, folders, names in os.walk(root, onerror=errors.append):
        folders[:] = [name for name in folders if name[0] != "."]
        for name in folders:
            if (path := Path(parent, name)).is_symlink():
                said = "is a linked folder; links to folders are not followed"
                yield Problem("not-read", (path,), said, "warning")
        for name in names:
            if name.lower().endswith(OTHER_SUFFIXES) and name[0] != ".":
                said = (
                    "is in a format that Pillow or torchvision do not read everywhere"
                )
                said += "; store it as JPEG or PNG"
                yield Problem("not-read", (Path(parent, name),), said, "warning")
    for error in errors:
        said = f"cannot be opened: {error.strerror}"
        yield Problem("not-read", (Path(error.filename),), said)


def _copies(facts: list[Facts], found: ImageSet | None) -> Iterator[Problem]:
    """Problems of the same picture twice."""
    known = {s.path: s for s in found} if found else {}
    names = found.class_names if found else ()
    exact = duplicates.find_copies(facts)
    groups = [("duplicate-exact", "the same bytes", one) for one in exact]
    near = duplicates.find_near_copies(facts)
    groups += [("duplicate-near", "the same picture", one) for one in near]
    for kind, what, paths in groups:
        own = [known[path] for path in paths if path in known]
        yield from _told(kind, f"{len(paths)} files show {what}", paths, own, names)


def _told(
    kind: str, said: str, paths: list[Path], own: list[Sample], names: tuple[str, ...]
) -> Iterator[Problem]:
    """A group of copies: worst when they cross splits or classes."""
    splits = sorted({s.split for s in own if s.split})
    given = {tuple(s.labels.tolist()) for s in own if s.boxes is None}
    if len(given) > 1:
        other = sorted(" ".join(names[i] for i in label) for label in given)
        text = f"{said} under different labels: {', '.join(other)}"
        yield Problem("duplicate-conflicting", tuple(paths), text)
    if len(splits) > 1:
        text = f"{said}, in {' and '.join(splits)}"
        yield Problem("duplicate-across-splits", tuple(paths), text)
    if len(given) < 2 and len(splits) < 2:
        yield Problem(kind, tuple(paths), said, "warning")


def _sorted(problems: list[Problem]) -> tuple[Problem, ...]:
    """Errors first, each fault once, in an order that does not change."""
    # A name that is not UTF-8 cannot be printed, nor sent as JSON.
    said = [p.message.encode("utf8", "backslashreplace").decode() for p in problems]
    problems = [replace(p, message=m) for p, m in zip(problems, said, strict=True)]
    once = {(p.kind, p.paths, p.index, p.message): p for p in problems}
    return tuple(
        sorted(
            once.values(), key=lambda p: (p.severity != "error", p.kind, str(p.paths))
        )
    )
