import subprocess
import sys

import pytest
import torch

from cvlib.augmentation import augmentation


def test_it_keeps_bytes_and_gives_the_size_asked_for():
    image = torch.randint(0, 255, (3, 40, 40), dtype=torch.uint8)
    found = augmentation(24)(image)
    assert found.shape == (3, 24, 24)
    assert found.dtype == torch.uint8


def spread(image):
    """How far the channels of each place are apart: 0 for grey."""
    return (image.amax(dim=0).int() - image.amin(dim=0).int()).float().mean()


def test_all_crops_lose_their_colour_or_none_as_asked():
    red = torch.zeros(3, 16, 16, dtype=torch.uint8)
    red[0] = 200
    assert all(spread(augmentation(16, grey=1)(red)) == 0 for _ in range(20))
    coloured = [augmentation(16, grey=0)(red) for _ in range(20)]
    assert all(spread(image) > 20 for image in coloured)
    assert all(image.float().mean(dim=(1, 2)).argmax() == 0 for image in coloured)
    turned = [augmentation(16, grey=0.01)(red) for _ in range(20)]
    assert any(image.float().mean(dim=(1, 2)).argmax() != 0 for image in turned)


def test_crops_are_of_other_places_and_mirrored():
    ramp = torch.arange(64, dtype=torch.uint8).expand(3, 64, 64) * 3
    crops = [augmentation(16, grey=0)(ramp).float().mean(dim=0) for _ in range(40)]
    assert len({round(float(crop.mean())) for crop in crops}) > 5
    rising = [bool(crop[:, -1].mean() > crop[:, 0].mean()) for crop in crops]
    assert 5 < sum(rising) < 35


@pytest.mark.slow
def test_it_needs_no_training_loop():
    code = "import sys, cvlib.augmentation; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "fastai" not in loaded
