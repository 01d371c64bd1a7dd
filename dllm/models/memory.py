"""What a CUDA device's memory holds, and what it does not."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

Made = TypeVar("Made")


def has_cuda() -> bool:
    """Whether there is a CUDA device."""
    return torch.cuda.is_available()


def release(device: torch.device | None = None) -> None:
    """Give back what nothing refers to; on a CUDA device a count of the most that is held begins anew."""
    gc.collect()
    if has_cuda():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> int | None:
    """Most bytes that torch held of a device since `release`, memory of graphs included; None on a CPU."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None


def unless_full(work: Callable[[], Made]) -> Made | None:
    """What the work gives; None where the device's memory does not hold it."""
    try:
        return work()
    except torch.OutOfMemoryError:
        pass
    release()  # only now: while an error is handled it holds the frames, and they the tensors
    return None
