"""Linear maps of one input, side by side: one product instead of several, laid out as the device reads it fastest.

At one or a few rows a product waits for its weights. On a CPU oneDNN reads a matrix that was laid out for it beforehand
about one and a half times as fast as torch's own; in bf16 only, fp32 gained nothing where it was measured. On a GPU the
number of kernels counts: the matrices lie in one, of which the maps' own weights are parts.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def packable(weight: Tensor) -> bool:
    """Whether weights of this dtype on this device can be laid out for oneDNN beforehand."""
    place = weight.device.type == "cpu" and weight.dtype == torch.bfloat16
    return place and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class Beside(nn.Module):
    """Calls linear maps on one input, their outputs side by side. It holds no weights but, once packed, a copy."""

    def __init__(self) -> None:
        super().__init__()
        self._packed: Tensor | None = None  # in oneDNN's order
        self._joined: Tensor | None = None
        self._bias: Tensor | None = None

    def forward(self, x: Tensor, *parts: nn.Module, onto: Tensor | None = None) -> Tensor:
        """Map x (…, in) → (…, out of all parts), added to `onto`. The parts must be those it was packed from."""
        if not torch.is_inference_mode_enabled() or (self._packed is None and self._joined is None):
            out = parts[0](x) if len(parts) == 1 else torch.cat([part(x) for part in parts], dim=-1)
        elif self._packed is not None:
            out = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        elif onto is None:
            out = F.linear(x, self._joined, self._bias)  # type: ignore[arg-type]
        else:  # the sum is the product's own last act: no kernel of its own, no second rounding
            rows = onto.flatten(0, -2).addmm_(x.flatten(0, -2), self._joined.mT)  # type: ignore[union-attr]
            return rows.view_as(onto)
        return out if onto is None else onto + out

    def pack(self, *parts: nn.Linear) -> None:
        """Lay the weights of these parts out for oneDNN, in one; changing them afterwards has no effect on it."""
        with torch.inference_mode():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(torch.cat([part.weight for part in parts]))
            self._bias = _side_by_side(parts)

    def join(self, *parts: nn.Linear) -> None:
        """Lay the weights of these parts in one matrix that takes their place, so that none is held twice."""
        with torch.no_grad():
            self._joined = torch.cat([part.weight for part in parts])
            for part, rows in zip(parts, self._joined.split([part.out_features for part in parts]), strict=True):
                part.weight.data = rows
            self._bias = _side_by_side(parts)

    def __deepcopy__(self, memo: dict[int, object]) -> "Beside":
        return Beside()  # a copied network is made to be changed

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Beside":
        self._packed = self._joined = self._bias = None  # of weights that are being changed
        return super()._apply(fn, recurse)


def _side_by_side(parts: Sequence[nn.Linear]) -> Tensor | None:
    return torch.cat([part.bias for part in parts]) if parts[0].bias is not None else None
