"""The one training loop, fastai's, and what it leaves to us: a history, and quiet."""

import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cvlib.devices import pick_device
from cvlib.images import ImageDataset, as_batch
from cvlib.models import ImageModel

try:
    with warnings.catch_warnings():
        # What fastai's import says of torch, pandas and tqdm is not for our readers.
        warnings.simplefilter("ignore")
        from fastai.callback.core import Callback
        from fastai.callback.progress import ProgressCallback
        from fastai.callback.schedule import fit_one_cycle  # noqa: F401 (of Learner)
        from fastai.data.core import DataLoaders
        from fastai.data.load import DataLoader
        from fastai.learner import Learner
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"training needs {error.name}: pip install 'cvlib-book[train]'"
    ) from error


def fit(
    model: ImageModel,
    images: Any,
    labels: Tensor,
    loss: nn.Module,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    transform: Callable[[Tensor], Tensor],
    frozen_groups: int = 1,
    order: Callable[[int], list[int]] | None = None,
    judge: Callable[[], dict[str, float]] | None = None,
    device: torch.device | str | None = None,
) -> list[dict[str, float]]:
    """Train a model in place by one cycle of rates; a dict an epoch comes back.

    `images` in any form, decoded once; `transform` sees each, in bytes or 0–1, anew in
    every epoch. `loss(model(images), labels)` gives a scalar, and its own parameters
    are trained too. The first `frozen_groups` of `model.parameter_groups()` stay as
    they are, and so do the statistics of all batch norms. `order(batch_size)` lists the
    images of an epoch; shuffled without it. What `judge()` says after an epoch joins
    its line: epoch, train_loss, seconds. The model goes to `device` (see
    `devices.pick_device`), stays there, and ends in evaluation mode.
    `classification.train.fit` and `similarity.train.fit` call it.
    """
    pixels = as_batch(images, size=model.image_size)
    seen = ImageDataset(pixels, labels, transform)
    loaders = _loaders(seen, min(batch_size, len(seen)), order, pick_device(device))
    with tempfile.TemporaryDirectory() as folder:
        learn = Learner(
            loaders,
            _Trained(model, loss),
            loss_func=loss,
            splitter=_groups,
            train_bn=False,
            cbs=[History(), _Judge(judge), FrozenStatistics()],
            path=folder,
        )
        learn.freeze_to(frozen_groups)
        learn.fit_one_cycle(epochs, lr)
    model.eval()
    return list(learn.history.epochs)


class History(Callback):  # type: ignore[misc]  # fastai has no types
    """One dict an epoch in `epochs`: train_loss, valid_loss, the metrics, seconds.

    Give it to `Learner(cbs=History())`; it also turns off fastai's printed table and
    progress bar, which a page shows as debris. Calls to `fit` continue one history, and
    `phase` counts them. Used in book/classification/train.
    """

    order = 60  # after fastai's Recorder, whose numbers it reads

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.phase = -1

    def after_create(self) -> None:
        """Silence the printed table and the bar."""
        self.learn.remove_cbs(
            [cb for cb in self.learn.cbs if isinstance(cb, ProgressCallback)]
        )
        self.learn.logger = lambda _: None

    def before_fit(self) -> None:
        """Count the calls to `fit`."""
        self.phase += not self._is_lr_search()

    def before_epoch(self) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def after_epoch(self) -> None:
        """Add a line to the history."""
        if self._is_lr_search():
            return
        names = self.learn.recorder.metric_names[1:-1]
        values = [float(value) for value in self.learn.recorder.values[-1]]
        self.epochs.append(
            {
                "epoch": len(self.epochs) + 1,
                "phase": self.phase,
                **dict(zip(names, values, strict=True)),
                "seconds": time.perf_counter() - self.started,
            }
        )

    def _is_lr_search(self) -> bool:
        return hasattr(self.learn, "lr_finder")


class FrozenStatistics(Callback):  # type: ignore[misc]  # fastai has no types
    """Keep batch norms at their pretrained statistics.

    A few hundred images estimate worse ones than ImageNet did; and on a CPU a step then
    takes little more than half the time. Used in book/classification/train.
    """

    def before_train(self) -> None:
        """Undo what `model.train()` has just set."""
        for module in self.learn.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


class _Judge(Callback):  # type: ignore[misc]  # fastai has no types
    """Put what a function says of the model into the history."""

    order = 61  # after History

    def __init__(self, judge: Callable[[], dict[str, float]] | None) -> None:
        self.judge = judge

    def after_epoch(self) -> None:
        line = self.learn.history.epochs[-1]
        del line["valid_loss"]  # of the loader that only fastai wants
        line.update(self.judge() if self.judge else {})


class _Trained(nn.Module):
    """A model together with its loss, whose parameters are trained too."""

    def __init__(self, model: ImageModel, loss: nn.Module) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.model(images)
        return answer


def _groups(trained: _Trained) -> list[list[nn.Parameter]]:
    early, late, added = trained.model.parameter_groups()
    return [early, late, [*added, *trained.loss.parameters()]]


def _loaders(
    seen: ImageDataset,
    batch_size: int,
    order: Callable[[int], list[int]] | None,
    device: torch.device,
) -> DataLoaders:
    if order is None:
        first = DataLoader(seen, bs=batch_size, shuffle=True, drop_last=True)
    else:
        first = DataLoader(seen, bs=batch_size, get_idxs=lambda: order(batch_size))
    unused = DataLoader(seen, bs=batch_size, n=batch_size)  # fastai wants a second
    return DataLoaders(first, unused, device=device)
