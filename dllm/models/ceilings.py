"""Peak FLOP/s and memory bandwidth of a machine, measured, for the roofline model (Williams et al. 2009)."""

from collections.abc import Callable
from time import perf_counter

import torch

SECONDS = 0.14  # for each of the two measurements, so that both take no more than 0.3 s
SIDES = {"cpu": (256, 512, 1024, 2048), "cuda": (1024, 2048, 4096, 8192)}  # of the square matrices multiplied
BYTES = {"cpu": 2**27, "cuda": 2**31}  # read in one go: large enough that the time of a launch does not matter
TRIES = 4


def ceilings(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Peak FLOP/s of a matrix product and bytes/s of a matrix-vector product (on a GPU also of a copy) in this dtype.

    The best of several tries, because other work on the machine only ever slows them down. A slow machine gets smaller
    products and fewer tries: a measurement ends after `SECONDS`, or after its first try.
    """
    return _peak_flops(device, dtype), _peak_bytes(device, dtype)


@torch.inference_mode()
def _peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Products of growing size, as long as the next size is expected to end in time."""
    end, best = perf_counter() + SECONDS, 0.0
    for side in SIDES[device.type]:
        square = _filled(side, side, device, dtype)
        seconds = _best(lambda square=square: square @ square, device, end)
        best = max(best, 2 * side**3 / seconds)
        if perf_counter() + 8 * seconds > end:  # twice the side is eight times the work
            break
    return best


@torch.inference_mode()
def _peak_bytes(device: torch.device, dtype: torch.dtype) -> float:
    """On a CPU in float32: every dtype is read equally fast, and torch multiplies this one without preparing it."""
    end, width = perf_counter() + SECONDS, 512
    dtype = dtype if device.type == "cuda" else torch.float32
    tall = _filled(_room(device) // width // dtype.itemsize, width, device, dtype)
    row, size = _filled(1, width, device, dtype), tall.numel() * dtype.itemsize
    read = size / _best(lambda: row @ tall.mT, device, end)
    if device.type == "cuda":  # a copy reads and writes; this is how vendors state a GPU's bandwidth
        other = torch.empty_like(tall)
        read = max(read, 2 * size / _best(lambda: other.copy_(tall), device, end))
    return read


def _filled(rows: int, columns: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Random numbers on a GPU, which multiplies ones faster; ones on a CPU, where making random numbers takes long."""
    made = torch.randn if device.type == "cuda" else torch.ones
    return made(rows, columns, dtype=dtype, device=device)


def _room(device: torch.device) -> int:
    """Bytes to read; less where a model leaves little memory on the device."""
    if device.type != "cuda":
        return BYTES[device.type]
    return min(BYTES["cuda"], torch.cuda.mem_get_info(device)[0] // 4)


def _best(work: Callable[[], object], device: torch.device, end: float) -> float:
    """Seconds of the fastest of up to `TRIES` tries that are expected to end before `end`; at least one is made."""
    best = float("inf")
    for _ in range(TRIES):
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
