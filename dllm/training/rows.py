"""Documents packed into one sequence behind their common prefix: no padding, and the prefix is computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from dllm.models.attention import AttentionMask, sdpa
from dllm.models.kv_cache import KVCache
from dllm.models.transformer import KVView, Transformer, rope_table
from dllm.training.documents import Document

COMMON = -1  # the owner of the common prefix


@dataclass(frozen=True, slots=True)
class PackedSequence:
    """Documents laid out in one sequence. Each sees the common prefix and itself, causally.

    tokens, positions, owner: (slots,) each; owner is the document's index, or COMMON.
    offsets: by document, the slot minus the position, for positions behind the prefix.
    """

    documents: tuple[Document, ...]
    tokens: Tensor
    positions: Tensor
    owner: Tensor
    common: int
    offsets: tuple[int, ...]

    @classmethod
    def of(cls, documents: Sequence[Document], device: torch.device) -> "PackedSequence":
        """Lay out documents. The last id of a prompt predicts the answer's first, so it is never shared."""
        ids = [d.prompt_ids + d.answer_ids for d in documents]
        alike = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*ids, strict=False)))
        common = min(alike, *(len(d.prompt_ids) - 1 for d in documents))
        tokens, positions, owner, offsets = list(ids[0][:common]), list(range(common)), [COMMON] * common, []
        for number, sequence in enumerate(ids):
            offsets.append(len(tokens) - common)
            tokens += sequence[common:]
            positions += range(common, len(sequence))
            owner += [number] * (len(sequence) - common)
        laid, at, whose = (torch.tensor(values, device=device) for values in (tokens, positions, owner))
        return cls(tuple(documents), laid, at, whose, common, tuple(offsets))

    def slot(self, document: int, position: int) -> int:
        """The slot of a document's position."""
        return position if position < self.common else position + self.offsets[document]

    def sees(self, owner: Tensor, until: Tensor) -> Tensor:
        """Which slots n queries see, bool (n, slots), from each one's document and last visible position, (n,)."""
        own = (self.owner == COMMON) | (self.owner == owner[:, None])
        return own & (self.positions <= until[:, None])


def bias(sees: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean mask as numbers added to attention scores; otherwise every layer's attention would convert it again."""
    return torch.zeros_like(sees, dtype=dtype).masked_fill_(~sees, float("-inf"))


def rotations(net: Transformer, positions: Tensor) -> Tensor:
    """The rotation of each of these positions, (2, n, head_dim)."""
    return rope_table(net.shape, int(positions.max()) + 1, positions.device)[:, positions]


def hidden_states(net: Transformer, row: PackedSequence, cache: KVCache | None = None) -> Tensor:
    """Hidden states (slots, hidden) of a row read causally; keys and values go into `cache` where there is one."""
    mask = AttentionMask(bias(row.sees(row.owner, row.positions), net.norm.weight.dtype))
    n = len(row.tokens)
    view = KVView(mask) if cache is None else KVView(mask, cache.layer_entries(n), slice(0, n))
    return net.forward_varlen(row.tokens[None], rotations(net, row.positions), [view], [n])[0]


@dataclass(frozen=True, slots=True)
class FrozenKVView:
    """Attention of queries to cached entries, which are never written, and to each other.

    entries: by layer keys and values (1, kv_heads, cached, head_dim). bias: (queries, cached + queries).
    """

    entries: Sequence[tuple[Tensor, Tensor]]
    bias: Tensor

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """As `KVView.attend`."""
        keys, values = self.entries[layer]
        return sdpa(q, torch.cat((keys, k), dim=2), torch.cat((values, v), dim=2), AttentionMask(self.bias))
