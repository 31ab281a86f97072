"""Index masks: `images/a.jpg` and `masks/a.png`, whose pixels are class numbers.

Splits are folders below both; or the images lie in `train/` and the masks in
`trainannot/`, as SegNet's CamVid has them. A mask may be called after its image and
`_P` (fastai's CamVid), `_L`, `_mask` or `_label`. `class_names.txt`, `classes.txt` or
`codes.txt` names the classes from 0 on; 255 is ignored. Written from instance masks,
0 is the background.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvlib.datasets.formats.folder import Folder, FormatError
from cvlib.datasets.formats.names import flat_names
from cvlib.datasets.split_names import split_of_path
from cvlib.samples import ImageSet, Sample, known_split

LOOKS_LIKE = "images/ and masks/*.png of the same names, a class number a pixel"
MASKS = ("masks", "labels", "annotations", "label_maps")  # folders of masks
MASKED = "annot"  # trainannot/ has the masks of train/
TAILS = ("_P", "_L", "_mask", "_label")  # that a mask's name may have


def recognise(folder: Folder) -> bool:
    """Whether a PNG below `masks/` has the name of an image below `images/`."""
    return bool(_pairs(folder))


def read(folder: Folder) -> ImageSet:
    """Every image with a mask; labels are the classes that its pixels name."""
    names, pairs = _names(folder), _pairs(folder)
    read = (_sample(folder, image, mask, names) for image, mask in pairs.items())
    samples = [sample for sample in read if sample is not None]
    _note_lone_masks(folder, pairs)
    most = max((int(s.labels.max(initial=-1)) for s in samples), default=-1)
    names += [f"class {i}" for i in range(len(names), most + 1)]
    return ImageSet(folder.root, "index-masks", tuple(names), tuple(samples))


def _sample(folder: Folder, image: str, mask: str, names: list[str]) -> Sample | None:
    """An image with the classes of its mask; None when the mask cannot be read."""
    size = folder.canvas_size(image)
    pixels = _pixels(folder, mask, size)
    if pixels is None:
        return None
    labels = np.unique(pixels)
    labels = labels[labels != 255].astype(np.int64)
    odd = labels[labels >= len(names)] if names else labels[:0]
    if len(odd):
        said = f"has pixels of {odd.tolist()[:5]}; {len(names)} classes are named"
        folder.fault("class-undeclared-id", mask, said)
        labels = labels[labels < len(names)]
    place, split = folder.root / mask, split_of_path(image)
    return Sample(folder.root / image, size, labels, label_map=place, split=split)


def _note_lone_masks(folder: Folder, pairs: dict[str, str]) -> None:
    """A fault for each mask without an image; another's second name is none."""
    used = {_stem(name) for pair in pairs.items() for name in pair}
    used |= {stem + tail for stem in used for tail in TAILS}
    for mask in folder.images:
        if is_mask(mask) and _stem(mask) not in used:
            folder.fault("image-missing", mask, "is a mask without an image")


def write(image_set: ImageSet, out: Path) -> dict[str, str]:
    """Masks and `class_names.txt`; returns image path → name in `out`."""
    from PIL import Image

    placed: dict[str, str] = {}
    own_maps = all(sample.label_map for sample in image_set.samples)
    names = flat_names(image_set, by_stem=True)
    for name, sample in zip(names, image_set.samples, strict=True):
        split = sample.split or "all"
        placed[str(sample.path)] = f"images/{split}/{name}"
        target = out / "masks" / split / f"{name.rpartition('.')[0]}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(label_map(sample)).save(target)
    out.mkdir(parents=True, exist_ok=True)
    painted = () if own_maps else ("background",)
    classes = (*painted, *image_set.class_names)
    (out / "class_names.txt").write_text("".join(f"{n}\n" for n in classes), "utf8")
    return placed


def is_mask(image: str) -> bool:
    """Whether a file lies where index masks do: it is no picture then."""
    top, below, _ = image.partition("/")
    split = top.removesuffix(MASKED)
    return bool(below) and (top in MASKS or (split != top and bool(known_split(split))))


def label_map(sample: Sample) -> NDArray[np.uint8]:
    """A class a pixel, uint8 [H, W]: the sample's own map, or painted from its masks.

    Painted, 0 is the background and a mask of class c is c + 1; of masks that overlap,
    the smaller one is on top. Raises FormatError for a sample with neither.
    """
    from PIL import Image

    if sample.label_map is not None:
        with Image.open(sample.label_map) as file:
            return np.array(file, np.uint8)
    if sample.rles is None and len(sample.labels):
        raise FormatError(f"{sample.path}: index masks want masks, it has only boxes")
    found = np.zeros(sample.canvas_size, np.uint8)
    masks = sample.masks
    for index in np.argsort([-int(m.sum()) for m in masks], kind="stable"):
        found[masks[index] > 0] = sample.labels[index] + 1
    return found


def _pairs(folder: Folder) -> dict[str, str]:
    """Image → mask, by the path below `images/` and `masks/`."""
    masks: dict[str, str] = {}
    for mask in sorted(filter(is_mask, folder.images), key=_rank):
        if mask.lower().endswith(".png"):
            masks.setdefault(_stem(mask), mask)
    images = [image for image in folder.images if _is_pictured(image)]
    pairs = {image: masks[_stem(image)] for image in images if _stem(image) in masks}
    used = set(pairs.values())
    for image in (image for image in images if image not in pairs):
        tailed = (masks.get(_stem(image) + tail) for tail in TAILS)
        own = next((mask for mask in tailed if mask and mask not in used), None)
        pairs |= {image: own} if own else {}
    return pairs


def _rank(mask: str) -> int:
    """Which folder of masks goes before which, where both have one of a name."""
    top = mask.partition("/")[0]
    return MASKS.index(top) if top in MASKS else len(MASKS)


def _is_pictured(image: str) -> bool:
    """Whether an image lies where those with masks do."""
    flat = _stem(image).startswith("/") and not is_mask(image)
    return flat or image.startswith("images/")


def _stem(name: str) -> str:
    """What an image and its mask share: the path below their folders.

    `/train/a` of what lies in `train/` or `trainannot/` itself.
    """
    top, below, rest = name.rpartition(".")[0].partition("/")
    split = top.removesuffix(MASKED)
    flat = below and "/" not in rest and known_split(split)
    return f"/{split}/{rest}" if flat else rest


def _names(folder: Folder) -> list[str]:
    for sheet in ("class_names.txt", "classes.txt", "codes.txt"):
        if sheet in folder.files:
            return [x.strip() for x in folder.text(sheet).splitlines() if x.strip()]
    return []


def _pixels(
    folder: Folder, mask: str, size: tuple[int, int]
) -> NDArray[np.uint8] | None:
    from PIL import Image

    try:
        with Image.open(folder.root / mask) as file:
            if file.mode not in ("P", "L", "1"):
                said = f"wanted a number a pixel (mode P or L), got mode {file.mode}"
                folder.fault("annotation-unreadable", mask, said)
                return None
            if (file.height, file.width) != size:
                said = (
                    f"is {file.width} × {file.height}, its image {size[1]} × {size[0]}"
                )
                folder.fault("mask-size", mask, said)
            return np.array(file.convert("P" if file.mode == "P" else "L"), np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        folder.fault("annotation-unreadable", mask, f"is no PNG to be read: {error}")
        return None
