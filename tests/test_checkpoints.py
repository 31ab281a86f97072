import pytest
import torch
from torch import nn

from cvlib.checkpoints import read_checkpoint, save_checkpoint


@pytest.fixture
def module() -> nn.Module:
    return nn.Linear(3, 2)


def test_what_is_saved_comes_back(module, tmp_path):
    path = save_checkpoint(module, tmp_path / "deep" / "m.safetensors", {"size": 64})
    facts, weights = read_checkpoint(path, "size")
    assert facts == {"size": 64}
    assert torch.equal(weights["weight"], module.weight)


def test_saving_leaves_one_file(module, tmp_path):
    save_checkpoint(module, tmp_path / "m.safetensors", {})
    save_checkpoint(module, tmp_path / "m.safetensors", {})
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_failed_save_leaves_the_old_file(module, tmp_path, monkeypatch):
    path = save_checkpoint(module, tmp_path / "m.safetensors", {})
    before = path.read_bytes()

    def full(weights, target, metadata):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("cvlib.checkpoints.save_file", full)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(module, path, {})
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no saved model at .*m\.safe"):
        read_checkpoint(tmp_path / "m.safetensors", "size")


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_a_foreign_file_is_named(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.safetensors is not a model saved by"):
        read_checkpoint(path, "size")


def test_another_kind_of_model_says_what_it_lacks(module, tmp_path):
    path = save_checkpoint(module, tmp_path / "m.safetensors", {"size": 64})
    with pytest.raises(ValueError, match="wanted one with class_names, it has size"):
        read_checkpoint(path, "class_names")
