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
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from cvlib.datasets.formats.folder import Folder
from cvlib.datasets.formats.index_masks import is_mask
from cvlib.datasets.registry import DatasetError
from cvlib.doctor.report import Report
from cvlib.samples import ImageSet, Problem

__all__ = ["Report", "examine"]

T = TypeVar("T")
# What phones, cameras and drawing programs save, and this book's tools do not read.
OTHER_SUFFIXES = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".jfif", ".psd", ".svg"),
    *(".cr2", ".cr3", ".nef", ".arw", ".dng"),
)


def examine(
    folder: str | Path,
    *,
    deep: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Look at every image and annotation of a folder; writes nothing, anywhere.

    deep: also ask a model which labels look wrong (minutes; needs cleanlab).
    workers: threads that decode, by default one a core.
    progress: a bar on standard error.

    Raises DatasetError for a path that is no folder. Used in
    book/data/check-your-data.
    """
    from cvlib.doctor import duplicates, files, labels

    started = time.perf_counter()
    root = Path(folder).expanduser()
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        raise DatasetError(f"wanted a folder, found {what} at {root}")
    problems: list[Problem] = []
    found = _read(root, problems)
    problems += _not_read(root)
    painted = found is not None and found.format == "index-masks"
    images = Folder(root, problems).images  # notes links that lead out, and has none
    paths = [root / name for name in images if not (painted and is_mask(name))]
    if not paths:
        problems.append(Problem("nothing-read", (root,), "holds no image"))
    looks = files.look_at_all(paths, workers=workers or os.cpu_count() or 1)
    facts = list(_shown(looks, len(paths)) if progress else looks)
    # A reader needs the header only, and would name the same file once more.
    broken = {one.path for one in facts if one.thumb is None}
    problems = [
        p for p in problems if p.kind != "unreadable" or p.paths[0] not in broken
    ]
    problems += [problem for one in facts for problem in one.problems]
    copies = duplicates.find_copies(facts)
    problems += _told(copies, found, "duplicate-exact", "the same bytes")
    near = duplicates.find_near_copies(facts)
    problems += _told(near, found, "duplicate-near", "the same picture")
    if found is not None:
        problems += [*labels.check_classes(found), *labels.check_objects(found)]
        problems += labels.suspect_labels(found, broken) if deep else []
    return Report(
        root,
        found.format if found is not None else "no known format",
        len(paths),
        sum(len(s.labels) for s in found.samples) if found else 0,
        labels.counted(found) if found else {},
        _sorted(problems),
        time.perf_counter() - started,
        found,
    )


def _read(root: Path, problems: list[Problem]) -> ImageSet | None:
    from cvlib.datasets import formats
    from cvlib.datasets.loading import with_kept_splits

    try:
        found = formats.read(root, problems=problems)
    except DatasetError as error:
        said = f"is read as images without annotations: {str(error).splitlines()[0]}"
        problems.append(Problem("unrecognised", (root,), said))
        return None
    try:
        return with_kept_splits(found)
    except DatasetError as error:
        place = (root / "splits.csv",)
        problems.append(Problem("splits-unreadable", place, str(error)))
        return found


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


def _told(
    groups: Iterable[list[Path]], found: ImageSet | None, kind: str, what: str
) -> Iterator[Problem]:
    """A problem for each group of copies: worst when they cross splits or classes."""
    known = {s.path: s for s in found.samples} if found else {}
    for group in groups:
        own = [known[path] for path in group if path in known]
        splits = sorted({s.split for s in own if s.split})
        labels = {tuple(s.labels.tolist()) for s in own if s.boxes is None}
        said = f"{len(group)} files show {what}"
        if len(labels) > 1 and found:
            names = [" ".join(found.class_names[i] for i in label) for label in labels]
            text = f"{said} under different labels: {', '.join(sorted(names))}"
            yield Problem("duplicate-conflicting", tuple(group), text)
        if len(splits) > 1:
            text = f"{said}, in {' and '.join(splits)}"
            yield Problem("duplicate-across-splits", tuple(group), text)
        if len(labels) < 2 and len(splits) < 2:
            yield Problem(kind, tuple(group), said, "warning")


def _shown(looks: Iterable[T], total: int) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(
        looks, "Looking", total=total, console=console, disable=not console.is_terminal
    )


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
