"""Attention rollout (Abnar & Zuidema 2020) as d²Cache uses it (arXiv 2509.23094, Eq. 6-9)."""

from collections.abc import Sequence

import torch
from torch import Tensor


def rollout_influence(maps: Sequence[Tensor], queries: "slice | Tensor") -> Tensor:
    """How much each position contributes to all: the column sums of the rollout, (visible,); they sum to `visible`.

    maps: per layer, first to last, the head-mean probabilities (queries, visible). A layer's matrix is W = (E + I)/2
    with rows of E that were not computed left as the identity. The sums 1ᵀ·W_L…W_1 are taken from the left, a vector
    times a sparse matrix per layer: exact, and far cheaper than the product of square matrices.
    """
    sums = torch.ones(maps[0].shape[-1], dtype=maps[0].dtype, device=maps[0].device)
    for probs in reversed(maps):
        rows = sums[queries] / (probs.sum(-1) + 1)
        sums = sums.clone()
        sums[queries] = rows
        sums = sums + rows @ probs
    return sums
