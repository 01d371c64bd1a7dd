"""Low-rank adapters (LoRA, arXiv 2106.09685) around a network's frozen linear layers, and the file they ship in."""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from dllm.files import atomic_write
from dllm.models.adapter import MASK
from dllm.models.transformer import Transformer
from dllm.training.config import Config

TARGETS = ("q", "k", "v", "o", "gate", "up", "down")


class LoRALinear(nn.Module):
    """x ↦ base(x) + scale · B(A x). A (rank, in) and B (out, rank) stay in fp32; they work in the dtype of x."""

    def __init__(self, base: nn.Linear, a: nn.Parameter, b: nn.Parameter, scale: float) -> None:
        super().__init__()
        self.base, self.a, self.b, self.scale = base, a, b, scale

    def forward(self, x: Tensor) -> Tensor:
        low = F.linear(x, self.a.to(x.dtype))
        return self.base(x) + F.linear(low, (self.b * self.scale).to(x.dtype))


def wrap(
    net: Transformer, *, rank: int, scale: float, mask_id: int | None, seed: int = 0, first: int = 0
) -> dict[str, nn.Parameter]:
    """Wrap the linear layers in place, from layer `first` on; returns the parameters to train.

    They are `layers.N.q.a`, `.b`, …, and with a mask token `mask_vector`. B starts at zero, so the network starts
    unchanged; the mask's vector starts at the mean embedding.
    """
    if rank < 1:
        raise ValueError(f"rank is {rank}; allowed: 1 or more")
    if not 0 <= first < len(net.layers):
        raise ValueError(f"first_layer is {first}; allowed: 0 to {len(net.layers) - 1}, the network's last layer")
    device = net.norm.weight.device
    generator = torch.Generator().manual_seed(seed)
    parameters: dict[str, nn.Parameter] = {}
    for index, layer in list(enumerate(net.layers))[first:]:
        for target in TARGETS:
            base = getattr(layer, target)
            a = torch.randn(rank, base.in_features, generator=generator) * base.in_features**-0.5
            b = torch.zeros(base.out_features, rank)
            pair = nn.Parameter(a.to(device)), nn.Parameter(b.to(device))
            parameters[f"layers.{index}.{target}.a"], parameters[f"layers.{index}.{target}.b"] = pair
            setattr(layer, target, LoRALinear(base, *pair, scale))
    if mask_id is None:
        return parameters
    net.mask_id = mask_id
    net.mask_vector = parameters[MASK] = nn.Parameter(net.embed.weight.float().mean(0))
    return parameters


def wrap_for_masks(net: Transformer, config: Config) -> dict[str, nn.Parameter]:
    """`wrap` with a mask token, by the numbers of a config."""
    c = config
    return wrap(net, rank=c.rank, scale=c.scale, mask_id=c.mask_id, seed=c.seed, first=c.first_layer)


def save_adapter(path: Path, parameters: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the parameters in bf16 as safetensors, atomically."""
    tensors = {name: p.detach().to("cpu", torch.bfloat16).contiguous() for name, p in parameters.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        save_file(tensors, part, metadata=dict(metadata))
