"""The training chapter's recipe as one call, for chapters that compare trainings."""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from cvlib import training
from cvlib.augmentation import augmentation
from cvlib.classification.model import Classifier, predict_logits


def fit(
    model: Classifier,
    images: Any,
    labels: Tensor,
    *,
    epochs: int = 4,
    lr: float = 3e-4,
    batch_size: int = 16,
    transform: v2.Transform | None = None,
    frozen_groups: int = 1,
    valid: tuple[Any, Tensor] | None = None,
    device: torch.device | str | None = None,
) -> list[dict[str, float]]:
    """Train a classifier in place, its head already fitted; returns the history.

    The recipe that book/classification/train explains, as one call for the chapters
    that compare many trainings: cross entropy on labels smoothed by a tenth. `images`
    in any form, best decoded, bytes [N, 3, H, W]; `labels` int64 [N]. `transform` is
    `augmentation` of their height unless given. With `valid`, images and labels, each
    epoch's line holds `valid_accuracy`. The rest as in `cvlib.training.fit`. Used in
    book/classification/accuracy-vs-speed.
    """
    side = images.shape[-1] if isinstance(images, Tensor) else model.image_size

    def judge() -> dict[str, float]:
        if valid is None:
            return {}
        hits = predict_logits(model, valid[0]).argmax(dim=1) == valid[1]
        return {"valid_accuracy": float(hits.double().mean())}

    return training.fit(
        model,
        images,
        labels,
        nn.CrossEntropyLoss(label_smoothing=0.1),
        epochs=epochs,
        lr=lr,
        batch_size=batch_size,
        transform=transform or augmentation(side),
        frozen_groups=frozen_groups,
        judge=judge,
        device=device,
    )
