"""What training masks: which answer tokens of an example are hidden from the network and are to be predicted.

A mask is a bool per position of the example, and only labelled positions are ever masked.
"""

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

    Scattered masks are each other's complement, so every label counts once whatever t was (arXiv 2509.26328 §3); where
    `complementary` is off they are drawn apart. Decoding writes mostly from left to right, so it meets mostly tails
    (the semi-autoregressive masks of dParallel, 2509.26488).
    """
    if float(torch.rand((), generator=generator)) < tails:
        return [tail(example, generator), tail(example, generator)]
    first = scattered(example, generator)
    return [first, complement(example, first) if complementary else scattered(example, generator)]


def scattered(example: Example, generator: torch.Generator) -> Mask:
    """In each block each labelled position with one probability, t ~ U(0, 1) floored."""
    blocks = len(example.ids) // example.block
    t = torch.rand(blocks, 1, generator=generator)
    u = torch.rand(blocks, example.block, generator=generator)
    return masked(example, t, u)


def masked(example: Example, t: Tensor, u: Tensor) -> Mask:
    """Scattered masks from their draws: t (blocks, 1) and u (blocks, block), both in [0, 1)."""
    drawn = (u < (1 - _MIN_MASK_RATIO) * t + _MIN_MASK_RATIO).flatten().tolist()
    return [d and label for d, label in zip(drawn, example.labelled, strict=True)]


def complement(example: Example, mask: Sequence[bool]) -> Mask:
    """The labels that a mask leaves readable."""
    return [label and not m for m, label in zip(mask, example.labelled, strict=True)]


def tail(example: Example, generator: torch.Generator) -> Mask:
    """In each block the last n of its labels, n ~ U{1, …, all of them}: what a left-to-right writer has before it."""
    mask = [False] * len(example.ids)
    for start in range(0, len(mask), example.block):
        labels = [p for p in range(start, start + example.block) if example.labelled[p]]
        if labels:
            first = int(torch.randint(len(labels), (), generator=generator))
            for p in labels[first:]:
                mask[p] = True
    return mask
