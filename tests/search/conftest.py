"""A gallery of embeddings, and ids that are not their positions."""

import pytest
import torch

from tests.search.galleries import COUNT, DIM, noise


@pytest.fixture(scope="session")
def embeddings() -> torch.Tensor:
    return torch.nn.functional.normalize(noise(COUNT, DIM))


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.arange(COUNT) * 7 + 1_000_000_000_000
