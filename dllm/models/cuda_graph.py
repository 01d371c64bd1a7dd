"""A CUDA graph of one shape of pass: captured once, then replayed with new inputs, one launch instead of a thousand.

It computes the same as `eager_forward`, on inputs at fixed addresses. Numbers of visible entries and of asked
positions are rounded up: entries beyond are masked, rows beyond are not read. Queries and sequences are exact, because
products round by their number of rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from typing import Any

import torch
from torch import Tensor

from dllm.models.attention import AttentionMask, Kernel, attention_with_probs
from dllm.models.kv_cache import KVCache
from dllm.models.rollout import rollout_influence
from dllm.models.sampling import Sampler
from dllm.models.session import ForwardBatch, propose, with_recorded
from dllm.models.transformer import AttentionOp, KVView, Transformer
from dllm.step import Readout

VISIBLE_MULTIPLE, ASKED_MULTIPLE = 256, 32  # what the two numbers are rounded up to

Capture = Callable[[Callable[[], Any], torch.device], tuple[Callable[[], None], Any]]


@dataclass(frozen=True, slots=True)
class GraphKey:
    """The shape of a pass. slot: of a single sequence, whose entries need no gathering. sampler: greedy."""

    queries: int
    visible: int
    asked: int
    batch: int
    slot: int | None
    sampler: Sampler
    rollout: bool

    @classmethod
    def of(cls, asked: ForwardBatch) -> "GraphKey":
        """The key of a batch whose plans have the same number of queries and observe alike."""
        session, plan = asked[0]
        visible, rows = max(plan.visible for _, plan in asked), max(len(plan.asked) for _, plan in asked)
        return cls(
            queries=len(plan.queries),
            visible=-(-visible // VISIBLE_MULTIPLE) * VISIBLE_MULTIPLE,
            asked=min(len(plan.queries), -(-rows // ASKED_MULTIPLE) * ASKED_MULTIPLE),
            batch=len(asked),
            slot=session.cache.slot if len(asked) == 1 else None,
            sampler=session.greedy,
            rollout=session.observe.rollout,
        )


def capture_graph(body: Callable[[], Any], device: torch.device) -> tuple[Callable[[], None], Any]:
    """A replay function of `body`'s CUDA graph, and its result: tensors that every replay overwrites."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries set themselves up at a first call, which no capture survives
            body()
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(graph, pool=_memory(), capture_error_mode="thread_local"):
            found = body()
    return graph.replay, found


@cache
def _memory() -> Any:
    """One memory pool for all graphs: each result is read before the next replay."""
    return torch.cuda.graph_pool_handle()


@dataclass(frozen=True, slots=True)
class BatchedKVView:
    """A `KVView` for several sequences with equal numbers of queries: one attention call a layer.

    entries: by layer, keys and values of all slots (slots, kv_heads, visible, d). at: (batch, n). mask: of all.
    """

    mask: AttentionMask
    entries: Sequence[tuple[Tensor, Tensor]]
    at: Tensor
    kernel: Kernel
    observe: Callable[[int, Tensor], None] | None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        apart = [t[0].unflatten(1, self.at.shape).transpose(0, 1) for t in (q, k, v)]  # (batch, heads, n, d) each
        keys, values = self.entries[layer]
        assert self.mask.slots is not None
        place = (self.mask.slots[:, None], slice(None), self.at)
        keys[place], values[place] = (t.transpose(1, 2) for t in apart[1:])  # (batch, n, kv_heads, d)
        if self.observe is None:
            out = self.kernel(apart[0], keys, values, self.mask)
        else:
            out, probs = attention_with_probs(apart[0], keys, values, self.mask)
            self.observe(layer, probs)
        return out.transpose(0, 1).flatten(1, 2)[None]


