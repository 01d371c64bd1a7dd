"""One decoder-only transformer for every family, with a preallocated KV cache.

RMSNorm in fp32, rotary embedding by halves, grouped-query attention, SwiGLU. It knows neither decoders nor caches:
it is told which positions to compute, where their keys and values go, and how many cache entries they see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dllm.models.families import Shape

# called once per layer with the probabilities (batch, heads, queries, visible), fp32
Observer = Callable[[int, Tensor], None]


class KVCache:
    """Keys and values of every layer at absolute positions: (layers, batch, kv_heads, capacity, head_dim) each."""

    def __init__(self, shape: Shape, capacity: int, *, batch: int, dtype: torch.dtype, device: torch.device) -> None:
        size = (shape.layers, batch, shape.kv_heads, capacity, shape.head_dim)
        self.keys = torch.zeros(size, dtype=dtype, device=device)
        self.values = torch.zeros(size, dtype=dtype, device=device)

    def write(self, layer: int, at: "slice | Tensor", k: Tensor, v: Tensor) -> None:
        """Store k, v (batch, kv_heads, queries, head_dim) of one layer at positions."""
        self.keys[layer, :, :, at] = k
        self.values[layer, :, :, at] = v


class RMSNorm(nn.Module):
    """Root-mean-square norm; the mean is taken in fp32 whatever the dtype."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


def rope_table(shape: Shape, length: int, device: torch.device) -> Tensor:
    """Rotation of every position < length: (2, length, head_dim), cosines and sines in fp32."""
    inverse = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2, device=device).float() / shape.head_dim)
    angles = torch.outer(torch.arange(length, device=device).float(), inverse).repeat(1, 2)
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x: Tensor, rope: Tensor) -> Tensor:
    """Rotate x (batch, heads, n, head_dim) by rope (2, n, head_dim); in fp32, as LLaDA does and Qwen2 nearly does."""
    wide = x.float()
    left, right = wide.chunk(2, dim=-1)
    return (wide * rope[0] + torch.cat((-right, left), dim=-1) * rope[1]).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Grouped-query attention without expanding keys: the heads of a group are laid side by side as queries.

    q: (batch, heads, n, d); k, v: (batch, kv_heads, visible, d); mask: bool, True = may look, or a bias; (n, visible)
    for all rows alike, or (batch, 1, n, visible) for each its own.
    """
    batch, heads, n, d = q.shape
    group = heads // k.shape[1]
    folded = q.reshape(batch, k.shape[1], group * n, d)
    if mask is not None:
        mask = mask.repeat(*(1,) * (mask.ndim - 2), group, 1)
    out = F.scaled_dot_product_attention(folded, k, v, attn_mask=mask)
    return out.reshape(batch, heads, n, d)


def attend_observed(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same with its probabilities (batch, heads, n, visible) in fp32: what SDPA kernels never hand out."""
    batch, heads, n, d = q.shape
    folded = q.reshape(batch, k.shape[1], -1, d)
    scores = (folded @ k.transpose(-1, -2)).reshape(batch, heads, n, -1).float() * d**-0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    probs = scores.softmax(-1)
    out = probs.to(v.dtype).reshape(batch, k.shape[1], -1, probs.shape[-1]) @ v
    return out.reshape(batch, heads, n, d), probs


@dataclass(frozen=True, slots=True)
class View:
    """What the queries of one sequence see: what `Transformer.forward` says of its arguments of these names."""

    mask: Tensor | None = None
    cache: KVCache | None = None
    at: "slice | Tensor | None" = None
    visible: int | None = None
    observe: Observer | None = None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of one layer; q (batch, heads, n, d) and k, v (batch, kv_heads, n, d) → (batch, heads, n, d)."""
        if self.cache is not None and self.at is not None:
            self.cache.write(layer, self.at, k, v)
            k, v = self.cache.keys[layer, :, :, : self.visible], self.cache.values[layer, :, :, : self.visible]
        if self.observe is None:
            return attend(q, k, v, self.mask)
        attended, probs = attend_observed(q, k, v, self.mask)
        self.observe(layer, probs)
        return attended


class Layer(nn.Module):
    """Attention and SwiGLU, each behind a norm and beside a residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, kv_width = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.attention_norm = RMSNorm(shape.hidden, shape.norm_eps)
        self.q = nn.Linear(shape.hidden, width, bias=shape.qkv_bias)
        self.k = nn.Linear(shape.hidden, kv_width, bias=shape.qkv_bias)
        self.v = nn.Linear(shape.hidden, kv_width, bias=shape.qkv_bias)
        self.o = nn.Linear(width, shape.hidden, bias=False)
        self.mlp_norm = RMSNorm(shape.hidden, shape.norm_eps)
        self.gate = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.up = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.down = nn.Linear(shape.intermediate, shape.hidden, bias=False)

    def project(self, x: Tensor, rope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries, rotated keys and values of x (batch, n, hidden), heads first."""
        h = self.attention_norm(x)
        q, k, v = (
            proj(h).unflatten(-1, (-1, self.shape.head_dim)).transpose(1, 2) for proj in (self.q, self.k, self.v)
        )
        return rotate(q, rope), rotate(k, rope), v

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Residual stream after attention (batch, heads, n, head_dim) and the MLP."""
        x = x + self.o(attended.transpose(1, 2).flatten(-2))
        h = self.mlp_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Transformer(nn.Module):
    """The network. `mask_vector`, where a conversion trained one, stands in for the mask token's embedding."""

    mask_vector: Tensor | None

    def __init__(self, shape: Shape, *, mask_id: int | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.mask_id = mask_id
        self.embed = nn.Embedding(shape.vocab, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.hidden, shape.norm_eps)
        self.head = nn.Linear(shape.hidden, shape.vocab, bias=False)
        self.register_buffer("mask_vector", None)

    def embedded(self, tokens: Tensor) -> Tensor:
        """Embeddings of tokens (batch, n) → (batch, n, hidden)."""
        x = self.embed(tokens)
        if self.mask_vector is not None:
            x = torch.where((tokens == self.mask_id).unsqueeze(-1), self.mask_vector.to(x.dtype), x)
        return x

    def forward(
        self,
        tokens: Tensor,
        rope: Tensor,
        *,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
        at: "slice | Tensor | None" = None,
        visible: int | None = None,
        observe: Observer | None = None,
    ) -> Tensor:
        """Hidden states after the last norm, (batch, n, hidden), of tokens (batch, n) rotated by rope (2, n, head_dim).

        With a cache, keys and values are written at `at` and the tokens attend to entries [0, visible); without one
        they attend to each other. `mask` is bool (n, visible) or (batch, 1, n, visible), True where a query may look.
        """
        return self.together(tokens, rope, [View(mask, cache, at, visible, observe)], [tokens.shape[1]])

    def together(self, tokens: Tensor, rope: Tensor, views: Sequence[View], sizes: Sequence[int]) -> Tensor:
        """Hidden states (batch, n, hidden) of several sequences laid end to end, each attending by its own view.

        tokens (batch, n) and rope (2, n, head_dim) are cut along n into `sizes`, one a view. All but attention works
        on tokens one by one, so nothing needs padding to a common length.
        """
        x = self.embedded(tokens)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            q, k, v = layer.project(x, rope)
            if len(views) == 1:
                attended = views[0].attend(index, q, k, v)
            else:
                parts = zip(views, *(t.split(list(sizes), dim=2) for t in (q, k, v)), strict=True)
                attended = torch.cat([view.attend(index, *part) for view, *part in parts], dim=2)
            x = layer.finish(x, attended)
        return self.norm(x)
