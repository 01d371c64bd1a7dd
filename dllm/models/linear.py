"""Packed linear maps: several maps of one input as one product, laid out in the fastest order for the device.

At one or a few rows a product waits for its weights. On a CPU oneDNN reads a matrix that was laid out for it beforehand
about one and a half times as fast as torch's own; in bf16 only, fp32 gained nothing where it was measured. On a GPU the
number of kernels counts: the matrices lie in one, of which the maps' own weights are parts.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def packable(weight: Tensor) -> bool:
    """Whether oneDNN can pack weights of this dtype on this device."""
    place = weight.device.type == "cpu" and weight.dtype == torch.bfloat16
    return place and torch.ops.mkldnn._is_mkldnn_bf16_supported()


Rows = slice | Tensor  # tokens of a pass: a run of them, or their indices (int64)


class LowRank(nn.Module):
    """Low-rank (LoRA) updates B (A x) of maps that share an input x.

    They act on a few rows, where calls dominate: all A are one matrix, and a CPU computes in fp32, twice as fast there.
    """

    down: Tensor  # (in, ranks of all)

    def __init__(self, pairs: Sequence[tuple[Tensor, Tensor] | None], sizes: Sequence[int], scale: float) -> None:
        """From A (rank, in) and B (out, rank) of each map, None where a map has none; sizes: each map's out."""
        super().__init__()
        ends, rank = list(accumulate(sizes)), 0
        self.parts: list[tuple[slice, slice]] = []  # of the low rows, and of the output
        there = [(pair, end) for pair, end in zip(pairs, ends, strict=True) if pair is not None]
        for number, ((a, b), end) in enumerate(there):
            self.parts.append((slice(rank, rank + a.shape[0]), slice(end - b.shape[0], end)))
            self.register_buffer(f"up{number}", (scale * b.float()).mT.contiguous(), persistent=False)
            rank += a.shape[0]
        down = torch.cat([a.float() for (a, _), _ in there]).mT.contiguous()
        self.register_buffer("down", down, persistent=False)

    def add(self, x: Tensor, out: Tensor, rows: Rows) -> None:
        """Add to out (1, n, out) what these rows of x (1, n, in) give."""
        low = x[0, rows].to(self.down.dtype) @ self.down
        chosen = out[0, rows]  # a view of a run of rows, a copy of others
        for number, (ranks, columns) in enumerate(self.parts):
            chosen[:, columns].add_(low[:, ranks] @ getattr(self, f"up{number}"))
        if not isinstance(rows, slice):
            out[0, rows] = chosen


class PackedLinear(nn.Module):
    """Applies linear maps to one input, outputs concatenated. It holds no weights except, once packed, a copy."""

    adapter: LowRank | None

    def __init__(self) -> None:
        super().__init__()
        self.register_module("adapter", None)
        self._packed: Tensor | None = None  # in oneDNN's order
        self._joined: Tensor | None = None
        self._bias: Tensor | None = None

    def forward(self, x: Tensor, *parts: nn.Module, onto: Tensor | None = None, adapted: Rows | None = None) -> Tensor:
        """Map x (…, in) → (…, out of all parts), added to `onto`. The parts must be those it was packed from.

        adapted: rows of x (1, n, in) at which the adapter acts.
        """
        out, added = self._product(x, parts, onto)
        if adapted is not None and self.adapter is not None:
            self.adapter.add(x, out, adapted)
        return out if onto is None or added else onto + out

    def _product(self, x: Tensor, parts: Sequence[nn.Module], onto: Tensor | None) -> tuple[Tensor, bool]:
        """The maps' outputs, and whether they were added to `onto`."""
        if not torch.is_inference_mode_enabled() or (self._packed is None and self._joined is None):
            return parts[0](x) if len(parts) == 1 else torch.cat([part(x) for part in parts], dim=-1), False
        if self._packed is not None:
            return torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], ""), False
        if onto is None:
            return F.linear(x, self._joined, self._bias), False  # type: ignore[arg-type]
        # the sum is the product's own last act: no kernel of its own, no second rounding
        rows = onto.flatten(0, -2).addmm_(x.flatten(0, -2), self._joined.mT)  # type: ignore[union-attr]
        return rows.view_as(onto), True

    def pack(self, *parts: nn.Linear) -> None:
        """Lay the weights of these parts out for oneDNN, in one; changing them afterwards has no effect on it."""
        with torch.inference_mode():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(torch.cat([part.weight for part in parts]))
            self._bias = _side_by_side(parts)

    def join(self, *parts: nn.Linear) -> None:
        """Lay the weights of these parts in one matrix that takes their place, so that none is held twice."""
        if self._joined is not None and self._joined.data_ptr() == parts[0].weight.data_ptr():
            return  # they lie so already, and others may know them by their addresses
        with torch.no_grad():
            self._joined = torch.cat([part.weight for part in parts])
            for part, rows in zip(parts, self._joined.split([part.out_features for part in parts]), strict=True):
                part.weight.data = rows
            self._bias = _side_by_side(parts)

    def __deepcopy__(self, memo: dict[int, object]) -> "PackedLinear":
        copied = PackedLinear()  # a copied network is made to be changed, but what acts at masks is a part of it
        copied.adapter = deepcopy(self.adapter, memo)
        return copied

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PackedLinear":
        self._packed = self._joined = self._bias = None  # of weights that are being changed
        return super()._apply(fn, recurse)


def _side_by_side(parts: Sequence[nn.Linear]) -> Tensor | None:
    return torch.cat([part.bias for part in parts]) if parts[0].bias is not None else None
