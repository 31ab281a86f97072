"""The training chapter's recipe as one call, for chapters that compare trainings."""

import tempfile

import torch
from torch import Tensor
from torchvision.transforms import v2

from cvlib.classification.model import Classifier, parameter_groups
from cvlib.images import ImageDataset
from cvlib.training import FrozenStatistics as FrozenStatistics
from cvlib.training import History as History
from cvlib.training import augmentation as augmentation

# After ours, which keeps fastai's import warnings quiet.
# isort: split
from fastai.callback.schedule import fit_one_cycle  # noqa: F401 (a method of Learner)
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy


def fine_tune(
    model: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int = 4,
    lr: float = 3e-4,
    batch_size: int = 16,
    transform: v2.Transform | None = None,
    frozen_groups: int = 1,
    from_scratch: bool = False,
    device: torch.device | str = "cpu",
) -> list[dict[str, float]]:
    """Train a classifier in place, its head already fitted; returns the history.

    The recipe that book/classification/train explains, as one call for the chapters
    that compare many trainings. `images` are bytes, [N, 3, H, W]; `transform` is
    `augmentation(H)` unless given. `from_scratch` is for random weights: nothing stays
    frozen, and batch norms gather statistics. Used in
    book/classification/accuracy-vs-speed.
    """
    transform = transform or augmentation(images.shape[-1])
    seen = ImageDataset(images, labels, transform)
    batch_size = min(batch_size, len(seen))
    loaders = DataLoaders(
        DataLoader(seen, bs=batch_size, shuffle=True, drop_last=True),
        DataLoader(seen, bs=batch_size, n=batch_size),  # fastai wants one; unused
        device=torch.device(device),
    )
    with tempfile.TemporaryDirectory() as folder:
        learn = Learner(
            loaders,
            model,
            loss_func=CrossEntropyLossFlat(label_smoothing=0.1),
            metrics=accuracy,
            splitter=parameter_groups,
            train_bn=from_scratch,
            cbs=[
                History(),
                *([] if from_scratch else [FrozenStatistics()]),
            ],
            path=folder,
        )
        learn.freeze_to(0 if from_scratch else frozen_groups)
        learn.fit_one_cycle(epochs, lr)
    model.eval()
    return list(learn.history.epochs)
