"""Which images teach, which decide, which judge: drawn once, written down, kept.

Images of one scene or thing form a group, and no group is ever parted. Used in
book/start/own-data.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from cvlib.datasets.formats.names import relative_path
from cvlib.datasets.registry import DatasetError
from cvlib.datasets.split_names import split_name
from cvlib.datasets.tables import rows_of
from cvlib.files import write_text
from cvlib.samples import SPLITS, ImageSet, Sample

log = logging.getLogger("cvlib")

Fractions = tuple[float, float, float]
NOTHING = -1  # stands for the class of an image without labels


class SplitError(DatasetError):
    """A split cannot be drawn, or its file is not what it should be."""


@dataclass
class _Group:
    """Images that stay together: their places in the set, their labels."""

    name: str
    places: list[int]
    labels: set[int]
    split: str = ""


def assign(
    image_set: ImageSet,
    *,
    fractions: Fractions = (0.7, 0.15, 0.15),
    seed: int = 0,
    group_by: str | None = None,
) -> ImageSet:
    """Give every image without a split one of train, valid and test.

    Stratified: every class gets about these fractions, the rarest class first. Images
    with a split keep it, and the rest of their group joins them. Groups are
    `sample.group`, else the first bracket of the regular expression `group_by` in the
    path without its ending, else each image by itself. The draw depends on the seed and
    the groups' names, not on the order of the files. Raises SplitError for fractions
    that are not three shares, a pattern that fits no file, and too few groups. Used in
    book/start/own-data.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise SplitError(f"fractions must be three shares that sum to 1: {fractions}")
    image_set = grouped(image_set, group_by)
    groups = _groups(image_set)
    _distribute(groups, dict(zip(SPLITS, fractions, strict=True)), seed)
    samples = list(image_set.samples)
    for group in groups:
        for place in group.places:
            own = samples[place].split or group.split
            samples[place] = replace(samples[place], split=own)
    return image_set.having(samples)


