import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cvlib.checkpoints import read_model, read_tensors, save_model, write_tensors

FACTS = {"kind": "toy", "size": 64}


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return nn.Linear(3, 2).state_dict()


@pytest.mark.slow
def test_what_is_saved_comes_back(weights, tmp_path):
    path = save_model(tmp_path / "deep" / "m.safetensors", weights, FACTS)
    facts, again = read_model(path, "toy")
    assert facts == {"size": 64}
    assert torch.equal(again["weight"], weights["weight"])


def test_saving_leaves_one_file(weights, tmp_path):
    save_model(tmp_path / "m.safetensors", weights, FACTS)
    save_model(tmp_path / "m.safetensors", weights, FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_failed_save_leaves_the_old_file(weights, tmp_path, monkeypatch):
    path = save_model(tmp_path / "m.safetensors", weights, FACTS)
    before = path.read_bytes()

    def full(weights, target, metadata):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("cvlib.checkpoints.save_file", full)
    with pytest.raises(OSError, match="disk full"):
        save_model(path, weights, FACTS)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file at .*m\.safe"):
        read_model(tmp_path / "m.safetensors", "toy")


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_a_foreign_file_is_named(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.safetensors is not a safetensors file"):
        read_model(path, "toy")


def test_another_kind_says_what_was_wanted_and_what_came(weights, tmp_path):
    path = save_model(tmp_path / "m.safetensors", weights, FACTS)
    with pytest.raises(
        ValueError, match="holds a model of kind 'toy'; wanted kind 'classifier'"
    ):
        read_model(path, "classifier")
    path = save_model(tmp_path / "m.safetensors", weights, {"size": 64})
    with pytest.raises(ValueError, match="of no kind, with size; wanted kind 'toy'"):
        read_model(path, "toy")


def test_tensors_stand_under_any_key_of_the_header(tmp_path):
    rows = {"rows": torch.arange(6).view(2, 3)}
    path = write_tensors(tmp_path / "i", rows, {"index": '{"dim": 3}'})
    facts, tensors = read_tensors(path, "index")
    assert facts == {"dim": 3} and torch.equal(tensors["rows"], rows["rows"])
    with pytest.raises(ValueError, match="wanted 'cvlib' in its header, got index"):
        read_tensors(path, "cvlib")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "wanted 'cvlib' in its header, got an empty one"),
        ({"cvlib": "{"}, "'cvlib' in its header is no JSON"),
        ({"cvlib": "5"}, "must be an object, got 5"),
    ],
)
def test_a_header_that_is_not_ours_is_named(tmp_path, header, message):
    save_file({"x": torch.zeros(1)}, tmp_path / "m", metadata=header)
    with pytest.raises(ValueError, match=message):
        read_tensors(tmp_path / "m", "cvlib")
