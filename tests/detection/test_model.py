"""A detector: what goes in, what comes out, and its file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from cvlib.backbones import load_backbone
from cvlib.detection import model as detectors
from cvlib.detection.data import read_splits
from cvlib.detection.evaluate import evaluate_detections
from cvlib.detection.model import (
    MOST_BOXES,
    build_detector,
    load_detector,
    predict,
    predict_stream,
)
from cvlib.samples import ImageSet, Sample

NAMES = ["mug", "jar"]


@pytest.fixture(scope="module", params=["fcos", "retinanet"])
def detector(request):
    """Random weights, and so sure of itself that it finds something everywhere."""
    torch.manual_seed(0)
    backbone = load_backbone("timm/mobilenetv3_small_050", pretrained=False)
    made = build_detector(backbone, NAMES, image_size=96, head=request.param)
    for part in made.network.head.classification_head.modules():
        if isinstance(part, torch.nn.Conv2d) and part.bias is not None:
            torch.nn.init.zeros_(part.bias)
    return made.eval()


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return pixels.astype(np.uint8)


def test_boxes_lie_in_the_picture_best_first_and_labels_count_from_0(detector):
    (found,) = predict(detector, picture(60, 150))
    boxes, scores, labels = found["boxes"], found["scores"], found["labels"]
    assert 0 < len(boxes) <= MOST_BOXES and boxes.dtype == torch.float32
    assert (boxes >= 0).all() and (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes[:, 2].max() <= 150 and boxes[:, 3].max() <= 60
    assert (scores.diff() <= 0).all() and scores.min() >= 0.05
    assert labels.dtype == torch.int64 and set(labels.tolist()) <= {0, 1}


def test_only_what_is_sure_enough_is_said(detector):
    (every,) = predict(detector, picture(90, 90), score_threshold=0)
    half = float(every["scores"].median())
    (sure,) = predict(detector, picture(90, 90), score_threshold=half)
    assert len(sure["scores"]) == int((every["scores"] >= half).sum())
    assert predict(detector, picture(90, 90), score_threshold=1)[0]["boxes"].shape == (
        0,
        4,
    )


def test_one_many_a_stream_and_any_form_give_the_same_boxes(detector, tmp_path: Path):
    arrays = [picture(40 + 9 * i, 70, seed=i) for i in range(3)]
    paths = []
    for number, array in enumerate(arrays):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(array).save(paths[-1])
    samples = tuple(Sample(p, a.shape[:2]) for p, a in zip(paths, arrays, strict=True))
    wanted = predict(detector, arrays)
    tensors = [torch.from_numpy(a).permute(2, 0, 1) for a in arrays]
    for images in (
        paths,
        ImageSet(tmp_path, "", tuple(NAMES), samples),
        list(samples),
        [Image.fromarray(a) for a in arrays],
        tensors,
    ):
        same(predict(detector, images, batch_size=2), wanted)
    same(list(predict_stream(detector, iter(arrays), batch_size=2)), wanted)
    same(predict(detector, paths[1]), wanted[1:2])
    assert predict(detector, []) == []


def same(found: list, wanted: list) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one["labels"], other["labels"])
        torch.testing.assert_close(one["boxes"], other["boxes"], rtol=0, atol=0.01)
        torch.testing.assert_close(one["scores"], other["scores"], rtol=0, atol=1e-4)


def test_a_stream_is_read_no_further_than_a_batch(detector):
    read = []

    def film():
        for number in range(9):
            read.append(number)
            yield picture(50, 50, number)

    next(predict_stream(detector, film(), batch_size=2))
    assert read == [0, 1]


@pytest.mark.parametrize("sides", [(1, 1), (1, 300), (5000, 40)])
def test_odd_pictures_are_looked_at(detector, sides):
    (found,) = predict(detector, picture(*sides))
    assert found["boxes"].shape[1] == 4


def bright_spots(_, pictures, **options):
    """A detector that finds each white square, whole or cut."""
    found = []
    for one in pictures:
        spots, count = ndimage.label(np.asarray(one)[..., 0] > 128)
        sides = [ndimage.find_objects(spots)[i] for i in range(count)]
        boxes = [[x.start, y.start, x.stop, y.stop] for y, x in sides]
        found.append(
            {
                "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
                "scores": torch.linspace(0.9, 0.5, count),
                "labels": torch.zeros(count, dtype=torch.int64),
            }
        )
    return found


@pytest.mark.parametrize("size", [(400, 300), (90, 400), (100, 100), (30, 30)])
def test_tiles_find_each_thing_once_and_whole(monkeypatch, size):
    monkeypatch.setattr(detectors, "predict", bright_spots)
    width, height = size
    canvas = np.zeros((height, width, 3), np.uint8)
    wanted = set()
    for y in range(0, height - 20, 33):
        for x in range(0, width - 20, 37):
            canvas[y : y + 20, x : x + 20] = 255
            wanted.add((x, y, x + 20, y + 20))
    given = torch.from_numpy(canvas).permute(2, 0, 1)
    for images in (canvas, given):
        (found,) = detectors.predict_tiles(None, images, tile=100)
        assert len(found["boxes"]) == len(wanted)
        assert {tuple(map(round, b)) for b in found["boxes"].tolist()} == wanted
        assert (found["scores"].diff() <= 0).all()


def test_tiles_of_nothing_are_refused_and_of_a_real_detector_merge(detector):
    image = picture(80, 120)
    (wanted,) = predict(detector, image)
    (found,) = detectors.predict_tiles(detector, image, tile=120)
    assert torch.equal(found["boxes"][0], wanted["boxes"][0])
    assert 0 < len(found["boxes"]) <= len(wanted["boxes"])
    for wrong in ({"tile": 0}, {"tile": 9, "overlap": 1.0}):
        with pytest.raises(ValueError, match="a pixel or more"):
            detectors.predict_tiles(detector, image, **wrong)


def test_another_size_is_a_copy(detector, tmp_path: Path):
    other = detector.at_size(160)
    assert other.image_size == 160 != detector.image_size
    path = detector.save(tmp_path / "detector.safetensors")
    image = picture(64, 80)
    (one,) = predict(load_detector(path, image_size=160), image)
    (same_one,) = predict(other.eval(), image)
    assert torch.equal(one["boxes"], same_one["boxes"])


def test_a_pixel_of_the_square_is_where_it_was_in_the_picture(detector, monkeypatch):
    """What the network finds in the square's lower left half, mapped back."""
    given = {
        "boxes": torch.tensor([[0.0, 24.0, 48.0, 96.0], [90.0, 0.0, 99.0, 5.0]]),
        "scores": torch.tensor([0.3, 0.8]),
        "labels": torch.tensor([1, 0]),
    }
    monkeypatch.setattr(
        type(detector.network), "forward", lambda *_: [dict(given)], raising=True
    )
    (found,) = predict(detector, picture(192, 96))  # two pixels of it to one there
    assert found["boxes"].tolist() == [[0, 48, 96, 192]]
    assert found["labels"].tolist() == [1]


