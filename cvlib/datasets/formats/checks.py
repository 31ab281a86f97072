"""What every reader's result is asked: can its boxes be, is each image there once?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from cvlib.datasets.formats.folder import Folder
from cvlib.samples import ImageSet, Sample


def checked(folder: Folder, sample: Sample) -> Sample:
    """The sample, its impossible boxes noted; strictly, they are an error."""
    if sample.boxes is None or not len(sample.boxes):
        return sample
    name = sample.path.relative_to(folder.root).as_posix()
    boxes = np.asarray(sample.boxes, np.float32)
    for index, box in enumerate(boxes.tolist()):
        kind, said = _fault(box, sample.canvas_size)
        # Real sets are full of boxes beyond the frame: reading them is no error.
        if kind and (kind != "box-outside" or folder.problems is not None):
            folder.fault(kind, name, f"box {index} is {said}", index=index)
    return replace(sample, boxes=boxes)


def note_twice(folder: Folder, found: ImageSet) -> None:
    """Note the images that are annotated twice, in one split or in two."""
    splits: dict[Path, list[str]] = {}
    for sample in found.samples:
        splits.setdefault(sample.path, []).append(sample.split)
    for path, own in splits.items():
        if len(own) > 1:
            where = " and ".join(sorted({split for split in own if split}))
            said = f"is listed {len(own)} times" + (f", in {where}" if where else "")
            folder.fault("image-twice", path.relative_to(folder.root), said)


def note_left_out(
    folder: Folder, found: ImageSet, exempt: Callable[[str], bool] | None = None
) -> None:
    """Note the images without an annotation; strictly, log the first.

    exempt: whether a file needs none, such as a mask.
    """
    known = {sample.path for sample in found.samples}
    images = [one for one in folder.images if not (exempt and exempt(one))]
    lost = [image for image in images if folder.root / image not in known]
    said = f"is an image without annotation ({found.format}); it is left out"
    folder.warn("annotation-missing", dict.fromkeys(lost, said))


def _fault(box: list[float], canvas_size: tuple[int, int]) -> tuple[str, str]:
    """What is wrong with an XYXY box: the kind of fault, "" for none, and its text."""
    left, top, right, bottom = box
    height, width = canvas_size
    said = f"{left:g}, {top:g} to {right:g}, {bottom:g}"
    outside = min(left, top) < -1 or right > width + 1 or bottom > height + 1
    if not (right > left and bottom > top):
        return "box-degenerate", f"{said}: it has no area"
    if width and outside:
        return "box-outside", f"{said}, beyond the frame of {width} × {height}"
    return "", ""
