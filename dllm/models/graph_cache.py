"""The cache of a network's CUDA graphs, and the KV storage that they use."""

import logging
from collections import Counter, OrderedDict

from torch import Tensor

from dllm.models.cuda_graph import Capture, Graph, GraphKey, capture_graph
from dllm.models.kv_cache import SLOTS, KVCache, KVPool
from dllm.models.session import ForwardBatch, ForwardFn, Session
from dllm.models.transformer import Transformer, rope_table
from dllm.step import Plan

_log = logging.getLogger(__name__)

CAPTURE_AFTER = 2  # passes of a shape before one is captured
MAX_GRAPHS, _MAX_SHAPES = 64, 4096  # graphs kept (least recently used goes first), and shapes counted


class GraphCache:
    """The captured passes of one network. For one thread."""

    def __init__(self, net: Transformer, capture: Capture = capture_graph) -> None:
        self.net, self._capture = net, capture
        self._begin()

    def _begin(self) -> None:
        self._weights = _addresses(self.net)
        self.pool = KVPool(self.net.shape, dtype=self.net.dtype, device=self.net.device)
        self._rope: Tensor | None = None  # of every position of the storage
        self._seen: Counter[GraphKey] = Counter()
        self._kept: OrderedDict[GraphKey, Graph | None] = OrderedDict()  # None: it could not be captured

    def _check(self) -> None:
        """Start over if the weights were moved or cast."""
        if self._weights != _addresses(self.net):
            self._begin()

    def reserve(self, sessions: int, capacity: int) -> None:
        """Grow the storage to `sessions` slots of `capacity` positions, if it is smaller."""
        self._check()
        if self.pool.must_grow(sessions, capacity):
            self._kept.clear()  # they know the storage by its address
            self.pool.grow(sessions, capacity)
            self._rope = rope_table(self.net.shape, self.pool.capacity, self.pool.device)

    def allocate(self, capacity: int) -> KVCache | None:
        """A KV cache whose passes can be replayed; None if there is no room."""
        self._check()
        if capacity > self.pool.capacity:
            self.reserve(SLOTS, capacity)
        return self.pool.allocate(capacity)

    def choose(self, asked: ForwardBatch) -> tuple[ForwardFn | None, list[int]]:
        """The graph for the largest group of one shape, and its indices; None and [] if the shape is rare."""
        alike: dict[tuple[object, ...], list[int]] = {}
        for n, (session, plan) in enumerate(asked):
            if is_replayable(session, plan):
                shape = len(plan.queries), bool(plan.asked), session.observe.rollout, session.greedy
                alike.setdefault(shape, []).append(n)
        if not alike:
            return None, []
        chosen = max(alike.values(), key=len)
        graph = self._graph([asked[n] for n in chosen])
        return (graph.forward, chosen) if graph else (None, [])

    def _graph(self, asked: ForwardBatch) -> Graph | None:
        key = GraphKey.of(asked)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if len(self._seen) > _MAX_SHAPES:
            self._seen.clear()
        self._seen[key] += 1
        if self._seen[key] <= CAPTURE_AFTER:
            return None
        assert self._rope is not None and self.pool.storage is not None
        try:
            self._kept[key] = Graph(self.net, self.pool.storage, self._rope, asked, capture=self._capture)
        except RuntimeError as error:  # a kernel that cannot be captured, or no memory: the eager pass still works
            _log.warning("no graph for %s: %s", key, error)
            self._kept[key] = None
        if len(self._kept) > MAX_GRAPHS:
            self._kept.popitem(last=False)
        return self._kept[key]


def _addresses(net: Transformer) -> tuple[object, ...]:
    """The weights' addresses, which graphs depend on."""
    return tuple((weight.data_ptr(), weight.dtype) for weight in (net.norm.weight, next(net.layers.parameters())))


def is_replayable(session: Session, plan: Plan) -> bool:
    """Whether a graph can run this plan: pooled KV cache, greedy, no attention mask, no attention recorded."""
    free = session.sampler.temperature == 0 and not session.observe.attention
    return session.cache.slot is not None and free and plan.layout is None and not session.needs_mask(plan)
