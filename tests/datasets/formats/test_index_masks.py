"""Index masks: a class number a pixel."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from cvlib.datasets.formats.index_masks import label_map
from tests.datasets.formats.sets import SIZE, boxed, image_file


def masks(root: Path, pixels: np.ndarray, *, mode: str = "L", names: str = "") -> Path:
    image_file(root / "images" / "a.jpg")
    (root / "masks").mkdir()
    Image.fromarray(pixels).convert(mode).save(root / "masks" / "a.png")
    if names:
        (root / "class_names.txt").write_text(names)
    return root


def numbered(*values: int) -> np.ndarray:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[0, : len(values)] = values
    return pixels


def test_labels_are_the_numbers_that_occur_but_255(tmp_path: Path):
    found = formats.read(masks(tmp_path, numbered(2, 255)))
    assert found.format == "index-masks"
    assert found.samples[0].labels.tolist() == [0, 2]
    assert found.class_names == ("class 0", "class 1", "class 2")
    assert label_map(found.samples[0])[0, :2].tolist() == [2, 255]


@pytest.mark.parametrize(
    ("pixels", "mode", "kind"),
    [
        (numbered(3), "L", "class-undeclared-id"),
        (numbered(1)[:20], "L", "mask-size"),
        (numbered(1), "RGB", "annotation-unreadable"),
    ],
)
def test_a_mask_that_cannot_be_right_is_named(
    tmp_path: Path, pixels: np.ndarray, mode: str, kind: str
):
    root = masks(tmp_path, pixels, mode=mode, names="background\nmug\n")
    problems = []
    formats.read(root, problems=problems)
    assert kind in {problem.kind for problem in problems}
    with pytest.raises(FormatError):
        formats.read(root)


def test_a_broken_mask_is_named(tmp_path: Path):
    root = masks(tmp_path, numbered(1))
    (root / "masks" / "a.png").write_bytes(b"no picture")
    with pytest.raises(FormatError, match="no PNG to be read"):
        formats.read(root)


def test_masks_are_painted_above_the_background_the_smaller_on_top(tmp_path: Path):
    two = [((10, 10, 10, 10), 0), ((12, 12, 2, 2), 1)]
    before = boxed(tmp_path / "in", {"a.jpg": (two, "train")}, masks=True)
    after = formats.read(formats.write(before, tmp_path / "out", format="index-masks"))
    assert after.class_names[0] == "background"
    painted = label_map(after.samples[0])
    assert (painted == label_map(before.samples[0])).all()
    assert [(painted == v).sum() for v in (1, 2)] == [96, 4]
    assert after.samples[0].split == "train"


def test_boxes_alone_cannot_be_painted(tmp_path: Path):
    found = boxed(tmp_path / "in", {"a.jpg": ([((1, 2, 3, 4), 0)], "")})
    with pytest.raises(FormatError, match="want masks, it has only boxes"):
        formats.write(found, tmp_path / "out", format="index-masks")


def test_a_mask_without_an_image_is_a_fault(tmp_path: Path):
    root = masks(tmp_path, numbered(1))
    Image.fromarray(numbered(1)).save(root / "masks" / "lost.png")
    with pytest.raises(FormatError, match=r"lost\.png: is a mask without an image"):
        formats.read(root)


def test_other_folders_are_no_split(tmp_path: Path):
    for place in ("city1/a", "val/b"):
        image_file(tmp_path / "images" / f"{place}.jpg")
        image_file(tmp_path / "masks" / f"{place}.png").unlink()
        Image.fromarray(numbered(1)).save(tmp_path / "masks" / f"{place}.png")
    assert [s.split for s in formats.read(tmp_path).samples] == ["", "valid"]


def test_other_pictures_of_the_same_names_are_no_fault(tmp_path: Path):
    root = masks(tmp_path, numbered(1))
    image_file(root / "annotations" / "a.png")
    assert len(formats.read(root)) == 1


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/a.jpg", "labels/a_P.png"),
        ("images/train/a.jpg", "masks/train/a_mask.png"),
        ("train/a.png", "trainannot/a.png"),
    ],
)
def test_masks_may_lie_and_be_called_as_camvid_has_them(
    tmp_path: Path, image: str, mask: str
):
    for name in (image, image.replace("a.", "b.")):
        image_file(tmp_path / name)
    for name in (mask, mask.replace("a_", "b_").replace("a.", "b.")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(numbered(1)).save(tmp_path / name)
    (tmp_path / "codes.txt").write_text("Sky\nRoad\n")
    found = formats.read(tmp_path, problems=(problems := []))
    assert (found.format, found.class_names) == ("index-masks", ("Sky", "Road"))
    assert [s.path.name[0] for s in found.samples] == ["a", "b"]
    assert [s.label_map.name[0] for s in found.samples] == ["a", "b"]
    assert [s.split for s in found.samples] == ["train" * ("train" in image)] * 2
    assert problems == []


def test_a_mask_of_an_image_is_no_other_images(tmp_path: Path):
    root = masks(tmp_path, numbered(1))
    for name in ("images/b.jpg", "images/b_P.jpg", "masks/b_P.png"):
        image_file(root / name)
    Image.fromarray(numbered(1)).save(root / "masks/b_P.png")
    assert [s.path.stem for s in formats.read(root).samples] == ["a", "b_P"]


@pytest.mark.parametrize(
    ("others", "mask", "format"),
    [
        (["train/cat/0.jpg", "train/dog/1.jpg"], "masks/train/cat/0.png", "classes"),
        (["train/x/0.jpg", "train/y/0.jpg"], "trainannot/x/0.png", "classes"),
        (["images/a.JPG"], "masks/a.PNG", "index-masks"),
    ],
)
def test_masks_belong_to_the_folders_that_they_are_for(
    tmp_path: Path, others: list[str], mask: str, format: str
):
    for name in others:
        image_file(tmp_path / name)
    (tmp_path / mask).parent.mkdir(parents=True)
    Image.fromarray(numbered(1)).save(tmp_path / mask)
    found = formats.read(tmp_path, problems=[])
    assert (found.format, len(found)) == (format, len(others))


@pytest.mark.parametrize("other", ["masks/a_L.png", "masks/a.jpg"])
def test_a_second_picture_of_an_image_is_no_mask_that_lacks_one(
    tmp_path: Path, other: str
):
    image_file(tmp_path / "images/a.jpg")
    image_file(tmp_path / other)
    Image.fromarray(numbered(1)).save(tmp_path / "masks/a_P.png")
    assert len(formats.read(tmp_path)) == 1


def test_a_mask_that_ignores_every_pixel_names_no_class(tmp_path: Path):
    found = formats.read(masks(tmp_path, np.full(SIZE, 255, np.uint8)))
    assert found.samples[0].labels.tolist() == [] and found.class_names == ()


def test_of_two_masks_of_a_name_the_one_below_masks_counts(tmp_path: Path):
    image_file(tmp_path / "images" / "train" / "a.jpg")
    for number, top in enumerate(("annotations", "masks", "labels"), start=1):
        (tmp_path / top / "train").mkdir(parents=True)
        pixels = Image.fromarray(numbered(*[number] * SIZE[1]))
        pixels.save(tmp_path / top / "train" / "a.png")
    (sample,) = formats.read(tmp_path)
    assert sample.label_map == tmp_path / "masks" / "train" / "a.png"
    assert sample.labels.tolist() == [0, 2] and sample.labels.dtype == np.int64


def test_a_mask_of_one_bit_has_two_classes(tmp_path: Path):
    found = formats.read(masks(tmp_path, numbered(255, 255), mode="1"))
    assert found.samples[0].labels.tolist() == [0]


def test_a_palette_changes_no_number(tmp_path: Path):
    root = masks(tmp_path, numbered(2, 1))
    with Image.open(root / "masks" / "a.png") as file:
        painted = file.convert("P")
    painted.putdata(numbered(2, 1).ravel().tolist())
    painted.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    painted.save(root / "masks" / "a.png")
    assert formats.read(root).samples[0].labels.tolist() == [0, 1, 2]
