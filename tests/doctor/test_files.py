"""One look at a file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.doctor import files


def gradient(mode: str) -> Image.Image:
    grey = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
    return Image.fromarray(grey).convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
def test_every_mode_gives_a_small_grey_picture(tmp_path: Path, mode: str):
    gradient(mode).save(tmp_path / "a.png")
    facts = files.look_at(tmp_path / "a.png")
    assert facts.thumb.shape == (files.THUMB, files.THUMB)
    assert facts.size == (64, 64)
    faults = {"RGBA": ["mode"], "LA": ["mode"]}
    assert [p.kind for p in facts.problems] == faults.get(mode, [])


def test_sixteen_bits_are_scaled_and_noted(tmp_path: Path):
    deep = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    Image.fromarray(deep).save(tmp_path / "a.png")
    facts = files.look_at(tmp_path / "a.png")
    assert [p.kind for p in facts.problems] == ["mode"]
    assert facts.thumb.max() > 200


def test_a_large_photograph_is_a_warning(tmp_path: Path):
    gradient("L").resize((3000, 2800)).save(tmp_path / "a.jpg")
    (problem,) = files.look_at(tmp_path / "a.jpg").problems
    assert (problem.kind, problem.severity) == ("huge", "warning")


def test_facts_come_in_the_order_of_the_paths(tmp_path: Path):
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for path in paths:
        gradient("L").save(path)
    assert [f.path for f in files.look_at_all(paths, workers=3)] == paths


def test_a_folder_called_like_an_image_is_unreadable(tmp_path: Path):
    (tmp_path / "a.jpg").mkdir()
    assert [p.kind for p in files.look_at(tmp_path / "a.jpg").problems] == [
        "unreadable"
    ]
