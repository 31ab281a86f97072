"""What the doctor found: as a table, JSON, one HTML file, or a cleaned list.

Nothing is ever written into the folder that was examined.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.datasets.problems import Problem
from cvlib.datasets.registry import DatasetError
from cvlib.files import write_text
from cvlib.samples import ImageSet, Sample

EXAMPLES = 12  # of each kind, with pictures
EVERY_BYTE = 5_000_000  # of pictures in a report
DROPPING = {
    "unreadable", "truncated", "zero-byte", "bomb", "path-outside", "image-missing",
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """The result of `examine`: counts, and problems with errors first.

    images: how many image files there are; found: the annotated ones, None where the
        folder is in no known format.
    """

    root: Path
    images: int
    problems: tuple[Problem, ...] = field(repr=False)
    seconds: float
    found: ImageSet | None = field(default=None, repr=False)

    @property
    def format(self) -> str:
        """What the folder was read as."""
        return self.found.format if self.found is not None else "no known format"

    @property
    def objects(self) -> int:
        """How many labels there are, of images or of objects in them."""
        return sum(len(sample.labels) for sample in self.found or ())

    @property
    def splits(self) -> dict[str, int]:
        """Images in each split, "" for those without."""
        return dict(Counter(sample.split for sample in self.found or ()))

    @property
    def errors(self) -> int:
        """How many problems will hurt a result, not just a habit."""
        return sum(problem.severity == "error" for problem in self.problems)

    def by_kind(self) -> dict[str, list[Problem]]:
        """Problems by kind, in the order of the list."""
        kinds: dict[str, list[Problem]] = defaultdict(list)
        for problem in self.problems:
            kinds[problem.kind].append(problem)
        return dict(kinds)

    def as_json(self) -> dict[str, Any]:
        """Plain values; paths are relative to the root where they lie in it."""
        return {
            "root": str(self.root),
            "format": self.format,
            "images": self.images,
            "objects": self.objects,
            "splits": self.splits,
            "seconds": round(self.seconds, 2),
            "errors": self.errors,
            "problems": [
                {
                    "kind": one.kind,
                    "severity": one.severity,
                    "paths": [self.name(path) for path in one.paths],
                    "message": one.message,
                    "index": one.index,
                }
                for one in self.problems
            ],
        }

    def name(self, path: Path) -> str:
        """A path as the report shows it."""
        inside = path.is_relative_to(self.root)
        shown = path.relative_to(self.root).as_posix() if inside else str(path)
        return shown.encode("utf8", "backslashreplace").decode()

    def write_html(self, path: str | Path) -> Path:
        """One file with thumbnails that needs nothing else."""
        return _write(self.root, path, html(self))

    def write_json(self, path: str | Path) -> Path:
        """`as_json` in a file."""
        text = json.dumps(self.as_json(), indent=1, ensure_ascii=False)
        return _write(self.root, path, text + "\n")

    def write_cleaned(self, folder: str | Path) -> Path:
        """What is left without the faults, as a list of images, and what was removed.

        `annotations.json` (COCO) where there are boxes, else `images.csv` (with a
        column `mask` for index masks); and `removed.csv` with a reason for each. Names
        are relative to the folder that was examined. No image is copied or changed.
        """
        out = _outside(self.root, folder)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DatasetError(f"{out} is there already; give a new or empty folder")
        if self.found is None:
            raise DatasetError(f"{self.root} is in no known format: nothing to clean")
        kept, removed = cleaned(self)
        out.mkdir(parents=True, exist_ok=True)
        _write(self.root, out / "removed.csv", _csv(["path", "why"], removed))
        if any(sample.boxes is not None for sample in kept.samples):
            from cvlib.datasets.formats import coco

            document = coco.document(kept, [self.name(path) for path in kept.paths])
            _write(self.root, out / "annotations.json", json.dumps(document))
        else:
            _write(self.root, out / "images.csv", self._table(kept))
        return out

    def _table(self, kept: ImageSet) -> str:
        """A row an image: its label map, where it has one, or a column a class."""
        painted = kept.format == "index-masks"
        columns = ["mask"] if painted else list(kept.class_names)
        rows = []
        for one in kept.samples:
            own = [str(int(i in one.labels)) for i in range(len(kept.class_names))]
            if painted:
                own = [self.name(one.label_map) if one.label_map else ""]
            rows.append([self.name(one.path), *own, one.split, one.group])
        return _csv(["image", *columns, "split", "group"], rows)


def cleaned(report: Report) -> tuple[ImageSet, list[list[str]]]:
    """The set without faulty images, spare copies and impossible boxes; and a log.

    Of copies one stays, in test before valid before train: so the test set is whole.
    """
    assert report.found is not None
    drop, spare = _dropped(report, report.found), _spare_boxes(report)
    kept = [
        _without(sample, spare.get(sample.path, set()))
        for sample in report.found
        if sample.path not in drop
    ]
    removed = [[report.name(path), why] for path, why in drop.items()]
    removed += [
        [report.name(path), f"box {index}"]
        for path, own in spare.items()
        for index in sorted(own)
    ]
    return report.found.having(kept), removed


def _dropped(report: Report, found: ImageSet) -> dict[Path, str]:
    """Image → why it goes: broken, a copy under another label, or a spare copy."""
    splits = {sample.path: sample.split for sample in found}
    rank = {"test": 0, "valid": 1, "train": 2}
    drop: dict[Path, str] = {}
    for one in report.problems:
        if one.kind in DROPPING:
            drop |= dict.fromkeys(one.paths, one.kind)
        elif one.kind == "duplicate-conflicting":
            drop |= dict.fromkeys(one.paths, "copies with different labels")
        elif one.kind.startswith("duplicate"):
            known = [path for path in one.paths if path in splits]
            known.sort(key=lambda path: rank.get(splits[path], 3))
            drop |= {path: f"copy of {report.name(known[0])}" for path in known[1:]}
    return drop


def _spare_boxes(report: Report) -> dict[Path, set[int]]:
    """Image → the numbers of its boxes that cannot be, or are there twice."""
    spare: dict[Path, set[int]] = defaultdict(set)
    for one in report.problems:
        if one.kind in ("box-degenerate", "box-duplicate") and one.index is not None:
            spare[one.paths[0]].add(one.index)
    return spare


def _without(sample: Sample, indices: set[int]) -> Sample:
    """A sample without some objects, its other boxes within the frame."""
    if sample.boxes is None:
        return sample
    stays = [i not in indices for i in range(len(sample.labels))]
    kept = sample.keeping(np.array(stays, bool))
    assert kept.boxes is not None
    height, width = sample.canvas_size
    limit = np.array([width, height] * 2, np.float32)
    return replace(kept, boxes=np.clip(kept.boxes, 0, limit)) if width else kept


def html(report: Report) -> str:
    """The report as one page; every name is escaped, pictures are inside."""
    from jinja2 import Environment, PackageLoader

    spent = 0

    def thumbnail(path: Path) -> str:
        nonlocal spent
        data = _thumbnail(path) if spent < EVERY_BYTE else ""
        spent += len(data)
        return data

    loader = PackageLoader("cvlib.doctor", ".")
    pages = Environment(loader=loader, autoescape=True, trim_blocks=True)
    return pages.get_template("report.html.jinja").render(
        report=report,
        title=report.root.name.encode("utf8", "backslashreplace").decode(),
        kinds=report.by_kind(),
        examples=EXAMPLES,
        name=report.name,
        thumbnail=thumbnail,
    )


def _thumbnail(path: Path) -> str:
    """A small JPEG as a data address; "" for what cannot be shown."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as file:
                if file.width * file.height > 100_000_000:
                    return ""
                file.draft("RGB", (320, 320))
                small = ImageOps.exif_transpose(file).convert("RGB")
        small.thumbnail((160, 160))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=70)
    except Exception:  # what is wrong with the file stands beside it
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _csv(header: list[str], rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _outside(root: Path, path: str | Path) -> Path:
    """`path`, refused when it lies in the folder that was examined."""
    target = Path(path).expanduser()
    if target.resolve().is_relative_to(root.resolve()):
        raise DatasetError(
            f"{target} is inside {root}, where the doctor never writes; "
            "give another place"
        )
    return target


def _write(root: Path, path: str | Path, text: str) -> Path:
    target = _outside(root, path)
    try:
        return write_text(target, text, errors="backslashreplace")
    except OSError as error:
        raise DatasetError(f"cannot write {target}: {error}") from error
