"""Predictions → numbers with intervals, and the images to look at."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import metrics
from torch import Tensor

from cvlib.classification.model import Classifier


@torch.inference_mode()
def predict_probabilities(
    model: Classifier, images: Tensor, *, batch_size: int = 16
) -> Tensor:
    """Probabilities, float32 [N, classes], of decoded images, [N, 3, H, W].

    Computed where the model is, returned on the CPU. Used in
    book/classification/train.
    """
    model.eval()
    probabilities = torch.empty(len(images), len(model.class_names))
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size].to(model.mean.device)
        probabilities[start : start + batch_size] = model(batch).softmax(dim=1).cpu()
    return probabilities


def accuracy(labels: Tensor, predicted: Tensor) -> float:
    """Share of images, both int64 [N], whose predicted label is right.

    >>> accuracy(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]))
    0.75
    """
    _check_pair(labels, predicted)
    return float((labels == predicted).double().mean())


def wilson_interval(
    correct: int, total: int, *, z: float = 1.96
) -> tuple[float, float]:
    """The 95 % interval of a share, `correct` of `total` independent images.

    E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22, 1927: unlike the textbook's ± it stays within 0–1 and holds for
    few images. Used in book/classification/train.

    >>> [round(end, 3) for end in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    if not 0 <= correct <= total or total == 0:
        raise ValueError(f"0 ≤ correct ≤ total, total > 0 wanted: {correct}, {total}")
    share = correct / total
    scale = 1 + z**2 / total
    middle = (share + z**2 / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def grouped_interval(
    labels: Tensor, predicted: Tensor, groups: Sequence[str], *, draws: int = 2000
) -> tuple[float, float]:
    """The 95 % interval of accuracy when images come in groups, one name an image.

    Ten photographs of one mug are not ten independent mugs. So this draws whole groups,
    with replacement, `draws` times, and returns the 2.5 and 97.5 percentiles: the
    cluster bootstrap (Davison & Hinkley, Bootstrap Methods and Their Application,
    1997, section 3.8). Used in book/classification/train.
    """
    _check_pair(labels, predicted)
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(group)
    hits = np.bincount(group, weights=(labels == predicted).numpy())
    generator = np.random.default_rng(0)  # the interval of a result must not wander
    drawn = generator.integers(len(sizes), size=(draws, len(sizes)))
    shares = hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def recall_per_class(
    labels: Tensor, predicted: Tensor, class_names: Sequence[str]
) -> dict[str, float]:
    """For each class that has images, the share of them given its label.

    Used in book/classification/train.
    """
    _check_pair(labels, predicted)
    return {
        name: float((predicted[labels == label] == label).double().mean())
        for label, name in enumerate(class_names)
        if (labels == label).any()
    }


def confusion_matrix(
    labels: Tensor, predicted: Tensor, num_classes: int
) -> NDArray[np.int64]:
    """Counts, [classes, classes]: row the true class, column the predicted one.

    Used in book/classification/train.
    """
    _check_pair(labels, predicted)
    if len(labels) == 0:
        return np.zeros((num_classes, num_classes), dtype=np.int64)
    return metrics.confusion_matrix(labels, predicted, labels=range(num_classes))


def worst_mistakes(probabilities: Tensor, labels: Tensor, *, count: int = 8) -> Tensor:
    """Indices of wrong predictions, the highest loss first: least given to the truth.

    `probabilities` [N, classes], `labels` int64 [N]; fewer than `count` when there are
    fewer mistakes. Used in book/classification/train.
    """
    wrong = (probabilities.argmax(dim=1) != labels).nonzero().flatten()
    given_to_truth = probabilities[wrong, labels[wrong]]
    return wrong[given_to_truth.argsort(stable=True)][:count]


def _check_pair(labels: Tensor, predicted: Tensor) -> None:
    if labels.shape != predicted.shape or labels.ndim != 1:
        raise ValueError(
            f"labels and predicted must both be [N], got {tuple(labels.shape)} and "
            f"{tuple(predicted.shape)}"
        )
