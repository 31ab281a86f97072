import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cvlib.backbones import load_backbone
from cvlib.checkpoints import save_model
from cvlib.classification.model import Classifier, build_classifier
from cvlib.embeddings import embed
from cvlib.models import ImageModel, evaluating, look_at
from cvlib.search.exact import ExactIndex
from cvlib.similarity.model import Embedder, build_embedder

CPU = torch.device("cpu")


class Detector(ImageModel):
    """Has class names too, as a classifier has."""

    kind = "detector"

    def __init__(self, backbone, class_names, *, image_size=None):
        super().__init__(backbone, image_size=image_size)
        self.class_names = list(class_names)

    def settings(self):
        return {**super().settings(), "class_names": self.class_names}


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("timm/mobilenetv3_small_050", pretrained=False)


@pytest.fixture
def models(backbone):
    return [
        build_classifier(backbone, ["bowl", "can"], image_size=64),
        build_embedder(backbone, dim=8, image_size=64),
        Detector(backbone, ["bowl", "can"], image_size=64),
    ]


@pytest.mark.parametrize("number", range(3))
def test_what_is_saved_comes_back_whatever_its_kind(models, tmp_path, number):
    model = models[number]
    again = type(model).load(model.save(tmp_path / "deep" / "m.safetensors"))
    assert again.settings() == model.settings() and not again.training
    for key, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor)


def test_a_file_of_another_kind_says_both(models, tmp_path):
    for held in models:
        path = held.save(tmp_path / held.kind)
        for wanted in {Classifier, Embedder, Detector} - {type(held)}:
            message = f"of kind '{held.kind}'; wanted kind '{wanted.kind}'"
            with pytest.raises(ValueError, match=message):
                wanted.load(path)


FACTS = {
    "kind": "classifier",
    "backbone": "timm/mobilenetv3_small_050",
    "class_names": ["a", "b"],
    "image_size": 64,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": None}, "holds a model of no kind, with .*wanted kind 'classifier'"),
        ({"backbone": None}, "does not fit it: KeyError: 'backbone'"),
        ({"backbone": "resnet_of_mine"}, "unknown backbone 'resnet_of_mine'"),
        ({"backbone": 5}, "does not fit it: AttributeError"),
        ({"class_names": None}, "missing 1 required positional argument: 'class_n"),
        ({"class_names": ["a", "b", "c"]}, "size mismatch for head.weight"),
        ({"image_size": "64"}, "must be a number of pixels, got '64'"),
        ({"image_size": 0}, "must be a number of pixels, got 0"),
        ({"invented": 1}, "unexpected keyword argument 'invented'"),
    ],
)
def test_a_header_that_does_not_fit_is_told(backbone, tmp_path, change, message):
    weights = build_classifier(backbone, ["a", "b"]).state_dict()
    facts = {k: v for k, v in {**FACTS, **change}.items() if v is not None}
    path = save_model(tmp_path / "m.safetensors", weights, facts)
    with pytest.raises(ValueError, match=message) as caught:
        Classifier.load(path)
    assert "m.safetensors" in str(caught.value) and "\n" not in str(caught.value)


def test_other_weights_than_the_header_says_are_told(tmp_path):
    path = save_model(tmp_path / "m", nn.Linear(2, 3).state_dict(), FACTS)
    with pytest.raises(
        ValueError, match=r"m says that it holds kind 'classifier'.*Missing"
    ):
        Classifier.load(path)


def test_files_that_are_no_model_are_told(models, tmp_path):
    whole = models[0].save(tmp_path / "whole").read_bytes()
    (tmp_path / "short").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "pickled").write_bytes(b"\x80\x02}q\x00.")
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign", metadata={"format": "pt"})
    save_file({"x": torch.zeros(1)}, tmp_path / "bad", metadata={"cvlib": "{no"})
    save_file({"x": torch.zeros(1)}, tmp_path / "list", metadata={"cvlib": "[]"})
    index = ExactIndex(2)
    index.add(torch.eye(2), [0, 1])
    index.save(tmp_path / "index")
    for name, message in {
        "short": "is cut short",
        "empty": "is not a safetensors file",
        "pickled": "is not a safetensors file",
        "foreign": "wanted 'cvlib' in its header, got format",
        "bad": "is no JSON",
        "list": r"must be an object, got \[\]",
        "index": "wanted 'cvlib' in its header, got cvlib_index",
    }.items():
        with pytest.raises(ValueError, match=message):
            Classifier.load(tmp_path / name)
    for path in (tmp_path, tmp_path / "nothing-here"):
        with pytest.raises(FileNotFoundError, match=f"no file at {path}"):
            Classifier.load(path)


def test_two_models_of_one_backbone_share_no_weights(backbone):
    images = torch.rand(2, 3, 64, 64)
    before = embed(backbone, images)
    first, second = (build_classifier(backbone, ["a", "b"]) for _ in range(2))
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.1)
    assert torch.equal(embed(backbone, images), before)
    assert torch.equal(embed(second, images), before)
    assert not torch.equal(embed(first, images), before)


def test_a_model_is_on_one_device_wherever_its_backbone_goes(backbone):
    model = build_classifier(backbone, ["a", "b"]).to("meta")
    assert model.device.type == "meta"
    assert {p.device.type for p in backbone.module.parameters()} == {"cpu"}
    assert {b.device.type for b in model.buffers()} == {"meta"}


def test_it_normalises_as_its_backbone_was_trained(backbone):
    model = build_embedder(backbone)
    pixels = torch.randint(256, (2, 3, 8, 8), dtype=torch.uint8)
    for images in (pixels, pixels / 255):
        theirs = backbone.normalize(images)
        assert torch.allclose(model.normalize(images), theirs, atol=1e-6)


def test_the_groups_cover_every_parameter_once(models):
    for model in models:
        early, late, added = model.parameter_groups()
        everything = [id(p) for group in (early, late, added) for p in group]
        assert sorted(everything) == sorted(id(p) for p in model.parameters())
        assert len(early) == len(list(model.features.parameters())) // 3
        assert early[0] is model.features.conv_stem.weight


def test_settings_are_plain_json(models):
    for model in models:
        assert json.loads(json.dumps(model.settings())) == model.settings()


def test_looking_ends_in_the_modes_it_began_with_even_after_an_error():
    module = nn.Sequential(nn.Dropout(), nn.Dropout().eval())

    def fail(part, batch):
        assert not part.training and not part[0].training
        raise KeyError("a fault of its own")

    with pytest.raises(KeyError):
        look_at(module, torch.rand(1, 3, 4, 4), fail, size=4, device=CPU)
    assert [m.training for m in module.modules()] == [True, True, False]


def test_a_fault_of_the_network_is_not_taken_for_a_size():
    def fail(part, batch):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        look_at(nn.Identity(), torch.rand(1, 3, 4, 4), fail, size=4, device=CPU)


def test_a_copy_goes_where_the_module_is_not():
    module = nn.Linear(2, 2)
    with evaluating(module, torch.device("meta")) as there:
        assert there is not module and there.weight.device.type == "meta"
    assert module.weight.device.type == "cpu" and module.training
    with evaluating(module, CPU) as here:
        assert here is module and not here.training
