"""The doctor beside cleanvision, on the same images, in one run.

CVLIB_BENCH_IMAGES says how many, 10,000 unless given.
"""

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from cvlib.datasets import fetch
from cvlib.doctor import examine
from cvlib.doctor.duplicates import find_near_copies
from cvlib.doctor.files import Facts

COUNT = int(os.environ.get("CVLIB_BENCH_IMAGES", "10000"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Many different images: pieces of the shipped ones, at the shipped size."""
    root = tmp_path_factory.mktemp("many")
    sources = sorted(fetch("pantry/products").rglob("*.jpg"))
    generator = np.random.default_rng(0)
    for number in range(COUNT):
        with Image.open(sources[number % len(sources)]) as file:
            left, top = generator.integers(0, 80, 2)
            piece = file.crop((left, top, left + 144, top + 144)).resize((224, 224))
        place = root / f"class{number % 10}" / f"{number:05d}.jpg"
        place.parent.mkdir(exist_ok=True)
        piece.save(place, quality=85)
    yield root


@pytest.mark.benchmark(group="doctor")
def test_cvlib_doctor(images: Path, benchmark: BenchmarkFixture):
    report = benchmark.pedantic(examine, args=[images], rounds=1)
    memory = psutil.Process().memory_info().rss
    benchmark.extra_info |= {"images": report.images, "memory_mb": memory / 1e6}
    assert report.images == COUNT


@pytest.mark.parametrize("noise", [3, 25])
@pytest.mark.benchmark(group="doctor-one-camera")
def test_near_copies_among_frames_of_one_camera(
    noise: int, benchmark: BenchmarkFixture
):
    """The hardest case: every frame is a candidate for being every other's copy."""
    generator = np.random.default_rng(0)
    frames = COUNT // 4
    scene = generator.uniform(0, 200, (12, 12)).repeat(4, axis=0).repeat(4, axis=1)
    facts = []
    for number in range(frames):
        frame = scene + generator.normal(0, noise, scene.shape)
        left, top = generator.integers(0, 38, 2)
        frame[top : top + 10, left : left + 10] = generator.uniform(0, 255)
        thumb = frame.clip(0, 255).astype(np.uint8)
        facts.append(Facts(Path(f"{number}.jpg"), digest=str(number), thumb=thumb))
    benchmark.extra_info["frames"] = frames
    groups = benchmark.pedantic(find_near_copies, args=[facts], rounds=1)
    benchmark.extra_info["in a group"] = sum(map(len, groups))


@pytest.mark.benchmark(group="doctor")
@pytest.mark.filterwarnings("ignore")  # cleanvision's own, about pandas
def test_cleanvision(images: Path, benchmark: BenchmarkFixture):
    from cleanvision import Imagelab

    def look() -> int:
        with redirect_stdout(io.StringIO()):
            lab = Imagelab(data_path=str(images))
            lab.find_issues()
        return len(lab.issues)

    benchmark.extra_info["images"] = benchmark.pedantic(look, rounds=1)
