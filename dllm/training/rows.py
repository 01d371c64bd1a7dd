"""Documents side by side behind their common beginning: nothing is padded, and what all share is computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from dllm.models.attention import AttentionMask, sdpa
from dllm.models.kv_cache import KVCache
from dllm.models.transformer import KVView, Transformer, rope_table
from dllm.training.documents import Document

COMMON = -1  # the owner of the common beginning


@dataclass(frozen=True, slots=True)
class PackedSequence:
    """Documents laid out in one sequence. Each sees the common beginning and itself, causally.

    tokens, positions, owner: (slots,) each; owner is the document's place in the row, or COMMON.
    offsets: what to add to a position behind the beginning to find its slot, a document each.
    """

    documents: tuple[Document, ...]
    tokens: Tensor
    positions: Tensor
    owner: Tensor
    common: int
    offsets: tuple[int, ...]

    @classmethod
    def of(cls, documents: Sequence[Document], device: torch.device) -> "PackedSequence":
        """Lay out documents. A document alone still leaves its prompt's last id to itself."""
        ids = [d.prompt_ids + d.answer_ids for d in documents]
        # the last id of a prompt predicts the answer's first, so it is never shared
        alike = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*ids, strict=False)))
        common = min(alike, *(len(d.prompt_ids) - 1 for d in documents))
        tokens, positions, owner, offsets = list(ids[0][:common]), list(range(common)), [COMMON] * common, []
        for number, whole in enumerate(ids):
            offsets.append(len(tokens) - common)
            tokens += whole[common:]
            positions += range(common, len(whole))
            owner += [number] * (len(whole) - common)
        laid, at, whose = (torch.tensor(values, device=device) for values in (tokens, positions, owner))
        return cls(tuple(documents), laid, at, whose, common, tuple(offsets))

    def slot(self, document: int, position: int) -> int:
        """Where a position of a document lies."""
        return position if position < self.common else position + self.offsets[document]

    def sees(self, owner: Tensor, until: Tensor) -> Tensor:
        """Who sees which slots, bool (n, slots), from each one's document and the last position that it sees, (n,)."""
        own = (self.owner == COMMON) | (self.owner == owner[:, None])
        return own & (self.positions <= until[:, None])


def bias(sees: Tensor, dtype: torch.dtype) -> Tensor:
    """What may be seen as numbers added to attention scores, which bools are turned into at every layer otherwise."""
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
    """Attention of queries that see kept entries and each other; entries are read, never written.

    entries: by layer keys and values (1, kv_heads, kept, head_dim). bias: (queries, kept + queries).
    """

    entries: Sequence[tuple[Tensor, Tensor]]
    bias: Tensor

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """As `KVView.attend`."""
        keys, values = self.entries[layer]
        return sdpa(q, torch.cat((keys, k), dim=2), torch.cat((values, v), dim=2), AttentionMask(self.bias))
