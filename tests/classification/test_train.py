import pytest
import torch

from cvlib.backbones import load_backbone
from cvlib.classification.model import build_classifier
from cvlib.classification.train import augmentation, fine_tune


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fine_tuning_learns_two_colours_and_leaves_the_early_layers():
    images = torch.randint(0, 60, (64, 3, 64, 64), dtype=torch.uint8)
    labels = torch.arange(64) % 2
    images[labels == 1, 0] += 180
    model = build_classifier(load_backbone(), ["grey", "red"], image_size=64)
    early = next(model.features.parameters()).clone()
    history = fine_tune(
        model,
        images,
        labels,
        epochs=3,
        lr=1e-3,
        batch_size=4,
        transform=augmentation(64, grey=0),
    )
    assert len(history) == 3
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert torch.equal(early, next(model.features.parameters()))
    with torch.inference_mode():
        assert (model(images).argmax(dim=1) == labels).float().mean() > 0.9


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_from_scratch_nothing_is_frozen():
    images = torch.randint(0, 255, (8, 3, 32, 32), dtype=torch.uint8)
    backbone = load_backbone("timm/mobilenetv3_small_050", pretrained=False)
    model = build_classifier(backbone, ["a", "b"], image_size=32)
    early = next(model.features.parameters()).clone()
    statistics = model.features.bn1.running_mean.clone()
    fine_tune(
        model,
        images,
        torch.arange(8) % 2,
        epochs=1,
        transform=augmentation(32),
        batch_size=4,
        from_scratch=True,
    )
    assert not torch.equal(early, next(model.features.parameters()))
    assert not torch.equal(statistics, model.features.bn1.running_mean)
