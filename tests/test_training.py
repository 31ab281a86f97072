import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from cvlib.backbones import load_backbone
from cvlib.classification.model import build_classifier
from cvlib.images import ImageDataset
from cvlib.training import FrozenStatistics, History, fit

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


# fastai's own, of Python's and torch's older names.
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("timm/mobilenetv3_small_050", pretrained=False)


def tiny(backbone):
    return build_classifier(backbone, ["a", "b"], image_size=32)


def train(model, images, labels, loss=None, **options):
    settings = {"epochs": 2, "lr": 1e-3, "batch_size": 4, "transform": nn.Identity()}
    loss = loss or nn.CrossEntropyLoss()
    return fit(model, images, labels, loss, **{**settings, **options})


@pytest.mark.slow
@quiet
def test_each_image_is_changed_anew_in_every_epoch(backbone):
    """Every picture is white, and black where the transform has been at work."""
    model, seen = tiny(backbone), []
    model.features.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    white = torch.full((8, 3, 32, 32), 255, dtype=torch.uint8)
    calls = []

    def blacken(image):
        calls.append(image)
        return torch.zeros_like(image)

    train(model, white, torch.arange(8) % 2, transform=blacken)
    assert len(calls) >= 2 * 8
    assert seen and all(batch.amax() < 0 for batch in seen)  # black, normalised


@pytest.mark.slow
@quiet
def test_a_history_holds_what_was_judged_and_no_loss_of_unused_images(backbone):
    said = iter([0.25, 0.75])
    history = train(
        tiny(backbone),
        torch.zeros(8, 3, 32, 32, dtype=torch.uint8),
        torch.arange(8) % 2,
        judge=lambda: {"valid_share": next(said)},
    )
    assert [line["valid_share"] for line in history] == [0.25, 0.75]
    assert set(history[0]) == {"epoch", "phase", "train_loss", "valid_share", "seconds"}


@pytest.mark.slow
@quiet
@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_the_first_groups_stay_as_they_were(backbone, frozen):
    model = tiny(backbone)
    before = [[p.clone() for p in group] for group in model.parameter_groups()]
    images = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8)
    train(model, images, torch.arange(8) % 2, frozen_groups=frozen)
    for place, (old, new) in enumerate(
        zip(before, model.parameter_groups(), strict=True)
    ):
        same = all(torch.equal(a, b) for a, b in zip(old, new, strict=True))
        assert same == (place < frozen)
    assert not model.training


@pytest.mark.slow
@quiet
def test_parameters_of_the_loss_are_trained_too(backbone):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, logits, labels):
            return nn.functional.cross_entropy(self.scale * logits, labels)

    loss = Scaled()
    images = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8)
    train(tiny(backbone), images, torch.arange(8) % 2, loss)
    assert loss.scale.item() != 1


@quiet
def test_an_order_says_which_images_an_epoch_sees(backbone):
    model, seen = tiny(backbone), []
    images = torch.arange(8, dtype=torch.uint8)[:, None, None, None]
    images = images.expand(8, 3, 32, 32)

    def watch(image):
        seen.append(int(image[0, 0, 0]))
        return image

    train(
        model,
        images,
        torch.arange(8) % 2,
        epochs=1,
        transform=watch,
        order=lambda batch_size: [6, 4, 2, 0, 6, 4, 2, 0][: 2 * batch_size],
    )
    assert seen[:8] == [6, 4, 2, 0, 6, 4, 2, 0]


@pytest.mark.slow
@quiet
def test_pictures_train_as_well_as_tensors(backbone):
    pixels = np.zeros((8, 40, 50, 3), np.uint8)
    history = train(tiny(backbone), pixels, torch.arange(8) % 2, epochs=1)
    assert len(history) == 1


@quiet
def test_other_numbers_of_labels_are_an_error(backbone):
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    with pytest.raises(ValueError, match="got 7 labels for 8 images"):
        train(tiny(backbone), images, torch.zeros(7).long())


@pytest.mark.slow
def test_without_fastai_the_extra_is_named():
    code = "import sys; sys.modules['fastai'] = None; import cvlib.training"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'cvlib-book[train]'" in done.stderr
