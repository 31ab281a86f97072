"""A folder being read: its files, its faults, and the wall around it.

Every reader asks here for files, so nothing an annotation says can lead out of the
folder, and a fault is either the end (strict) or a line in a list (lenient).
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from cvlib.datasets.problems import Problem
from cvlib.datasets.registry import DatasetError, list_files
from cvlib.datasets.split_names import splits_in
from cvlib.samples import IMAGE_SUFFIXES, SPLITS, known_split

log = logging.getLogger("cvlib")

PIXELS = 100_000_000  # more than a photograph has


class FormatError(DatasetError):
    """A data set's files are not what its format says."""


@dataclass
class Folder:
    """`root` and what was found wrong in it.

    problems: None raises FormatError at the first fault that is an error; a list
        collects all of them.
    sheet: the one annotation file to read, if one was named.
    """

    root: Path
    problems: list[Problem] | None = None
    sheet: Path | None = None

    def __post_init__(self) -> None:
        self._documents: dict[str, Any] = {}
        self._names: dict[str, str] = {}  # image → the name it was first asked by

    @cached_property
    def files(self) -> list[str]:
        """Relative paths of all files; hidden ones and links that lead out are not."""
        return [name for name in list_files(self.root) if self._is_inside(name)]

    @cached_property
    def images(self) -> list[str]:
        """Relative paths of all image files, by their endings."""
        return [n for n in self.files if n.lower().endswith(IMAGE_SUFFIXES)]

    @cached_property
    def image_names(self) -> frozenset[str]:
        """`images`, to ask whether one is there."""
        return frozenset(self.images)

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """Images by their names without folder, and by those without ending."""
        found: dict[str, list[str]] = {}
        for image in self.images:
            for key in {PurePosixPath(image).name, PurePosixPath(image).stem}:
                found.setdefault(key, []).append(image)
        return found

    @cached_property
    def linked(self) -> list[str]:
        """Relative paths of links to folders; what is behind them is not read."""
        found = [
            Path(parent, name).relative_to(self.root).as_posix()
            for parent, folders, _ in os.walk(self.root)
            for name in folders
            if name[0] != "." and Path(parent, name).is_symlink()
        ]
        return sorted(found)

    def under(self, *folders: str, suffix: str = "") -> list[str]:
        """Files below any of these folders, with this ending."""
        starts = tuple(f"{folder}/" for folder in folders)
        return [f for f in self.files if f.startswith(starts) and f.endswith(suffix)]

    def fault(
        self,
        kind: str,
        path: str | Path,
        message: str,
        *,
        severity: str = "error",
        index: int | None = None,
    ) -> None:
        """Note a fault; strictly, raise it when it is an error."""
        if self.problems is not None:
            place = self.root / path
            self.problems.append(Problem(kind, (place,), message, severity, index))
        elif severity == "error":
            raise FormatError(f"{self.root / path}: {message}")

    def warn(self, kind: str, messages: dict[str, str]) -> None:
        """Note losses that are no errors, a message a path; strictly, log the first."""
        for path, message in messages.items():
            self.fault(kind, path, message, severity="warning")
        if messages and self.problems is None:
            path, message = next(iter(messages.items()))
            more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
            log.warning("%s: %s%s", self.root / path, message, more)

    def image(
        self,
        name: str,
        sheet: str,
        *,
        folders: Iterable[str] = ("",),
        split: str = "",
    ) -> str:
        """The image an annotation names, relative to the root; "" if there is none.

        Looked for below each of `folders`; else anywhere by its bare name, because
        tools export paths of the machine they ran on, but never in another split than
        `split`, the sheet's or the name's, or in place of an image that another
        annotation names.
        """
        plain = str(name).replace("\\", "/")
        for folder in folders:
            place = (PurePosixPath(folder) / plain).as_posix()
            if place in self.image_names:
                return self._taken(place, plain, sheet)
        bare = PurePosixPath(plain).name
        near = {split, *splits_in(plain), *splits_in(sheet)} - {""}
        same = self.by_name.get(bare) or self.by_name.get(PurePosixPath(bare).stem, [])
        same = [one for one in same if not (near and set(splits_in(one)) - near)]
        if len(same) == 1:
            return self._taken(same[0], plain, sheet)
        leads_out = plain.startswith("/") or ".." in PurePosixPath(plain).parts
        if leads_out or plain[1:2] == ":":
            said = f"names {name!r}, which is outside the folder; it is not read"
            self.fault("path-outside", sheet, said)
        else:
            said = f"{sheet} names {name!r}, which is not there"
            self.fault("image-missing", plain, said)
        return ""

    def _taken(self, image: str, named: str, sheet: str) -> str:
        """The image, unless it is there for another name: then one of both is not."""
        named = PurePosixPath(named).as_posix()
        first = self._names.setdefault(image, named)
        if _is_end(first, named) or _is_end(named, first):
            return image
        missing = first if _is_end(named, image) else named
        said = f"{sheet} names {missing!r}, which is not there"
        self.fault("image-missing", missing, said)
        return image if missing == first else ""

    def canvas_size(
        self, image: str, stated: tuple[int, int] | None = None
    ) -> tuple[int, int]:
        """(height, width) from the file's header; what was stated if it has none."""
        from PIL import Image

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of huge sizes, which the doctor names
                with Image.open(self.root / image) as file:
                    size = file.height, file.width
        except (
            OSError,
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
        ) as error:
            self.fault("unreadable", image, f"is no image that can be read: {error}")
            believable = stated and stated[0] * stated[1] <= PIXELS
            return stated if stated and believable else (0, 0)
        if stated and stated != size and all(stated):
            said = f"is {size[1]} × {size[0]}, "
            said += f"its annotation says {stated[1]} × {stated[0]}"
            self.fault("size-disagrees", image, said, severity="warning")
        return size

    def text(self, name: str) -> str:
        """A text file's content; "" and a fault when it is none."""
        try:
            return (self.root / name).read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self.fault("annotation-unreadable", name, f"cannot be read: {error}")
            return ""

    def json(self, name: str, *, quiet: bool = False) -> Any:
        """A JSON document, read once; None, and a fault unless quiet, if it is none."""
        if name not in self._documents:
            try:
                text = (self.root / name).read_text("utf-8-sig")
                self._documents[name] = json.loads(text)
            except (OSError, ValueError, RecursionError) as error:
                self._documents[name] = error
        found = self._documents[name]
        if isinstance(found, Exception):
            if not quiet:
                self.fault("annotation-unreadable", name, f"is no JSON: {found}")
            return None
        return found

    def split(self, stated: str, sheet: str) -> str:
        """The split that an annotation states; "" and a fault when it is none."""
        found = known_split(stated)
        if stated and not found:
            wanted = f"wanted {', '.join(SPLITS)} or nothing"
            self.fault("split-unknown", sheet, f"states split {stated!r}; {wanted}")
        return found

    def _is_inside(self, name: str) -> bool:
        path = self.root / name
        if not path.is_symlink():
            return True
        try:
            target = path.resolve(strict=True)
            inside = target.is_file() and target.is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):
            inside = False
        if not inside:
            said = "is a link that leads out of the folder or nowhere; it is not read"
            self.fault("path-outside", name, said)
        return inside


def _is_end(path: str, longer: str) -> bool:
    """Whether a path is the last parts of another."""
    return longer == path or longer.endswith(f"/{path}")
