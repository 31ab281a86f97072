"""What data.yaml says, and where its images are."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from reprlib import repr
from typing import Any, TypeGuard

from cvlib.datasets.formats.folder import Folder
from cvlib.samples import split_name

# What a hostile file may ask for.
MOST_CLASSES, MOST_POINTS, MOST_PLACES = 99_999, 1000, 1000
NAME_LISTS = ("classes.txt", "obj.names")
DEPTH = 12  # folders below each other in which a path is looked for
LISTED = 99  # a list names an image more exactly than any folder
NOTHING = ("", "~", "null", "Null", "NULL")  # how YAML says that there is no value


@dataclass(frozen=True)
class Layout:
    """What data.yaml says.

    points: keypoints an object, each of `values` numbers, after its box; 0 without.
    splits: image → split, where `train`, `val` and `test` name folders or lists.
    lists: the text files that are such lists.
    """

    class_names: tuple[str, ...] = ()
    points: int = 0
    values: int = 3
    point_names: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    splits: dict[str, str] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()


def read_layout(folder: Folder) -> Layout:
    """What data.yaml, or obj.data, says; what cannot be is a fault, and not kept."""
    sheet, facts = _facts(folder)
    points, values = _shape(folder, sheet, facts)
    swapped = facts.get("flip_idx")
    swapped = swapped[:points] if isinstance(swapped, list) else []
    pairs = {(str(i), other) for i, other in enumerate(swapped) if type(other) is str}
    mutual = ((int(i), int(o)) for i, o in pairs if (o, i) in pairs)
    mirrored = sorted((i, other) for i, other in mutual if i < other)
    splits, lists = _splits(folder, sheet, facts)
    return Layout(
        tuple(_names(folder, sheet, facts)),
        points,
        values,
        _point_names(facts, points),
        tuple(mirrored),
        splits,
        frozenset(lists),
    )


def _point_names(facts: dict[str, Any], points: int) -> tuple[str, ...]:
    """`kpt_names`, of every class or of the first; else numbers."""
    given = facts.get("kpt_names")
    if isinstance(given, dict):
        given = next(iter(given.values()), None)
    if _are_texts(given) and len(given) == points:
        return tuple(given)
    return tuple(f"point {i}" for i in range(points))


def _are_texts(given: Any) -> TypeGuard[list[str]]:
    return isinstance(given, list) and all(isinstance(x, str) and x for x in given)


def _shape(folder: Folder, sheet: str, facts: dict[str, Any]) -> tuple[int, int]:
    """Keypoints an object and numbers a keypoint, of `kpt_shape`."""
    match facts.get("kpt_shape"):
        case None:
            return 0, 3
        case [str(points), ("2" | "3") as values] if (
            points.isdecimal() and len(points) < 5 and 0 < int(points) <= MOST_POINTS
        ):
            return int(points), int(values)
        case other:
            said = f"wanted kpt_shape: [keypoints, 2 or 3], got {repr(other)}"
            folder.fault("annotation-unreadable", sheet, said)
            return 0, 3


def _facts(folder: Folder) -> tuple[str, dict[str, Any]]:
    """The YAML that has `names`, at the top or in a folder there, and its content."""
    if folder.sheet is not None:
        places = [folder.sheet.name]
    else:
        near = [f for f in folder.files if f.count("/") < 2]
        places = [f for f in near if f.endswith((".yaml", ".yml"))]
        places.sort(key=lambda f: (f.count("/"), PurePosixPath(f).stem != "data"))
    broken: dict[str, Exception] = {}
    for sheet in places:
        try:
            found = _yaml((folder.root / sheet).read_text("utf-8-sig"))
        except Exception as error:  # its constructors raise many kinds
            broken[sheet] = error
            continue
        if isinstance(found, dict) and isinstance(found.get("names"), list | dict):
            return sheet, found
    for sheet in (f for f in folder.files if PurePosixPath(f).name == "obj.data"):
        lines = (line.partition("=") for line in folder.text(sheet).splitlines())
        return sheet, {key.strip(): value.strip() for key, _, value in lines}
    for sheet, reason in broken.items():
        folder.fault("annotation-unreadable", sheet, f"is no YAML: {reason}")
    return "", {}


def _yaml(text: str) -> Any:
    """A document whose values are all texts: a class may be called no, or 007.

    Without the keys that have no value.
    """
    import yaml

    merging = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}
    loader = type("Texts", (yaml.SafeLoader,), {"yaml_implicit_resolvers": merging})
    found = yaml.load(text, loader)
    if not isinstance(found, dict):
        return found
    return {key: value for key, value in found.items() if value not in NOTHING}


def _names(folder: Folder, sheet: str, facts: dict[str, Any]) -> list[str]:
    """Class names of data.yaml (a list or a dict), else of a list beside the labels."""
    names = facts.get("names")
    if isinstance(names, dict):
        names = _in_order(folder, sheet, names)
    if _are_texts(names):
        return names
    if names and not isinstance(names, str):
        said = f"wanted names, got {repr(names)}"
        folder.fault("annotation-unreadable", sheet, said)
    for listed in (f for f in folder.files if PurePosixPath(f).name in NAME_LISTS):
        return [x.strip() for x in folder.text(listed).splitlines() if x.strip()]
    return []


def _splits(
    folder: Folder, sheet: str, facts: dict[str, Any]
) -> tuple[dict[str, str], set[str]]:
    """Image → split, as train, val and test of data.yaml say; and the lists read."""
    path = facts.get("path")
    base = PurePosixPath(sheet).parent / (path if isinstance(path, str) else "")
    depths: dict[str, dict[str, int]] = {}  # split → image → how exactly it is named
    lists: set[str] = set()
    for key in ("train", "val", "valid", "test"):
        for place in _flat(facts.get(key)):
            listed, named = _images_at(folder, sheet, base, place)
            lists |= {listed} if listed else set()
            depths.setdefault(split_name(key), {}).update(named)
            if not named:
                said = f"{key}: {place!r:.80} has no image of this folder"
                _warn(folder, sheet, said)
    return _decided(folder, sheet, depths), lists


def _decided(
    folder: Folder, sheet: str, depths: dict[str, dict[str, int]]
) -> dict[str, str]:
    """Image → split: a folder within another wins over it, and a list over both.

    The same images under two names are no decision, an image in two is a fault.
    """
    owners: dict[frozenset[str], list[str]] = {}
    for split, named in depths.items():
        owners.setdefault(frozenset(named), []).append(split)
    for same in (own for images, own in owners.items() if len(own) > 1 and images):
        _warn(folder, sheet, f"{' and '.join(same)} name the same images: no split")
        depths = {split: d for split, d in depths.items() if split not in same}
    splits: dict[str, str] = {}
    for image in {image: None for named in depths.values() for image in named}:
        own = {split: d[image] for split, d in depths.items() if image in d}
        best = [split for split, depth in own.items() if depth == max(own.values())]
        splits[image] = best[0]
        if len(best) > 1:
            folder.fault("image-twice", image, f"is in {' and '.join(best)} of {sheet}")
    return splits


def _warn(folder: Folder, sheet: str, said: str) -> None:
    """A split that was meant and is not there."""
    folder.warn("split-missing", {sheet: said})


def _flat(given: Any) -> Iterator[str]:
    """The texts in a value, a list, or a list of lists; of a hostile one, the first."""
    waiting = [given]
    for _ in range(MOST_PLACES):
        one = waiting.pop() if waiting else ""
        if isinstance(one, list):
            waiting += one[MOST_PLACES::-1]
        elif isinstance(one, str) and one:
            yield one


def _images_at(
    folder: Folder, sheet: str, base: PurePosixPath, place: str
) -> tuple[str, dict[str, int]]:
    """A list's name, if it is one, and the images named → how exactly.

    Exports often say `../train/images` of a folder beside data.yaml, or a path of
    another machine: where nothing is there, its longest end counts that is.
    """
    plain = place.replace("\\", "/")
    beside = PurePosixPath(sheet).parent
    ends = [base / plain, *(beside / end for end in _ends(plain)), *_ends(plain)]
    for inside in map(_plain, ends):
        if inside in folder.files:
            return inside, dict.fromkeys(_listed(folder, inside), LISTED)
        below = "" if inside == "." else f"{inside}/"
        named = [image for image in folder.images if image.startswith(below)]
        if named:
            return "", dict.fromkeys(named, inside.count("/") + (inside != "."))
    return "", {}


def _listed(folder: Folder, sheet: str) -> list[str]:
    """The images of a list: below its own folder, else by the longest end there is."""
    found = []
    beside = PurePosixPath(sheet).parent
    for line in filter(None, map(str.strip, folder.text(sheet).splitlines())):
        plain = line.replace("\\", "/")
        places = (_plain(p) for p in (beside / plain, *_ends(plain)))
        found += [p for p in places if p in folder.image_names][:1]
    return found


def _ends(path: str) -> list[PurePosixPath]:
    """A path's last parts, the longest first; no more than a folder is deep."""
    parts = [part for part in path.split("/")[-DEPTH:] if part not in ("", ".", "..")]
    return [PurePosixPath(*parts[start:]) for start in range(len(parts))]


def _plain(path: PurePosixPath) -> str:
    """A path without dots; one that leads out stays what no file is called."""
    return posixpath.normpath(path.as_posix())


def _in_order(folder: Folder, sheet: str, names: dict[Any, Any]) -> list[Any]:
    """Names by their numbers; a number that is left out is a class without images."""
    try:
        numbered = {int(number): name for number, name in names.items()}
        last = max(numbered, default=-1)
        if min(numbered, default=0) < 0 or last > MOST_CLASSES:
            raise ValueError("out of range")
    except (TypeError, ValueError, OverflowError):
        said = f"wanted names with numbers from 0, got {repr(names)}"
        folder.fault("annotation-unreadable", sheet, said)
        return []
    return [numbered.get(number, f"class {number}") for number in range(last + 1)]
