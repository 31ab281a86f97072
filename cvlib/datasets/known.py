"""Registered data sets as they are read: named as the registry says, known faults out.

A set that others published has the faults that it has. Those the registry knows of are
left out without a word; any other is an error, as in a folder of yours.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from cvlib.datasets import formats
from cvlib.datasets.formats import FormatError
from cvlib.datasets.problems import Problem
from cvlib.datasets.registry import Dataset
from cvlib.samples import ImageSet


def read_known(dataset: Dataset, folder: Path) -> ImageSet:
    """A registered set's images and annotations, under its own names.

    Raises FormatError for a fault that is not one of `dataset.known_faults`.
    """
    problems: list[Problem] | None = [] if dataset.known_faults else None
    images = formats.read(folder, problems=problems)
    return replace(
        _without(dataset, images, problems or []),
        name=dataset.name,
        class_names=dataset.class_names or images.class_names,
        keypoint_names=dataset.keypoint_names or images.keypoint_names,
    )


def _without(dataset: Dataset, images: ImageSet, problems: list[Problem]) -> ImageSet:
    """The set without the objects that have known faults."""
    faulty: dict[Path, set[int]] = defaultdict(set)
    for one in problems:
        if one.kind in dataset.known_faults and one.index is not None:
            faulty[one.paths[0]].add(one.index)
        elif one.severity == "error" and one.kind != "box-outside":
            raise FormatError(f"{one.paths[0]}: {one.message}")
    samples = list(images)
    for place, sample in enumerate(images):
        if own := faulty.get(sample.path):
            stays = [number not in own for number in range(len(sample.labels))]
            samples[place] = sample.keeping(np.array(stays, bool))
    return images.having(samples)