def write_splits(image_set: ImageSet, file: Path) -> None:
    """Write `path,split,group`, whole or not at all."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "split", "group"])
    for sample in image_set.samples:
        table.writerow([relative_path(image_set, sample), sample.split, sample.group])
    try:
        write_text(file, text.getvalue())
    except UnicodeEncodeError as error:
        odd = next(s.path for s in image_set.samples if not _is_utf8(str(s.path)))
        raise SplitError(
            f"{str(odd)!r}: its name is not UTF-8, so no list can hold it; rename it"
        ) from error


def read_splits(image_set: ImageSet, file: Path) -> ImageSet:
    """The set with the splits and groups that a file gives its images.

    Rows of images that are gone are passed over; images without a row keep no split.
    Raises SplitError, with the line, for a row that is not path, split and group.
    """
    known = _rows_of(file)
    samples = []
    for sample in image_set.samples:
        split, group = known.get(relative_path(image_set, sample), ("", sample.group))
        samples.append(replace(sample, split=split, group=group or sample.group))
    if known and samples and not any(sample.split for sample in samples):
        wanted = relative_path(image_set, samples[0])
        raise SplitError(
            f"{file} lists none of the images: wanted paths such as {wanted!r}, "
            f"got {next(iter(known))!r}"
        )
    new = sum(not sample.split for sample in samples)
    gone = len(known) - len(samples) + new
    if new and gone:
        said = "%s: %d of its images are gone and %d are new; was a folder renamed?"
        log.warning(said, file, gone, new)
    return image_set.having(samples)


def _rows_of(file: Path) -> dict[str, tuple[str, str]]:
    """Path → split and group, of a file of splits."""
    known: dict[str, tuple[str, str]] = {}
    try:
        rows = list(rows_of(file.read_text("utf-8-sig")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SplitError(f"{file} cannot be read: {error}") from error
    for number, row in rows:
        path = row.get("path", "").strip().replace("\\", "/")
        stated = row.get("split", "")
        split = split_name(stated.strip())
        if not path or split not in SPLITS:
            raise SplitError(
                f"{file}, line {number}: wanted a path and one of {', '.join(SPLITS)}, "
                f"got {path!r} and {stated!r}"
            )
        found = split, row.get("group") or ""
        if known.setdefault(PurePosixPath(path).as_posix(), found)[0] != split:
            raise SplitError(f"{file}, line {number}: {path!r} has two splits")
    return known


def parted_groups(found: ImageSet) -> dict[str, list[Sample]]:
    """Groups in more than one of train, valid and test, with one image of each."""
    seen: dict[str, dict[str, Sample]] = defaultdict(dict)
    for sample in found.samples:
        if sample.group and sample.split:
            seen[sample.group].setdefault(sample.split.rpartition("_")[2], sample)
    return {name: list(own.values()) for name, own in seen.items() if len(own) > 1}


def refuse_parted(found: ImageSet) -> None:
    """Raise SplitError when a split parts a group."""
    parted = parted_groups(found)
    if parted:
        group, own = next(iter(parted.items()))
        where = " and ".join(f"{s.split} ({relative_path(found, s)})" for s in own)
        raise SplitError(
            f"{len(parted)} groups are parted, such as {group!r}: it is in {where}. "
            "Put each group into one split, or do without group_by"
        )


def check_groups(found: ImageSet, kept: ImageSet, group_by: str | None) -> None:
    """Refuse to draw more by other groups than a file of splits was drawn by.

    `found` is the set as its annotations are, `kept` the same with the file's splits.
    Raises SplitError when `group_by` gives kept images other groups than the file
    does, and when images are new and nothing says to which groups they belong.
    """
    pairs = zip(grouped(found, group_by).samples, kept.samples, strict=True)
    other = [(a, b) for a, b in pairs if b.split and b.group not in ("", a.group)]
    new = [relative_path(found, s) for s in kept.samples if not s.split]
    if group_by and not other:
        refuse_parted(grouped(kept, group_by))
    if not other or not (new or group_by):
        return
    asked, written = other[0]
    if group_by:
        said = f"group_by puts {relative_path(found, asked)!r} into {asked.group!r}, "
        said += f"splits.csv into {written.group!r}"
    else:
        said = f"{len(new)} images are new, such as {new[0]!r}; splits.csv has groups"
    raise SplitError(
        f"{said}: give the group_by it was drawn by, or delete it to draw again"
    )


def grouped(image_set: ImageSet, pattern: str | None) -> ImageSet:
    """Every sample with a group: its own, the pattern's first bracket, or its path.

    Raises SplitError for a pattern that fits no file.
    """
    paths = [
        relative_path(image_set, s).removesuffix(s.path.suffix)
        for s in image_set.samples
    ]
    found = [_first_bracket(pattern, path) for path in paths]
    if pattern and not any(found):
        example = paths[0] if paths else "no file"
        raise SplitError(f"group_by {pattern!r} fits no file; one is {example!r}")
    return image_set.having(
        replace(sample, group=sample.group or by_name or path)
        for sample, by_name, path in zip(image_set.samples, found, paths, strict=True)
    )


def _first_bracket(pattern: str | None, path: str) -> str:
    if not pattern:
        return ""
    try:
        found = re.search(pattern, path)
        return found[1] or "" if found else ""
    except (re.error, IndexError) as error:
        raise SplitError(
            f"group_by must be a regular expression with a bracket, as (.+)_\\d+$; "
            f"got {pattern!r}: {error}"
        ) from error


def _groups(image_set: ImageSet) -> list[_Group]:
    found: dict[str, _Group] = {}
    for place, sample in enumerate(image_set.samples):
        group = found.setdefault(sample.group, _Group(sample.group, [], set()))
        group.places.append(place)
        group.labels |= set(sample.labels.tolist()) or {NOTHING}
        group.split = group.split or sample.split
    return list(found.values())


def _distribute(groups: list[_Group], shares: dict[str, float], seed: int) -> None:
    """Decide for every undecided group: to where its rarest class is most wanted."""
    totals: dict[int, int] = defaultdict(int)
    for group in groups:
        for label in group.labels:
            totals[label] += len(group.places)
    got: dict[tuple[str, int], int] = defaultdict(int)
    left: dict[int, int] = defaultdict(int)
    for group in groups:
        for label in group.labels:
            if group.split:
                got[group.split, label] += len(group.places)
            else:
                left[label] += 1

    def rarest(group: _Group) -> int:
        return min(group.labels, key=lambda label: (totals[label], label))

    wanted = [split for split, share in shares.items() if share > 0]
    waiting = [group for group in groups if not group.split]
    for group in sorted(waiting, key=lambda g: (totals[rarest(g)], _chance(seed, g))):
        label = rarest(group)
        missing = [split for split in wanted if not got[split, label]]
        # Train comes first; then the last groups go where the class is still missing.
        forced = missing if left[label] <= len(missing) else wanted
        need = {s: shares[s] * totals[label] - got[s, label] for s in forced}
        group.split = max(forced, key=lambda s: (need[s], -SPLITS.index(s)))
        for one in group.labels:
            got[group.split, one] += len(group.places)
            left[one] -= 1
    empty = [s for s in wanted if not any(g.split == s for g in groups)]
    if empty:
        raise SplitError(
            f"{len(groups)} groups are too few for {', '.join(wanted)}: "
            f"{', '.join(empty)} would be empty; add images, or split them yourself"
        )


def _is_utf8(name: str) -> bool:
    return name == name.encode("utf8", "replace").decode()


def _chance(seed: int, group: _Group) -> str:
    """A number drawn for a group, the same on every machine."""
    return hashlib.sha256(
        f"{seed}/{group.name}".encode("utf8", "surrogateescape")
    ).hexdigest()
