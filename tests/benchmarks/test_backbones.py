"""Embedding a folder of photographs: `embed` beside the loop most people write.

Ratios within one run count; the seconds of a machine do not. `make bench` shows both.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cvlib.backbones import Backbone, load_backbone
from cvlib.datasets import fetch
from cvlib.devices import keep_memory
from cvlib.embeddings import embed

COUNT = 64


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    keep_memory()  # as the engine does for chapters
    return load_backbone()


@pytest.fixture(scope="module")
def paths() -> list[Path]:
    return sorted(fetch("pantry/products").glob("test/*/*.jpg"))[:COUNT]


@torch.no_grad()
def embed_one_by_one(paths: list[Path], backbone: Backbone) -> torch.Tensor:
    """Decode with PIL, one image at a time through the network, default layout."""
    rows = []
    for path in paths:
        pixels = np.array(Image.open(path).convert("RGB").resize((224, 224)))
        image = torch.tensor(pixels).permute(2, 0, 1)[None]
        rows.append(backbone.module(backbone.normalize(image)))
    return torch.nn.functional.normalize(torch.cat(rows))


@pytest.mark.benchmark(group="embed 64 images")
def test_embed(benchmark, backbone, paths):
    assert benchmark(embed, backbone, paths).shape == (COUNT, 1280)


@pytest.mark.benchmark(group="embed 64 images")
def test_one_by_one(benchmark, backbone, paths):
    plain = Backbone(
        **{
            **vars(backbone),
            "module": backbone.module.to(memory_format=torch.contiguous_format),
        }
    )
    assert benchmark(embed_one_by_one, paths, plain).shape == (COUNT, 1280)
