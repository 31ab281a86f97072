"""What all tests share: no settings, no chance, a small book to run."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from cvlib.devices import seed_everything

pytest_plugins = ["tests.small_book"]

ROOT = Path(__file__).parents[1]

# A busy machine must not fail a test: neither a deadline nor a slow draw counts.
settings.register_profile(
    "cvlib", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("cvlib")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings must not change what the tests see."""
    for name in ("CVLIB_PROFILE", "CVLIB_DEVICE", "CVLIB_MIRROR", "CVLIB_BOOK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """A test draws the same numbers alone, in any order and on any worker."""
    seed_everything(0)
