"""Where to compute, and with which random numbers.

Every chapter starts here: `seed_everything` makes its run repeatable, `pick_device`
chooses the processor and never swaps one that was named.
"""

import ctypes
import os
import random
import re
import sys
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch


def pick_device(wanted: torch.device | str | None = None) -> torch.device:
    """The device to compute on, checked to be there; it changes nothing.

    `wanted` (or else the environment variable CVLIB_DEVICE) names one: "cpu", "cuda",
    "cuda:1", "mps". Without either: the first GPU, else Apple's, else the CPU. Raises
    ValueError for a name that is no device and RuntimeError for a device that this
    machine does not have. Used in book/classification/train.
    """
    source = "device" if wanted else "CVLIB_DEVICE"
    wanted = str(wanted or os.environ.get("CVLIB_DEVICE", "").strip())
    if not wanted:
        return torch.device(_available()[-1])
    kind, _, index = wanted.partition(":")
    if not re.fullmatch("cpu|mps|cuda(:[0-9]+)?", wanted):
        raise ValueError(f"{source} must be cpu, cuda, cuda:N or mps, got {wanted!r}")
    if kind not in _available() or _missing_gpu(kind, index):
        raise RuntimeError(
            f"{source} asks for {wanted!r}, this machine has: {_describe_available()}"
        )
    return torch.device(wanted)


def pick_batch_size(canvas_size: Sequence[int], device: torch.device) -> int:
    """How many images of (height, width) to look at together, nothing being trained.

    On a CPU as many as have 300,000 pixels: more take memory, and save next to no time.
    A GPU gets 128. Used in book/classification/predict.
    """
    height, width = canvas_size
    return max(1, round(300_000 / (height * width))) if device.type == "cpu" else 128


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, so that a run on this machine repeats itself.

    Another processor or thread count still adds numbers in another order: expect
    results to agree to a few decimals there, not to the last bit. Used in
    book/classification/train.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@cache
def keep_memory() -> None:
    """Have glibc keep the memory of large arrays for the next ones; only Linux has it.

    For a script or a notebook that looks at many images on the CPU: the book's engine
    does the same for its chapters. Not for a service, whose process would keep its peak
    for good. Where the environment sets `MALLOC_TRIM_THRESHOLD_` or its like, that
    stays.

    By itself it gives each array above 32 MB back and gets it anew, page by page, for
    every layer of every batch: EfficientNet-Lite0 then takes up to twice as long on 16
    images of 192 px. The process keeps its peak, whatever took it; other threads keep
    arrays up to 64 MB. A glibc that refuses a threshold of 1 GB (2.31 does) maps no
    array at all. Source: man mallopt, and glibc's malloc.c.
    """
    own = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_")
    if sys.platform != "linux" or any(name in os.environ for name in own):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        trim_threshold, mmap_threshold, mmap_max = -1, -3, -4
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**30) or mallopt(mmap_max, 0)


def _available() -> list[str]:
    """Kinds of device on this machine, the best one last."""
    kinds = ["cpu"]
    if torch.backends.mps.is_available():
        kinds.append("mps")
    if torch.cuda.is_available():
        kinds.append("cuda")
    return kinds


def _missing_gpu(kind: str, index: str) -> bool:
    return kind == "cuda" and int(index or 0) >= torch.cuda.device_count()


def _describe_available() -> str:
    kinds = _available()
    if "cuda" in kinds:
        kinds[-1] = f"cuda (0 to {torch.cuda.device_count() - 1})"
    return ", ".join(kinds)
