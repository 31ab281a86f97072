"""Predictions → numbers with intervals, and the images to look at."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import metrics
from torch import Tensor, nn

from cvlib.classification.model import Classifier
from cvlib.devices import pick_batch_size
from cvlib.intervals import bootstrap_interval, upper_bound
from cvlib.intervals import wilson_interval as wilson_interval


@torch.inference_mode()
def predict_logits(
    model: Classifier, images: Tensor, *, batch_size: int | None = None
) -> Tensor:
    """Logits, float32 [N, classes], of decoded images, [N, 3, H, W].

    Computed where the model is, returned on the CPU; without `batch_size`,
    `devices.pick_batch_size` chooses. Used in book/classification/trust.
    """
    model.eval()
    where = model.mean.device
    step = batch_size or pick_batch_size(images.shape[-2:], where)
    logits = torch.empty(len(images), len(model.class_names))
    for start in range(0, len(images), step):
        logits[start : start + step] = model(images[start : start + step].to(where))
    return logits


def predict_probabilities(
    model: Classifier, images: Tensor, *, batch_size: int | None = None
) -> Tensor:
    """The softmax of `predict_logits`. Used in book/classification/train."""
    return predict_logits(model, images, batch_size=batch_size).softmax(dim=1)


def accuracy(labels: Tensor, predicted: Tensor) -> float:
    """Share of images, both int64 [N], whose predicted label is right.

    >>> accuracy(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]))
    0.75
    """
    _check_pair(labels, predicted)
    return float((labels == predicted).double().mean())


def grouped_interval(
    labels: Tensor, predicted: Tensor, groups: Sequence[str], *, draws: int = 2000
) -> tuple[float, float]:
    """The 95 % interval of accuracy when images come in groups, one name an image.

    See `cvlib.intervals.bootstrap_interval`. Used in book/classification/train.
    """
    _check_pair(labels, predicted)
    hits = (labels == predicted).numpy()
    return bootstrap_interval(hits, groups=groups, draws=draws)


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


def pareto_front(speeds: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices that no other entry beats in both, the highest speed first.

    Used in book/classification/accuracy-vs-speed.

    >>> pareto_front([10, 20, 30], [0.9, 0.7, 0.8])
    [2, 0]
    """
    order = sorted(range(len(speeds)), key=lambda i: (-speeds[i], -values[i]))
    front: list[int] = []
    for index in order:
        if not front or values[index] > values[front[-1]]:
            front.append(index)
    return front


def grad_cam(
    model: Classifier, images: Tensor, labels: Tensor, *, batch_size: int | None = None
) -> Tensor:
    """Where a model looked for `labels`: float32 [N, H, W], 0 or more, on the CPU.

    Grad-CAM (Selvaraju et al., ICCV 2017) on the last feature map: each feature weighs
    as much as the class's logit rises with it. Gradients go no deeper than that map, so
    it costs little more than a prediction. `images` [N, 3, H, W], bytes or 0–1;
    `labels` int64 [N]. Needs a timm backbone. Used in book/classification/mistakes.
    """
    model.eval()
    heat = torch.empty(len(images), *images.shape[-2:])
    step = batch_size or pick_batch_size(images.shape[-2:], model.mean.device)
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        found = _grad_cam(model, images[part].to(model.mean.device), labels[part])
        heat[part] = nn.functional.interpolate(
            found, images.shape[-2:], mode="bilinear"
        )[:, 0].cpu()
    return heat


