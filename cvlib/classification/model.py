"""A pretrained backbone with a new head; saved and loaded without pickle."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cvlib.backbones import Backbone
from cvlib.models import ImageModel, look_at


class Classifier(ImageModel):
    """Images in 0–1, [B, 3, H, W] → logits, [B, classes]; it normalises by itself.

    A linear head on embeddings of unit length. Carrying names, image size and
    normalisation inside the model removes the commonest ways to get a good model and
    bad predictions.
    """

    kind = "classifier"

    def __init__(
        self,
        backbone: Backbone,
        class_names: Sequence[str],
        *,
        image_size: int | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(backbone, image_size=image_size)
        self.class_names = list(class_names)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.embedding_dim, len(self.class_names))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, [B, classes]; images may also be bytes."""
        return self.head(self.dropout(self.embeddings(images)))

    def settings(self) -> dict[str, Any]:
        """What the constructor needs, the class names among it."""
        return {**super().settings(), "class_names": self.class_names}


def build_classifier(
    backbone: Backbone,
    class_names: Sequence[str],
    *,
    image_size: int | None = None,
    dropout: float = 0.2,
) -> Classifier:
    """A classifier for `class_names`: a copy of the backbone, a head to be trained.

    `image_size` is the side, in pixels, of the images it will predict. Used in
    book/classification/train.
    """
    return Classifier(backbone, class_names, image_size=image_size, dropout=dropout)


@torch.no_grad()
def set_head(
    model: Classifier, weight: NDArray[np.floating], bias: NDArray[np.floating]
) -> None:
    """Put a linear model fitted on embeddings, [classes, D] and [classes], in place.

    For two classes one row will do, [1, D] and [1], as scikit-learn fits it: the
    logarithm of the second's odds. Training the head first, and only then the rest,
    keeps what the backbone knows: Kumar et al., "Fine-Tuning can Distort Pretrained
    Features", ICLR 2022. Raises ValueError for other shapes. Used in
    book/classification/train and book/start/own-data.
    """
    wanted = tuple(model.head.weight.shape)
    if wanted[0] == 2 and len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.r_[-bias, bias] / 2
    if weight.shape != wanted or bias.shape != wanted[:1]:
        raise ValueError(
            f"head must be {wanted} and {wanted[:1]}, got {weight.shape}, {bias.shape}"
        )
    model.head.weight.copy_(torch.as_tensor(weight))
    model.head.bias.copy_(torch.as_tensor(bias))


@dataclass(frozen=True)
class Prediction:
    """Class names, most probable first, and their probabilities."""

    class_names: list[str]
    scores: list[float]


def predict_logits(
    model: Classifier, images: Any, *, batch_size: int | None = None
) -> Tensor:
    """Logits, float32 [N, classes], on the CPU; computed where the model is.

    `images` in any form, as `cvlib.embeddings.embed` takes them: all but tensors become
    squares of the model's size. Without `batch_size`, `devices.pick_batch_size`
    chooses. Used in book/classification/trust.
    """
    found = look_at(
        model,
        images,
        lambda classifier, batch: classifier(batch),
        size=model.image_size,
        device=model.device,
        batch_size=batch_size,
    )
    return torch.cat(found) if found else torch.empty(0, len(model.class_names))


def predict_probabilities(
    model: Classifier, images: Any, *, batch_size: int | None = None
) -> Tensor:
    """The softmax of `predict_logits`. Used in book/classification/train."""
    return predict_logits(model, images, batch_size=batch_size).softmax(dim=1)


def predict(model: Classifier, images: Any, *, top: int = 3) -> list[Prediction]:
    """The `top` most probable classes of each image; `images` as in `predict_logits`.

    One image gives a list of one. Used in book/classification/train.
    """
    probabilities = predict_probabilities(model, images)
    best = probabilities.topk(min(top, len(model.class_names)))
    return [
        Prediction([model.class_names[label] for label in labels], scores)
        for labels, scores in zip(
            best.indices.tolist(), best.values.tolist(), strict=True
        )
    ]


def load_classifier(path: str | Path) -> Classifier:
    """A classifier from the file that its `save` wrote, in evaluation mode, on the CPU.

    Raises FileNotFoundError, or ValueError for a file that holds none. Used in
    book/classification/train.
    """
    return Classifier.load(path)
