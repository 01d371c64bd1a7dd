"""What a machine can do at most: operations and bytes a second, measured, for the roofline (Williams et al. 2009)."""

from collections.abc import Callable
from time import perf_counter

import torch

from dllm.models.beside import Beside, packable

SIDE = {"cpu": 2048, "cuda": 8192}  # of the square matrices multiplied
BYTES = {"cpu": 2**27, "cuda": 2**31}  # read in one go: far more than a cache holds, and so that a launch is no matter
TRIES = 15


@torch.inference_mode()
def ceilings(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Operations a second of a large product, and bytes a second of one row times a large matrix, in this dtype.

    On a GPU the bytes are those of a copy, where that is faster.

    The best of several tries, because other work on the machine only ever slows them. Takes below a second.
    """
    side, width = SIDE[device.type], 512
    # random numbers cost a CPU more than all else, and a GPU multiplies ones faster than it can anything real
    made = torch.randn if device.type == "cuda" else torch.ones
    square = made(side, side, dtype=dtype, device=device)
    flops = 2 * side**3 / _best(lambda: square @ square, device)
    rows = _room(device) // width // dtype.itemsize
    tall = torch.nn.Linear(width, rows, bias=False, device="meta")  # its own random numbers would not be wanted
    tall.weight = torch.nn.Parameter(made(rows, width, dtype=dtype, device=device), requires_grad=False)
    size = tall.weight.numel() * dtype.itemsize
    row, product = made(1, width, dtype=dtype, device=device), Beside()
    if packable(tall.weight):
        product.pack(tall)
    read = size / _best(lambda: product(row, tall), device)
    if device.type == "cuda":  # a copy, read and written, is what its bandwidth is known by
        other = torch.empty_like(tall.weight)
        read = max(read, 2 * size / _best(lambda: other.copy_(tall.weight), device))
    return flops, read


def _room(device: torch.device) -> int:
    """Bytes to read: beside a model that fills a device, what there is still room for twice."""
    if device.type != "cuda":
        return BYTES[device.type]
    return min(BYTES["cuda"], torch.cuda.mem_get_info(device)[0] // 4)


def _best(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the quickest try, after one that does not count."""
    seconds = []
    for _ in range(TRIES + 1):
        _finish(device)
        began = perf_counter()
        work()
        _finish(device)
        seconds.append(perf_counter() - began)
    return min(seconds[1:])


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
