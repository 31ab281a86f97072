import pytest
import torch
from PIL import Image
from torch import nn

from cvlib.backbones import load_backbone
from cvlib.classification.model import build_classifier
from cvlib.embeddings import embed
from cvlib.similarity.model import (
    build_embedder,
    load_embedder,
)


@pytest.fixture(scope="module")
def backbone():
    return load_backbone(pretrained=False)


@pytest.fixture(scope="module")
def short(backbone):
    """An embedder of 16 numbers."""
    return build_embedder(backbone, dim=16, image_size=64).eval()


def bytes_of(count):
    return torch.randint(256, (count, 3, 64, 64), dtype=torch.uint8)


@pytest.mark.slow
def test_embeddings_have_the_asked_length_and_lie_on_the_unit_sphere(short):
    found = embed(short, bytes_of(3), batch_size=2)
    assert found.shape == (3, 16) and found.dtype == torch.float32
    assert torch.allclose(found.norm(dim=1), torch.ones(3))


@pytest.mark.slow
def test_without_a_projection_they_are_the_backbones_own(backbone):
    images = bytes_of(3)
    model = build_embedder(backbone)
    assert torch.allclose(embed(model, images), embed(backbone, images), atol=1e-5)
    assert model.embedding_dim == backbone.embedding_dim


@pytest.mark.slow
def test_bytes_and_floats_give_the_same_embedding(short):
    images = bytes_of(2)
    assert torch.allclose(embed(short, images), embed(short, images / 255), atol=1e-5)


@pytest.mark.slow
def test_an_embedding_does_not_depend_on_the_batch_it_came_in(short):
    images = bytes_of(5)
    one_by_one = embed(short, images, batch_size=1)
    assert torch.allclose(embed(short, images), one_by_one, atol=1e-5)


@pytest.mark.slow
def test_nothing_drops_out_even_after_training_mode(short):
    images = bytes_of(2)
    first = embed(short.train(), images)
    assert torch.equal(first, embed(short.train(), images))
    assert not any(isinstance(m, nn.Dropout) and m.p for m in short.modules())


@pytest.mark.slow
def test_files_are_read_at_the_size_of_the_model(short, tmp_path):
    Image.new("RGB", (80, 50), "red").save(tmp_path / "a.png")
    by_hand = torch.zeros(1, 3, 64, 64)
    by_hand[:, 0] = 1
    found = embed(short, [tmp_path / "a.png"])
    assert torch.allclose(found, embed(short, by_hand), atol=1e-5)


def test_no_images_give_no_embeddings(short):
    assert embed(short, torch.empty(0, 3, 64, 64)).shape == (0, 16)
    assert embed(short, []).shape == (0, 16)


def test_a_fresh_projection_keeps_its_rows_orthogonal(short):
    weight = short.projection.weight
    assert torch.allclose(weight @ weight.T, torch.eye(16), atol=1e-5)


@pytest.mark.parametrize("dim", [0, -1, 5000])
def test_a_length_that_cannot_be_is_an_error(backbone, dim):
    with pytest.raises(ValueError, match=rf"dim must be 1 to 1280.*got {dim}"):
        build_embedder(backbone, dim=dim)


def test_the_groups_run_from_stem_to_projection_and_cover_everything_once(short):
    early, late, projection = short.parameter_groups()
    assert early[0] is short.features.conv_stem.weight
    assert projection == [short.projection.weight]
    everything = [id(p) for group in (early, late, projection) for p in group]
    assert len(everything) == len(set(everything)) == len(list(short.parameters()))


@pytest.mark.slow
@pytest.mark.parametrize("dim", [None, 16])
def test_what_is_saved_comes_back(backbone, tmp_path, dim):
    model = build_embedder(backbone, dim=dim, image_size=64)
    path = model.save(tmp_path / "deep" / "model.safetensors")
    again = load_embedder(path)
    images = bytes_of(2)
    assert torch.equal(embed(model, images), embed(again, images))
    assert again.dim == dim and again.image_size == 64 and not again.training


def test_another_kind_of_model_is_refused(backbone, tmp_path):
    path = build_classifier(backbone, ["a"]).save(tmp_path / "a")
    with pytest.raises(
        ValueError, match="of kind 'classifier'; wanted kind 'embedder'"
    ):
        load_embedder(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        load_embedder(tmp_path / "nothing-here")
