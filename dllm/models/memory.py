"""CUDA memory: releasing it, peak use, and work that may not fit into it."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

Made = TypeVar("Made")


def has_cuda() -> bool:
    """Whether there is a CUDA device."""
    return torch.cuda.is_available()


def release(device: torch.device | None = None) -> None:
    """Free what nothing refers to, and restart the peak memory statistics of a CUDA device."""
    gc.collect()
    if has_cuda():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> int | None:
    """Peak bytes of a device that torch reserved since `release`, with those of CUDA graphs; None on a CPU."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None


def unless_full(work: Callable[[], Made]) -> Made | None:
    """The result of the work; None if the device runs out of memory."""
    try:
        return work()
    except torch.OutOfMemoryError:
        pass
    release()  # only now: while an error is handled it holds the frames, and they the tensors
    return None
