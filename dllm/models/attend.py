"""Attention of one layer, in three ways that answer alike: eager, torch's SDPA, and FlashAttention.

Grouped-query attention without expanding keys: eager and SDPA lay the heads of a group side by side as queries, the
flash kernels group by themselves. Which way is taken is decided in `dllm.models.resolver`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Look:
    """What the queries of one layer may look at.

    mask: bool (True: may look), or a bias added to the scores; (n, visible) for all rows alike, or (batch, 1, n or 1,
    visible) for each its own. visible: int32 (batch,), where counts are known on the device only: entries from there
    on are not looked at, which `mask` must say too. slots: int64 (batch,), whose entries among the keys' rows are
    each query row's own; None: row by row.
    """

    mask: Tensor | None = None
    visible: Tensor | None = None
    slots: Tensor | None = None


# q (batch, heads, n, d); k, v (batch or slots, kv_heads, visible, d) → (batch, heads, n, d)
Kernel = Callable[[Tensor, Tensor, Tensor, Look], Tensor]


def sdpa(q: Tensor, k: Tensor, v: Tensor, look: Look = Look()) -> Tensor:
    """By whichever kernel torch finds best."""
    k, v = _own(k, v, look)
    folded, mask = _folded(q, k, look)
    return F.scaled_dot_product_attention(folded, k, v, attn_mask=mask).reshape(q.shape)


def eager(q: Tensor, k: Tensor, v: Tensor, look: Look = Look()) -> Tensor:
    """By the definition."""
    return observed(q, k, v, look)[0]


def observed(q: Tensor, k: Tensor, v: Tensor, look: Look = Look()) -> tuple[Tensor, Tensor]:
    """By the definition, with the probabilities (batch, heads, n, visible) in fp32: no other kernel hands them out."""
    k, v = _own(k, v, look)
    folded, mask = _folded(q, k, look)
    wide = torch.promote_types(q.dtype, torch.float32)  # half a score's digits would be lost before the softmax
    scores = (folded.to(wide) @ k.to(wide).transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    probs = scores.softmax(-1)
    out = (probs.to(wide) @ v.to(wide)).to(v.dtype)
    return out.reshape(q.shape), probs.reshape(*q.shape[:3], -1)


def flash2(q: Tensor, k: Tensor, v: Tensor, look: Look = Look()) -> Tensor:
    """By flash-attn 2 (arXiv 2307.08691), which reads the KV cache in place; another mask than a count is SDPA's."""
    if look.mask is not None and look.visible is None:
        return sdpa(q, k, v, look)
    from flash_attn import flash_attn_with_kvcache  # pyright: ignore[reportMissingImports]

    slots = None if look.slots is None else look.slots.int()
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return flash_attn_with_kvcache(q, k, v, cache_seqlens=look.visible, cache_batch_idx=slots).transpose(1, 2)


def flash4(q: Tensor, k: Tensor, v: Tensor, look: Look = Look()) -> Tensor:
    """By flash-attn 4, the same for Hopper and later."""
    if look.mask is not None and look.visible is None:
        return sdpa(q, k, v, look)
    from flash_attn.cute import flash_attn_varlen_func  # pyright: ignore[reportMissingImports]

    q, k, v = (t.transpose(1, 2) for t in (q, *_own(k, v, look)))
    return flash_attn_varlen_func(q, k, v, seqused_k=look.visible)[0].transpose(1, 2)


def _own(k: Tensor, v: Tensor, look: Look) -> tuple[Tensor, Tensor]:
    """The entries of each query row's own sequence: a copy where several sequences share one storage."""
    return (k, v) if look.slots is None else (k[look.slots], v[look.slots])


def _folded(q: Tensor, k: Tensor, look: Look) -> tuple[Tensor, Tensor | None]:
    """Queries (batch, kv_heads, group · n, d), and a mask that suits them."""
    group, mask = q.shape[1] // k.shape[1], look.mask
    if mask is not None and mask.shape[-2] > 1:
        mask = mask.repeat(*(1,) * (mask.ndim - 2), group, 1)
    return q.reshape(q.shape[0], k.shape[1], -1, q.shape[-1]), mask
