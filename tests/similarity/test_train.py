import subprocess
import sys

import pytest
import torch
from pytorch_metric_learning import losses, miners

from cvlib.backbones import load_backbone
from cvlib.embeddings import embed
from cvlib.similarity.evaluate import recall_at_k
from cvlib.similarity.model import build_embedder
from cvlib.similarity.train import MinedLoss, fit, softmax_loss

# fastai's own, of Python's and torch's older names.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def coloured(count):
    """Noise images of four things that differ in colour only, and their labels."""
    labels = torch.arange(count) % 4
    images = torch.randint(0, 120, (count, 3, 64, 64), dtype=torch.uint8)
    for thing in range(3):
        images[labels == thing, thing] += 16
    return images, labels


def embedder(dim=None):
    return build_embedder(load_backbone(), dim=dim, image_size=64)


@pytest.mark.slow
def test_training_brings_unseen_images_of_a_thing_together():
    images, labels = coloured(128)
    others, theirs = coloured(48)
    model = embedder()
    before = embed(model, images)
    untrained = embed(model, others)
    early = next(model.features.parameters()).clone()
    history = fit(
        model,
        images,
        labels,
        softmax_loss(before, labels),
        epochs=3,
        lr=1e-3,
        batch_size=8,
        valid=(others, theirs),
    )
    assert len(history) == 3 and "valid_loss" not in history[0]
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    found = embed(model, others)
    assert recall_at_k(untrained @ untrained.T, theirs) < 0.8
    assert history[-1]["valid_recall"] == recall_at_k(found @ found.T, theirs) > 0.9
    assert torch.equal(early, next(model.features.parameters()))
    assert not model.training


@pytest.mark.slow
def test_the_projection_and_the_centres_are_trained_too():
    images, labels = coloured(16)
    model = embedder(dim=8)
    loss = softmax_loss(embed(model, images), labels)
    projection, centres = model.projection.weight.clone(), loss.W.clone()
    fit(model, images, labels, loss, epochs=1, batch_size=8)
    assert not torch.equal(projection, model.projection.weight)
    assert not torch.equal(centres, loss.W)


@pytest.mark.slow
def test_a_loss_on_pairs_trains_with_several_images_of_each_thing():
    images, labels = coloured(16)
    seen = []

    class Spy(MinedLoss):
        def forward(self, embeddings, labels):
            if self.training:  # fastai also shows it a batch to judge
                seen.append(labels.bincount(minlength=4).tolist())
            return super().forward(embeddings, labels)

    loss = Spy(losses.MultiSimilarityLoss(), miners.MultiSimilarityMiner())
    history = fit(
        embedder(), images, labels, loss, epochs=2, batch_size=8, images_a_thing=4
    )
    assert len(seen) == 4
    assert all(sorted(counts) == [0, 0, 4, 4] for counts in seen)
    assert len(history) == 2 and "valid_recall" not in history[0]


@pytest.mark.parametrize(("batch_size", "each"), [(8, 3), (16, 2)])
def test_a_batch_that_cannot_be_filled_is_an_error(batch_size, each):
    images, labels = coloured(16)
    with pytest.raises(ValueError, match=f"{batch_size} cannot hold {each}.*4 things"):
        fit(
            embedder(),
            images,
            labels,
            losses.MultiSimilarityLoss(),
            batch_size=batch_size,
            images_a_thing=each,
        )


def test_the_centres_start_at_the_mean_of_each_thing():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, -1.0]])
    loss = softmax_loss(embeddings, torch.tensor([0, 0, 1, 1]))
    half = 0.5**0.5
    assert torch.allclose(loss.W, torch.tensor([[half, 0.0], [half, -1.0]]))


def test_the_loss_is_cross_entropy_of_cosines_over_the_temperature():
    embeddings = torch.nn.functional.normalize(torch.randn(12, 5))
    labels = torch.arange(12) % 3
    loss = softmax_loss(embeddings, labels, temperature=0.1)
    centres = torch.stack([embeddings[labels == k].mean(dim=0) for k in range(3)])
    cosines = embeddings @ torch.nn.functional.normalize(centres).T
    by_hand = torch.nn.functional.cross_entropy(cosines / 0.1, labels)
    found = loss(embeddings, labels).detach()
    assert torch.allclose(found, by_hand, atol=1e-6)


@pytest.mark.parametrize("labels", [[], [0, 2], [1, 1]])
def test_a_number_without_images_is_an_error(labels):
    with pytest.raises(ValueError, match="use each number from 0"):
        softmax_loss(torch.randn(len(labels), 3), torch.tensor(labels).long())


@pytest.mark.slow
def test_searching_does_not_load_what_only_training_needs():
    code = "import sys, cvlib.similarity.model; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pytorch_metric_learning", "fastai", "timm"}
