"""What a classifier said of each image, to be filtered by class, verdict and score."""

from collections.abc import Sequence

from torch import Tensor

from cvlib.explorers.page import (
    Explorer,
    Item,
    any_of,
    as_texts,
    check_images,
    frame,
    thumbnail,
)

ORDERS = {
    "loss": "worst first",
    "surest": "surest first",
    "unsure": "least sure first",
}


def results_explorer(
    images: Tensor,
    labels: Tensor,
    probabilities: Tensor,
    class_names: Sequence[str],
    *,
    names: Sequence[str] = (),
    size: int = 96,
) -> Explorer:
    """Every image with its truth and its prediction, to browse in a page.

    `images` [N, 3, H, W] are bytes or 0–1, `labels` int64 [N], `probabilities`
    [N, classes]; `names` tells where an image comes from, as its file name. An image
    of `size` pixels takes about 3 kB. It starts with the mistakes, the highest loss
    first. Used in book/classification/mistakes.
    """
    check_images(images, labels=labels, probabilities=probabilities)
    if probabilities.shape[1:] != (len(class_names),):
        raise ValueError(
            f"probabilities must be [N, {len(class_names)}], one a class name, got "
            f"{tuple(probabilities.shape)}"
        )
    losses = -probabilities.gather(1, labels[:, None]).flatten().clamp(1e-12).log()
    items = [
        _item(
            thumbnail(images[index], size),
            int(labels[index]),
            _ranked(probabilities[index]),
            class_names,
            float(losses[index]),
            names[index] if names else "",
        )
        for index in losses.argsort(descending=True, stable=True).tolist()
    ]
    return frame(
        "results",
        "Results explorer",
        classes=any_of(class_names),
        orders=ORDERS,
        items=items,
    )


def _ranked(probabilities: Tensor) -> list[tuple[int, float]]:
    """The three most probable labels, each with its percentage."""
    scores, found = probabilities.topk(min(3, len(probabilities)))
    percent = [round(100 * score, 1) for score in scores.tolist()]
    return list(zip(found.tolist(), percent, strict=True))


def _item(
    source: str,
    label: int,
    ranked: list[tuple[int, float]],
    class_names: Sequence[str],
    loss: float,
    name: str,
) -> Item:
    best, score = ranked[0]
    verdict = "right" if best == label else "wrong"  # two classes may share a name
    truth, said = class_names[label], class_names[best]
    facts = as_texts(
        label=truth, predicted=said, verdict=verdict, score=score, loss=round(loss, 3)
    )
    top = [[class_names[k], percent] for k, percent in ranked]
    known = as_texts(top=top, name=name)
    what = f"Image of {truth}, said {said} {score:.0f} %"
    return Item(source, what, f"{said} {score:.0f} %", facts, known, verdict)