class Graph:
    """One captured shape of pass: its inputs and outputs on the device."""

    def __init__(
        self, net: Transformer, storage: KVCache, rope: Tensor, asked: ForwardBatch, *, capture: Capture
    ) -> None:
        """storage: of all slots; rope: of all its positions.

        Capturing may compute, and what it computes stays in the storage; so the first inputs are those of a real pass.
        """
        self.net, self.storage, self.rope = net, storage, rope
        self.key = key = GraphKey.of(asked)
        self.kernel = asked[0][0].attention.kernel
        self._sizes = [key.batch * n for n in (key.queries, key.queries, key.asked, 1, 1)]
        self._host = torch.zeros(sum(self._sizes), dtype=torch.long, pin_memory=self.rope.is_cuda)
        self.inputs = self._host.to(self.rope.device)
        self._put(asked)
        self._replay, (self.wanted, self.logits, self.computed) = capture(self._pass, rope.device)

    def forward(self, asked: ForwardBatch) -> list[Readout]:
        """Run the pass for a batch, one sequence a row."""
        self._put(asked)
        self._replay()
        found = self.wanted.tolist()  # the sync
        readouts = [
            replace(session.read(plan, _columns(row, self.key.asked)), computed=self.computed)
            for row, (session, plan) in zip(found, asked, strict=True)
        ]
        logits = [own[: len(plan.asked)] for own, (_, plan) in zip(self.logits, asked, strict=True)]
        return with_recorded(asked, readouts, logits)

    def _put(self, asked: ForwardBatch) -> None:
        n, most = self.key.queries, self.key.asked
        rows = [[b * n + row for row in session.rows(plan)] for b, (session, plan) in enumerate(asked)]
        numbers = [
            *(t for _, plan in asked for t in plan.tokens),
            *(p for _, plan in asked for p in plan.queries),
            *(row for own in rows for row in (own + [0] * most)[:most]),
            *(plan.visible for _, plan in asked),
            *(session.cache.slot or 0 for session, _ in asked),
        ]
        self._host.copy_(torch.tensor(numbers))
        self.inputs.copy_(self._host, non_blocking=True)

    def _pass(self) -> tuple[Tensor, Tensor, int]:
        """What the host must know (batch, numbers), logits (batch, asked, vocab), and positions computed a row."""
        key, batch = self.key, self.key.batch
        tokens, at, rows, visible, slots = self.inputs.split(self._sizes)
        places = at.view(batch, -1)
        maps: list[Tensor] = []  # per layer (batch, queries, visible)
        view = self._view(places, visible, slots, maps)
        hidden = self.net.forward_varlen(tokens[None], self.rope[:, at], [view], [len(tokens)])[0]
        logits = self.net.logits(hidden[rows])
        wanted = [column.view(batch, -1) for column in propose(key.sampler, logits)] if key.asked else []
        if key.rollout:
            sums = [rollout_influence([layer[b] for layer in maps], places[b]) for b in range(batch)]
            wanted.append(torch.stack(sums).double())
        wanted = wanted or [visible.view(batch, 1).double()]  # something must be read, so that time means work done
        return torch.cat(wanted, dim=1), logits.view(batch, key.asked, self.net.shape.vocab), len(hidden) // batch

    def _view(self, at: Tensor, visible: Tensor, slots: Tensor, maps: list[Tensor]) -> AttentionOp:
        key, device = self.key, self.net.device
        beyond = torch.arange(key.visible, device=device) >= visible[:, None, None, None]
        bias = torch.zeros(beyond.shape, dtype=self.net.dtype, device=device).masked_fill(beyond, float("-inf"))
        observe = (lambda _, probs: maps.append(probs.mean(1))) if key.rollout else None
        mask = AttentionMask(bias, visible.int(), slots if key.slot is None else None)
        if key.slot is None:
            return BatchedKVView(mask, self.storage.layer_entries(key.visible), at, self.kernel, observe)
        return KVView(mask, self.storage.row(key.slot).layer_entries(key.visible), at[0], observe, self.kernel)


def _columns(row: list[float], width: int) -> Callable[[int], list[float]]:
    """Reads a row's columns one after another: the first n numbers of each."""
    starts = count(0, width)
    return lambda n: row[(at := next(starts)) : at + n]
