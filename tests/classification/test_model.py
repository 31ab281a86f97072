import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from cvlib.backbones import load_backbone
from cvlib.classification.model import (
    build_classifier,
    load_classifier,
    parameter_groups,
    predict,
    save_classifier,
    set_head,
)
from cvlib.embeddings import embed

NAMES = ["bowl", "can", "mug"]


@pytest.fixture(scope="module")
def model():
    backbone = load_backbone(pretrained=False)
    return build_classifier(backbone, NAMES, image_size=64).eval()


def test_images_become_one_logit_a_class(model):
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 3)


def test_it_normalises_by_itself(model):
    pixels = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    features = model.features((pixels / 255 - 0.5) / 0.5)
    by_hand = model.head(torch.nn.functional.normalize(features))
    assert torch.allclose(model(pixels), by_hand, atol=1e-5)
    assert torch.allclose(model(pixels / 255), by_hand, atol=1e-5)


def test_the_groups_run_from_stem_to_head_and_cover_everything_once(model):
    early, late, head = parameter_groups(model)
    assert early[0] is model.features.conv_stem.weight
    assert head == [model.head.weight, model.head.bias]
    everything = [id(p) for group in (early, late, head) for p in group]
    assert len(everything) == len(set(everything)) == len(list(model.parameters()))


def test_a_head_fitted_on_embeddings_gives_the_same_answers_inside():
    backbone = load_backbone()
    images = torch.rand(12, 3, 64, 64)
    embeddings = embed(images, backbone)
    fitted = LogisticRegression().fit(embeddings, [0, 1, 2] * 4)
    classifier = build_classifier(backbone, NAMES).eval()
    set_head(classifier, fitted.coef_, fitted.intercept_)
    with torch.no_grad():
        inside = classifier(images).softmax(dim=1).numpy()
    assert inside == pytest.approx(fitted.predict_proba(embeddings), abs=1e-4)


def test_a_head_of_another_shape_is_an_error(model):
    with pytest.raises(ValueError, match=r"head must be \(3, 1280\).*got \(2, 5\)"):
        set_head(model, np.ones((2, 5)), np.ones(2))


def test_what_is_saved_comes_back(model, tmp_path):
    path = save_classifier(model, tmp_path / "deep" / "model.safetensors")
    again = load_classifier(path)
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(model(images), again(images))
    assert again.class_names == NAMES and again.image_size == 64
    assert not again.training


def test_a_prediction_names_the_most_probable_classes_first(model, tmp_path):
    Image.new("RGB", (80, 50), "red").save(tmp_path / "a.png")
    prediction = predict(model, tmp_path / "a.png", top=2)
    assert len(prediction.class_names) == 2
    assert prediction.scores == sorted(prediction.scores, reverse=True)
    everything = predict(model, tmp_path / "a.png", top=99)
    assert sorted(everything.class_names) == NAMES
    assert sum(everything.scores) == pytest.approx(1)
