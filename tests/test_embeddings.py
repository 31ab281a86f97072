from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from PIL import Image

from cvlib.backbones import Backbone, load_backbone
from cvlib.classification.model import build_classifier
from cvlib.embeddings import embed, embed_places
from cvlib.images import load_image
from cvlib.samples import ImageSet, Sample

PHOTOGRAPHS = Path(sklearn.__file__).parent / "datasets" / "images"
FLOWER, CHINA = PHOTOGRAPHS / "flower.jpg", PHOTOGRAPHS / "china.jpg"


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone()


def test_embeddings_have_unit_length(backbone):
    embeddings = embed(backbone, [FLOWER, CHINA])
    assert embeddings.shape == (2, backbone.embedding_dim)
    assert embeddings.dtype == torch.float32
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(2))


def test_files_and_tensors_embed_alike(backbone):
    images = [load_image(path, size=224) for path in (FLOWER, CHINA)]
    from_files = embed(backbone, [str(FLOWER), CHINA])
    assert torch.allclose(embed(backbone, images), from_files, atol=1e-5)
    assert torch.allclose(embed(backbone, torch.stack(images)), from_files, atol=1e-5)


def test_bytes_and_floats_embed_alike(backbone):
    pixels = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    assert torch.allclose(embed(backbone, pixels), embed(backbone, pixels / 255))


def test_the_batch_size_changes_nothing(backbone):
    images = torch.rand(5, 3, 64, 64)
    one, all_at_once = embed(backbone, images, batch_size=1), embed(backbone, images)
    assert torch.allclose(one, all_at_once, atol=1e-5)


def test_a_smaller_image_size_is_possible(backbone):
    image = load_image(FLOWER, size=96)
    small = embed(backbone, [FLOWER], image_size=96)
    assert torch.allclose(small, embed(backbone, [image]), atol=1e-5)


@pytest.mark.parametrize("nothing", [[], torch.empty(0, 3, 32, 32)])
def test_no_images_are_no_embeddings(backbone, nothing):
    assert embed(backbone, nothing).shape == (0, backbone.embedding_dim)


def test_images_of_two_sizes_are_an_error(backbone):
    with pytest.raises(ValueError, match="one size, got"):
        embed(backbone, [torch.rand(3, 8, 8), torch.rand(3, 9, 9)])


def test_a_batch_without_channels_is_an_error(backbone):
    with pytest.raises(ValueError, match=r"\[3, H, W\], got \(2, 8, 8\)"):
        embed(backbone, torch.rand(2, 8, 8))


def test_the_mean_of_an_images_places_is_its_embedding(backbone):
    images = torch.rand(3, 3, 64, 64)
    places = embed_places(backbone, images, batch_size=2)
    assert places.shape == (3, 4, backbone.embedding_dim)
    assert places.dtype == torch.float16
    pooled = torch.nn.functional.normalize(places.float().mean(dim=1))
    assert torch.allclose(pooled, embed(backbone, images), atol=2e-3)


def test_no_images_have_no_places(backbone):
    assert embed_places(backbone, []).shape == (0, 0, backbone.embedding_dim)


def test_a_backbone_without_maps_is_named():
    backbone = load_backbone("torchvision/resnet18", pretrained=False)
    with pytest.raises(TypeError, match="got torchvision/resnet18: no feature maps"):
        embed_places(backbone, torch.rand(1, 3, 64, 64))


@pytest.fixture(scope="module")
def flower(backbone) -> torch.Tensor:
    return embed(backbone, [FLOWER], image_size=64)


