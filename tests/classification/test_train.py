import pytest
import torch

from cvlib.augmentation import augmentation
from cvlib.backbones import load_backbone
from cvlib.classification.model import build_classifier
from cvlib.classification.train import fit


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fine_tuning_learns_two_colours_and_leaves_the_early_layers():
    images = torch.randint(0, 60, (64, 3, 64, 64), dtype=torch.uint8)
    labels = torch.arange(64) % 2
    images[labels == 1, 0] += 180
    model = build_classifier(load_backbone(), ["grey", "red"], image_size=64)
    early = next(model.features.parameters()).clone()
    history = fit(
        model,
        images,
        labels,
        epochs=3,
        lr=1e-3,
        batch_size=4,
        transform=augmentation(64, grey=0),
        valid=(images[:8], labels[:8]),
    )
    assert len(history) == 3 and history[-1]["valid_accuracy"] == 1
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert torch.equal(early, next(model.features.parameters()))
    with torch.inference_mode():
        assert (model(images).argmax(dim=1) == labels).float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("given", [True, False])
def test_augmentation_is_applied_the_default_too(monkeypatch, given):
    """What blanks every image leaves nothing to learn two colours from."""
    asked = []

    def blank(size):
        asked.append(size)
        return torch.zeros_like

    monkeypatch.setattr("cvlib.classification.train.augmentation", blank)
    images = torch.zeros(16, 3, 32, 32, dtype=torch.uint8)
    labels = torch.arange(16) % 2
    images[labels == 1] = 255
    backbone = load_backbone("timm/mobilenetv3_small_050", pretrained=False)
    model = build_classifier(backbone, ["a", "b"], image_size=32, dropout=0)
    transform = torch.zeros_like if given else None
    history = fit(model, images, labels, epochs=4, lr=0.01, transform=transform)
    assert asked == ([] if given else [32])
    assert all(line["train_loss"] > 0.6 for line in history)
