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


def nucleus(probs: Tensor, top_p: float, *, always: Tensor | None = None) -> Tensor:
    """Keep each token whose more probable ones sum to at most top_p, renormalised. probs (n, vocab) → the same.

    always: one token per row (n, 1) that is kept in any case.
    """
    ordered, order = probs.sort(-1, descending=True)
    keep = torch.zeros_like(probs, dtype=torch.bool).scatter_(-1, order, ordered.cumsum(-1) - ordered <= top_p)
    if always is not None:
        keep.scatter_(-1, always, True)
    kept = probs * keep
    return kept / kept.sum(-1, keepdim=True)


@dataclass(frozen=True, slots=True)
class Sampler:
    """How proposals are made. temperature 0 is greedy; above, `seed` decides the draws."""

    mask_id: int | None
    temperature: float = 0.0
    top_p: float | None = None
    seed: int = 0
    margin: bool = False
    entropy: bool = False

    def generator(self, device: torch.device) -> torch.Generator | None:
        """A sequence's own source of draws; None where nothing is drawn."""
        return torch.Generator(device).manual_seed(self.seed) if self.temperature else None

    def __call__(self, logits: Tensor, generator: torch.Generator | None = None) -> Proposal:
        """Propose one token per row of logits (n, vocab)."""
        wide = logits.float()
        probs = (wide / self.temperature if self.temperature else wide).softmax(-1)
        if self.top_p is not None and self.top_p < 1:
            probs = nucleus(probs, self.top_p, always=self._unmasked(probs.clone()).argmax(-1, keepdim=True))
        entropy = -(probs * (probs + 1e-10).log()).sum(-1) if self.entropy else None
        probs = self._unmasked(probs)
        tokens = probs.argmax(-1, keepdim=True)
        if self.temperature:
            tokens = torch.multinomial(probs, 1, generator=generator)
        margin = None
        if self.margin:
            first, second = probs.topk(2, dim=-1).values.unbind(-1)
            margin = first - second
        return Proposal(tokens.squeeze(-1), probs.gather(-1, tokens).squeeze(-1), margin, entropy)

    def alternatives(self, logits: Tensor, count: int) -> list[list[tuple[int, float]]]:
        """The most probable tokens of each row as the network says it: no temperature, no nucleus, no mask token."""
        best = self._unmasked(logits.float().softmax(-1)).topk(min(count, logits.shape[-1]), dim=-1)
        rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [list(zip(ids, values, strict=True)) for ids, values in rows]

    def _unmasked(self, probs: Tensor) -> Tensor:
        """Set the mask token's probability to zero in place. Copies nothing from the host: see `GraphCache`."""
        if self.mask_id is not None:
            probs[:, self.mask_id].zero_()
        return probs
