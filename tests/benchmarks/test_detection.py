"""COCO's numbers by two tools, on the same boxes as many as COCO's validation set has.

CVLIB_BENCH_IMAGES says how many images, 5,000 unless given. Both ways go through
`evaluate_detections`, so what is compared is what a chapter waits for.
"""

import os
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cvlib.detection.evaluate import evaluate_detections

COUNT = int(os.environ.get("CVLIB_BENCH_IMAGES", "5000"))
OBJECTS, DETECTIONS, CLASSES = 7, 50, 80  # a picture; COCO's 36,781 objects in 5,000

Boxes = list[dict[str, Any]]


@pytest.fixture(scope="module")
def judged() -> tuple[Boxes, Boxes, list[str]]:
    """Predictions, most of them near an object, and targets."""
    generator = np.random.default_rng(0)
    predictions, targets = [], []
    for _ in range(COUNT):
        corners = generator.uniform(0, 500, (OBJECTS, 2))
        boxes = np.hstack([corners, corners + generator.uniform(8, 120, (OBJECTS, 2))])
        labels = generator.integers(CLASSES, size=OBJECTS)
        near = generator.integers(OBJECTS, size=DETECTIONS)
        moved = boxes[near] + generator.normal(0, 6, (DETECTIONS, 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        other = generator.integers(CLASSES, size=DETECTIONS)
        said = np.where(generator.random(DETECTIONS) < 0.7, labels[near], other)
        scores = generator.random(DETECTIONS)
        targets.append({"boxes": boxes, "labels": labels})
        predictions.append({"boxes": moved, "labels": said, "scores": scores})
    return predictions, targets, [str(label) for label in range(CLASSES)]


@pytest.mark.parametrize("tool", ["faster-coco-eval", "pycocotools"])
@pytest.mark.benchmark(group="coco-numbers")
def test_cocos_numbers(judged, tool: str, benchmark: BenchmarkFixture):
    options = {"tool": tool}
    scores = benchmark.pedantic(evaluate_detections, judged, options, rounds=3)
    benchmark.extra_info |= {"images": COUNT, "ap": scores.numbers["ap"]}
    assert 0 < scores.numbers["ap"] < 1
