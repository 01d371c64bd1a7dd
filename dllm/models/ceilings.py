"""What a machine can do at most: operations and bytes a second, measured, for the roofline (Williams et al. 2009)."""

from collections.abc import Callable
from time import perf_counter

import torch

from dllm.models.beside import Beside, packable

SIDE = {"cpu": 2048, "cuda": 8192}  # of the square matrices multiplied
BYTES = {"cpu": 2**27, "cuda": 2**30}  # read in one go: far more than a cache holds
TRIES = 15


@torch.inference_mode()
def ceilings(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Operations a second of a large product, and bytes a second of one row times a large matrix, in this dtype.

    The best of several tries, because other work on the machine only ever slows them. Takes below a second.
    """
    side, width = SIDE[device.type], 512
    square = torch.ones(side, side, dtype=dtype, device=device)
    flops = 2 * side**3 / _best(lambda: square @ square, device)
    rows = BYTES[device.type] // width // dtype.itemsize
    tall = torch.nn.Linear(width, rows, bias=False, device="meta")  # random numbers would take longer than all else
    tall.weight = torch.nn.Parameter(torch.ones(rows, width, dtype=dtype, device=device), requires_grad=False)
    row, product = torch.ones(1, width, dtype=dtype, device=device), Beside()
    if packable(tall.weight):
        product.pack(tall)
    read = tall.weight.numel() * dtype.itemsize / _best(lambda: product(row, tall), device)
    return flops, read


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
