"""The runner: answers plans of one sequence, or of several together, on one device with one sync a pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from time import perf_counter

import torch
from torch import Tensor

from dllm.models.attend import AttentionMask
from dllm.models.beside import Rows
from dllm.models.resolver import resolve
from dllm.models.rollout import influence
from dllm.models.sampling import Sampler
from dllm.models.transformer import KVCache, KVView, Transformer, rope_table
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
        self.greedy = replace(sampler, seed=0)  # where nothing is drawn the seed tells no two sessions apart
        weight = net.norm.weight
        self.device = weight.device
        self.generator = sampler.generator(weight.device)
        self.attention = resolve(
            weight.device,
            weight.dtype,
            head_dim=net.shape.head_dim,
            probabilities=observe.rollout or observe.attention,
            requested=net.attention,
        )
        self.cache = (net.graphs and net.graphs.take(capacity)) or KVCache.empty(
            net.shape, capacity, batch=1, dtype=weight.dtype, device=weight.device
        )
        self.rope = rope_table(net.shape, capacity, weight.device)

    def forward(self, plan: Plan) -> Readout:
        """Run one plan. Asked positions must be predicted by one of its queries."""
        return answer([(self, plan)])[0]

    def rows(self, plan: Plan) -> list[int]:
        """Where among the queries the asked positions are predicted.

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
        """Whether some query's block ends before `visible`: nothing else is masked under block-causal attention."""
        size = self.block_size
        return size is not None and plan.queries[0] // size < (plan.visible - 1) // size

    def read(self, plan: Plan, take: Callable[[int], list[float]]) -> Readout:
        """The answer to a plan; take(n) gives the next n of the numbers that came to the host."""
        n, sampler = len(plan.asked), self.sampler
        return Readout(
            positions=plan.asked,
            tokens=[int(t) for t in take(n)],
            confidence=take(n),
            margin=take(n) if sampler.margin else None,
            entropy=take(n) if sampler.entropy else None,
            rollout=take(plan.visible) if self.observe.rollout else None,
        )

    def recorded(self, readout: Readout, logits: Tensor, maps: Sequence[Tensor] = ()) -> Readout:
        """The answer with what only a recorder asked for. logits: (asked, vocab)."""
        count = self.observe.alternatives
        rows = self.sampler.alternatives(logits, count) if count and len(logits) else []
        return replace(
            readout,
            alternatives=rows if count else None,
            attention=torch.stack(list(maps)).cpu().numpy() if maps else None,
        )

    def _place(self, queries: Sequence[int]) -> "slice | Tensor":
        if isinstance(queries, range):
            return slice(queries.start, queries.stop)
        return torch.tensor(list(queries), device=self.device)

    def _mask(self, plan: Plan) -> Tensor | None:
        if plan.layout is not None:
            return torch.from_numpy(plan.layout.sees).to(self.device)
        if self.block_size is None or not self.needs_mask(plan):
            return None
        q = torch.tensor(list(plan.queries), device=self.device).unsqueeze(1)
        k = torch.arange(plan.visible, device=self.device)
        return q // self.block_size >= k // self.block_size


class Turn:
    """A session's part in one forward pass, and what is noted of its attention there."""

    def __init__(self, session: Session, plan: Plan) -> None:
        self.session, self.plan, self.rows = session, plan, session.rows(plan)
        self.at = session._place(plan.queries)
        self.masks = plan.layout.masks if plan.layout else ()
        self.maps: list[Tensor] = []  # per layer (queries, visible)
        self.probabilities: list[Tensor] = []  # per layer (heads, queries, visible)
        observe = self._note if session.observe.rollout or session.observe.attention else None
        entries = session.cache.seen(plan.visible)
        slots = plan.layout and plan.layout.slots
        place = self.at if slots is None else session._place(slots)
        self.view = KVView(AttentionMask(session._mask(plan)), entries, place, observe, session.attention.kernel)

    def _note(self, layer: int, probs: Tensor) -> None:
        if self.session.observe.rollout:
            self.maps.append(probs[0].mean(0))
        if self.session.observe.attention:
            self.probabilities.append(probs[0].half())

    def wanted(self, logits: Tensor) -> list[Tensor]:
        """What the host must know, in fp64 and in the order in which it is read. logits: (asked, vocab)."""
        session, layout = self.session, self.plan.layout
        if not self.rows:
            out = []
        elif layout is None or not layout.guesses or not session.sampler.temperature:
            out = proposed(session.sampler, logits, session.generator)
        else:  # a guess is worth most where it is the likeliest token
            drawn = proposed(session.sampler, logits[: -layout.guesses], session.generator)
            guessed = proposed(replace(session.sampler, temperature=0.0), logits[-layout.guesses :])
            out = [torch.cat(pair) for pair in zip(drawn, guessed, strict=True)]
        return [*out, influence(self.maps, self.at).double()] if self.maps else out


