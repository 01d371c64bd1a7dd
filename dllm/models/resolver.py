"""Which attention a network uses: one decision, from device, dtype, need for probabilities and what is installed."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata

import torch

from dllm.models.attend import Kernel, eager, flash2, flash4, sdpa

NAMES = ("eager", "sdpa", "flash")
HALVES = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class Flash:
    """A distribution of flash kernels: its module, what is called there, and the least compute capability."""

    module: str
    function: str
    capability: tuple[int, int]
    kernel: Kernel


# The first that is installed and suits is taken. Both bring a `flash_attn`, so their distributions tell them apart.
FLASH = {
    "flash-attn": Flash("flash_attn", "flash_attn_with_kvcache", (8, 0), flash2),
    "flash-attn-4": Flash("flash_attn.cute", "flash_attn_varlen_func", (9, 0), flash4),
}


@dataclass(frozen=True, slots=True)
class AttentionBackend:
    """A way of computing attention: its name in `NAMES`, whose it is, and why it was chosen."""

    name: str
    kernel: Kernel
    whose: str
    why: str

    def __str__(self) -> str:
        return self.name if self.whose == "torch" else f"{self.name} ({self.whose})"


@cache
def resolve(
    device: torch.device,
    dtype: torch.dtype,
    *,
    head_dim: int,
    probabilities: bool = False,
    requested: str | None = None,
) -> AttentionBackend:
    """Choose the attention.

    probabilities: whether a recorder or d²Cache reads attention probabilities, which only eager attention has.
    requested: a name of `NAMES` instead of the best there is; it gives way to the need for probabilities only.

    Raises:
        ValueError: an unknown name, or flash where it cannot be; says why.
    """
    if requested not in (None, *NAMES):
        raise ValueError(f"attention is {requested!r}; allowed: {', '.join(NAMES)}")
    found, refusal = _flash(device, dtype, head_dim)
    if requested == "flash" and found is None:
        raise ValueError(f"attention is 'flash', but {refusal}; allowed here: eager, sdpa")
    if probabilities:
        return AttentionBackend("eager", eager, "torch", "its probabilities are read")
    if requested == "eager":
        return AttentionBackend("eager", eager, "torch", "it was asked for")
    if requested == "sdpa" or found is None:
        return AttentionBackend("sdpa", sdpa, "torch", "it was asked for" if requested else str(refusal))
    return found


def _flash(device: torch.device, dtype: torch.dtype, head_dim: int) -> tuple[AttentionBackend | None, str | None]:
    """The flash kernels that can be used, or why none can."""
    if device.type != "cuda":
        return None, f"flash kernels need a CUDA device, and this is {device.type}"
    if dtype not in HALVES:
        return None, f"flash kernels compute in bfloat16 and float16, not in {str(dtype).removeprefix('torch.')}"
    if head_dim > 256 or head_dim % 8:
        return None, f"flash kernels take heads of up to 256 numbers in steps of 8, not {head_dim}"
    refusals = []
    for name, flash in FLASH.items():
        if refusal := _refusal(name, flash, torch.cuda.get_device_capability(device)):
            refusals.append(refusal)
            continue
        return AttentionBackend("flash", flash.kernel, f"{name} {metadata.version(name)}", f"{name} is installed"), None
    return None, " and ".join(refusals)


def _refusal(name: str, flash: Flash, capability: tuple[int, int]) -> str | None:
    """Why these kernels cannot be used; None: they can."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    if capability < flash.capability:
        have, need = (".".join(map(str, version)) for version in (capability, flash.capability))
        return f"{name} needs compute capability {need}, and this device has {have}"
    try:
        getattr(import_module(flash.module), flash.function)
    except Exception as error:  # a build for another torch or CUDA fails in its own ways
        return f"{name} cannot be imported ({type(error).__name__}: {error})"
    return None
