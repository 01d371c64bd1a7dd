"""The runner: answers plans of one sequence on one device, with one sync a step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import torch
from torch import Tensor

from dllm.models.rollout import influence
from dllm.models.sampling import Sampler
from dllm.models.transformer import KVCache, Transformer, rope_table
from dllm.step import Plan, Readout


@dataclass(frozen=True, slots=True)
class Observe:
    """What a recorder or a policy wants besides tokens. rollout and attention make attention eager."""

    alternatives: int = 0
    rollout: bool = False
    attention: bool = False


class Session:
    """One sequence's KV cache, random state and observers."""

    def __init__(
        self,
        net: Transformer,
        capacity: int,
        *,
        block_size: int | None,
        shift: int,
        sampler: Sampler,
        observe: Observe = Observe(),
    ) -> None:
        """capacity: positions of the canvas. block_size: of block-causal attention; None where all see all."""
        self.net, self.block_size, self.shift = net, block_size, shift
        self.sampler, self.observe = sampler, observe
        weight = net.norm.weight
        self.device = weight.device
        self.generator = sampler.generator(weight.device)
        self.cache = KVCache(net.shape, capacity, batch=1, dtype=weight.dtype, device=weight.device)
        self.rope = rope_table(net.shape, capacity, weight.device)

    @torch.inference_mode()
    def forward(self, plan: Plan) -> Readout:
        """Run one plan. Asked positions must be predicted by one of its queries."""
        at = self._place(plan.queries)
        maps: list[Tensor] = []
        probabilities: list[Tensor] = []

        def note(layer: int, probs: Tensor) -> None:
            if self.observe.rollout:
                maps.append(probs[0].mean(0))
            if self.observe.attention:
                probabilities.append(probs[0].half())

        hidden = self.net(
            torch.tensor([list(plan.tokens)], device=self.device),
            self.rope[:, at],
            mask=self._mask(plan),
            cache=self.cache,
            at=at,
            visible=plan.visible,
            observe=note if self.observe.rollout or self.observe.attention else None,
        )[0]
        logits = self.net.head(hidden[self._rows(plan)]) if plan.asked else None
        readout = self._read(plan, logits, influence(maps, at) if maps else None)
        synced = perf_counter()
        return replace(
            readout,
            alternatives=self._alternatives(logits),
            attention=torch.stack(probabilities).cpu().numpy() if probabilities else None,
            overhead=perf_counter() - synced,
        )

    def _read(self, plan: Plan, logits: Tensor | None, rollout: Tensor | None) -> Readout:
        """Everything the host must know, in one transfer."""
        rows: list[Tensor] = []
        if logits is not None:
            p = self.sampler(logits, self.generator)
            rows = [r.double() for r in (p.tokens, p.confidence, p.margin, p.entropy) if r is not None]
        values = self._fetch([*rows, rollout.double()] if rollout is not None else rows)
        n = len(plan.asked)
        parts = iter([values[i * n : (i + 1) * n] for i in range(len(rows))])
        return Readout(
            positions=plan.asked,
            tokens=[int(t) for t in next(parts, [])],
            confidence=next(parts, []),
            margin=next(parts, []) if self.sampler.margin else None,
            entropy=next(parts, []) if self.sampler.entropy else None,
            rollout=values[len(rows) * n :] if rollout is not None else None,
        )

    def _fetch(self, parts: Sequence[Tensor]) -> list[float]:
        """The step's one sync: it happens even where there is nothing to read, so that time means work done."""
        if parts:
            return torch.cat(list(parts)).tolist()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return []

    def _alternatives(self, logits: Tensor | None) -> list[list[tuple[int, float]]] | None:
        if not self.observe.alternatives:
            return None
        return [] if logits is None else self.sampler.alternatives(logits, self.observe.alternatives)

    def _place(self, queries: Sequence[int]) -> "slice | Tensor":
        if isinstance(queries, range):
            return slice(queries.start, queries.stop)
        return torch.tensor(list(queries), device=self.device)

    def _rows(self, plan: Plan) -> list[int]:
        """Where among the queries the asked positions are predicted."""
        if isinstance(plan.queries, range):
            return [p - self.shift - plan.queries.start for p in plan.asked]
        place = {q: i for i, q in enumerate(plan.queries)}
        return [place[p - self.shift] for p in plan.asked]

    def _mask(self, plan: Plan) -> Tensor | None:
        """Block-causal attention needs a mask only where some query's block ends before `visible`."""
        if self.block_size is None or plan.queries[0] // self.block_size >= (plan.visible - 1) // self.block_size:
            return None
        q = torch.tensor(list(plan.queries), device=self.device).unsqueeze(1)
        k = torch.arange(plan.visible, device=self.device)
        return q // self.block_size >= k // self.block_size
