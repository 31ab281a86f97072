"""A folder a class: `<class>/*.jpg`, or `<split>/<class>/*.jpg` with a split.

The labels follow the class names' alphabetical order, as in torchvision's ImageFolder.
`negatives/` beside the splits may hold pictures of none of the classes.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.formats.names import told_apart
from cvlib.samples import SPLITS, ImageSet, Sample, relative_path, split_name

LOOKS_LIKE = "a folder a class with images, at least two; or train/<class>/ and so on"


def recognise(folder: Folder) -> bool:
    """Whether images lie in at least two class folders."""
    return len(_classes(folder)) >= 2


def read(folder: Folder) -> ImageSet:
    """Every image below a class folder. With splits, other folders are passed over."""
    names, is_split = _classes(folder), _is_split(folder)
    samples = []
    for image in folder.images:
        parts = PurePosixPath(image).parts
        split = split_name(parts[0]) if is_split else ""
        if len(parts) < 2 + is_split or (is_split and split not in SPLITS):
            continue  # `note_left_out` names it
        own = parts[1 if is_split else 0]
        if own not in names:
            said = f"is in a folder {own!r}; train has {', '.join(names)}"
            folder.fault("class-unknown", image, said)
            continue
        size = folder.canvas_size(image)
        labels = np.array([names.index(own)], np.int64)
        samples.append(Sample(folder.root / image, size, labels, split=split))
    return ImageSet(folder.root, "classes", tuple(names), tuple(samples))


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """Returns image path → name in `out`; the copies are all there is to write."""
    places = []
    for sample in image_set.samples:
        if len(sample.labels) != 1:
            path = relative_path(image_set, sample)
            raise FormatError(
                f"a folder a class holds one label an image, {path} has "
                f"{len(sample.labels)}; write tags, or COCO"
            )
        own = image_set.class_names[int(sample.labels[0])]
        place = f"{sample.split}/{own}" if sample.split else own
        places.append(f"{place}/{sample.path.name}")
    paths = [str(sample.path) for sample in image_set.samples]
    return dict(zip(paths, told_apart(places), strict=True))


def is_negative(image: str) -> bool:
    """Whether a file lies in `negatives/`, for pictures of none of the classes."""
    return image.startswith("negatives/")


def _is_split(folder: Folder) -> bool:
    """Whether a folder `train` holds class folders: a class may be called train."""
    parts = [PurePosixPath(image).parts for image in folder.images]
    return any(len(p) == 3 and split_name(p[0]) == "train" for p in parts)


def _classes(folder: Folder) -> list[str]:
    """Class names: of the training folder where there are splits."""
    is_split, found = _is_split(folder), set()
    for image in folder.images:
        parts = PurePosixPath(image).parts
        if is_split and len(parts) == 3 and split_name(parts[0]) == "train":
            found.add(parts[1])
        elif not is_split and len(parts) == 2:
            found.add(parts[0])
    # Splits without classes below them are no classes.
    return [] if set(map(split_name, found)) <= set(SPLITS) else sorted(found)
