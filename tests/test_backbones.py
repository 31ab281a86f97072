import socket
from pathlib import Path

import pytest
import sklearn
import torch
from huggingface_hub import utils as hub

from cvlib.backbones import (
    Backbone,
    WeightsUnavailableError,
    _packaged_weights,
    load_backbone,
)
from cvlib.embeddings import embed, embed_places
from cvlib.images import load_image

PHOTOGRAPHS = Path(sklearn.__file__).parent / "datasets" / "images"
FLOWER, CHINA = PHOTOGRAPHS / "flower.jpg", PHOTOGRAPHS / "china.jpg"


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


def test_every_packaged_tensor_has_a_place_in_the_network(backbone):
    weights = _packaged_weights()
    expected = {f"features.{k}" for k in backbone.module.state_dict()}
    assert backbone.head is not None
    expected |= {f"classifier.{k}" for k in backbone.head.state_dict()}
    assert len(weights) == len(expected) == 296


def test_it_carries_its_own_normalisation_not_imagenets(backbone):
    assert backbone.mean == backbone.std == (0.5, 0.5, 0.5)
    grey = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    assert backbone.normalize(grey)[:, 0, 0, 0].tolist() == [-1, 0, 1]


@torch.no_grad()
@pytest.mark.parametrize(("path", "name"), [(FLOWER, "daisy"), (CHINA, "palace")])
def test_it_recognises_a_photograph(backbone, path, name):
    image = load_image(path, size=backbone.image_size)
    logits = backbone.head(backbone.module(backbone.normalize(image[None])))
    assert backbone.class_names[logits.argmax()] == name


def test_embeddings_have_unit_length(backbone):
    embeddings = embed([FLOWER, CHINA], backbone)
    assert embeddings.shape == (2, backbone.embedding_dim)
    assert embeddings.dtype == torch.float32
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(2))


def test_files_and_tensors_embed_alike(backbone):
    images = [load_image(path, size=224) for path in (FLOWER, CHINA)]
    from_files = embed([str(FLOWER), CHINA], backbone)
    assert torch.allclose(embed(images, backbone), from_files, atol=1e-5)
    assert torch.allclose(embed(torch.stack(images), backbone), from_files, atol=1e-5)


def test_bytes_and_floats_embed_alike(backbone):
    pixels = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    assert torch.allclose(embed(pixels, backbone), embed(pixels / 255, backbone))


def test_the_batch_size_changes_nothing(backbone):
    images = torch.rand(5, 3, 64, 64)
    one, all_at_once = embed(images, backbone, batch_size=1), embed(images, backbone)
    assert torch.allclose(one, all_at_once, atol=1e-5)


def test_a_smaller_image_size_is_possible(backbone):
    image = load_image(FLOWER, size=96)
    small = embed([FLOWER], backbone, image_size=96)
    assert torch.allclose(small, embed([image], backbone), atol=1e-5)


@pytest.mark.parametrize("nothing", [[], torch.empty(0, 3, 32, 32)])
def test_no_images_are_no_embeddings(backbone, nothing):
    assert embed(nothing, backbone).shape == (0, backbone.embedding_dim)


def test_images_of_two_sizes_are_an_error(backbone):
    with pytest.raises(ValueError, match="one size, got"):
        embed([torch.rand(3, 8, 8), torch.rand(3, 9, 9)], backbone)


def test_a_batch_without_channels_is_an_error(backbone):
    with pytest.raises(ValueError, match=r"\[3, H, W\], got \(8, 8\)"):
        embed(torch.rand(2, 8, 8), backbone)


def test_the_mean_of_an_images_places_is_its_embedding(backbone):
    images = torch.rand(3, 3, 64, 64)
    places = embed_places(images, backbone, batch_size=2)
    assert places.shape == (3, 4, backbone.embedding_dim)
    assert places.dtype == torch.float16
    pooled = torch.nn.functional.normalize(places.float().mean(dim=1))
    assert torch.allclose(pooled, embed(images, backbone), atol=2e-3)


def test_no_images_have_no_places(backbone):
    assert embed_places([], backbone).shape == (0, 0, backbone.embedding_dim)


def test_a_backbone_without_maps_is_named():
    backbone = load_backbone("torchvision/resnet18", pretrained=False)
    with pytest.raises(TypeError, match="got torchvision/resnet18: no feature maps"):
        embed_places(torch.rand(1, 3, 64, 64), backbone)


def test_random_weights_name_no_classes():
    backbone = load_backbone(pretrained=False)
    assert backbone.head is None and backbone.class_names == ()


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
    assert embed(torch.rand(2, 3, 64, 64), backbone).shape == (
        2,
        backbone.embedding_dim,
    )


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
        ("resnet18", "torchvision/resnet18"),
        ("timm/resnet_18", "timm/resnet18"),
        ("torchvision/resnet81", "torchvision/resnet18"),
    ],
)
def test_an_unknown_name_lists_close_ones(name, close):
    with pytest.raises(ValueError, match="unknown backbone") as caught:
        load_backbone(name)
    assert close in str(caught.value)
