"""Which images teach, which decide, which judge: drawn once, written down, kept.

Images of one scene or thing form a group, and no group is ever parted. Used in
book/start/own-data.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from cvlib.datasets.groups import grouped, parted_groups
from cvlib.datasets.registry import DatasetError
from cvlib.datasets.tables import rows_of
from cvlib.files import write_text
from cvlib.samples import SPLITS, ImageSet, relative_path, split_name

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

    Stratified: every class gets about these fractions of its images, the rarest class
    first. Images with a split keep it, and the rest of their group joins them. Groups
    are as in `groups.grouped`. The draw depends on the seed and the groups' names, not
    on the order of the files. Raises GroupError as there, SplitError for fractions that
    are not three shares and for too few groups. Used in book/start/own-data.
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
    by = zip(image_set, samples, strict=True)
    other = any(new.group != old.group for old, new in by)
    how = "as splits.csv says" if other else image_set.grouping
    return replace(image_set, samples=tuple(samples), grouping=how)


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

    `found` has the groups that hold now, `kept` the splits and groups of the file.
    Raises SplitError when `group_by` gives kept images other groups than the file
    does, and when images are new and nothing says to which groups they belong.
    """
    pairs = list(zip(found, kept, strict=True))
    other = [(a, b) for a, b in pairs if b.split and b.group != a.group]
    new = [relative_path(found, s) for s in kept if not s.split]
    if group_by and not other:
        refuse_parted(kept)
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


class _Draw:
    """A draw in progress: what is decided, and what each class still lacks.

    shares: split → its share. totals: label → its images, in all groups; got: (split,
    label) → images that are decided; left: label → groups that are not.
    """

    def __init__(self, groups: list[_Group], shares: dict[str, float]) -> None:
        self.shares = {split: share for split, share in shares.items() if share > 0}
        self.totals: Counter[int] = Counter()
        self.got: Counter[tuple[str, int]] = Counter()
        self.left: Counter[int] = Counter()
        for group in groups:
            self.totals.update(dict.fromkeys(group.labels, len(group.places)))
            self.left.update(group.labels)
            if group.split:
                self.put(group, group.split)

    def put(self, group: _Group, split: str) -> None:
        """Decide for a group: all its images, under each of their labels."""
        group.split = split
        for label in group.labels:
            self.got[split, label] += len(group.places)
            self.left[label] -= 1

    def rarest(self, group: _Group) -> int:
        """The group's label with the fewest images."""
        return min(group.labels, key=lambda label: (self.totals[label], label))

    def best(self, group: _Group) -> str:
        """The split that lacks most images of the group's rarest class."""
        label = self.rarest(group)
        missing = [split for split in self.shares if not self.got[split, label]]
        # Train comes first; then the last groups go where the class is still missing.
        forced = missing if self.left[label] <= len(missing) else [*self.shares]
        wanted = {s: self.shares[s] * self.totals[label] for s in forced}
        need = {s: wanted[s] - self.got[s, label] for s in forced}
        return max(forced, key=lambda s: (need[s], -SPLITS.index(s)))


def _groups(image_set: ImageSet) -> list[_Group]:
    found: dict[str, _Group] = {}
    for place, sample in enumerate(image_set):
        group = found.setdefault(sample.group, _Group(sample.group, [], set()))
        group.places.append(place)
        group.labels |= set(sample.labels.tolist()) or {NOTHING}
        group.split = group.split or sample.split
    return list(found.values())


def _distribute(groups: list[_Group], shares: dict[str, float], seed: int) -> None:
    """Decide for every undecided group, those of the rarest class first."""
    draw = _Draw(groups, shares)
    waiting = [group for group in groups if not group.split]
    order = {g.name: (draw.totals[draw.rarest(g)], _chance(seed, g)) for g in waiting}
    for group in sorted(waiting, key=lambda g: order[g.name]):
        draw.put(group, draw.best(group))
    empty = [s for s in draw.shares if not any(g.split == s for g in groups)]
    if empty:
        raise SplitError(
            f"{len(groups)} groups are too few for {', '.join(draw.shares)}: "
            f"{', '.join(empty)} would be empty; add images, or split them yourself"
        )


def _is_utf8(name: str) -> bool:
    return name == name.encode("utf8", "replace").decode()


def _chance(seed: int, group: _Group) -> str:
    """A number drawn for a group, the same on every machine."""
    return hashlib.sha256(
        f"{seed}/{group.name}".encode("utf8", "surrogateescape")
    ).hexdigest()
