"""The machine a run was made on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any


def describe_machine(threads: int) -> dict[str, Any]:
    """Processor, cores, accelerator, system and commit, for the run's badge."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "accelerator": find_gpu() or "none",
        "system": platform.platform(),
        "commit": _commit(),
    }


@cache
def find_gpu() -> str:
    """The name of the first CUDA device, or an empty string."""
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    if shutil.which(query[0]) is None:
        return ""
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    names = found.stdout.splitlines() if found.returncode == 0 else []
    return names[0].strip() if names else ""


@cache
def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@cache
def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    folder = Path(__file__).parent
    found = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else "unknown"
