import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvlib.book.machine import describe_machine, find_gpu


@pytest.fixture(autouse=True)
def looked_up_anew() -> Iterator[None]:
    find_gpu.cache_clear()
    yield
    find_gpu.cache_clear()


def with_nvidia_smi(folder: Path, script: str, monkeypatch) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_machine_is_described_by_what_may_explain_a_difference():
    machine = describe_machine(threads=3)
    assert machine["threads"] == 3 and machine["cores"] == os.cpu_count()
    wanted = {"cpu", "cores", "threads", "accelerator", "system", "commit"}
    assert machine.keys() == wanted and all(machine.values())


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for the tool")
@pytest.mark.parametrize(
    ("script", "name"),
    [("echo Big GPU; echo Second GPU", "Big GPU"), ("exit 9", ""), ("exit 0", "")],
)
def test_the_first_gpu_is_named_and_a_tool_that_fails_means_none(
    script: str, name: str, tmp_path: Path, monkeypatch
):
    with_nvidia_smi(tmp_path, script, monkeypatch)
    assert find_gpu() == name


def test_without_the_tool_there_is_no_gpu(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_gpu() == "" and describe_machine(1)["accelerator"] == "none"
