import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from cvlib.devices import pick_batch_size, pick_device, seed_everything


def test_a_named_device_is_returned():
    assert pick_device("cpu") == torch.device("cpu")


def test_a_device_may_be_given_as_one():
    assert pick_device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(ValueError, match="got 'meta'"):
        pick_device(torch.device("meta"))


def test_the_environment_names_a_device(monkeypatch):
    monkeypatch.setenv("CVLIB_DEVICE", "cpu")
    assert pick_device() == torch.device("cpu")


def test_an_argument_beats_the_environment(monkeypatch):
    monkeypatch.setenv("CVLIB_DEVICE", "nonsense")
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "cpu:3", "tpu"])
def test_a_name_that_is_no_device_is_an_error(name):
    with pytest.raises(ValueError, match=rf"cpu, cuda, cuda:N or mps, got '{name}'"):
        pick_device(name)


def test_a_device_that_is_not_there_is_no_silent_fallback(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv("CVLIB_DEVICE", "cuda")
    with pytest.raises(RuntimeError, match=r"CVLIB_DEVICE asks for 'cuda'.*has: cpu"):
        pick_device()


def test_a_gpu_number_past_the_last_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(RuntimeError, match=r"cuda \(0 to 1\)"):
        pick_device("cuda:2")


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_a_batch_on_a_cpu_shrinks_as_images_grow():
    cpu = torch.device("cpu")
    sizes = [pick_batch_size((side, side), cpu) for side in (96, 192, 384, 4000)]
    assert sizes == [33, 8, 2, 1]
    assert pick_batch_size((384, 384), torch.device("cuda")) == 128


FAULTS = """
import resource, sys, torch
from cvlib.devices import keep_memory, pick_batch_size, pick_device
pick_batch_size((64, 64), pick_device("cpu"))
if sys.argv[1] == "kept":
    keep_memory()
for _ in range(20):
    torch.ones(16_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is meant")
def test_memory_is_kept_only_when_asked_for_and_where_the_user_set_nothing():
    def faults(how: str, **own: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        plain = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
        return int(subprocess.check_output(command, env={**plain, **own}))

    pages = 16_000_000 * 4 / 4096
    given_back = faults("given back")
    assert given_back - faults("kept") > 5 * pages
    threshold = {"MALLOC_MMAP_THRESHOLD_": "131072"}
    assert abs(given_back - faults("kept", **threshold)) < 5 * pages


def test_the_same_seed_gives_the_same_numbers():
    seed_everything(7)
    first = draw()
    seed_everything(7)
    assert draw() == first
    seed_everything(8)
    assert draw() != first
