"""Names for files that are written: one an image, none twice."""

from __future__ import annotations

from collections.abc import Iterable

from cvlib.samples import ImageSet, relative_path


def flat_names(image_set: ImageSet, *, by_stem: bool = False) -> list[str]:
    """A file name for each sample without folders, unique whatever the case.

    by_stem: unique without its ending, for formats whose annotation files share it.
    """
    names = [sample.path.name for sample in image_set.samples]
    keys = [name.rpartition(".")[0] if by_stem else name for name in names]
    if len({key.lower() for key in keys}) == len(names):
        return names
    paths = [relative_path(image_set, s) for s in image_set.samples]
    return told_apart([path.replace("/", "__") for path in paths], by_stem=by_stem)


def told_apart(names: Iterable[str], *, by_stem: bool = False) -> list[str]:
    """Names, or paths, with ` (2)` and so on where one is taken, whatever the case."""
    numbers: dict[str, int] = {}  # how often a name came, or the next that is free
    found = []
    for name in names:
        stem, _, ending = name.rpartition(".")
        tail = "" if by_stem else f".{ending}".lower()
        chosen, number = stem, 1
        while chosen.lower() + tail in numbers:
            number = max(number, numbers[stem.lower() + tail]) + 1
            chosen = f"{stem} ({number})"
        numbers[chosen.lower() + tail] = 1
        numbers[stem.lower() + tail] = number
        found.append(f"{chosen}.{ending}")
    return found