def proposed(sampler: Sampler, logits: Tensor, generator: torch.Generator | None = None) -> list[Tensor]:
    """Proposals for rows of logits (n, vocab) as the host reads them: tokens, confidence, margin, entropy, fp64."""
    p = sampler(logits, generator)
    return [r.double() for r in (p.tokens, p.confidence, p.margin, p.entropy) if r is not None]


@torch.inference_mode()
def answer(asked: Sequence[tuple[Session, Plan]]) -> list[Readout]:
    """Run a plan of each of several sessions of one network in one forward pass; what each gets is what it gets alone.

    Passes of a usual shape are replayed from a graph where the network has such (see `Graphs`), together; the others
    make one pass more. Every readout's `overhead` and `device` are those of all, because all wait for them.
    """
    drawn = [(session.generator, session.generator.get_state()) for session, _ in asked if session.generator]
    try:
        return _answer(asked)
    except Exception:
        for generator, state in drawn:  # who tries again draws the same
            generator.set_state(state)
        raise


def _answer(asked: Sequence[tuple[Session, Plan]]) -> list[Readout]:
    began = perf_counter()
    graphs = asked[0][0].net.graphs
    graph, chosen = graphs.choose(asked) if graphs else (None, [])
    parts = [(chosen, graph.answer)] if graph else []
    if others := sorted(set(range(len(asked))) - set(chosen)):
        parts.append((others, _pass))
    found: dict[int, Readout] = {}
    for part, run in parts:
        found |= zip(part, run([asked[n] for n in part]), strict=True)
    overhead = sum(found[part[0]].overhead for part, _ in parts)
    device = perf_counter() - began - overhead
    return [replace(found[n], overhead=overhead, device=device) for n in range(len(asked))]


def _pass(asked: Sequence[tuple[Session, Plan]]) -> list[Readout]:
    """One pass, launched kernel by kernel. Sequences lie end to end and attend one by one, each to its own KV cache."""
    turns = [Turn(session, plan) for session, plan in asked]
    net, device = asked[0][0].net, asked[0][0].device
    ropes = [turn.session.rope[:, turn.at] for turn in turns]
    sizes = [len(turn.plan.tokens) for turn in turns]
    tokens = torch.tensor([[t for turn in turns for t in turn.plan.tokens]], device=device)
    rope = ropes[0] if len(ropes) == 1 else torch.cat(ropes, dim=1)
    starts = list(accumulate(sizes, initial=0))
    masks = [start + i for start, turn in zip(starts, turns, strict=False) for i in turn.masks]
    views = [turn.view for turn in turns]
    hidden = net.together(tokens, rope, views, sizes, masks=_run(masks, device))[0]
    rows = [start + row for start, turn in zip(starts, turns, strict=False) for row in turn.rows]
    # a pass that only encodes reads no logits; the head is the largest matrix of all
    logits = (net.logits(hidden[rows]) if rows else hidden[:0]).split([len(turn.rows) for turn in turns])
    values = iter(_fetch([t for turn, part in zip(turns, logits, strict=True) for t in turn.wanted(part)], device))
    computed = [len(part) for part in hidden.split(sizes)]  # what came out is counted, not what was planned
    readouts = [turn.session.read(turn.plan, lambda n: list(islice(values, n))) for turn in turns]
    synced = perf_counter()
    readouts = [
        turn.session.recorded(replace(readout, computed=n), part, turn.probabilities)
        for turn, readout, n, part in zip(turns, readouts, computed, logits, strict=True)
    ]
    overhead = perf_counter() - synced
    return [replace(readout, overhead=overhead) for readout in readouts]


def _run(rows: Sequence[int], device: torch.device) -> Rows | None:
    """Ascending indices as a slice where they follow one another; None where there are none."""
    if not rows:
        return None
    if rows[-1] - rows[0] == len(rows) - 1:
        return slice(rows[0], rows[-1] + 1)
    return torch.tensor(rows, device=device)


def _fetch(parts: Sequence[Tensor], device: torch.device) -> list[float]:
    """The pass's one sync: it happens even where there is nothing to read, so that time means work done."""
    if parts:
        return torch.cat(list(parts)).tolist()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return []
