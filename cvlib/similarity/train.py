"""Move images of one thing closer together: losses, and fastai's loop around them."""

import tempfile

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from cvlib.images import ImageDataset
from cvlib.similarity.evaluate import recall_at_k
from cvlib.similarity.model import Embedder, embed_images, parameter_groups
from cvlib.training import FrozenStatistics, History
from cvlib.training import augmentation as augmentation

# After ours, which keeps fastai's import warnings quiet.
# isort: split
from fastai.callback.core import Callback
from fastai.callback.schedule import fit_one_cycle  # noqa: F401 (a method of Learner)
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
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


def fit_embedder(
    model: Embedder,
    images: Tensor,
    labels: Tensor,
    loss: nn.Module,
    *,
    epochs: int = 3,
    lr: float = 3e-4,
    batch_size: int = 16,
    images_a_thing: int = 1,
    transform: v2.Transform | None = None,
    frozen_groups: int = 1,
    valid: tuple[Tensor, Tensor] | None = None,
    device: torch.device | str = "cpu",
) -> list[dict[str, float]]:
    """Train an embedder in place, with the parameters of `loss`; returns the history.

    `images` are bytes, [N, 3, H, W], `labels` int64 [N] the things they show, and
    `loss(embeddings, labels)` gives a scalar. Losses that compare images need pairs:
    `images_a_thing` above 1 fills each batch with so many images of each of its things.
    `transform` is `augmentation(H, grey=0)` unless given: colour tells things apart.
    With `valid`, images and labels, each epoch's line holds `valid_recall`: how often
    the nearest of the other valid images shows the same thing. Raises ValueError where
    a batch cannot be filled so. Used in book/similarity/train.
    """
    seen = ImageDataset(
        images, labels, transform or augmentation(images.shape[-1], grey=0)
    )
    batch_size = min(batch_size, len(seen))
    loaders = DataLoaders(
        _train_loader(seen, batch_size, images_a_thing),
        DataLoader(seen, bs=batch_size, n=batch_size),  # fastai wants one; unused
        device=torch.device(device),
    )
    with tempfile.TemporaryDirectory() as folder:
        learn = Learner(
            loaders,
            _Trained(model, loss),
            loss_func=loss,
            splitter=_groups,
            train_bn=False,
            cbs=[History(), FrozenStatistics(), _ValidRecall(model, valid)],
            path=folder,
        )
        learn.freeze_to(frozen_groups)
        learn.fit_one_cycle(epochs, lr)
    model.eval()
    return list(learn.history.epochs)


class _Trained(nn.Module):
    """An embedder together with its loss, whose parameters are trained too."""

    def __init__(self, embedder: Embedder, loss: nn.Module) -> None:
        super().__init__()
        self.embedder, self.loss = embedder, loss

    def forward(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.embedder(images)
        return embeddings


def _groups(model: _Trained) -> list[list[nn.Parameter]]:
    early, late, projection = parameter_groups(model.embedder)
    return [early, late, [*projection, *model.loss.parameters()]]


def _train_loader(
    seen: ImageDataset, batch_size: int, images_a_thing: int
) -> DataLoader:
    if images_a_thing == 1:
        return DataLoader(seen, bs=batch_size, shuffle=True, drop_last=True)
    things = len(set(seen.labels.tolist()))
    if batch_size % images_a_thing or batch_size > images_a_thing * things:
        raise ValueError(
            f"a batch of {batch_size} cannot hold {images_a_thing} images of each of "
            f"its things; there are {things} things"
        )
    order = MPerClassSampler(seen.labels, images_a_thing, batch_size, len(seen))
    return DataLoader(seen, bs=batch_size, get_idxs=lambda: list(order))


class _ValidRecall(Callback):  # type: ignore[misc]  # fastai has no types
    """Put recall at 1 of the valid images among themselves into the history."""

    order = 61  # after History

    def __init__(self, model: Embedder, valid: tuple[Tensor, Tensor] | None) -> None:
        self.embedder, self.valid = model, valid

    def after_epoch(self) -> None:
        line = self.learn.history.epochs[-1]
        del line["valid_loss"]  # of the loader that only fastai wants
        if self.valid is not None:
            found = embed_images(self.embedder, self.valid[0])
            line["valid_recall"] = recall_at_k(found @ found.T, self.valid[1])
