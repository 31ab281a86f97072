"""Small annotated sets to write and read back."""

from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from cvlib.masks import boxes_of_masks, encode_masks
from cvlib.samples import ImageSet, Sample

NAMES = ("mug", "jar, large", "bøwl")
SIZE = (40, 60)  # height, width
FILES = st.sampled_from(
    [
        "a.jpg",
        "two words.png",
        'it\'s "quoted".jpg',
        "кружка.jpg",
        "杯.png",
        "x<&>y.jpg",
    ]
)
BOX = st.tuples(
    st.integers(0, 50), st.integers(0, 30), st.integers(1, 10), st.integers(1, 10)
)
OBJECTS = st.lists(st.tuples(BOX, st.integers(0, 2)), max_size=4)
SPLITS = st.sampled_from(["train", "valid", "test"])
DRAWN = st.dictionaries(FILES, st.tuples(OBJECTS, SPLITS), min_size=1, max_size=4)


def image_file(path: Path, size: tuple[int, int] = SIZE) -> Path:
    """An image of (height, width) on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], "teal").save(path)
    return path


def boxed(root: Path, drawn: dict, *, masks: bool = False) -> ImageSet:
    """A set with boxes, and with rectangular masks, out of what `DRAWN` gives."""
    samples = []
    for name, (objects, split) in drawn.items():
        boxes = [[x, y, x + w, y + h] for (x, y, w, h), _ in objects]
        found = np.array(boxes, np.float32).reshape(-1, 4)
        own = np.zeros((len(boxes), *SIZE), np.uint8)
        for mask, (x, y, right, bottom) in zip(own, boxes, strict=True):
            mask[y:bottom, x:right] = 1
        samples.append(
            Sample(
                image_file(root / name),
                SIZE,
                np.array([label for _, label in objects], np.int64),
                boxes_of_masks(own) if masks else found,
                encode_masks(own) if masks else None,
                split=split,
            )
        )
    return ImageSet(root, "coco", NAMES, tuple(samples))


def by_name(found: ImageSet) -> dict[str, Sample]:
    """Samples by their file's name."""
    return {sample.path.name: sample for sample in found.samples}


def named(found: ImageSet, sample: Sample) -> list[str]:
    """A sample's class names: labels may be numbered otherwise after a round trip."""
    return [found.class_names[label] for label in sample.labels]


def assert_same_boxes(one: ImageSet, other: ImageSet, *, within: float = 0.5) -> None:
    """Every image, every class, every box, and the split."""
    again = by_name(other)
    assert set(again) == set(by_name(one))
    for name, sample in by_name(one).items():
        assert named(one, sample) == named(other, again[name])
        assert again[name].split == sample.split
        assert again[name].canvas_size == sample.canvas_size
        np.testing.assert_allclose(again[name].boxes, sample.boxes, atol=within)