def test_what_is_saved_comes_back_and_predicts_the_same(detector, tmp_path: Path):
    again = load_detector(detector.save(tmp_path / "detector.safetensors"))
    assert (again.class_names, again.head) == (NAMES, detector.head)
    images = [picture(64, 80, seed) for seed in range(2)]
    for one, other in zip(
        predict(detector, images), predict(again, images), strict=True
    ):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_half_a_file_predicts_nearly_the_same(detector, tmp_path: Path):
    whole = detector.save(tmp_path / "whole.safetensors").stat().st_size
    path = detector.save(tmp_path / "half.safetensors", half=True)
    assert path.stat().st_size < 0.6 * whole
    again = load_detector(path)
    assert next(again.parameters()).dtype == torch.float32
    one, other = (predict(m, picture(64, 80))[0] for m in (detector, again))
    assert torch.allclose(one["scores"][:3], other["scores"][:3], atol=0.01)


def test_the_detector_that_ships_is_small_and_finds_things_in_new_scenes():
    assert detectors.SHIPPED.stat().st_size <= 8_000_000
    model, test = load_detector(), read_splits("pantry/shelves")["test"]
    assert model.class_names == list(test.class_names)
    some = test[:16]
    scores = evaluate_detections(
        predict(model, some, score_threshold=0.01),
        [sample.target() for sample in some],
        test.class_names,
    )
    assert scores.numbers["ap50"] > 0.35


def test_another_kind_of_model_is_refused(tmp_path: Path):
    from cvlib.classification.model import build_classifier

    backbone = load_backbone("timm/mobilenetv3_small_050", pretrained=False)
    path = build_classifier(backbone, NAMES).save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="classifier"):
        load_detector(path)


def test_a_backbone_without_maps_is_refused():
    backbone = load_backbone("torchvision/mobilenet_v3_small", pretrained=False)
    with pytest.raises(ValueError, match="networks of timm"):
        build_detector(backbone, NAMES)


def test_a_backbone_stands_once_in_the_file_and_is_no_part_of_another(detector):
    names = list(detector.state_dict())
    assert any(name.startswith("features.") for name in names)
    assert not any("backbone.body" in name for name in names)
    assert detectors.STRIDES == (8, 16, 32)
    early, late, added = detector.parameter_groups()
    every = [*early, *late, *added]
    assert len({id(p) for p in every}) == len(every) == len([*detector.parameters()])
