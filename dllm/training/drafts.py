"""The objective "drafts": guesses beyond AR's next token, by an adapter that acts at masks only.

Clean tokens see no mask under hybrid attention and so do not depend on the adapter: their keys and values are computed
once, without gradients, for many groups of masks, each behind another place of the answer.
"""

import random
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm.models.kv_cache import KVCache
from dllm.models.loader import Model, build_network
from dllm.training.config import Config
from dllm.training.corpus import Corpus
from dllm.training.documents import Document
from dllm.training.lora import wrap_for_masks
from dllm.training.objective import Measure, score
from dllm.training.outlook import DRAFT_COUNTS, Guessed, outlook
from dllm.training.rows import FrozenKVView, PackedSequence, bias, hidden_states, rotations

BEHIND_THE_END = 0.1  # fraction of the labels behind an answer's end that are kept
NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class MaskGroup:
    """Masks at positions last + 1 … last + size of a document whose clean tokens they see up to `last`."""

    document: int
    last: int
    size: int


class Drafts:
    """Groups of masks behind clean prefixes; the mask at position p predicts p + 1."""

    attentions = ("hybrid",)

    def __init__(self, model: Model, config: Config, corpus: Corpus) -> None:
        self.model, self.config, self.corpus = model, config, corpus
        weight, kept = model.net.norm.weight, dict(model.net.state_dict())
        self.clean = build_network(model.net.shape, kept.items(), device=weight.device, dtype=weight.dtype)
        self.net = model.net
        self.parameters = wrap_for_masks(self.net, config)

    def loss(self, number: int, *, sharpen: float) -> tuple[Tensor, Measure]:
        """The loss of a micro-batch, summed over its labels, and what it is made of."""
        documents = self.corpus.micro_batch(number)
        rng = random.Random(f"{self.config.seed}/{number}")
        sizes, weights = zip(*self.config.groups.items(), strict=True)
        size = int(rng.choices(sizes, weights)[0])
        groups = [
            MaskGroup(n, last, size) for n, d in enumerate(documents) for last in _places(d, rng, self.config.places)
        ]
        targets = [label for g in groups for label in self._labels(documents[g.document], g, rng)]
        hidden = self.guesses(PackedSequence.of(documents, self.model.device), groups)
        wanted = torch.tensor(targets, device=self.model.device)
        kept = wanted != NO_LABEL
        return score(self.net, hidden[kept], wanted[kept], sharpen=sharpen)

    def measure(self, pool: Executor) -> dict[str, object]:
        """How good the drafts for the held-out documents are, see `outlook`."""
        return outlook(list(pool.map(self._guessed, self.corpus.held_out)))

    @torch.no_grad()
    def _guessed(self, document: Document) -> Guessed:
        start, count, depth = len(document.prompt_ids) - 1, len(document.answer_ids), max(DRAFT_COUNTS)
        groups = [MaskGroup(0, start + n, depth) for n in range(count)]
        logits = self.net.head(self.guesses(PackedSequence.of([document], self.model.device), groups)).float()
        confidence, tokens = (t.view(count, depth).tolist() for t in logits.softmax(-1).max(-1))
        return Guessed(document.answer_ids, tokens, confidence)

    def guesses(self, row: PackedSequence, groups: Sequence[MaskGroup]) -> Tensor:
        """Hidden states of the masks of all groups, in order, (masks, hidden)."""
        device, dtype = row.tokens.device, self.net.norm.weight.dtype
        cache = KVCache.empty(self.net.shape, len(row.tokens), batch=1, dtype=dtype, device=device)
        with torch.no_grad():
            hidden_states(self.clean, row, cache)
        sizes = torch.tensor([g.size for g in groups], device=device)
        own = torch.arange(len(groups), device=device).repeat_interleave(sizes)
        owner, last = (
            torch.tensor(v, device=device)[own] for v in zip(*((g.document, g.last) for g in groups), strict=True)
        )
        positions = torch.cat([torch.arange(g.last + 1, g.last + 1 + g.size, device=device) for g in groups])
        sees = torch.cat((row.sees(owner, last), own[:, None] == own), dim=1)
        tokens = torch.full((1, len(positions)), self.config.mask_id, device=device)
        behind = FrozenKVView(cache.layer_entries(len(row.tokens)), bias(sees, dtype))
        return self.net.forward_varlen(tokens, rotations(self.net, positions), [behind], [len(positions)])[0]

    def _labels(self, document: Document, group: MaskGroup, rng: random.Random) -> list[int]:
        """What the masks of a group predict, or NO_LABEL."""
        ids, prompt = document.answer_ids, len(document.prompt_ids)
        ended = ids[-1] == self.corpus.stop_id
        first = group.last + 2 - prompt
        within = ids[first : first + group.size]
        behind = [ended and rng.random() < BEHIND_THE_END for _ in range(group.size - len(within))]
        return [*within, *(self.corpus.stop_id if kept else NO_LABEL for kept in behind)]


def _places(document: Document, rng: random.Random, most: int) -> list[int]:
    """Last clean positions, from the prompt's end on, behind which something is left to guess."""
    start = len(document.prompt_ids) - 1
    pool = range(start, max(start, start + len(document.answer_ids) - 2) + 1)
    return sorted(rng.sample(pool, min(most, len(pool))))