def _grad_cam(model: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    """Coarse maps, [B, 1, h, w]."""
    network: Any = model.features  # timm's
    with torch.no_grad():
        maps = network.forward_features(model.normalize(images))
    maps.requires_grad_()
    embeddings = network.forward_head(maps)
    logits = model.head(nn.functional.normalize(embeddings))
    wanted = logits.gather(1, labels[:, None].to(logits.device)).sum()
    (slope,) = torch.autograd.grad(wanted, maps)
    weights = slope.mean(dim=(2, 3), keepdim=True)
    return (weights * maps).sum(dim=1, keepdim=True).clamp(min=0).detach()


def _check_pair(labels: Tensor, predicted: Tensor) -> None:
    if labels.shape != predicted.shape or labels.ndim != 1:
        raise ValueError(
            f"labels and predicted must both be [N], got {tuple(labels.shape)} and "
            f"{tuple(predicted.shape)}"
        )


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature, above 0, under which `logits` [N, C] explain `labels` best.

    Divide logits by it before the softmax: predictions stay, probabilities become
    honest. Fit it on validation images. Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017. Used in book/classification/trust.
    """
    scale = torch.zeros((), dtype=torch.float64, requires_grad=True)  # its logarithm
    optimizer = torch.optim.LBFGS([scale], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        scaled = logits.double() / scale.exp()
        value = nn.functional.cross_entropy(scaled, labels)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return float(scale.detach().exp())


def calibration_bins(
    scores: Tensor, correct: Tensor, *, bins: int = 10
) -> list[tuple[float, float, int]]:
    """(mean score, share correct, images) for each tenth of 0–1 that has images.

    `scores` [N] are the probabilities of the predicted classes, `correct` bool [N].
    A calibrated model is right in 70 % of what it is 70 % sure of. Used in
    book/classification/trust.
    """
    if scores.shape != correct.shape or scores.ndim != 1:
        raise ValueError(
            f"scores and correct must both be [N], got {tuple(scores.shape)} and "
            f"{tuple(correct.shape)}"
        )
    place = (scores * bins).long().clamp(max=bins - 1)
    return [
        (float(scores[own].mean()), float(correct[own].double().mean()), int(own.sum()))
        for own in (place == i for i in range(bins))
        if own.any()
    ]


def expected_calibration_error(
    scores: Tensor, correct: Tensor, *, bins: int = 10
) -> float:
    """How far scores are from the share correct, averaged over images: 0 is honest.

    The weighted mean over `calibration_bins` of the absolute difference (Naeini et
    al., AAAI 2015). It grows when there are few images a bin: compare only values of
    the same test set. Used in book/classification/trust.

    >>> sure = torch.full((10,), 0.9)
    >>> round(expected_calibration_error(sure, torch.arange(10) < 6), 3)
    0.3
    """
    found = calibration_bins(scores, correct, bins=bins)
    total = sum(count for _, _, count in found)
    return sum(abs(s - c) * count for s, c, count in found) / max(total, 1)


def risk_coverage(scores: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
    """Coverage and risk, each [N]: answer only the surest, and be wrong how often?

    Entry i answers the i + 1 images of the highest scores: coverage is their share,
    risk the share of them that is wrong. Used in book/classification/trust.
    """
    order = scores.argsort(descending=True, stable=True)
    answered = torch.arange(1, len(scores) + 1)
    wrong = (~correct[order]).double().cumsum(dim=0)
    return answered / max(len(scores), 1), wrong / answered


def risk_bound(scores: Tensor, correct: Tensor, *, confidence: float = 0.95) -> Tensor:
    """What the true risk stays below at each coverage of `risk_coverage`, [N].

    The exact bound of `cvlib.intervals.upper_bound`, for images that are independent of
    each other. Used in book/classification/trust.
    """
    _, risk = risk_coverage(scores, correct)
    answered = torch.arange(1, len(scores) + 1)
    wrong = (risk * answered).round()
    return torch.from_numpy(upper_bound(wrong, answered, confidence=confidence))


def answering_threshold(
    scores: Tensor, correct: Tensor, *, tolerated: float, confidence: float = 0.95
) -> float:
    """The lowest score to answer at so that at most `tolerated` of answers are wrong.

    The lowest of `scores` [N] at which the `risk_bound` of these validation images is
    within `tolerated`; infinity, "answer nothing", where it is at none. The *measured*
    share of mistakes is as often too low as too high, so a threshold chosen by that
    breaks its promise about every other time. Taking the lowest that passes is a choice
    among many; Geifman & El-Yaniv, "Selective Classification for Deep Neural Networks",
    NeurIPS 2017, pay for it by a higher confidence in each. Used in
    book/classification/trust.

    >>> right = torch.tensor([True] * 59 + [False] * 41)
    >>> scores = torch.linspace(0.99, 0, 100)
    >>> round(answering_threshold(scores, right, tolerated=0.05), 2)
    0.41
    >>> answering_threshold(scores, right, tolerated=0.04)
    inf
    """
    bound = risk_bound(scores, correct, confidence=confidence)
    levels = scores.sort(descending=True).values
    whole = torch.ones_like(levels, dtype=torch.bool)
    whole[:-1] = levels[:-1] > levels[1:]  # equal scores are answered together
    passing = levels[whole & (bound <= tolerated)]
    return float(passing[-1]) if len(passing) else math.inf


def hamming_accuracy(truth: Tensor, predicted: Tensor) -> float:
    """Share of single decisions that are right; both bool [N, tags].

    With few tags an image it is high for a model that never says yes: read it beside
    `exact_match`. Used in book/classification/multilabel.
    """
    _check_tags(truth, predicted)
    return float((truth == predicted).double().mean())


def exact_match(truth: Tensor, predicted: Tensor) -> float:
    """Share of images whose every tag is right (1 − zero-one loss); bool [N, tags].

    Used in book/classification/multilabel.
    """
    _check_tags(truth, predicted)
    return float((truth == predicted).all(dim=1).double().mean())


def f1_per_tag(truth: Tensor, predicted: Tensor) -> Tensor:
    """F1 of each tag, [tags]: 2 TP / (2 TP + FP + FN), 0 where nothing is right.

    Used in book/classification/multilabel.
    """
    _check_tags(truth, predicted)
    both = (truth & predicted).sum(dim=0)
    return 2 * both / (truth.sum(dim=0) + predicted.sum(dim=0)).clamp(min=1)


def best_thresholds(truth: Tensor, scores: Tensor, *, shared: bool = False) -> Tensor:
    """The thresholds, [tags], of the highest F1 on these images; choose on validation.

    `truth` bool [N, tags], `scores` [N, tags] in 0–1. A tag is said when its score
    reaches the threshold. Candidates lie midway between neighbouring scores, so none
    fits a single image's score to the last digit. `shared` gives all tags the one
    threshold of the best mean F1. A tag that none of these images has keeps 0.5: they
    say nothing about it. Used in book/classification/multilabel.
    """
    _check_tags(truth, scores)
    if shared:
        candidates = _midways(scores.flatten())[:: max(1, scores.numel() // 400)]
        means = [f1_per_tag(truth, scores >= c).mean() for c in candidates]
        best = candidates[int(torch.stack(means).argmax())]
        return best.repeat(scores.shape[1])
    chosen = []
    for own, given in zip(truth.T, scores.T, strict=True):
        candidates = _midways(given)
        said = given[:, None] >= candidates
        f1 = f1_per_tag(own[:, None].expand_as(said), said)
        best = candidates[int(f1.argmax())]
        chosen.append(best if own.any() else torch.full_like(best, 0.5))
    return torch.stack(chosen)


def average_precision_per_tag(truth: Tensor, scores: Tensor) -> Tensor:
    """Average precision of each tag, [tags], by scikit-learn; NaN for a tag never true.

    Threshold-free: how well scores order images by the tag. Used in
    book/classification/multilabel.
    """
    _check_tags(truth, scores)
    found = [
        metrics.average_precision_score(own, given) if own.any() else float("nan")
        for own, given in zip(truth.T, scores.T, strict=True)
    ]
    return torch.tensor(found)


def _midways(scores: Tensor) -> Tensor:
    """Midpoints between neighbouring distinct scores; 0.5 when all are the same."""
    distinct = torch.unique(scores)
    middles = (distinct[1:] + distinct[:-1]) / 2
    return middles if len(middles) else torch.tensor([0.5])


def _check_tags(truth: Tensor, other: Tensor) -> None:
    if truth.shape != other.shape or truth.ndim != 2:
        raise ValueError(
            f"both must be [N, tags], got {tuple(truth.shape)} and {tuple(other.shape)}"
        )
