"""A session: one sequence's state on the device (KV cache, random state), and how its readouts are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import torch
from torch import Tensor

from dllm.models.attention import AttentionBackend
from dllm.models.kv_cache import KVCache
from dllm.models.sampling import Sampler
from dllm.step import Plan, Readout

ForwardBatch = Sequence[tuple["Session", Plan]]  # the sequences of a forward pass, and what is asked of each
ForwardFn = Callable[[ForwardBatch], list[Readout]]  # one readout for each of those asked, in their order


@dataclass(frozen=True, slots=True)
class Observe:
    """What to record besides tokens. rollout and attention need eager attention."""

    alternatives: int = 0
    rollout: bool = False
    attention: bool = False


@dataclass(eq=False)
class Session:
    """One sequence. Made by `Runner.session`, which owns the network.

    rope: (2, capacity, head_dim). block_size: of block-causal attention; None where every position sees all others.
    greedy: the sampler without its seed, which makes no difference where nothing is drawn.
    """

    cache: KVCache
    rope: Tensor
    attention: AttentionBackend
    block_size: int | None
    shift: int
    sampler: Sampler
    observe: Observe = Observe()
    greedy: Sampler = field(init=False)
    generator: torch.Generator | None = field(init=False)

    def __post_init__(self) -> None:
        self.greedy = replace(self.sampler, seed=0)
        self.generator = self.sampler.generator(self.device)

    @property
    def device(self) -> torch.device:
        """The session's device."""
        return self.rope.device

    def rows(self, plan: Plan) -> list[int]:
        """The query indices that predict the asked positions.

        Raises:
            ValueError: an asked position that no query predicts.
        """
        if plan.layout is not None and plan.layout.rows is not None:
            return list(plan.layout.rows)
        queries = plan.queries if isinstance(plan.queries, range) else {q: i for i, q in enumerate(plan.queries)}
        if missed := [p for p in plan.asked if p - self.shift not in queries]:
            raise ValueError(
                f"asked holds position {missed[0]}, which query {missed[0] - self.shift} predicts; "
                f"allowed: what the queries {plan.queries} predict"
            )
        if isinstance(queries, range):
            return [p - self.shift - queries.start for p in plan.asked]
        return [queries[p - self.shift] for p in plan.asked]

    def needs_mask(self, plan: Plan) -> bool:
        """Whether block-causal attention masks anything: some query's block ends before `visible`."""
        size = self.block_size
        return size is not None and plan.queries[0] // size < (plan.visible - 1) // size

    def read(self, plan: Plan, take: Callable[[int], list[float]]) -> Readout:
        """The readout of a plan; take(n) gives the next n numbers from the device."""
        n, sampler = len(plan.asked), self.sampler
        return Readout(
            positions=plan.asked,
            tokens=[int(t) for t in take(n)],
            confidence=take(n),
            margin=take(n) if sampler.margin else None,
            entropy=take(n) if sampler.entropy else None,
            rollout=take(plan.visible) if self.observe.rollout else None,
        )

    def place(self, queries: Sequence[int]) -> "slice | Tensor":
        """Positions as an index on the device: a slice where they are a range, else int64 (n,)."""
        if isinstance(queries, range):
            return slice(queries.start, queries.stop)
        return torch.tensor(list(queries), device=self.device)

    def mask(self, plan: Plan) -> Tensor | None:
        """Bool (queries, visible), True where a query may look; None where it may look everywhere."""
        if plan.layout is not None:
            return torch.from_numpy(plan.layout.sees).to(self.device)
        if self.block_size is None or not self.needs_mask(plan):
            return None
        q = torch.tensor(list(plan.queries), device=self.device).unsqueeze(1)
        k = torch.arange(plan.visible, device=self.device)
        return q // self.block_size >= k // self.block_size


def with_recorded(
    asked: ForwardBatch, readouts: Sequence[Readout], logits: Sequence[Tensor], maps: Sequence[Sequence[Tensor]] = ()
) -> list[Readout]:
    """The readouts with alternatives and attention, where they are recorded, and as `overhead` the seconds of that.

    logits: (asked, vocab) of each. maps: per sequence, by layer (heads, queries, visible).
    """
    began, found = perf_counter(), []
    for (session, _), readout, own, probs in zip(asked, readouts, logits, maps or [()] * len(asked), strict=True):
        count = session.observe.alternatives
        rows = session.sampler.alternatives(own, count) if count and len(own) else []
        attention = torch.stack(list(probs)).cpu().numpy() if probs else None
        found.append(replace(readout, alternatives=rows if count else None, attention=attention))
    overhead = perf_counter() - began
    return [replace(readout, overhead=overhead) for readout in found]


def propose(sampler: Sampler, logits: Tensor, generator: torch.Generator | None = None) -> list[Tensor]:
    """Proposals for rows of logits (n, vocab) as the host reads them: tokens, confidence, margin, entropy, fp64."""
    p = sampler(logits, generator)
    return [r.double() for r in (p.tokens, p.confidence, p.margin, p.entropy) if r is not None]
