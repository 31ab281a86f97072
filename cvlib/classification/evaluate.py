"""Predictions → numbers with intervals, and the images to look at."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics
from torch import Tensor, nn

from cvlib.classification.model import Classifier
from cvlib.images import batches
from cvlib.intervals import bootstrap_interval, upper_bound
from cvlib.intervals import wilson_interval as wilson_interval
from cvlib.models import evaluating


def grouped_interval(
    labels: ArrayLike, predicted: ArrayLike, groups: Sequence[str], *, draws: int = 2000
) -> tuple[float, float]:
    """The 95 % interval of accuracy when images come in groups, one name an image.

    `labels` and `predicted` are whole numbers, [N]. Fewer than 10 groups say nothing:
    0 to 1, with a warning. See `cvlib.intervals.bootstrap_interval`. Used in
    book/classification/train.
    """
    truth, said = _paired(labels, predicted)
    right = truth == said
    return bootstrap_interval(right, groups=groups, draws=draws, bounds=(0.0, 1.0))


def recall_per_class(
    labels: ArrayLike, predicted: ArrayLike, class_names: Sequence[str]
) -> dict[str, float]:
    """For each class that has images, the share of them given its label.

    scikit-learn's recall, by name; `labels` and `predicted` are whole numbers, [N].
    Used in book/classification/train.

    >>> recall_per_class([0, 0, 2], [0, 2, 2], ["bowl", "can", "mug"])
    {'bowl': 0.5, 'mug': 1.0}
    """
    truth, said = _paired(labels, predicted)
    present = np.unique(truth)
    recalls = metrics.recall_score(truth, said, labels=present, average=None)
    return {class_names[k]: float(r) for k, r in zip(present, recalls, strict=True)}


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
    model: Classifier, images: Any, labels: Tensor, *, batch_size: int | None = None
) -> Tensor:
    """Where a model looked for `labels`: float32 [N, H, W], 0 or more, on the CPU.

    Grad-CAM (Selvaraju et al., ICCV 2017) on the last feature map: each feature weighs
    as much as the class's logit rises with it. Gradients go no deeper than that map, so
    it costs little more than a prediction. `images` as in `model.predict_logits`,
    `labels` int64 [N]. Needs a timm backbone. Used in book/classification/mistakes.
    """
    size, heat, left = model.image_size, [], labels
    with evaluating(model):
        for batch in batches(
            images, size=size, device=model.device, batch_size=batch_size
        ):
            found = _grad_cam(model, batch, left[: len(batch)])
            side = tuple(batch.shape[-2:])
            whole = nn.functional.interpolate(found, side, mode="bilinear")
            heat.append(whole[:, 0].cpu())
            left = left[len(batch) :]
    return torch.cat(heat) if heat else torch.empty(0, size, size)


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


def _paired(
    labels: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both as arrays, [N], N > 0; ValueError for what is no such pair."""
    truth, said = np.asarray(labels), np.asarray(predicted)
    if truth.shape != said.shape or truth.ndim != 1 or not len(truth):
        raise ValueError(
            f"labels and predicted must both be [N], N > 0, got {truth.shape} and "
            f"{said.shape}"
        )
    return truth, said


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


def best_thresholds(
    truth: ArrayLike, scores: ArrayLike, *, shared: bool = False
) -> Tensor:
    """The thresholds, [tags], of the highest F1 on these images; choose on validation.

    `truth` bool [N, tags], `scores` [N, tags] in 0–1. A tag is said when its score
    reaches the threshold. Candidates lie midway between neighbouring scores, so none
    fits a single image's score to the last digit. `shared` gives all tags the one
    threshold of the best mean F1. A tag that none of these images has keeps 0.5: they
    say nothing about it. Used in book/classification/multilabel.
    """
    tags, given = _tags(truth, scores)
    if shared:
        candidates = _midways(given.flatten())[:: max(1, given.numel() // 400)]
        means = torch.stack([_f1(tags, given >= c).mean() for c in candidates])
        return candidates[int(means.argmax())].repeat(given.shape[1])
    return torch.stack(
        [_best_threshold(t, g) for t, g in zip(tags.T, given.T, strict=True)]
    )


def average_precision_per_tag(truth: ArrayLike, scores: ArrayLike) -> Tensor:
    """Average precision of each tag, [tags], by scikit-learn; NaN for a tag never true.

    Threshold-free: how well scores order images by the tag. `truth` bool and `scores`,
    both [N, tags]. Used in book/classification/multilabel.
    """
    tags, given = _tags(truth, scores)
    found = [
        metrics.average_precision_score(own, theirs) if own.any() else float("nan")
        for own, theirs in zip(tags.T, given.T, strict=True)
    ]
    return torch.tensor(found)


def _best_threshold(truth: Tensor, scores: Tensor) -> Tensor:
    """The one of the highest F1 for one tag, bool [N] and scores [N]."""
    if not truth.any():
        return torch.tensor(0.5, dtype=scores.dtype)
    candidates = _midways(scores)
    said = scores[:, None] >= candidates
    return candidates[int(_f1(truth[:, None].expand_as(said), said).argmax())]


def _f1(truth: Tensor, predicted: Tensor) -> Tensor:
    """F1 of each column of two bool [N, M]; scikit-learn's takes seconds for this."""
    both = (truth & predicted).sum(dim=0)
    return 2 * both / (truth.sum(dim=0) + predicted.sum(dim=0)).clamp(min=1)


def _midways(scores: Tensor) -> Tensor:
    """Midpoints between neighbouring distinct scores; 0.5 when all are the same."""
    distinct = torch.unique(scores)
    middles = (distinct[1:] + distinct[:-1]) / 2
    return middles if len(middles) else torch.tensor([0.5])


def _tags(truth: ArrayLike, scores: ArrayLike) -> tuple[Tensor, Tensor]:
    """Both as tensors, [N, tags], the first bool; ValueError for other shapes."""
    tags, given = torch.as_tensor(truth).bool(), torch.as_tensor(scores)
    if tags.shape != given.shape or tags.ndim != 2:
        raise ValueError(
            f"both must be [N, tags], got {tuple(tags.shape)} and {tuple(given.shape)}"
        )
    return tags, given