def pictures():
    with Image.open(FLOWER) as file:
        picture = file.convert("RGB")
    pixels = np.asarray(picture)
    return {
        "a name": str(FLOWER),
        "a path": FLOWER,
        "a tuple": (FLOWER,),
        "an array of names": np.array([str(FLOWER)]),
        "PIL": picture,
        "bytes": pixels,
        "floats": pixels / 255,
        "stacked bytes": pixels[None],
        "tensor": load_image(FLOWER, size=64),
        "batch": load_image(FLOWER, size=64)[None],
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", pictures())
def test_an_image_in_any_form_gives_about_the_same(backbone, flower, form):
    """A JPEG is decoded at a smaller scale where its file is at hand."""
    found = embed(backbone, pictures()[form], image_size=64)
    assert found.shape == flower.shape
    assert float((found @ flower.T).squeeze()) > 0.97


@pytest.mark.slow
def test_a_set_and_its_samples_are_images(backbone, flower):
    samples = tuple(Sample(path, (427, 640)) for path in (FLOWER, CHINA))
    images = ImageSet(PHOTOGRAPHS, "", (), samples)
    found = embed(backbone, images, image_size=64)
    assert torch.allclose(found[:1], flower, atol=1e-5)
    for part in (images[:1], images[0], [images[0]], list(images)[:1]):
        assert torch.equal(embed(backbone, part, image_size=64), flower)


def test_what_holds_no_images_is_an_error(backbone):
    for wrong in (5, None, {"train": [FLOWER]}, [5]):
        with pytest.raises(TypeError, match="got"):
            embed(backbone, wrong)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        embed(backbone, "nowhere.jpg")


def test_images_before_the_model_are_told_the_order(backbone):
    with pytest.raises(
        TypeError, match=r"first a backbone or a model.*got a list first"
    ):
        embed([FLOWER], backbone)
    with pytest.raises(TypeError, match="then the images; got a Tensor first"):
        embed_places(torch.rand(1, 3, 64, 64), backbone)


def state(module):
    """What looking must not change: weights, their layout, modes."""
    weights = {k: (v.clone(), v.stride()) for k, v in module.state_dict().items()}
    return weights, [part.training for part in module.modules()]


@pytest.mark.parametrize("look", [embed, embed_places])
def test_looking_changes_nothing(look):
    backbone = load_backbone(pretrained=False)
    module = backbone.module.to(memory_format=torch.contiguous_format).train()
    module.bn1.eval()  # a part in another mode, as fine-tuning has it
    weights, modes = state(module)
    look(backbone, torch.rand(2, 3, 64, 64))
    after, modes_after = state(module)
    assert modes == modes_after and not module.bn1.training and module.training
    for key, (tensor, stride) in weights.items():
        assert torch.equal(tensor, after[key][0]) and stride == after[key][1]


def test_a_model_in_training_still_gives_what_it_gives_in_use():
    model = build_classifier(load_backbone(pretrained=False), ["a", "b"])
    images = torch.rand(4, 3, 64, 64)
    quiet = embed(model.eval(), images)
    assert torch.equal(embed(model.train(), images), quiet)
    assert model.training


def test_an_error_leaves_the_modes_too(backbone):
    backbone.module.train()
    with pytest.raises(ValueError, match=r"must be \[3, H, W\]"):
        embed(backbone, torch.rand(2, 4, 8, 8))
    assert backbone.module.training
    backbone.module.eval()


def test_a_backbone_stays_where_it_is_while_a_copy_looks_elsewhere(monkeypatch):
    """The meta device stands for a GPU: it computes shapes, and holds no numbers."""
    backbone = load_backbone(pretrained=False)
    monkeypatch.setattr("cvlib.embeddings.pick_device", lambda _: torch.device("meta"))
    with pytest.raises(NotImplementedError, match="meta"):
        embed(backbone, torch.rand(1, 3, 64, 64))  # cannot come back to the CPU
    assert {p.device.type for p in backbone.module.parameters()} == {"cpu"}


def test_a_model_computes_where_it_is(monkeypatch):
    """No device is picked for it, not even that of the environment."""
    monkeypatch.setenv("CVLIB_DEVICE", "nonsense")
    model = build_classifier(load_backbone(pretrained=False), ["a", "b"])
    assert embed(model, torch.rand(1, 3, 64, 64)).shape == (1, 1280)
    with pytest.raises(ValueError, match="CVLIB_DEVICE must be"):
        embed(load_backbone(pretrained=False), torch.rand(1, 3, 64, 64))


def test_embeddings_can_be_trained_on(backbone):
    features = embed(backbone, torch.rand(4, 3, 64, 64))
    layer = torch.nn.Linear(backbone.embedding_dim, 2)
    layer(features).sum().backward()
    assert layer.weight.grad is not None
