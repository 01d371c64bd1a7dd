"""The eager pass: kernels launched one by one, for any mixture of sequences of one network, with one sync."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, islice

import torch
from torch import Tensor

from dllm.models.attention import AttentionMask
from dllm.models.linear import Rows
from dllm.models.rollout import rollout_influence
from dllm.models.session import ForwardBatch, Session, propose, with_recorded
from dllm.models.transformer import KVView, Transformer
from dllm.step import Plan, Readout


class _BatchElement:
    """One sequence of a forward pass, and its observed attention."""

    def __init__(self, session: Session, plan: Plan) -> None:
        self.session, self.plan, self.rows = session, plan, session.rows(plan)
        self.at = session.place(plan.queries)
        self.masks = plan.layout.masks if plan.layout else ()
        self.maps: list[Tensor] = []  # per layer (queries, visible)
        self.probabilities: list[Tensor] = []  # per layer (heads, queries, visible)
        observe = self._note if session.observe.rollout or session.observe.attention else None
        entries = session.cache.layer_entries(plan.visible)
        slots = plan.layout and plan.layout.slots
        place = self.at if slots is None else session.place(slots)
        self.view = KVView(AttentionMask(session.mask(plan)), entries, place, observe, session.attention.kernel)

    def _note(self, layer: int, probs: Tensor) -> None:
        if self.session.observe.rollout:
            self.maps.append(probs[0].mean(0))
        if self.session.observe.attention:
            self.probabilities.append(probs[0].half())

    def wanted(self, logits: Tensor) -> list[Tensor]:
        """The numbers to bring to the host, fp64, in reading order. logits: (asked, vocab)."""
        session, layout = self.session, self.plan.layout
        if not self.rows:
            out = []
        elif layout is None or not layout.guesses or not session.sampler.temperature:
            out = propose(session.sampler, logits, session.generator)
        else:  # a guess is worth most where it is the likeliest token
            drawn = propose(session.sampler, logits[: -layout.guesses], session.generator)
            guessed = propose(replace(session.sampler, temperature=0.0), logits[-layout.guesses :])
            out = [torch.cat(pair) for pair in zip(drawn, guessed, strict=True)]
        return [*out, rollout_influence(self.maps, self.at).double()] if self.maps else out


def eager_forward(net: Transformer, asked: ForwardBatch) -> list[Readout]:
    """One pass for a batch. Sequences lie end to end; each attends to its own KV cache."""
    elements = [_BatchElement(session, plan) for session, plan in asked]
    device = asked[0][0].device
    ropes = [element.session.rope[:, element.at] for element in elements]
    sizes = [len(element.plan.tokens) for element in elements]
    tokens = torch.tensor([[t for element in elements for t in element.plan.tokens]], device=device)
    rope = ropes[0] if len(ropes) == 1 else torch.cat(ropes, dim=1)
    starts = list(accumulate(sizes, initial=0))
    masks = [start + i for start, element in zip(starts, elements, strict=False) for i in element.masks]
    views = [element.view for element in elements]
    hidden = net.forward_varlen(tokens, rope, views, sizes, masks=_run(masks, device))[0]
    rows = [start + row for start, element in zip(starts, elements, strict=False) for row in element.rows]
    # a pass that only encodes reads no logits; the head is the largest matrix of all
    logits = (net.logits(hidden[rows]) if rows else hidden[:0]).split([len(element.rows) for element in elements])
    values = iter(
        _fetch([t for element, part in zip(elements, logits, strict=True) for t in element.wanted(part)], device)
    )
    computed = [len(part) for part in hidden.split(sizes)]  # what came out is counted, not what was planned
    readouts = [
        replace(session.read(plan, lambda n: list(islice(values, n))), computed=n)
        for (session, plan), n in zip(asked, computed, strict=True)
    ]
    return with_recorded(asked, readouts, logits, [element.probabilities for element in elements])


def _run(rows: Sequence[int], device: torch.device) -> Rows | None:
    """Ascending indices as a slice where they follow one another; None where there are none."""
    if not rows:
        return None
    if rows[-1] - rows[0] == len(rows) - 1:
        return slice(rows[0], rows[-1] + 1)
    return torch.tensor(rows, device=device)


def _fetch(parts: Sequence[Tensor], device: torch.device) -> list[float]:
    """The pass's one sync, also if there is nothing to read, so that measured time includes the work."""
    if parts:
        return torch.cat(list(parts)).tolist()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return []
