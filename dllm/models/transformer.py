"""One decoder-only transformer for every family: RMSNorm, rotary embedding by halves, GQA, SwiGLU.

The caller decides which positions to compute, where their keys and values go, and how many cache entries they see.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dllm.models.attention import AttentionMask, Kernel, attention_with_probs, sdpa
from dllm.models.families import Shape
from dllm.models.kv_cache import KVCache
from dllm.models.linear import PackedLinear, Rows

# called once per layer with the probabilities (batch, heads, queries, visible), fp32
Observer = Callable[[int, Tensor], None]


def rope_table(shape: Shape, length: int, device: torch.device) -> Tensor:
    """Rotation of every position < length: (2, length, head_dim) in fp32, cosines and signed sines.

    The left half of the sines is negative: a pair (a, b) of halves turns into (a cos - b sin, b cos + a sin).
    """
    inverse = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2, device=device).float() / shape.head_dim)
    angles = torch.outer(torch.arange(length, device=device).float(), inverse)
    return torch.stack((angles.cos().repeat(1, 2), torch.cat((-angles.sin(), angles.sin()), dim=1)))


def _rotate(x: Tensor, rope: Tensor) -> Tensor:
    """Rotate x (batch, heads, n, head_dim) by rope (2, n, head_dim); in fp32, as LLaDA does and Qwen2 nearly does.

    The products are fp32 because rope is: to widen x first would be one kernel more.
    """
    return torch.addcmul(x * rope[0], x.roll(x.shape[-1] // 2, -1), rope[1]).to(x.dtype)


class AttentionOp(Protocol):
    """Attention of one layer; q (batch, heads, n, d) and k, v (batch, kv_heads, n, d) → (batch, heads, n, d)."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class KVView:
    """The keys and values that one sequence's queries attend to.

    entries: keys and values by layer; the queries' own are written at `at`. None: queries attend to each other.
    observe: called with every layer's probabilities, which makes attention eager.
    """

    mask: AttentionMask
    entries: Sequence[tuple[Tensor, Tensor]] | None = None
    at: "slice | Tensor | None" = None
    observe: Observer | None = None
    kernel: Kernel = sdpa

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.entries is not None:
            keys, values = self.entries[layer]
            keys[:, :, self.at], values[:, :, self.at] = k, v
            k, v = keys, values
        if self.observe is None:
            return self.kernel(q, k, v, self.mask)
        attended, probs = attention_with_probs(q, k, v, self.mask)
        self.observe(layer, probs)
        return attended


class Layer(nn.Module):
    """Attention and SwiGLU, each with a pre-norm and a residual."""

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
        self.qkv_proj, self.o_proj, self.gate_up_proj, self.down_proj = (PackedLinear() for _ in range(4))

    def project(self, x: Tensor, rope: Tensor, masks: Rows | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries, rotated keys and values of x (batch, n, hidden), heads first."""
        shape = self.shape
        joined = self.qkv_proj(self.attention_norm(x), self.q, self.k, self.v, adapted=masks)
        heads = joined.unflatten(-1, (-1, shape.head_dim)).transpose(1, 2)
        turned = _rotate(heads[:, : shape.heads + shape.kv_heads], rope)
        q, k = turned.split((shape.heads, shape.kv_heads), dim=1)
        return q, k, heads[:, shape.heads + shape.kv_heads :]

    def finish(self, x: Tensor, attended: Tensor, masks: Rows | None = None) -> Tensor:
        """Residual stream after attention (batch, heads, n, head_dim) and the MLP."""
        x = self.o_proj(attended.transpose(1, 2).flatten(-2), self.o, onto=x, adapted=masks)
        gate, up = self.gate_up_proj(self.mlp_norm(x), self.gate, self.up, adapted=masks).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up, self.down, onto=x, adapted=masks)

    def projections(self) -> Iterator[tuple[PackedLinear, tuple[nn.Linear, ...]]]:
        """The layer's four packed projections, and the linear maps in each."""
        yield self.qkv_proj, (self.q, self.k, self.v)
        yield self.o_proj, (self.o,)
        yield self.gate_up_proj, (self.gate, self.up)
        yield self.down_proj, (self.down,)


class Transformer(nn.Module):
    """The network. mask_vector: a trained embedding of the mask token.

    mask_id: the mask token; None if only a pass knows which tokens are masks.
    """

    mask_vector: Tensor | None

    def __init__(self, shape: Shape, *, mask_id: int | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.mask_id = mask_id
        self.embed = nn.Embedding(shape.vocab, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, shape.norm_eps)
        self.head = nn.Linear(shape.hidden, shape.vocab, bias=False)
        self.predict = PackedLinear()
        self.register_buffer("mask_vector", None)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' dtype."""
        return self.norm.weight.dtype

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of hidden states (…, hidden) → (…, vocab)."""
        return self.predict(hidden, self.head)

    def embed_tokens(self, tokens: Tensor, masks: Rows | None = None) -> Tensor:
        """Embeddings of tokens (batch, n) → (batch, n, hidden). masks: which tokens are masks, if ids do not decide."""
        x = self.embed(tokens)
        if masks is not None and self.mask_vector is not None:
            x[:, masks] = self.mask_vector.to(x.dtype)
        elif self.mask_vector is not None and self.mask_id is not None:
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
        entries = None if cache is None else cache.layer_entries(visible)
        return self.forward_varlen(tokens, rope, [KVView(AttentionMask(mask), entries, at, observe)], [tokens.shape[1]])

    def forward_varlen(
        self,
        tokens: Tensor,
        rope: Tensor,
        views: Sequence[AttentionOp],
        sizes: Sequence[int],
        *,
        masks: Rows | None = None,
    ) -> Tensor:
        """Hidden states (batch, n, hidden) of several sequences laid end to end without padding.

        tokens (batch, n) and rope (2, n, head_dim) are cut along n into `sizes`, one for each view. masks: tokens at
        which a masks-only adapter acts; batch must be 1.
        """
        x = self.embed_tokens(tokens, masks)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            q, k, v = layer.project(x, rope, masks)
            if len(views) == 1:
                attended = views[0].attend(index, q, k, v)
            else:
                parts = zip(views, *(t.split(list(sizes), dim=2) for t in (q, k, v)), strict=True)
                attended = torch.cat([view.attend(index, *part) for view, *part in parts], dim=2)
            x = layer.finish(x, attended, masks)
        return self.norm(x)
