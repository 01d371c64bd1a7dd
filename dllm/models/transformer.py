"""One decoder-only transformer for every family, with a preallocated KV cache.

RMSNorm, rotary embedding by halves, grouped-query attention, SwiGLU. It knows neither decoders nor caches:
it is told which positions to compute, where their keys and values go, and how many cache entries they see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dllm.models.beside import Beside, packable
from dllm.models.families import Shape

# called once per layer with the probabilities (batch, heads, queries, visible), fp32
Observer = Callable[[int, Tensor], None]


class KVCache:
    """Keys and values of every layer at absolute positions: (layers, batch, kv_heads, capacity, head_dim) each."""

    def __init__(self, shape: Shape, capacity: int, *, batch: int, dtype: torch.dtype, device: torch.device) -> None:
        size = (shape.layers, batch, shape.kv_heads, capacity, shape.head_dim)
        self.keys = torch.zeros(size, dtype=dtype, device=device)
        self.values = torch.zeros(size, dtype=dtype, device=device)

    def seen(self, visible: int | None) -> list[tuple[Tensor, Tensor]]:
        """By layer, keys and values of entries [0, visible) as views: (batch, kv_heads, visible, head_dim) each."""
        keys, values = (whole[:, :, :, :visible].unbind() for whole in (self.keys, self.values))
        return list(zip(keys, values, strict=True))


def rope_table(shape: Shape, length: int, device: torch.device) -> Tensor:
    """Rotation of every position < length: (2, length, head_dim) in fp32, cosines and signed sines.

    The left half of the sines is negative: a pair (a, b) of halves turns into (a cos - b sin, b cos + a sin).
    """
    inverse = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2, device=device).float() / shape.head_dim)
    angles = torch.outer(torch.arange(length, device=device).float(), inverse)
    return torch.stack((angles.cos().repeat(1, 2), torch.cat((-angles.sin(), angles.sin()), dim=1)))


def rotate(x: Tensor, rope: Tensor) -> Tensor:
    """Rotate x (batch, heads, n, head_dim) by rope (2, n, head_dim); in fp32, as LLaDA does and Qwen2 nearly does."""
    wide = x.float()
    return torch.addcmul(wide * rope[0], wide.roll(x.shape[-1] // 2, -1), rope[1]).to(x.dtype)


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
    """What the queries of one sequence see: what `Transformer.forward` says of its arguments of these names.

    entries: by layer, the keys and values that they attend to; theirs are written at `at` among them.
    """

    mask: Tensor | None = None
    entries: Sequence[tuple[Tensor, Tensor]] | None = None
    at: "slice | Tensor | None" = None
    observe: Observer | None = None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of one layer; q (batch, heads, n, d) and k, v (batch, kv_heads, n, d) → (batch, heads, n, d)."""
        if self.entries is not None:
            keys, values = self.entries[layer]
            keys[:, :, self.at], values[:, :, self.at] = k, v
            k, v = keys, values
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
        self.attention_norm = nn.RMSNorm(shape.hidden, shape.norm_eps)
        self.q = nn.Linear(shape.hidden, width, bias=shape.qkv_bias)
        self.k = nn.Linear(shape.hidden, kv_width, bias=shape.qkv_bias)
        self.v = nn.Linear(shape.hidden, kv_width, bias=shape.qkv_bias)
        self.o = nn.Linear(width, shape.hidden, bias=False)
        self.mlp_norm = nn.RMSNorm(shape.hidden, shape.norm_eps)
        self.gate = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.up = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.down = nn.Linear(shape.intermediate, shape.hidden, bias=False)
        self.read_in, self.read_out, self.mlp_in, self.mlp_out = (Beside() for _ in range(4))

    def project(self, x: Tensor, rope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries, rotated keys and values of x (batch, n, hidden), heads first."""
        shape = self.shape
        joined = self.read_in(self.attention_norm(x), self.q, self.k, self.v)
        heads = joined.unflatten(-1, (-1, shape.head_dim)).transpose(1, 2)
        turned = rotate(heads[:, : shape.heads + shape.kv_heads], rope)
        q, k = turned.split((shape.heads, shape.kv_heads), dim=1)
        return q, k, heads[:, shape.heads + shape.kv_heads :]

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Residual stream after attention (batch, heads, n, head_dim) and the MLP."""
        x = x + self.read_out(attended.transpose(1, 2).flatten(-2), self.o)
        gate, up = self.mlp_in(self.mlp_norm(x), self.gate, self.up).chunk(2, dim=-1)
        return x + self.mlp_out(F.silu(gate) * up, self.down)

    def pack(self) -> None:
        """Lay the weights out as a CPU reads them fastest; see `Beside`."""
        self.read_in.pack(self.q, self.k, self.v)
        self.read_out.pack(self.o)
        self.mlp_in.pack(self.gate, self.up)
        self.mlp_out.pack(self.down)


class Transformer(nn.Module):
    """The network. `mask_vector`, where a conversion trained one, stands in for the mask token's embedding."""

    mask_vector: Tensor | None

    def __init__(self, shape: Shape, *, mask_id: int | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.mask_id = mask_id
        self.embed = nn.Embedding(shape.vocab, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, shape.norm_eps)
        self.head = nn.Linear(shape.hidden, shape.vocab, bias=False)
        self.predict = Beside()
        self.register_buffer("mask_vector", None)

    def pack(self) -> "Transformer":
        """Make decoding on this device as fast as can be, where weights can be laid out for it; returns itself."""
        if packable(self.norm.weight):
            for layer in self.layers:
                layer.pack()  # type: ignore[operator]
            self.predict.pack(self.head)
        return self

    def logits(self, hidden: Tensor) -> Tensor:
        """What the head makes of hidden states (…, hidden) → (…, vocab)."""
        return self.predict(hidden, self.head)

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
        entries = None if cache is None else cache.seen(visible)
        return self.together(tokens, rope, [View(mask, entries, at, observe)], [tokens.shape[1]])

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
