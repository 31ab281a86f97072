"""Move images of one thing closer together: losses, and fastai's loop around them."""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from cvlib import training
from cvlib.augmentation import augmentation
from cvlib.embeddings import embed
from cvlib.similarity.evaluate import recall_at_k
from cvlib.similarity.model import Embedder

# After ours, which say what to install, and keep quiet what imports say.
# isort: split
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from pytorch_metric_learning.samplers import MPerClassSampler


def softmax_loss(
    embeddings: Tensor, labels: Tensor, *, temperature: float = 0.05
) -> NormalizedSoftmaxLoss:
    """Normalised softmax: each image must be closer to its own thing's centre.

    Zhai & Wu, "Classification is a Strong Baseline for Deep Metric Learning", BMVC
    2019. `embeddings` [N, D] and `labels` int64 [N], numbered from 0, are those of the
    training images: the centres, parameters of the loss, start at the mean of each
    thing's. A low `temperature` cares only for the hardest images. Raises ValueError
    for a number without images. Used in book/similarity/train.
    """
    counts = labels.bincount()
    if not len(labels) or (counts == 0).any():
        raise ValueError(
            f"labels must use each number from 0, got counts {counts.tolist()[:20]}"
        )
    sums = torch.zeros(len(counts), embeddings.shape[1])
    centres = sums.index_add_(0, labels, embeddings.float()) / counts[:, None]
    loss = NormalizedSoftmaxLoss(*centres.shape, temperature=temperature)
    with torch.no_grad():
        loss.W.copy_(nn.functional.normalize(centres).T)
    return loss


class MinedLoss(nn.Module):
    """A loss on the pairs or triplets that a `miner` finds worth learning from.

    Both are pytorch-metric-learning's. Used in book/similarity/metric-learning.
    """

    def __init__(self, loss: nn.Module, miner: nn.Module) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Embeddings [B, D], labels int64 [B] → the loss, a scalar."""
        found: Tensor = self.loss(embeddings, labels, self.miner(embeddings, labels))
        return found


def fit(
    model: Embedder,
    images: Any,
    labels: Tensor,
    loss: nn.Module,
    *,
    epochs: int = 3,
    lr: float = 3e-4,
    batch_size: int = 16,
    images_a_thing: int = 1,
    transform: v2.Transform | None = None,
    frozen_groups: int = 1,
    valid: tuple[Any, Tensor] | None = None,
    device: torch.device | str | None = None,
) -> list[dict[str, float]]:
    """Train an embedder in place, with the parameters of `loss`; returns the history.

    `images` in any form, best decoded, bytes [N, 3, H, W]; `labels` int64 [N] the
    things they show; `loss(embeddings, labels)` gives a scalar. Losses that compare
    images need pairs: `images_a_thing` above 1 fills each batch with so many images of
    each of its things. `transform` is `augmentation(H, grey=0)` unless given: colour
    tells things apart. With `valid`, images and labels, each epoch's line holds
    `valid_recall`: how often the nearest of the other valid images shows the same
    thing. The rest as in `cvlib.training.fit`. Raises ValueError where a batch cannot
    be filled so. Used in book/similarity/train.
    """
    side = images.shape[-1] if isinstance(images, Tensor) else model.image_size
    if images_a_thing > 1:
        _check_batch(labels, min(batch_size, len(labels)), images_a_thing)

    def order(size: int) -> list[int]:
        return list(MPerClassSampler(labels, images_a_thing, size, len(labels)))

    def judge() -> dict[str, float]:
        if valid is None:
            return {}
        found = embed(model, valid[0])
        return {"valid_recall": recall_at_k(found @ found.T, valid[1])}

    return training.fit(
        model,
        images,
        labels,
        loss,
        epochs=epochs,
        lr=lr,
        batch_size=batch_size,
        transform=transform or augmentation(side, grey=0),
        frozen_groups=frozen_groups,
        order=order if images_a_thing > 1 else None,
        judge=judge,
        device=device,
    )


def _check_batch(labels: Tensor, batch_size: int, images_a_thing: int) -> None:
    things = len(set(labels.tolist()))
    if batch_size % images_a_thing or batch_size > images_a_thing * things:
        raise ValueError(
            f"a batch of {batch_size} cannot hold {images_a_thing} images of each of "
            f"its things; there are {things} things"
        )
