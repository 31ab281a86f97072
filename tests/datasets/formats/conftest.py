"""What holds for whatever is read, in all tests of formats."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvlib.datasets import formats
from cvlib.datasets.problems import Problem
from cvlib.samples import ImageSet

read = formats.read


@pytest.fixture(autouse=True)
def checked_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each set that a test reads, and each fault, is sound."""

    def reads(
        folder: Path, *, problems: list[Problem] | None = None, **options: Any
    ) -> ImageSet:
        found = read(folder, problems=problems, **options)
        assert found.root.is_absolute() == Path(folder).is_absolute()
        check_samples(found)
        check_problems(problems or [], found.root)
        return found

    monkeypatch.setattr(formats, "read", reads)


def check_samples(found: ImageSet) -> None:
    """Kinds of numbers, places of files, labels that have a name."""
    kinds = {"labels": np.int64, "boxes": np.float32, "keypoints": np.float32}
    for sample in found:
        for name, kind in {**kinds, "crowd": np.bool_}.items():
            array = getattr(sample, name)
            assert array is None or array.dtype == kind, (name, array.dtype)
        assert sample.path.is_file() and sample.path.is_relative_to(found.root)
        assert len(sample.canvas_size) == 2
        assert sample.labels.max(initial=-1) < len(found.class_names)
        assert {type(sample.split), type(sample.group)} == {str}
    assert all(isinstance(name, str) and name for name in found.class_names)


def check_problems(problems: list[Problem], root: Path) -> None:
    """A name, a place below the root, a sentence."""
    for problem in problems:
        assert problem.kind == problem.kind.lower() and " " not in problem.kind
        assert problem.paths and all(p.is_relative_to(root) for p in problem.paths)
        assert problem.message and problem.severity in ("error", "warning")
