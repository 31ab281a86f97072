"""Numbers for detectors: COCO's own, what a threshold costs, which mistakes there are.

Predictions and targets are lists of dicts, one an image and in the same order: see
`cvlib.detection` for both. Crowds are ignored everywhere, as COCO ignores them.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvlib import boxes as overlaps
from cvlib.intervals import Difference, drawn_counts, expanded_interval
from cvlib.masks import encode_masks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Tool = Literal["faster-coco-eval", "pycocotools"]
Kind = Literal["boxes", "masks", "keypoints"]

Row = tuple[int, int, int, float, bool, bool, int]  # of Matches

BOX_NUMBERS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)
KEYPOINT_NUMBERS = (
    *("ap", "ap50", "ap75", "ap_medium", "ap_large"),
    *("ar", "ar50", "ar75", "ar_medium", "ar_large"),
)
_KINDS = {"boxes": "bbox", "masks": "segm", "keypoints": "keypoints"}
ERRORS = ("class", "place", "both", "duplicate", "background", "missed")


@dataclass(frozen=True)
class Scores:
    """What a detector scores on a set of images.

    `numbers` are COCO's, by the names in `BOX_NUMBERS`; nan for a size of object that
    does not occur. `class_ap`: class name → AP; nan for a class without objects.
    `precision`, [10, 101, classes], at IoU 0.50, 0.55, … 0.95 and 101 recalls; -1 for a
    class without objects.
    """

    numbers: dict[str, float]
    class_ap: dict[str, float]
    precision: Floats


def evaluate_detections(
    predictions: Sequence[dict[str, Any]],
    targets: Sequence[dict[str, Any]],
    class_names: Sequence[str],
    *,
    kind: Kind = "boxes",
    tool: Tool = "faster-coco-eval",
    sigmas: Sequence[float] | None = None,
) -> Scores:
    """COCO's numbers, T.-Y. Lin et al., "Microsoft COCO", ECCV 2014.

    `kind` says what is compared; keypoints want `sigmas`, one a point, the spread of
    people's clicks as a share of the object's size. faster-coco-eval gives pycocotools'
    numbers sooner; tests/benchmarks/test_detection says how much. Raises ValueError
    where predictions and targets are not of the same images, or lack what is compared.
    Used in book/detection/how-good.
    """
    _check(predictions, targets, kind)
    truth = _truth(targets, class_names, kind)
    found = _found(predictions, kind)
    with contextlib.redirect_stdout(io.StringIO()):  # both tools print
        judge = _judge(truth, found, kind, tool)
        if sigmas is not None:
            judge.params.kpt_oks_sigmas = np.asarray(sigmas, np.float64)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    names = KEYPOINT_NUMBERS if kind == "keypoints" else BOX_NUMBERS
    stats = [float(v) for v in judge.stats[: len(names)]]
    precision = np.asarray(judge.eval["precision"], np.float64)[..., 0, -1]
    per_class = [
        float(own[own > -1].mean()) if (own > -1).any() else float("nan")
        for own in np.moveaxis(precision, 2, 0)
    ]
    return Scores(
        {n: v if v > -1 else float("nan") for n, v in zip(names, stats, strict=True)},
        dict(zip(class_names, per_class, strict=True)),
        precision,
    )


@dataclass(frozen=True)
class Matches:
    """Every detection of a set of images, best first, against its objects.

    `image`, `place`, `label` and `score`, [N] each: `place` is that in the image's
    prediction. `hit`, bool [N]: whether it has an object of its class, which no better
    one has taken. `ignored`, bool [N]: whether it lies on a crowd. `taken`, [N]: the
    object's number in its image, -1 without. `objects`, [images, classes]: counts.
    """

    image: Ints
    place: Ints
    label: Ints
    score: Floats
    hit: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    taken: Ints
    objects: Ints


def match_objects(
    predictions: Sequence[dict[str, Any]],
    targets: Sequence[dict[str, Any]],
    classes: int,
    *,
    iou_threshold: float = 0.5,
) -> Matches:
    """Which detection has found which object, by COCO's rule, class by class.

    From the surest down each takes the free object of its class that it overlaps most,
    if by `iou_threshold`; so of two on one object the second is a mistake. Used in
    book/detection/how-good.
    """
    _check(predictions, targets, "boxes")
    rows: list[Row] = []
    objects = np.zeros((len(targets), classes), np.int64)
    for image, (found, target) in enumerate(zip(predictions, targets, strict=True)):
        labels, crowd = _array(target["labels"], np.int64), _crowd(target)
        np.add.at(objects[image], labels[~crowd], 1)
        rows += _matched_image(image, found, target, labels, crowd, iou_threshold)
    rows.sort(key=lambda row: -row[3])  # stable: of equals the earlier image first
    columns: list[Any] = [*zip(*rows, strict=True)] if rows else [()] * 7
    kinds: tuple[Any, ...] = (*[np.int64] * 3, np.float64, bool, bool, np.int64)
    names = ("image", "place", "label", "score", "hit", "ignored", "taken")
    arrays: dict[str, Any] = {
        name: np.array(column, kind)
        for name, column, kind in zip(names, columns, kinds, strict=True)
    }
    return Matches(**arrays, objects=objects)


def _matched_image(
    image: int,
    found: dict[str, Any],
    target: dict[str, Any],
    labels: Ints,
    crowd: NDArray[np.bool_],
    iou_threshold: float,
) -> list[Row]:
    scores, own = _array(found["scores"], float), _array(found["labels"], np.int64)
    overlap = _overlap(found, target, crowd)
    free = ~crowd
    rows = []
    for place in np.argsort(-scores, kind="stable"):
        same = labels == own[place]
        fits = np.where(free & same, overlap[place], -1.0)
        best = int(fits.argmax()) if len(fits) else -1
        hit = best >= 0 and fits[best] >= iou_threshold
        if hit:
            free[best] = False
        on_crowd = (overlap[place] >= iou_threshold) & same & crowd
        ignored = not hit and bool(on_crowd.any())
        taken = best if hit else -1
        score = float(scores[place])
        label = int(own[place])
        rows.append((image, int(place), label, score, bool(hit), ignored, taken))
    return rows


def average_precision(
    matches: Matches, counts: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Mean over classes of the average precision at the IoU of `matches`; [draws].

    `counts`, [draws, images], says how often each image was drawn; once each without
    it. Equal to COCO's for boxes of all sizes, up to its 100 a picture; nan where there
    is no object. Used in book/detection/how-good.
    """
    images = len(matches.objects)
    drawn = np.ones((1, images)) if counts is None else np.asarray(counts, float)
    found = []
    for label in range(matches.objects.shape[1]):
        of_class = (matches.label == label) & ~matches.ignored
        weight = drawn[:, matches.image[of_class]]
        total = drawn @ matches.objects[:, label]
        found.append(_class_precision(weight, matches.hit[of_class], total))
    every = np.array(found)
    some = ~np.isnan(every)
    sums = np.where(some, every, 0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / np.where(some.any(axis=0), some.sum(axis=0), np.nan))


