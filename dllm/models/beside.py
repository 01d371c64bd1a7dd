"""Linear maps of one input, side by side: one product instead of several, laid out for the CPU where that pays.

At one or a few rows a product waits for its weights. oneDNN reads a matrix that was laid out for it beforehand about
one and a half times as fast as torch's own; in bf16 only, fp32 gained nothing where it was measured.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def packable(weight: Tensor) -> bool:
    """Whether weights of this dtype on this device can be laid out beforehand."""
    place = weight.device.type == "cpu" and weight.dtype == torch.bfloat16
    return place and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class Beside(nn.Module):
    """Calls linear maps on one input, their outputs side by side. It holds no weights but, once packed, a copy."""

    def __init__(self) -> None:
        super().__init__()
        self._packed: Tensor | None = None
        self._bias: Tensor | None = None

    def forward(self, x: Tensor, *parts: nn.Module) -> Tensor:
        """Map x (…, in) → (…, out of all parts). The parts must be those it was packed from."""
        if self._packed is not None and torch.is_inference_mode_enabled():
            return torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        return parts[0](x) if len(parts) == 1 else torch.cat([part(x) for part in parts], dim=-1)

    def pack(self, *parts: nn.Linear) -> None:
        """Lay the weights of these parts out in one; changing them afterwards has no effect on it."""
        with torch.inference_mode():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(torch.cat([part.weight for part in parts]))
            self._bias = torch.cat([part.bias for part in parts]) if parts[0].bias is not None else None

    def __deepcopy__(self, memo: dict[int, object]) -> "Beside":
        return Beside()  # a copied network is made to be changed

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Beside":
        self._packed = self._bias = None  # of weights that are being changed
        return super()._apply(fn, recurse)
