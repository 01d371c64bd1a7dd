"""Which tokens of an example are masked: a bool per position, True at some of the labelled positions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dllm.training.objective import Example

_MIN_MASK_RATIO = 1e-3  # least share of masks in a block
Mask = list[bool]


def views(
    example: Example, generator: torch.Generator, *, complementary: bool = True, tails: float = 0.0
) -> list[Mask]:
    """Two masks of one example: scattered ones, or with probability `tails` the tails of its blocks.

    Scattered masks are each other's complement, so every label counts once whatever t was (arXiv 2509.26328 §3), or
    independent if not `complementary`. Decoding is mostly left to right, so most of the masks that it meets are tails
    (the semi-autoregressive masks of dParallel, 2509.26488).
    """
    if float(torch.rand((), generator=generator)) < tails:
        return [tail(example, generator), tail(example, generator)]
    first = scattered(example, generator)
    return [first, complement(example, first) if complementary else scattered(example, generator)]


def scattered(example: Example, generator: torch.Generator) -> Mask:
    """In each block, every labelled position with probability t ~ U(0, 1), scaled to at least _MIN_MASK_RATIO."""
    blocks = len(example.ids) // example.block
    t = torch.rand(blocks, 1, generator=generator)
    u = torch.rand(blocks, example.block, generator=generator)
    return masked(example, t, u)


def masked(example: Example, t: Tensor, u: Tensor) -> Mask:
    """Scattered masks from their draws: t (blocks, 1) and u (blocks, block), both in [0, 1)."""
    drawn = (u < (1 - _MIN_MASK_RATIO) * t + _MIN_MASK_RATIO).flatten().tolist()
    return [d and label for d, label in zip(drawn, example.labelled, strict=True)]


def complement(example: Example, mask: Sequence[bool]) -> Mask:
    """The labelled positions that a mask leaves out."""
    return [label and not m for m, label in zip(mask, example.labelled, strict=True)]


def tail(example: Example, generator: torch.Generator) -> Mask:
    """In each block the last n of its labels, n ~ U{1, …, all of them}: what is left in left-to-right decoding."""
    mask = [False] * len(example.ids)
    for start in range(0, len(mask), example.block):
        if labels := [p for p in range(start, start + example.block) if example.labelled[p]]:
            for p in labels[int(torch.randint(len(labels), (), generator=generator)) :]:
                mask[p] = True
    return mask