def _class_precision(weight: Floats, hit: NDArray[np.bool_], total: Floats) -> Floats:
    """The average precision of one class, [draws], of detections, best first.

    COCO reads, at 101 recalls, the best precision from there on: `reached` counts how
    many of these recalls each detection brings.
    """
    if not weight.shape[1]:
        return np.where(total > 0, 0.0, np.nan)
    hits, seen = np.cumsum(weight * hit, axis=1), np.cumsum(weight, axis=1)
    precision = hits / np.maximum(seen, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = hits / np.maximum(total, 1)[:, None]
    reached = np.floor(100 * recall + 1e-9) + 1
    steps = np.diff(reached, axis=1, prepend=0)
    return np.where(total > 0, (best * steps).sum(axis=1) / 101, np.nan)


def ap_interval(
    matches: Matches, groups: Sequence[str], *, draws: int = 1000
) -> tuple[float, float]:
    """The 95 % interval of `average_precision`, whole groups of images drawn anew.

    Raises ValueError for fewer than 10 groups. Used in book/detection/how-good.
    """
    drawn = average_precision(matches, drawn_counts(groups, draws=draws))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def ap_difference(
    one: Matches, other: Matches, groups: Sequence[str], *, draws: int = 1000
) -> Difference:
    """Whether one detector is better than another, on the same images.

    Both are judged on the same draws of whole groups of images, so what is hard is hard
    for both. Errors as in `ap_interval`. Used in book/detection/how-good.
    """
    counts = drawn_counts(groups, draws=draws)
    change = average_precision(one, counts) - average_precision(other, counts)
    point = average_precision(one)[0] - average_precision(other)[0]
    low, high = expanded_interval(change, len(set(groups)))
    return Difference(float(point), low, high)


def count_curves(
    matches: Matches, score_thresholds: ArrayLike
) -> dict[str, NDArray[np.int64]]:
    """What a score threshold costs, in counts; [thresholds] each.

    `missed` objects, `false` detections (a second one on an object is false), `alarms`:
    images with a false detection, `images_missed`: images with a missed object. Used in
    book/detection/operating-point.
    """
    thresholds = np.asarray(score_thresholds, float)
    kept = matches.score[None] >= thresholds[:, None]
    hits, wrong = kept & matches.hit, kept & ~matches.hit & ~matches.ignored
    images = len(matches.objects)
    per_image = np.array(
        [np.bincount(matches.image[k], minlength=images) for k in hits]
    )
    alarms = [len(np.unique(matches.image[k])) for k in wrong]
    objects = matches.objects.sum(axis=1)
    missed = objects[None] - per_image.reshape(len(thresholds), images)
    return {
        "missed": missed.sum(axis=1),
        "false": wrong.sum(axis=1),
        "alarms": np.array(alarms, np.int64),
        "images_missed": (missed > 0).sum(axis=1),
    }


def confusion(
    predictions: Sequence[dict[str, Any]],
    targets: Sequence[dict[str, Any]],
    classes: int,
    *,
    score_threshold: float,
    iou_threshold: float = 0.5,
) -> Ints:
    """Objects by what they were taken for, int64 [classes + 1, classes + 1].

    Rows are the truth, columns what was said; the last of each is background: objects
    that nothing overlaps, and detections of nothing. Partners are those of the highest
    total IoU, whatever their classes. Used in book/detection/how-good.
    """
    _check(predictions, targets, "boxes")
    table = np.zeros((classes + 1, classes + 1), np.int64)
    for found, target in zip(predictions, targets, strict=True):
        crowd = _crowd(target)
        sure = _array(found["scores"], float) >= score_threshold
        sure &= ~(_overlap(found, target, crowd)[:, crowd] >= iou_threshold).any(axis=1)
        said = _array(found["labels"], np.int64)[sure]
        true = _array(target["labels"], np.int64)[~crowd]
        pairs = overlaps.match(
            _array(target["boxes"], float)[~crowd],
            _array(found["boxes"], float)[sure],
            iou_threshold=iou_threshold,
        )
        np.add.at(table, (true[pairs[:, 0]], said[pairs[:, 1]]), 1)
        table[:, classes] += _tally(np.delete(true, pairs[:, 0]), classes)
        table[classes] += _tally(np.delete(said, pairs[:, 1]), classes)
    return table


def _tally(labels: Ints, classes: int) -> Ints:
    """How many there are of each class, int64 [classes + 1]."""
    return np.bincount(labels, minlength=classes + 1)


def error_types(
    predictions: Sequence[dict[str, Any]],
    targets: Sequence[dict[str, Any]],
    classes: int,
    *,
    iou_threshold: float = 0.5,
    background_iou: float = 0.1,
) -> dict[str, tuple[int, float]]:
    """Kind of mistake → how many there are, and what AP would gain without them.

    After D. Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection
    Errors", ECCV 2020. A false detection is of another `class`, at the wrong `place`
    (its class, IoU from `background_iou` to `iou_threshold`), `both`, a `duplicate`, or
    `background`; an object is `missed` that no detection of the first two kinds was
    meant for. Mended, a wrong class or place becomes a hit where its object is still
    free, and goes otherwise; the rest go. Used in book/detection/how-good.
    """
    matches = match_objects(predictions, targets, classes, iou_threshold=iou_threshold)
    kinds, meant = _mistakes(
        matches, predictions, targets, iou_threshold, background_iou
    )
    base = average_precision(matches)[0]
    gains: dict[str, tuple[int, float]] = {}
    for kind in ERRORS[:-1]:
        mended = _mended(matches, kinds == kind, meant, targets)
        gain = float(average_precision(mended)[0] - base)
        gains[kind] = (int((kinds == kind).sum()), gain)
    missed, without = _without_missed(matches, meant, targets)
    gains["missed"] = (missed, float(average_precision(without)[0] - base))
    return gains


def _mistakes(
    matches: Matches,
    predictions: Sequence[dict[str, Any]],
    targets: Sequence[dict[str, Any]],
    iou_threshold: float,
    background_iou: float,
) -> tuple[NDArray[np.str_], Ints]:
    """Each detection's kind of mistake, "" for none, and the object it was near."""
    kinds, meant = (
        np.full(len(matches.image), "", "<U10"),
        np.full(len(matches.image), -1),
    )
    pairs = zip(predictions, targets, strict=True)
    overlap = [_overlap(found, target, _crowd(target)) for found, target in pairs]
    for row in np.flatnonzero(~matches.hit & ~matches.ignored):
        image = matches.image[row]
        target = targets[image]
        known = np.where(_crowd(target), -1.0, overlap[image][matches.place[row]])
        same = _array(target["labels"], np.int64) == matches.label[row]
        own, other = np.where(same, known, -1.0), np.where(same, -1.0, known)
        best_own, best_other = own.max(initial=-1.0), other.max(initial=-1.0)
        if background_iou <= best_own < iou_threshold:
            kinds[row], meant[row] = "place", own.argmax()
        elif best_other >= iou_threshold:
            kinds[row], meant[row] = "class", other.argmax()
        elif best_own >= iou_threshold:
            kinds[row] = "duplicate"
        else:
            kinds[row] = "both" if best_other >= background_iou else "background"
    return kinds, meant


def _mended(
    matches: Matches,
    rows: NDArray[np.bool_],
    meant: Ints,
    targets: Sequence[dict[str, Any]],
) -> Matches:
    """The matches once these rows are hits of what they were meant for, or gone."""
    hit, ignored = matches.hit.copy(), matches.ignored | rows
    label = matches.label.copy()
    taken = _taken(matches)
    for row in np.flatnonzero(rows & (meant >= 0)):
        own = (int(matches.image[row]), int(meant[row]))
        if own not in taken:
            taken.add(own)
            hit[row], ignored[row] = True, False
            label[row] = int(targets[own[0]]["labels"][own[1]])
    return replace(matches, hit=hit, ignored=ignored, label=label)


def _without_missed(
    matches: Matches, meant: Ints, targets: Sequence[dict[str, Any]]
) -> tuple[int, Matches]:
    """How many objects nothing was meant for, and the matches without them."""
    near = {(int(i), int(o)) for i, o in zip(matches.image, meant, strict=True)}
    near |= _taken(matches)
    objects, missed = matches.objects.copy(), 0
    for image, target in enumerate(targets):
        for place in np.flatnonzero(~_crowd(target)):
            if (image, int(place)) not in near:
                objects[image, int(target["labels"][place])] -= 1
                missed += 1
    return missed, replace(matches, objects=objects)


def _taken(matches: Matches) -> set[tuple[int, int]]:
    """(image, object) of each hit."""
    hits = zip(matches.image[matches.hit], matches.taken[matches.hit], strict=True)
    return {(int(image), int(place)) for image, place in hits}


def _check(
    predictions: Sequence[dict[str, Any]],
    targets: Sequence[dict[str, Any]],
    kind: Kind,
) -> None:
    if len(predictions) != len(targets):
        raise ValueError(
            f"a prediction for each of {len(targets)} images wanted, "
            f"got {len(predictions)}"
        )
    for image, (found, target) in enumerate(zip(predictions, targets, strict=True)):
        for name, one, wanted in (
            ("prediction", found, ("boxes", "scores", "labels", kind)),
            ("target", target, ("boxes", "labels", kind)),
        ):
            if lacking := [key for key in wanted if key not in one]:
                raise ValueError(f"{name} {image} has no {' and '.join(lacking)}")


def _truth(
    targets: Sequence[dict[str, Any]], class_names: Sequence[str], kind: Kind
) -> dict[str, Any]:
    """The targets as a COCO document; images count from 1, classes too."""
    annotations: list[dict[str, Any]] = []
    for image, target in enumerate(targets, start=1):
        boxes = overlaps.to_xywh(_array(target["boxes"], float))
        area = target.get("area")
        areas = boxes[:, 2:].prod(axis=1) if area is None else _array(area, float)
        for place, label in enumerate(_array(target["labels"], np.int64).tolist()):
            entry: dict[str, Any] = {"id": len(annotations) + 1, "image_id": image}
            entry |= {"category_id": label + 1, "bbox": boxes[place].tolist()}
            entry |= {"area": float(areas[place])}
            entry |= {"iscrowd": int(_crowd(target)[place])}
            annotations.append(entry | _shape(target, place, kind))
    return {
        "images": [
            {"id": i, "width": 1, "height": 1} for i in range(1, len(targets) + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": i, "name": n} for i, n in enumerate(class_names, 1)],
    }


def _found(predictions: Sequence[dict[str, Any]], kind: Kind) -> list[dict[str, Any]]:
    """The predictions as a list of COCO results."""
    results = []
    for image, found in enumerate(predictions, start=1):
        boxes = overlaps.to_xywh(_array(found["boxes"], float)).tolist()
        scores = _array(found["scores"], float).tolist()
        for place, label in enumerate(_array(found["labels"], np.int64).tolist()):
            entry: dict[str, Any] = {"image_id": image, "category_id": label + 1}
            entry |= {"score": scores[place]} | _shape(found, place, kind)
            entry |= {"bbox": boxes[place]} if kind == "boxes" else {}
            results.append(entry)
    return results


def _shape(one: dict[str, Any], place: int, kind: Kind) -> dict[str, Any]:
    """An object's mask or keypoints, as COCO writes them."""
    if kind == "masks":
        mask = _array(one["masks"][place], np.uint8)
        (code,) = encode_masks([mask])
        return {"segmentation": {**code, "counts": code["counts"].decode()}}
    if kind == "keypoints":
        points = _array(one["keypoints"][place], float)
        seen = int((points[:, 2] > 0).sum())
        return {"keypoints": points.ravel().tolist(), "num_keypoints": seen}
    return {}


def _judge(truth: dict[str, Any], found: list[Any], kind: Kind, tool: Tool) -> Any:
    """The tool's evaluation, ready to be run."""
    if tool == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval as Judge

        documents = COCO()
        documents.dataset = truth
        documents.createIndex()
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as Judge

        documents = COCO(truth)
    results = documents.loadRes(found) if found else COCO()
    if not found:  # neither tool reads an empty list
        results.dataset = {**truth, "annotations": []}
        results.createIndex()
    return Judge(documents, results, _KINDS[kind])


def _array(values: Any, kind: Any) -> NDArray[Any]:
    return np.asarray(values, kind)


def _crowd(target: dict[str, Any]) -> NDArray[np.bool_]:
    crowd = target.get("iscrowd")
    count = len(target["labels"])
    return np.zeros(count, bool) if crowd is None else _array(crowd, bool)


def _overlap(
    found: dict[str, Any], target: dict[str, Any], crowd: NDArray[np.bool_]
) -> Floats:
    """IoU, [detections, objects]; with a crowd, the share that lies in it."""
    return overlaps.ious(
        _array(found["boxes"], float), _array(target["boxes"], float), crowd=crowd
    )
