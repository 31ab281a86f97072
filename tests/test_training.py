import pytest
import torch
from torch import nn

from cvlib.images import ImageDataset
from cvlib.training import FrozenStatistics, History, augmentation

# Ours first, which keeps fastai's import warnings quiet.
# isort: split
from fastai.callback.schedule import fit_one_cycle, lr_find  # noqa: F401
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.metrics import accuracy


class Tiny(nn.Module):
    """A batch norm and a linear layer: learns which of two channels is brighter."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(3, 2)

    def forward(self, images):
        return self.head(self.norm(images).mean(dim=(2, 3)))


def learner(tmp_path, *callbacks):
    images = torch.rand(64, 3, 4, 4)
    labels = (images[:, 0].mean(dim=(1, 2)) > images[:, 1].mean(dim=(1, 2))).long()
    dataset = ImageDataset(images, labels)
    loaders = DataLoaders(
        DataLoader(dataset, bs=16, shuffle=True), DataLoader(dataset, bs=64)
    )
    return Learner(
        loaders,
        Tiny(),
        loss_func=nn.CrossEntropyLoss(),
        metrics=accuracy,
        cbs=[History(), *callbacks],
        path=tmp_path,
    )


def test_every_epoch_leaves_a_line(tmp_path):
    learn = learner(tmp_path)
    learn.fit(2, 0.01)
    learn.fit(1, 0.01)
    epochs = learn.history.epochs
    assert [line["epoch"] for line in epochs] == [1, 2, 3]
    assert [line["phase"] for line in epochs] == [0, 0, 1]
    assert set(epochs[0]) == {
        "epoch",
        "phase",
        "train_loss",
        "valid_loss",
        "accuracy",
        "seconds",
    }
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    assert all(line["seconds"] > 0 for line in epochs)


def test_training_prints_nothing(tmp_path, capsys):
    learner(tmp_path).fit_one_cycle(1, 0.1)
    assert capsys.readouterr() == ("", "")


# fastai names numpy.core when it puts the weights back.
@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
def test_a_search_for_the_rate_is_no_epoch_of_the_history(tmp_path, capsys):
    learn = learner(tmp_path)
    learn.lr_find(num_it=6, show_plot=False)
    assert learn.history.epochs == []
    learn.fit(1, 0.1)
    assert [line["phase"] for line in learn.history.epochs] == [0]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_statistics_stay_as_they_were(tmp_path, frozen):
    learn = learner(tmp_path, *([FrozenStatistics()] if frozen else []))
    learn.fit(1, 0.1)
    before = torch.zeros(3)
    assert torch.equal(learn.model.norm.running_mean.cpu(), before) == frozen


def test_augmentation_keeps_bytes_and_gives_the_size_asked_for():
    image = torch.randint(0, 255, (3, 40, 40), dtype=torch.uint8)
    found = augmentation(24)(image)
    assert found.shape == (3, 24, 24)
    assert found.dtype == torch.uint8
