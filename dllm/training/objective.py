"""The Fast-dLLM v2 objective (arXiv 2509.26328 §3; attention as in BD3-LM, 2503.09573), laid out to compute little.

The published input is [noisy | clean] twice, once a complementary view. Here the views share one clean copy, the
noisy copies begin at the first block that holds a label, and the clean copy ends before the last block, which nobody
reads: the same loss from about half the positions. Full attention is the case of one block and so no clean copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from dllm.models.transformer import Transformer, rope_table

FLOOR = 1e-3  # least share of masks in a block
VIEW, COMPLEMENT, CLEAN, PADDING = range(4)


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence cut into blocks. `labelled`: the positions that may be masked, and are then to be predicted."""

    ids: tuple[int, ...]
    labelled: tuple[bool, ...]
    block: int

    def __post_init__(self) -> None:
        if self.block < 1 or not self.ids or len(self.ids) % self.block or len(self.labelled) != len(self.ids):
            raise ValueError(
                f"{len(self.ids)} ids and {len(self.labelled)} labels in blocks of {self.block}; "
                "allowed: as many labels as ids, in whole blocks"
            )
        if not any(self.labelled[1:]):
            raise ValueError("no position after the first is labelled, so there is nothing to learn")


@dataclass(frozen=True, slots=True)
class Pack:
    """A batch for the network. `sources` index the flattened (rows × slots) hidden states that predict `targets`."""

    tokens: Tensor  # (rows, slots)
    positions: Tensor  # (rows, slots)
    mask: Tensor  # (rows, 1, slots, slots), True = may look
    sources: Tensor  # (labels,)
    targets: Tensor  # (labels,)

    def to(self, device: torch.device) -> "Pack":
        """The same on another device."""
        return Pack(*(getattr(self, f.name).to(device) for f in fields(self)))


def noise(example: Example, generator: torch.Generator) -> list[bool]:
    """What the first view masks: in each block each labelled position with one probability, t ~ U(0, 1) floored."""
    blocks = len(example.ids) // example.block
    t = torch.rand(blocks, 1, generator=generator)
    u = torch.rand(blocks, example.block, generator=generator)
    return masked(example, t, u)


def masked(example: Example, t: Tensor, u: Tensor) -> list[bool]:
    """The first view's masks from its draws: t (blocks, 1) and u (blocks, block), both in [0, 1)."""
    drawn = (u < (1 - FLOOR) * t + FLOOR).flatten().tolist()
    return [d and label for d, label in zip(drawn, example.labelled, strict=True)]


def pack(
    examples: Sequence[Example], masks: Sequence[Sequence[bool]], *, mask_id: int, from_clean: bool = True
) -> Pack:
    """Lay examples out in rows as [view | complement | clean], every row padded to the longest.

    from_clean: the first label of a block is read from the clean copy of the position before it, as decoding does.
    The published loss reads it from the noisy copy, the end of a block that decoding never sees half masked.
    """
    rows = [_Row(e, m, mask_id=mask_id, from_clean=from_clean) for e, m in zip(examples, masks, strict=True)]
    slots = max(len(r.tokens) for r in rows)

    def padded(lists: Sequence[list[int]], fill: int) -> Tensor:
        return torch.tensor([items + [fill] * (slots - len(items)) for items in lists])

    part = padded([r.part for r in rows], PADDING)
    positions = padded([r.positions for r in rows], 0)
    block = positions // torch.tensor([[e.block] for e in examples])
    return Pack(
        tokens=padded([r.tokens for r in rows], 0),
        positions=positions,
        mask=may_look(part, block)[:, None],
        sources=torch.tensor([i * slots + s for i, r in enumerate(rows) for s in r.sources]),
        targets=torch.tensor([t for r in rows for t in r.targets]),
    )


def may_look(part: Tensor, block: Tensor) -> Tensor:
    """Who attends to whom, (rows, slots, slots), from each slot's part and block, (rows, slots).

    Noisy looks at its own block of its own view and at clean blocks before it; clean at clean blocks up to its own.
    """
    q_part, k_part, q_block, k_block = part[:, :, None], part[:, None, :], block[:, :, None], block[:, None, :]
    own = (q_part == k_part) & (q_block == k_block)
    return own | (k_part == CLEAN) & (q_part != PADDING) & (k_block < q_block)


class _Row:
    """One example's slots. Its parts follow one another, so a slot is its part's start plus its position in there."""

    def __init__(self, example: Example, mask: Sequence[bool], *, mask_id: int, from_clean: bool) -> None:
        ids, block, length = example.ids, example.block, len(example.ids)
        # the published reading needs the noisy block before the first label too
        first = example.labelled.index(True, 1) - (0 if from_clean else 1)
        start = first // block * block
        views = mask, [label and not m for m, label in zip(mask, example.labelled, strict=True)]
        noisy, known = range(start, length), range(length - block)
        self.tokens = [mask_id if view[p] else ids[p] for view in views for p in noisy] + [ids[p] for p in known]
        self.positions = [*noisy, *noisy, *known]
        self.part = [VIEW] * len(noisy) + [COMPLEMENT] * len(noisy) + [CLEAN] * len(known)
        self.sources: list[int] = []
        self.targets: list[int] = []
        for number, view in enumerate(views):
            for p in noisy:
                if not view[p] or p == 0:
                    continue
                clean = from_clean and p % block == 0
                self.sources.append((2 * len(noisy) if clean else number * len(noisy) - start) + p - 1)
                self.targets.append(ids[p])


def hidden(net: Transformer, batch: Pack) -> Tensor:
    """The states that predict the targets, (labels, hidden)."""
    rope = rope_table(net.shape, int(batch.positions.max()) + 1, batch.tokens.device)
    # (2, rows, 1, slots, head_dim): every row has positions of its own, every head of a row the same
    turns = rope[:, batch.positions].unsqueeze(2)
    # as a bias and not as bools, which every layer's attention would turn into one again
    bias = torch.zeros_like(batch.mask, dtype=net.norm.weight.dtype).masked_fill_(~batch.mask, float("-inf"))
    states = net(batch.tokens, turns, mask=bias)
    return states.flatten(0, 1)[batch.sources]


def total_loss(net: Transformer, batch: Pack) -> tuple[Tensor, Tensor]:
    """Cross entropy summed over the labels, in nats and fp32, and how many of them the best guess hits.

    No 1/t weight: with complementary views every label counts once whatever t was (paper, A.3).
    """
    logits = net.head(hidden(net, batch)).float()
    hits = (logits.detach().argmax(-1) == batch.targets).sum()
    return F.cross_entropy(logits, batch.targets, reduction="sum"), hits
