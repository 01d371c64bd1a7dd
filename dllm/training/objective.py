"""The Fast-dLLM v2 objective (arXiv 2509.26328 §3; attention as in BD3-LM, 2503.09573), laid out to compute little.

The published input is [noisy | clean] twice, once a complementary view. Here all views share one clean copy, the
noisy copies begin at the first block that has a label, and the clean copy ends before the last block, to which no
position attends: the same loss from about half the positions. Full attention is one block, without a clean copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from dllm.models.transformer import Transformer
from dllm.training.rows import bias, rotations

CLEAN, PADDING = -1, -2  # parts of a row; its views are 0, 1, …
SURE_ABOVE = 0.9  # as a decoder's default threshold


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


def pack(
    examples: Sequence[Example], views: Sequence[Sequence[Sequence[bool]]], *, mask_id: int, from_clean: bool = True
) -> Pack:
    """Lay examples out in rows as [view | … | view | clean], every row padded to the longest.

    views: of each example, masks over its positions. Masked positions are the labels.
    from_clean: the first label of a block is read from the clean copy of the position before it, as decoding does.
    The published loss reads it from the noisy copy, the end of a block that decoding never sees half masked.
    """
    rows = [_Row(e, v, mask_id=mask_id, from_clean=from_clean) for e, v in zip(examples, views, strict=True)]
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

    def __init__(self, example: Example, views: Sequence[Sequence[bool]], *, mask_id: int, from_clean: bool) -> None:
        ids, block, length = example.ids, example.block, len(example.ids)
        # the published reading needs the noisy block before the first label too
        first = example.labelled.index(True, 1) - (0 if from_clean else 1)
        start = first // block * block
        noisy, known = range(start, length), range(length - block)
        self.tokens = [mask_id if view[p] else ids[p] for view in views for p in noisy] + [ids[p] for p in known]
        self.positions = [*noisy] * len(views) + [*known]
        self.part = [number for number in range(len(views)) for _ in noisy] + [CLEAN] * len(known)
        self.sources: list[int] = []
        self.targets: list[int] = []
        for number, view in enumerate(views):
            for p in noisy:
                if not view[p] or p == 0:
                    continue
                clean = from_clean and p % block == 0
                self.sources.append((len(views) * len(noisy) if clean else number * len(noisy) - start) + p - 1)
                self.targets.append(ids[p])


def hidden(net: Transformer, batch: Pack) -> Tensor:
    """The states that predict the targets, (labels, hidden)."""
    rope = rotations(net, batch.positions).unsqueeze(2)  # (2, rows, 1, slots, head_dim): the same for every head
    states = net(batch.tokens, rope, mask=bias(batch.mask, net.norm.weight.dtype))
    return states.flatten(0, 1)[batch.sources]


@dataclass(frozen=True, slots=True)
class Measure:
    """Sums over labels: cross entropy in nats, labels, correct best guesses, guesses above SURE_ABOVE, correct ones."""

    loss: float = 0.0
    labels: int = 0
    hits: int = 0
    sure: int = 0
    sure_hits: int = 0

    def __add__(self, other: "Measure") -> "Measure":
        return Measure(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def mean(self) -> dict[str, object]:
        """Loss, accuracy and share of sure guesses per label, and the accuracy of the sure ones."""
        return {
            "loss": self.loss / self.labels,
            "accuracy": self.hits / self.labels,
            "sure": self.sure / self.labels,
            "sure_accuracy": self.sure_hits / self.sure if self.sure else None,
            "labels": self.labels,
        }


def score(net: Transformer, states: Tensor, targets: Tensor, *, sharpen: float = 0.0) -> tuple[Tensor, Measure]:
    """The loss summed over the labels, in nats and fp32, and what it is made of. states: (labels, hidden).

    Cross entropy, without a 1/t weight: with complementary views every label counts once whatever t was (paper, A.3).
    sharpen: weight of the entropy where the best guess is correct, which makes a model surer there (the
    certainty-forcing term of dParallel, arXiv 2509.26488; LLaDA2.0 calls it confidence-aware training).
    """
    logits = net.head(states).float()
    loss = F.cross_entropy(logits, targets, reduction="sum")
    with torch.no_grad():
        top, guess = logits.max(-1)
        confidence = (top - logits.logsumexp(-1)).exp()
        hits, sure = guess == targets, confidence > SURE_ABOVE
        counts = torch.stack((hits.sum(), sure.sum(), (hits & sure).sum())).tolist()
    measure = Measure(loss.item(), len(targets), *counts)
    if sharpen:
        log_probs = logits[hits].log_softmax(-1)
        loss = loss - sharpen * (log_probs.exp() * log_probs).sum()
    return loss, measure
