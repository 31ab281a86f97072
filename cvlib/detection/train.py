"""The training loop of detectors: images with boxes in, a history out."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from cvlib.detection.data import trainable
from cvlib.detection.model import Detector
from cvlib.devices import pick_device
from cvlib.images import letterbox
from cvlib.samples import ImageSet

Target = dict[str, Any]
Pair = tuple[Tensor, Target]

LEAST_SHOWN = 4  # pixels a side of a box, after a crop; less teaches nothing
BACKBONE_SHARE = 0.15  # of the rate: it knows much already


def fit(
    model: Detector,
    images: ImageSet,
    *,
    epochs: int,
    lr: float = 4e-3,
    batch_size: int = 8,
    train_size: int | None = None,
    transform: Callable[..., Any] | None = None,
    judge: Callable[[], dict[str, float]] | None = None,
    device: torch.device | str | None = None,
) -> list[dict[str, float]]:
    """Train a detector in place by one cycle of rates; a dict an epoch comes back.

    Each picture is decoded once, as a square of the model's size; `transform`, which is
    `augmentation` to `train_size` pixels (the model's size, unless given) if there is
    none, changes it and its boxes anew in every epoch. The
    backbone learns at a lower rate, its early third and the statistics of its batch
    norms not at all. What `judge()` says after an epoch joins its line: epoch,
    train_loss, seconds. The model goes to `device`, and ends in evaluation mode there.
    Raises ValueError for a set without images. Used in book/detection/train.
    """
    model.to(where := pick_device(device))
    pairs = decoded(images, size=model.image_size)
    change = transform or augmentation(train_size or model.image_size)
    steps = epochs * -(-len(pairs) // batch_size)
    optimizer, schedule = _optimizer(model, lr, steps)
    history = []
    for epoch in range(1, epochs + 1):
        started, losses = time.perf_counter(), []
        _set_training(model)
        for batch in _batches(pairs, batch_size):
            changed = [change(*pair) for pair in batch]
            pixels = torch.stack([image for image, _ in changed]).to(where)
            targets = [_on(target, where) for _, target in changed]
            loss = sum(model(pixels, targets).values())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        model.eval()
        line = {"epoch": epoch, "train_loss": sum(losses) / len(losses)}
        line["seconds"] = time.perf_counter() - started
        history.append(line | (judge() if judge else {}))
    return history


def decoded(images: ImageSet, *, size: int) -> list[Pair]:
    """Squares in bytes, [3, size, size], each with its boxes there and its labels.

    Raises ValueError for a set without images. Used in book/detection/train.
    """
    pairs = []
    for sample in trainable(images):
        square, canvas_size = letterbox(sample.path, size=size)
        target = sample.target()
        boxes = target["boxes"] * (size / max(canvas_size))
        boxes = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(size, size))
        pairs.append(
            (tv_tensors.Image(square), {"boxes": boxes, "labels": target["labels"]})
        )
    if not pairs:
        raise ValueError(f"{images.root}: no images to learn from")
    return pairs


def augmentation(
    size: int, *, smallest: float = 0.4, largest: float = 0.9, grey: float = 0.3
) -> Callable[..., Any]:
    """Crops, mirrors and colours of an image and its boxes, for `fit`.

    A crop is a square of `smallest` to `largest` of the side, scaled to `size`; of the
    boxes those stay whose centre does. A share `grey` loses its colour, and with `grey`
    above 0 hues turn freely: right where colour must not decide, wrong where it does.
    Used in book/detection/train.
    """
    return v2.Compose(
        [
            _SquareCrop(size, smallest, largest),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.3, 0.3, 0.3, hue=0.5 if grey else 0),
            v2.RandomGrayscale(grey),
            v2.SanitizeBoundingBoxes(min_size=LEAST_SHOWN),
        ]
    )


class _SquareCrop(nn.Module):
    """A square at random of an image, [3, H, W], and of its boxes, scaled to `size`."""

    def __init__(self, size: int, smallest: float, largest: float) -> None:
        super().__init__()
        self.size, self.shares = [size, size], (smallest, largest)

    def forward(self, image: Tensor, target: Target) -> Pair:
        height, width = image.shape[-2:]
        share = torch.empty(()).uniform_(*self.shares)
        side = max(1, int(share * min(height, width)))
        top = int(torch.randint(height - side + 1, ()))
        left = int(torch.randint(width - side + 1, ()))
        boxes = target["boxes"]
        inside = (boxes[:, :2] + boxes[:, 2:]) / 2 - torch.tensor([left, top])
        stays = ((inside > 0) & (inside < side)).all(dim=1)
        place = (top, left, side, side, self.size)
        moved = functional.clamp_bounding_boxes(functional.resized_crop(boxes, *place))
        kept = tv_tensors.wrap(moved[stays], like=moved)
        seen = functional.resized_crop(image, *place)
        return seen, {"boxes": kept, "labels": target["labels"][stays]}


def _optimizer(model: Detector, lr: float, steps: int) -> tuple[Any, Any]:
    early, late, added = model.parameter_groups()
    for parameter in early:
        parameter.requires_grad_(False)
    rates = [lr * BACKBONE_SHARE, lr]
    groups = [{"params": p, "lr": r} for p, r in zip((late, added), rates, strict=True)]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=steps, pct_start=0.2
    )
    return optimizer, schedule


def _set_training(model: Detector) -> None:
    """Training mode, but for batch norms: a few hundred images tell them little."""
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


def _batches(pairs: list[Pair], batch_size: int) -> Iterator[list[Pair]]:
    order = torch.randperm(len(pairs)).tolist()
    for start in range(0, len(order), batch_size):
        yield [pairs[i] for i in order[start : start + batch_size]]


def _on(target: Target, device: torch.device) -> Target:
    return {name: torch.as_tensor(value).to(device) for name, value in target.items()}
