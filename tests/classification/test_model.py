import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from cvlib.backbones import load_backbone
from cvlib.classification.model import (
    build_classifier,
    load_classifier,
    predict,
    predict_logits,
    predict_probabilities,
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
    early, late, head = model.parameter_groups()
    assert early[0] is model.features.conv_stem.weight
    assert head == [model.head.weight, model.head.bias]
    everything = [id(p) for group in (early, late, head) for p in group]
    assert len(everything) == len(set(everything)) == len(list(model.parameters()))


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_fitted_on_embeddings_gives_the_same_answers_inside(classes: int):
    backbone = load_backbone()
    images = torch.rand(12, 3, 64, 64)
    embeddings = embed(backbone, images)
    fitted = LogisticRegression().fit(embeddings, np.arange(12) % classes)
    classifier = build_classifier(backbone, NAMES[:classes]).eval()
    set_head(classifier, fitted.coef_, fitted.intercept_)
    with torch.no_grad():
        inside = classifier(images).softmax(dim=1).numpy()
    assert inside == pytest.approx(fitted.predict_proba(embeddings), abs=1e-4)


def test_a_head_of_another_shape_is_an_error(model):
    with pytest.raises(ValueError, match=r"head must be \(3, 1280\).*got \(2, 5\)"):
        set_head(model, np.ones((2, 5)), np.ones(2))


@pytest.mark.slow
def test_what_is_saved_comes_back(model, tmp_path):
    path = model.save(tmp_path / "deep" / "model.safetensors")
    again = load_classifier(path)
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(model(images), again(images))
    assert again.class_names == NAMES and again.image_size == 64
    assert not again.training


def test_a_prediction_names_the_most_probable_classes_first(model, tmp_path):
    Image.new("RGB", (80, 50), "red").save(tmp_path / "a.png")
    [prediction] = predict(model, tmp_path / "a.png", top=2)
    assert len(prediction.class_names) == 2
    assert prediction.scores == sorted(prediction.scores, reverse=True)
    [everything] = predict(model, tmp_path / "a.png", top=99)
    assert sorted(everything.class_names) == NAMES
    assert sum(everything.scores) == pytest.approx(1)
    best = predict_logits(model, tmp_path / "a.png").argmax()
    assert prediction.class_names[0] == NAMES[best]


def test_predictions_take_images_in_any_form_and_in_order(model, tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 64), "red").save(path)
    with Image.open(path) as file:
        picture = file.convert("RGB")
    pixels = np.asarray(picture)
    tensor = torch.tensor(pixels).permute(2, 0, 1)
    [wanted] = predict(model, path)
    for form in (str(path), picture, pixels, pixels / 255, tensor, tensor[None]):
        [found] = predict(model, form)
        assert found.class_names == wanted.class_names
        assert found.scores == pytest.approx(wanted.scores, abs=1e-5)
    dark = torch.zeros_like(tensor)
    several = predict(model, [tensor, dark, tensor])
    assert several[0] == several[2] != several[1]
    assert len(predict(model, [path, picture])) == 2
    assert predict(model, []) == []
    with pytest.raises(TypeError, match=r"images must be .* got int"):
        predict(model, 5)


def test_probabilities_of_a_model_sum_to_one_whatever_the_batch(model):
    images = torch.randint(256, (5, 3, 32, 32), dtype=torch.uint8)
    whole = predict_probabilities(model, images)
    assert torch.allclose(whole.sum(dim=1), torch.ones(5))
    pieces = predict_probabilities(model, images, batch_size=2)
    assert torch.allclose(whole, pieces, atol=1e-5)
    assert predict_probabilities(model, images[:0]).shape == (0, 3)


def test_predicting_leaves_a_model_in_training(model):
    model.train()
    first = predict_logits(model, torch.ones(2, 3, 32, 32))
    assert torch.equal(first[0], first[1])  # nothing drops out
    assert model.training and model.dropout.training
    model.eval()
