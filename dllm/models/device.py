"""The device that a network runs on: its name, threads, memory, and measured peaks."""

import gc
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import torch

_T = TypeVar("_T")
_PEAK_SECONDS = 0.14  # for each of the two measurements, so that both take no more than 0.3 s
MATRIX_SIDES = {"cpu": (256, 512, 1024, 2048), "cuda": (1024, 2048, 4096, 8192)}  # of the square matrices multiplied
READ_BYTES = {"cpu": 2**27, "cuda": 2**31}  # read in one go: large enough that the time of a launch does not matter
_PEAK_TRIES = 4


def machine_info(device: torch.device) -> dict[str, str | int]:
    """The device's name, torch's version, and the CPU threads of the network."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return {"device": f"{device.type}: {name}", "torch": torch.__version__, "threads": torch.get_num_threads()}


def set_threads(count: int) -> None:
    """Set torch's number of CPU threads; raises ValueError below 1."""
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


def has_cuda() -> bool:
    """Whether there is a CUDA device."""
    return torch.cuda.is_available()


def free_memory(device: torch.device | None = None) -> None:
    """Collect garbage, empty torch's CUDA cache, and reset peak memory statistics."""
    gc.collect()
    if has_cuda():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """Peak bytes of a device that torch reserved since `free_memory`, with those of CUDA graphs; None on a CPU."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None


def none_if_oom(work: Callable[[], _T]) -> _T | None:
    """The result of `work`; None if the device runs out of memory."""
    try:
        return work()
    except torch.OutOfMemoryError:
        pass
    free_memory()  # only now: while an error is handled it holds the frames, and they the tensors
    return None


def peak_rates(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Peak FLOP/s of a matrix product and bytes/s of a matrix-vector product (on a GPU also of a copy) in this dtype.

    The best of several tries, because other work on the machine only ever slows them down. A slow machine gets smaller
    products and fewer tries: a measurement ends after `_PEAK_SECONDS`, or after its first try.
    """
    return _peak_flops(device, dtype), _peak_bytes(device, dtype)


@torch.inference_mode()
def _peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Products of growing size, as long as the next size is expected to end in time."""
    end, best = perf_counter() + _PEAK_SECONDS, 0.0
    for side in MATRIX_SIDES[device.type]:
        square = _filled(side, side, device, dtype)
        seconds = _best(lambda square=square: square @ square, device, end)
        best = max(best, 2 * side**3 / seconds)
        if perf_counter() + 8 * seconds > end:  # twice the side is eight times the work
            break
    return best


@torch.inference_mode()
def _peak_bytes(device: torch.device, dtype: torch.dtype) -> float:
    """On a CPU in float32: every dtype is read equally fast, and torch multiplies this one without preparing it."""
    end, width, size = perf_counter() + _PEAK_SECONDS, 512, READ_BYTES[device.type]
    if device.type == "cuda":  # a model may leave little memory
        size = min(size, torch.cuda.mem_get_info(device)[0] // 4)
    else:
        dtype = torch.float32
    tall, row = _filled(size // width // dtype.itemsize, width, device, dtype), _filled(1, width, device, dtype)
    read = tall.nbytes / _best(lambda: row @ tall.mT, device, end)
    if device.type == "cuda":  # a copy reads and writes; this is how vendors state a GPU's bandwidth
        other = torch.empty_like(tall)
        read = max(read, 2 * tall.nbytes / _best(lambda: other.copy_(tall), device, end))
    return read


def _filled(rows: int, columns: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Random numbers on a GPU, which multiplies ones faster; ones on a CPU, where making random numbers takes long."""
    made = torch.randn if device.type == "cuda" else torch.ones
    return made(rows, columns, dtype=dtype, device=device)


def _best(work: Callable[[], object], device: torch.device, end: float) -> float:
    """Seconds of the fastest of up to `_PEAK_TRIES` tries; all but the first are expected to end before `end`."""
    best = float("inf")
    for _ in range(_PEAK_TRIES):
        _finish(device)
        began = perf_counter()
        work()
        _finish(device)
        now = perf_counter()
        best = min(best, now - began)
        if now + best > end:
            break
    return best


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
