"""The machine that a network runs on: its name, and the number of CPU threads."""

import platform
from functools import cache
from pathlib import Path

import torch


def machine(device: torch.device) -> dict[str, str | int]:
    """The device's name, torch's version, and the CPU threads of the network."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return {"device": f"{device.type}: {name}", "torch": torch.__version__, "threads": torch.get_num_threads()}


def use_threads(count: int) -> None:
    """Set the number of CPU threads of the network.

    Raises:
        ValueError: fewer than one.
    """
    if count < 1:
        raise ValueError(f"threads is {count}; allowed: 1 or more")
    torch.set_num_threads(count)


@cache
def _cpu_name() -> str:
    """The processor as Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
