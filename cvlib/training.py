"""What fastai's training loop leaves to us: a history to plot, quiet, augmentation."""

import time
import warnings

from torch import nn
from torchvision.transforms import v2

with warnings.catch_warnings():
    # What fastai's import says of torch, pandas and tqdm is not for our readers.
    warnings.simplefilter("ignore")
    from fastai.callback.core import Callback
    from fastai.callback.progress import ProgressCallback


def augmentation(size: int, *, grey: float = 0.3) -> v2.Transform:
    """Random crops of `size` pixels, mirrored and recoloured at random.

    A share `grey` of them loses its colour, and with `grey` above 0 hues turn freely:
    right where colour must not decide, wrong where it does. Used in
    book/data/how-many-images.
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(0.4, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.3, 0.3, 0.3, hue=0.5 if grey else 0),
            v2.RandomGrayscale(grey),
        ]
    )


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
