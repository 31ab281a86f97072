"""A pretrained backbone with a new head; saved and loaded without pickle."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cvlib.backbones import Backbone, load_backbone
from cvlib.checkpoints import read_checkpoint, save_checkpoint
from cvlib.images import load_image, to_float


class Classifier(nn.Module):
    """Images in 0–1, [B, 3, H, W] → logits, [B, classes]; it normalises by itself.

    A linear head on embeddings of unit length. Carrying names, image size and
    normalisation inside the model removes the commonest ways to get a good model and
    bad predictions.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: Backbone, class_names: list[str], *, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.backbone_name = backbone.name
        self.class_names = list(class_names)
        self.image_size = backbone.image_size
        self.register_buffer("mean", torch.tensor(backbone.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.std).view(3, 1, 1))
        self.features = backbone.module
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.embedding_dim, len(class_names))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, [B, classes]; images may also be bytes."""
        embeddings = nn.functional.normalize(self.features(self.normalize(images)))
        return self.head(self.dropout(embeddings))

    def normalize(self, images: Tensor) -> Tensor:
        """Images in 0–1, or bytes → what the backbone was trained on."""
        images = (to_float(images) - self.mean) / self.std
        return images.contiguous(memory_format=torch.channels_last)


def build_classifier(
    backbone: Backbone,
    class_names: list[str],
    *,
    image_size: int | None = None,
    dropout: float = 0.2,
) -> Classifier:
    """A classifier for `class_names`: the backbone's weights, a head to be trained.

    `image_size` is the side, in pixels, of the images it will predict. Used in
    book/classification/train.
    """
    if image_size is not None:
        backbone = replace(backbone, image_size=image_size)
    model = Classifier(backbone, class_names, dropout=dropout)
    return model.to(memory_format=torch.channels_last)


@torch.no_grad()
def set_head(
    model: Classifier, weight: NDArray[np.floating], bias: NDArray[np.floating]
) -> None:
    """Put a linear model fitted on embeddings, [classes, D] and [classes], in place.

    Training the head first, and only then the rest, keeps what the backbone knows:
    Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022. Used in
    book/classification/train.
    """
    wanted = tuple(model.head.weight.shape)
    if weight.shape != wanted or bias.shape != wanted[:1]:
        raise ValueError(
            f"head must be {wanted} and {wanted[:1]}, got {weight.shape}, {bias.shape}"
        )
    model.head.weight.copy_(torch.as_tensor(weight))
    model.head.bias.copy_(torch.as_tensor(bias))


def parameter_groups(model: Classifier) -> list[list[nn.Parameter]]:
    """[early layers, late layers, head], for fastai's `splitter`.

    The early third finds edges and textures, which serve any task: left frozen
    (`learn.freeze_to(1)`) it needs no backward pass. Used in
    book/classification/train.
    """
    backbone = list(model.features.parameters())
    third = len(backbone) // 3
    return [backbone[:third], backbone[third:], list(model.head.parameters())]


@dataclass(frozen=True)
class Prediction:
    """Class names, most probable first, and their probabilities."""

    class_names: list[str]
    scores: list[float]


@torch.inference_mode()
def predict(model: Classifier, path: str | Path, *, top: int = 3) -> Prediction:
    """The `top` most probable classes of one image file.

    Used in book/classification/train.
    """
    image = load_image(path, size=model.image_size).to(model.mean.device)
    probabilities = model.eval()(image[None]).softmax(dim=1)[0].cpu()
    scores, labels = probabilities.topk(min(top, len(model.class_names)))
    names = [model.class_names[label] for label in labels.tolist()]
    return Prediction(names, scores.tolist())


def save_classifier(model: Classifier, path: str | Path) -> Path:
    """One safetensors file: weights, and in its header what they need to be used.

    Used in book/classification/train.
    """
    facts = {
        "backbone": model.backbone_name,
        "class_names": model.class_names,
        "image_size": model.image_size,
    }
    return save_checkpoint(model, path, facts)


def load_classifier(path: str | Path) -> Classifier:
    """A classifier from `save_classifier`'s file, in evaluation mode, on the CPU.

    Raises FileNotFoundError, or ValueError for a file that is not ours. Used in
    book/classification/train.
    """
    facts, weights = read_checkpoint(path, "class_names")
    backbone = load_backbone(facts["backbone"], pretrained=False)
    model = build_classifier(
        backbone, facts["class_names"], image_size=facts["image_size"]
    )
    model.load_state_dict(weights)
    return model.eval()
