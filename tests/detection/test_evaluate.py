"""Detectors judged: against pycocotools, and on pictures worked out by hand."""

import numpy as np
import pytest
import torch

from cvlib.detection.evaluate import (
    BOX_NUMBERS,
    ap_difference,
    ap_interval,
    average_precision,
    confusion,
    count_curves,
    error_types,
    evaluate_detections,
    match_objects,
)

NAMES = ["mug", "jar", "box"]


def said(boxes, scores, labels):
    """A prediction."""
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor(scores, dtype=torch.float32),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def true(boxes, labels, crowd=None):
    """A target."""
    found = {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }
    return found if crowd is None else found | {"iscrowd": torch.tensor(crowd)}


def drawn(generator, images: int, *, shift: float = 6.0):
    """Random pictures: crowds, empty ones, detections near objects and anywhere."""
    predictions, targets = [], []
    for _ in range(images):
        count = int(generator.integers(0, 7))
        corner = generator.uniform(0, 200, (count, 2))
        sides = np.exp(generator.uniform(np.log(8), np.log(180), (count, 2)))
        boxes = np.hstack([corner, corner + sides])
        labels = generator.integers(0, len(NAMES), count)
        targets.append(true(boxes, labels, (generator.random(count) < 0.2) * 1))
        seen = generator.random(count) < 0.8
        near = boxes[seen] + generator.normal(0, shift, (int(seen.sum()), 4))
        stray = generator.uniform(0, 200, (int(generator.integers(0, 4)), 2))
        stray = np.hstack([stray, stray + generator.uniform(5, 90, stray.shape)])
        every = np.vstack([near, near[:2] + 1, stray])
        every[:, 2:] = np.maximum(every[:, 2:], every[:, :2] + 1)
        scores = np.sort(generator.random(len(every)))[::-1].copy()
        named = generator.integers(0, len(NAMES), len(every))
        named[: len(near)] = labels[seen]
        predictions.append(said(every, scores, named))
    return predictions, targets


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_twelve_numbers_are_pycocotools(seed: int):
    given = drawn(np.random.default_rng(seed), 40)
    fast = evaluate_detections(*given, NAMES)
    slow = evaluate_detections(*given, NAMES, tool="pycocotools")
    assert tuple(fast.numbers) == BOX_NUMBERS
    for name in BOX_NUMBERS:
        assert fast.numbers[name] == pytest.approx(slow.numbers[name], abs=1e-6)
    assert fast.class_ap == pytest.approx(slow.class_ap, abs=1e-6)
    assert 0.02 < fast.numbers["ap"] < fast.numbers["ap50"] < 0.9


def shaped(given, kind: str):
    """The same with a mask, or three keypoints, in each box."""
    for one in (one for side in given for one in side):
        boxes = one["boxes"].numpy()
        if kind == "masks":
            one["masks"] = np.zeros((len(boxes), 400, 400), np.uint8)
            for mask, (x, y, right, bottom) in zip(one["masks"], boxes, strict=True):
                mask[int(max(y, 0)) : int(bottom), int(max(x, 0)) : int(right)] = 1
        else:
            ends = [boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:]]
            points = np.stack(ends, axis=1)
            seen = np.full((*points.shape[:2], 1), 2.0)
            seen[::3, 1] = 0
            one["keypoints"] = np.concatenate([points, seen], axis=2)
    return given


@pytest.mark.parametrize("kind", ["masks", "keypoints"])
def test_masks_and_keypoints_are_judged_as_pycocotools_does(kind: str):
    given = shaped(drawn(np.random.default_rng(4), 25, shift=3), kind)
    sigmas = [0.1, 0.05, 0.2] if kind == "keypoints" else None
    fast, slow = (
        evaluate_detections(*given, NAMES, kind=kind, tool=tool, sigmas=sigmas)
        for tool in ("faster-coco-eval", "pycocotools")
    )
    assert fast.numbers == pytest.approx(slow.numbers, abs=1e-6, nan_ok=True)
    assert fast.numbers["ap50"] > 0.01


@pytest.mark.parametrize("seed", [3, 4])
def test_average_precision_is_cocos_at_half_an_overlap(seed: int):
    predictions, targets = drawn(np.random.default_rng(seed), 40)
    matches = match_objects(predictions, targets, len(NAMES))
    wanted = evaluate_detections(predictions, targets, NAMES).numbers["ap50"]
    assert average_precision(matches)[0] == pytest.approx(wanted, abs=1e-6)


def test_images_drawn_twice_weigh_as_two():
    predictions, targets = drawn(np.random.default_rng(5), 30)
    matches = match_objects(predictions, targets, len(NAMES))
    counts = np.random.default_rng(6).integers(0, 3, (2, 30))
    for row, value in zip(counts, average_precision(matches, counts), strict=True):
        chosen = np.repeat(np.arange(30), row)
        again = evaluate_detections(
            [predictions[i] for i in chosen], [targets[i] for i in chosen], NAMES
        )
        assert value == pytest.approx(again.numbers["ap50"], abs=1e-6)


# A mug found twice, a jar taken for a mug, a jar found, one missed; then nothing.
PICTURES = (
    [
        said(
            [[0, 0, 10, 10], [1, 0, 11, 10], [40, 0, 50, 10], [80, 0, 90, 10]],
            [0.9, 0.6, 0.8, 0.7],
            [0, 0, 0, 1],
        ),
        said([[5, 5, 15, 15]], [0.3], [1]),
    ],
    [
        true(
            [[0, 0, 10, 10], [40, 0, 50, 10], [80, 0, 90, 10], [0, 80, 9, 90]],
            [0, 1, 1, 1],
        ),
        true([], []),
    ],
)


