"""What a classifier said of each image, to be filtered by class, verdict and score."""

from collections.abc import Sequence

from torch import Tensor

from cvlib.explorers.page import (
    Explorer,
    attributes,
    button,
    check_images,
    choice,
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
    return frame("results", "Results explorer", _form(class_names) + _list(items))


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
) -> str:
    best, score = ranked[0]
    verdict = "right" if best == label else "wrong"  # two classes may share a name
    truth, said = class_names[label], class_names[best]
    facts = attributes(
        label=truth, predicted=said, verdict=verdict, score=score, loss=round(loss, 3)
    )
    top = [[class_names[k], percent] for k, percent in ranked]
    known = attributes(top=top, name=name)
    what = f"Image of {truth}, said {said} {score:.0f} %"
    facts = f'class="{verdict}" {facts}'
    return button(facts, known, source, what, f"{said} {score:.0f} %")


def _form(class_names: Sequence[str]) -> str:
    classes = {"": "any", **{name: name for name in class_names}}
    verdicts = {"": "all", "wrong": "wrong", "right": "right"}
    number = '<input type="number" name="{}" min="0" max="100" step="5" value="{}">'
    return (
        "<form>"
        + choice("Show", "verdict", verdicts, "wrong")
        + choice("Truth", "label", classes)
        + choice("Model said", "predicted", classes)
        + f"<label>Score from {number.format('low', 0)}</label>"
        + f"<label>to {number.format('high', 100)} %</label>"
        + choice("Order", "order", ORDERS)
        + "</form>"
    )


def _list(items: Sequence[str]) -> str:
    return (
        '<p role="status"></p>'
        f'<ul aria-label="Images">{"".join(items)}</ul>'
        '<div class="detail" aria-live="polite">Choose an image to see it larger.</div>'
    )
