"""From logits to proposals. The mask token is never proposed; its probability stays in the sum, as doubt."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Proposal:
    """Per row: the token, its probability, and where asked the margin and the entropy (nats); each (n,)."""

    tokens: Tensor
    confidence: Tensor
    margin: Tensor | None
    entropy: Tensor | None


def nucleus(probs: Tensor, top_p: float) -> Tensor:
    """Keep each token whose more probable ones sum to at most top_p, renormalised. probs (n, vocab) → the same."""
    ordered, order = probs.sort(-1, descending=True)
    keep = (ordered.cumsum(-1) - ordered <= top_p).scatter(-1, order, ordered.cumsum(-1) - ordered <= top_p)
    kept = probs * keep
    return kept / kept.sum(-1, keepdim=True)


@dataclass(frozen=True, slots=True)
class Sampler:
    """How proposals are made. temperature 0 is greedy; `generator` draws otherwise."""

    mask_id: int | None
    temperature: float = 0.0
    top_p: float | None = None
    generator: torch.Generator | None = None
    margin: bool = False
    entropy: bool = False

    def __call__(self, logits: Tensor) -> Proposal:
        """Propose one token per row of logits (n, vocab)."""
        wide = logits.float()
        probs = (wide / self.temperature if self.temperature else wide).softmax(-1)
        if self.top_p is not None and self.top_p < 1:
            probs = nucleus(probs, self.top_p)
        entropy = -(probs * (probs + 1e-10).log()).sum(-1) if self.entropy else None
        if self.mask_id is not None:
            probs[:, self.mask_id] = 0
            # where the nucleus was the mask alone, the best of the others is all there is
            empty = probs.sum(-1) == 0
            if self.top_p is not None:
                rest = wide.softmax(-1).index_fill(-1, torch.tensor(self.mask_id, device=wide.device), 0)
                probs = torch.where(empty.unsqueeze(-1), rest, probs)
        margin = None
        if self.margin:
            first, second = probs.topk(2, dim=-1).values.unbind(-1)
            margin = first - second
        if self.temperature:
            tokens = torch.multinomial(probs, 1, generator=self.generator)
        else:
            tokens = probs.argmax(-1, keepdim=True)
        return Proposal(tokens.squeeze(-1), probs.gather(-1, tokens).squeeze(-1), margin, entropy)
