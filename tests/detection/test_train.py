"""Training a detector: what it learns, what stays, and odd sets."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from cvlib.backbones import load_backbone
from cvlib.detection import train as training
from cvlib.detection.data import read_splits
from cvlib.detection.evaluate import evaluate_detections
from cvlib.detection.model import build_detector, predict
from cvlib.detection.train import augmentation, decoded, fit
from cvlib.samples import ImageSet, Sample


def squares(root: Path, count: int, *, size: int = 96, side: int = 40) -> ImageSet:
    """Grey pictures with a red or a blue square somewhere, and one with none."""
    generator, samples = np.random.default_rng(0), []
    for number in range(count):
        pixels = np.full((size, size, 3), 120, np.uint8)
        x, y = generator.integers(0, size - side, 2)
        label = number % 2
        pixels[y : y + side, x : x + side] = [(220, 30, 30), (30, 30, 220)][label]
        box = np.array([[x, y, x + side, y + side]], np.float32)
        path = root / f"{number}.png"
        if number == count - 1:
            pixels[:], box = 120, box[:0]
        Image.fromarray(pixels).save(path)
        labels = np.array([label] * len(box), np.int64)
        samples.append(Sample(path, (size, size), labels, box, split="train"))
    return ImageSet(root, "coco", ("red", "blue"), tuple(samples))


def small(**options):
    torch.manual_seed(0)
    backbone = load_backbone(pretrained=options.pop("pretrained", False))
    return build_detector(backbone, ["red", "blue"], image_size=96, **options)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["fcos", "retinanet"])
def test_squares_are_found_where_they_are(tmp_path: Path, head: str):
    images = squares(tmp_path, 32)
    model = small(pretrained=True, head=head)
    history = fit(model, images, epochs=15, lr=1e-2, batch_size=4, transform=unchanged)
    assert [line["epoch"] for line in history] == list(range(1, 16))
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    right = 0
    for sample, found in zip(images, predict(model, images), strict=True):
        if not len(sample.labels):
            continue
        best = found["boxes"][:1].numpy()
        near = len(best) and np.abs(best - sample.boxes).max() < 8
        right += bool(near and found["labels"][0] == sample.labels[0])
    assert right >= {"fcos": 26, "retinanet": 20}[head]  # of 31
    assert not model.training


def unchanged(image, target):
    return image, target


def test_early_layers_and_statistics_stay_as_they_were(tmp_path: Path):
    model = small()
    early, late, added = model.parameter_groups()
    before = [parameter.clone() for parameter in (early[0], late[-9], added[0])]
    statistics = model.features.bn1.running_mean.clone()
    said = iter([{"ap50": 0.5}])
    history = fit(
        model, squares(tmp_path, 4), epochs=1, batch_size=2, judge=lambda: next(said)
    )
    after = [early[0], late[-9], added[0]]
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [True, False, False]
    assert torch.equal(model.features.bn1.running_mean, statistics)
    assert set(history[0]) == {"epoch", "train_loss", "seconds", "ap50"}


def test_a_square_holds_the_whole_picture_and_its_boxes(tmp_path: Path):
    Image.new("RGB", (50, 100), "white").save(tmp_path / "a.png")
    box = np.array([[10, 20, 30, 60]], np.float32)
    sample = Sample(tmp_path / "a.png", (100, 50), np.array([1]), box)
    images = ImageSet(tmp_path, "coco", ("a", "b"), (sample,))
    ((square, target),) = decoded(images, size=200)
    assert square.shape == (3, 200, 200) and square.dtype == torch.uint8
    assert (square[:, :, :100] > 250).all() and (square[:, :, 101:] == 128).all()
    assert target["boxes"].tolist() == [[20, 40, 60, 120]]
    assert target["labels"].tolist() == [1]


def test_augmentation_moves_boxes_with_the_pixels():
    torch.manual_seed(0)
    change = augmentation(64)
    sizes = set()
    for _ in range(20):
        pixels = torch.zeros(3, 64, 64, dtype=torch.uint8)
        pixels[:, 20:44, 12:40] = 255
        boxes = torch.tensor([[12.0, 20, 40, 44]])
        boxes = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(64, 64))
        target = {"boxes": boxes, "labels": torch.tensor([0])}
        image, target = change(tv_tensors.Image(pixels), target)
        assert image.shape == (3, 64, 64)
        bright = (image.float().mean(dim=0) > 90).nonzero()
        if len(target["boxes"]):
            x, y, right, bottom = target["boxes"][0].tolist()
            low, high = bright.min(dim=0).values, bright.max(dim=0).values + 1
            near = torch.tensor([y, x, bottom, right]) - torch.cat([low, high])
            assert near.abs().max() <= 2.5
            sizes.add(round(right - x))
    assert len(sizes) > 3


def test_a_crop_keeps_boxes_by_their_centres_and_cuts_them_at_its_edge():
    """Red says the column and green the row that a pixel was in."""
    pixels = torch.zeros(3, 40, 40)
    pixels[0], pixels[1] = torch.arange(40), torch.arange(40)[:, None]
    boxes = torch.tensor([[2.0, 4, 18, 16], [12, 14, 26, 30]])
    boxes = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(40, 40))
    target = {"boxes": boxes, "labels": torch.tensor([4, 5])}
    torch.manual_seed(0)
    crop, kept = training._SquareCrop(20, 0.5, 0.5), set()
    for _ in range(40):
        seen, found = crop(tv_tensors.Image(pixels), target)
        left, top = int(seen[0, 0, 0]), int(seen[1, 0, 0])
        wanted = {}
        for label, (x, y, right, bottom) in zip((4, 5), boxes.tolist(), strict=True):
            middle = ((x + right) / 2 - left, (y + bottom) / 2 - top)
            if all(0 < place < 20 for place in middle):
                sides = x - left, y - top, right - left, bottom - top
                wanted[label] = [min(max(side, 0), 20) for side in sides]
        given = zip(found["labels"].tolist(), found["boxes"].tolist(), strict=True)
        assert dict(given) == wanted
        kept |= {(label, *sides) for label, sides in wanted.items()}
    assert {label for label, *_ in kept} == {4, 5} and len(kept) > 10


def test_crops_may_be_smaller_than_the_pictures_to_be_judged(tmp_path: Path):
    seen = []
    model = small()
    model.network.backbone.register_forward_pre_hook(
        lambda _, given: seen.append(given[0].shape[-1])
    )
    fit(model, squares(tmp_path, 2), epochs=1, batch_size=2, train_size=64)
    predict(model, squares(tmp_path, 1))
    assert seen == [64, 96]


@pytest.mark.slow
def test_a_short_remake_of_the_shipped_detector_learns_to_find_things():
    """Three passes of book/detection/train's recipe, at a smaller size."""
    torch.manual_seed(0)
    splits = read_splits("pantry/shelves")
    names = splits["train"].class_names
    model = build_detector(load_backbone(), names, image_size=256)
    history = fit(model, splits["train"], epochs=3, train_size=160)
    assert history[-1]["train_loss"] < 0.9 * history[0]["train_loss"]
    some = splits["valid"][:30]
    found = predict(model, some, score_threshold=0.01)
    found = [{**one, "labels": torch.zeros_like(one["labels"])} for one in found]
    targets = [sample.target() for sample in some]
    targets = [{**one, "labels": torch.zeros_like(one["labels"])} for one in targets]
    own, others = [
        evaluate_detections(given, targets, ["thing"]).numbers["ap50"]
        for given in (found, [*found[1:], found[0]])  # those of the next picture
    ]
    assert own > max(0.15, 5 * others)


@pytest.mark.parametrize("kept", [0, 1])
def test_sets_of_negatives_of_one_class_and_bad_boxes_train(
    tmp_path: Path, kept: int, caplog: pytest.LogCaptureFixture
):
    images = squares(tmp_path, 4)
    bad = np.array([[5, 5, 5, 9], [-9, -9, -2, -2], [80, 80, 300, 300]], np.float32)
    boxes = bad if kept else bad[:0]
    labels = np.zeros(len(boxes), np.int64)
    samples = [Sample(s.path, s.canvas_size, labels, boxes) for s in images]
    with caplog.at_level(logging.WARNING):
        history = fit(small(), images.having(samples), epochs=1, batch_size=2)
    assert np.isfinite(history[0]["train_loss"])
    assert ("0.png: 2 boxes without area" in caplog.text) == bool(kept)


def test_no_images_are_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="no images to learn from"):
        fit(small(), squares(tmp_path, 1)[:0], epochs=1)