def test_count_curves_by_hand():
    matches = match_objects(*PICTURES, 3)
    curves = count_curves(matches, [0.0, 0.5, 0.75, 0.95])
    assert {name: values.tolist() for name, values in curves.items()} == {
        "missed": [2, 2, 3, 4],
        "false": [3, 2, 1, 0],
        "alarms": [2, 1, 1, 0],
        "images_missed": [1, 1, 1, 1],
    }


def test_confusion_by_hand():
    table = confusion(*PICTURES, 3, score_threshold=0.65)
    wanted = np.zeros((4, 4), int)
    wanted[0, 0] = wanted[1, 0] = wanted[1, 1] = wanted[1, 3] = 1
    assert (table == wanted).all()
    lower = confusion(*PICTURES, 3, score_threshold=0.0)
    assert lower[3].tolist() == [1, 1, 0, 0]


def test_kinds_of_mistakes_by_hand():
    predictions, targets = PICTURES
    near = said([[0, 80, 9, 84]], [0.5], [1])  # of the missed jar 4 of 10 pixels
    both = said([[0, 76, 9, 83]], [0.4], [2])
    given = {
        key: torch.cat([predictions[0][key], near[key], both[key]])
        for key in predictions[0]
    }
    kinds = error_types([given, predictions[1]], targets, 3)
    counts = {kind: count for kind, (count, _) in kinds.items()}
    assert counts == {
        "class": 1,
        "place": 1,
        "both": 1,
        "duplicate": 1,
        "background": 1,
        "missed": 0,
    }
    # Of three jars one is found: each mended mistake finds another.
    assert kinds["class"][1] > 0 and kinds["place"][1] > 0
    assert kinds["duplicate"][1] == pytest.approx(0)  # after all hits of its class


def test_what_is_missed_and_meant_by_nothing_is_missed():
    count, gain = error_types(*PICTURES, 3)["missed"]
    assert count == 1 and gain > 0


def test_a_crowd_is_neither_missed_nor_a_mistake():
    predictions = [said([[0, 0, 10, 10], [2, 2, 6, 6]], [0.9, 0.8], [0, 0])]
    targets = [true([[0, 0, 40, 40]], [0], [1])]
    matches = match_objects(predictions, targets, 1)
    assert matches.ignored.tolist() == [True, True]
    assert count_curves(matches, [0.5])["false"].tolist() == [0]
    assert confusion(predictions, targets, 1, score_threshold=0.5).sum() == 0


def test_nothing_found_and_nothing_there():
    nothing, empty = said([], [], []), true([], [])
    scores = evaluate_detections([nothing], [empty], NAMES)
    assert np.isnan(scores.numbers["ap"]) and np.isnan(scores.class_ap["mug"])
    matches = match_objects([nothing], [empty], 3)
    assert np.isnan(average_precision(matches)[0])
    missed = evaluate_detections([nothing], [true([[0, 0, 9, 9]], [1])], NAMES)
    assert missed.numbers["ap"] == 0 and missed.class_ap["jar"] == 0


def test_an_interval_holds_the_value_and_narrows_with_images():
    widths = []
    for images in (30, 120):
        given = drawn(np.random.default_rng(7), images)
        matches = match_objects(*given, len(NAMES))
        low, high = ap_interval(matches, [f"scene {i // 2}" for i in range(images)])
        assert low < average_precision(matches)[0] < high
        widths.append(high - low)
    assert widths[1] < 0.75 * widths[0]


def test_few_groups_are_refused():
    matches = match_objects(*PICTURES, 3)
    with pytest.raises(ValueError, match="10 or more groups wanted, got 2"):
        ap_interval(matches, ["a", "b"])


@pytest.mark.slow
def test_of_equal_detectors_few_are_called_different():
    """The same skill, other luck, 1,000 times: at most 7 % at the promised 5 %."""
    generator, called = np.random.default_rng(8), 0
    groups = [str(i) for i in range(25)]
    for _ in range(1000):
        _, targets = drawn(generator, 25)
        one, other = (lucky(generator, targets) for _ in range(2))
        called += ap_difference(one, other, groups, draws=300).is_real
    assert 0.01 <= called / 1000 <= 0.07


def lucky(generator, targets):
    """Matches of a detector that finds each object with one chance in two."""
    predictions = []
    for target in targets:
        found = generator.random(len(target["labels"])) < 0.5
        boxes, labels = target["boxes"][found], target["labels"][found]
        scores = torch.from_numpy(generator.random(len(labels)))
        predictions.append({"boxes": boxes, "labels": labels, "scores": scores})
    return match_objects(predictions, targets, len(NAMES))


def test_a_better_detector_is_told_apart():
    predictions, targets = drawn(np.random.default_rng(9), 150, shift=1)
    worse = [
        {**one, "boxes": one["boxes"] + torch.tensor([9.0, 0, 9, 0])}
        for one in predictions
    ]
    one, other = (match_objects(p, targets, 3) for p in (predictions, worse))
    gain = ap_difference(one, other, [str(i) for i in range(150)])
    assert gain.difference > 0 and gain.is_real
    assert not ap_difference(one, one, [str(i) for i in range(150)]).is_real


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        ([], [true([], [])], "a prediction for each of 1 images wanted, got 0"),
        ([{"boxes": []}], [true([], [])], "prediction 0 has no scores and labels"),
        ([said([], [], [])], [{"labels": []}], "target 0 has no boxes"),
    ],
)
def test_what_does_not_fit_is_an_error(predictions, targets, message: str):
    with pytest.raises(ValueError, match=message):
        evaluate_detections(predictions, targets, NAMES)
