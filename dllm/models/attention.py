"""Attention of one layer: kernels that answer alike (eager, torch's SDPA, FlashAttention), and which one is used.

Grouped-query attention without expanding keys: eager and SDPA lay the heads of a group side by side as queries, the
flash kernels group by themselves. `choose_attention` decides by device, dtype, need for probabilities and packages.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class AttentionMask:
    """Which entries the queries of one layer attend to.

    allowed: bool (True: attend), or a bias added to scores; (n, visible) for all rows, or (batch, 1, n or 1, visible).
    visible: int32 (batch,), counts known only on the device: later entries are masked; `allowed` must mask them too.
    slots: int64 (batch,), the row of the keys that belongs to each query row; None: row i to row i.
    """

    allowed: Tensor | None = None
    visible: Tensor | None = None
    slots: Tensor | None = None


# q (batch, heads, n, d); k, v (batch or slots, kv_heads, visible, d) → (batch, heads, n, d)
Kernel = Callable[[Tensor, Tensor, Tensor, AttentionMask], Tensor]


def sdpa(q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask = AttentionMask()) -> Tensor:
    """By whichever kernel torch finds best."""
    k, v = _own(k, v, mask)
    folded, allowed = _folded(q, k, mask)
    return F.scaled_dot_product_attention(folded, k, v, attn_mask=allowed).reshape(q.shape)


def eager(q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask = AttentionMask()) -> Tensor:
    """By the definition."""
    return attention_with_probs(q, k, v, mask)[0]


def attention_with_probs(
    q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask = AttentionMask()
) -> tuple[Tensor, Tensor]:
    """By the definition, with the probabilities (batch, heads, n, visible) in fp32: no other kernel hands them out."""
    k, v = _own(k, v, mask)
    folded, allowed = _folded(q, k, mask)
    wide = torch.promote_types(q.dtype, torch.float32)  # half a score's digits would be lost before the softmax
    scores = (folded.to(wide) @ k.to(wide).transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if allowed is not None:
        scores = scores.masked_fill(~allowed, float("-inf")) if allowed.dtype == torch.bool else scores + allowed
    probs = scores.softmax(-1)
    out = (probs.to(wide) @ v.to(wide)).to(v.dtype)
    return out.reshape(q.shape), probs.reshape(*q.shape[:3], -1)


def flash2(q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask = AttentionMask()) -> Tensor:
    """By flash-attn 2 (arXiv 2307.08691), which reads the KV cache in place; any other mask than a count is SDPA's."""
    if mask.allowed is not None and mask.visible is None:
        return sdpa(q, k, v, mask)
    from flash_attn import flash_attn_with_kvcache  # pyright: ignore[reportMissingImports]

    slots = None if mask.slots is None else mask.slots.int()
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return flash_attn_with_kvcache(q, k, v, cache_seqlens=mask.visible, cache_batch_idx=slots).transpose(1, 2)


def flash4(q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask = AttentionMask()) -> Tensor:
    """By flash-attn 4, the same for Hopper and later."""
    if mask.allowed is not None and mask.visible is None:
        return sdpa(q, k, v, mask)
    from flash_attn.cute import flash_attn_varlen_func  # pyright: ignore[reportMissingImports]

    q, k, v = (t.transpose(1, 2) for t in (q, *_own(k, v, mask)))
    return flash_attn_varlen_func(q, k, v, seqused_k=mask.visible)[0].transpose(1, 2)


def _own(k: Tensor, v: Tensor, mask: AttentionMask) -> tuple[Tensor, Tensor]:
    """The entries of each query row's own sequence: a copy where several sequences share one storage."""
    return (k, v) if mask.slots is None else (k[mask.slots], v[mask.slots])


def _folded(q: Tensor, k: Tensor, mask: AttentionMask) -> tuple[Tensor, Tensor | None]:
    """Queries (batch, kv_heads, group · n, d), and a mask that suits them."""
    group, allowed = q.shape[1] // k.shape[1], mask.allowed
    if allowed is not None and allowed.shape[-2] > 1:
        allowed = allowed.repeat(*(1,) * (allowed.ndim - 2), group, 1)
    return q.reshape(q.shape[0], k.shape[1], -1, q.shape[-1]), allowed


BACKENDS = ("eager", "sdpa", "flash")
_HALVES = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class _FlashPackage:
    """A distribution of flash kernels: its module, what is called there, and the least compute capability."""

    module: str
    function: str
    capability: tuple[int, int]
    kernel: Kernel


# The first that is installed and suits is taken. Both bring a `flash_attn`, so their distributions tell them apart.
_FLASH = {
    "flash-attn": _FlashPackage("flash_attn", "flash_attn_with_kvcache", (8, 0), flash2),
    "flash-attn-4": _FlashPackage("flash_attn.cute", "flash_attn_varlen_func", (9, 0), flash4),
}


@dataclass(frozen=True, slots=True)
class AttentionBackend:
    """A way of computing attention: its name in `BACKENDS`, which package provides it, why it was chosen."""

    name: str
    kernel: Kernel
    provider: str
    reason: str

    def __str__(self) -> str:
        return self.name if self.provider == "torch" else f"{self.name} ({self.provider})"


@cache
def choose_attention(
    device: torch.device,
    dtype: torch.dtype,
    *,
    head_dim: int,
    probabilities: bool = False,
    requested: str | None = None,
) -> AttentionBackend:
    """Choose the attention.

    probabilities: whether a recorder or d²Cache reads attention probabilities, which only eager attention has.
    requested: a name of `BACKENDS` instead of the best there is; it gives way to the need for probabilities only.

    Raises:
        ValueError: an unknown name, or flash where it cannot be; says why.
    """
    if requested not in (None, *BACKENDS):
        raise ValueError(f"attention is {requested!r}; allowed: {', '.join(BACKENDS)}")
    flash = _flash(device, dtype, head_dim)
    if requested == "flash" and isinstance(flash, str):
        raise ValueError(f"attention is 'flash', but {flash}; allowed here: eager, sdpa")
    if probabilities or requested == "eager":
        reason = "its probabilities are read" if probabilities else "it was asked for"
        return AttentionBackend("eager", eager, "torch", reason)
    if requested == "sdpa" or isinstance(flash, str):
        return AttentionBackend("sdpa", sdpa, "torch", "it was asked for" if requested else str(flash))
    return flash


def _flash(device: torch.device, dtype: torch.dtype, head_dim: int) -> AttentionBackend | str:
    """The flash kernels that can be used, or why none can."""
    if device.type != "cuda":
        return f"flash kernels need a CUDA device, and this is {device.type}"
    if dtype not in _HALVES:
        return f"flash kernels compute in bfloat16 and float16, not in {str(dtype).removeprefix('torch.')}"
    if head_dim > 256 or head_dim % 8:
        return f"flash kernels take heads of up to 256 numbers in steps of 8, not {head_dim}"
    refusals = []
    for name, flash in _FLASH.items():
        refusal = _refusal(name, flash, torch.cuda.get_device_capability(device))
        if refusal is None:
            return AttentionBackend("flash", flash.kernel, f"{name} {metadata.version(name)}", f"{name} is installed")
        refusals.append(refusal)
    return " and ".join(refusals)


def _refusal(name: str, flash: _FlashPackage, capability: tuple[int, int]) -> str | None:
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
