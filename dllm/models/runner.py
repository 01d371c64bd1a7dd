"""The runner: executes one network's forward passes. It makes sessions and answers their plans, one sync a pass.

Every pass can run eagerly. An optional executor is faster for the passes it accepts: CUDA graphs (`GraphCache`).
"""

from dataclasses import replace
from time import perf_counter
from typing import Protocol

import torch

from dllm.models.attention import AttentionBackend, choose_attention
from dllm.models.eager import eager_forward
from dllm.models.kv_cache import KVCache
from dllm.models.linear import packable
from dllm.models.sampling import Sampler
from dllm.models.session import ForwardBatch, ForwardFn, Observe, Session
from dllm.models.transformer import Layer, Transformer, rope_table
from dllm.step import Readout

_NOTHING = Observe()


class Executor(Protocol):
    """A faster way to run some passes. For one thread, while the weights stay in place."""

    def reserve(self, sessions: int, capacity: int) -> None:
        """Prepare for `sessions` concurrent sessions of `capacity` positions each."""
        ...

    def allocate(self, capacity: int) -> KVCache | None:
        """A cleared KV cache for a new session; None if there is no room: the session then runs eagerly."""
        ...

    def choose(self, asked: ForwardBatch) -> tuple[ForwardFn | None, list[int]]:
        """A forward function for some of the batch, and their indices; None and [] if there is none."""
        ...


class Runner:
    """Runs passes of one network, whose weights must not change meanwhile.

    attention: used unless attention probabilities are recorded. executor: tried first for every pass.
    """

    def __init__(self, net: Transformer, *, attention: str | None = None, executor: Executor | None = None) -> None:
        """`attention`: a name of `dllm.models.attention.BACKENDS`; None: the best there is.

        Raises:
            ValueError: the device does not have the attention that was asked for.
        """
        self.net, self.executor, self._requested = net, executor, attention
        self.attention = self._attention()
        pack_weights(net)

    @property
    def replays(self) -> bool:
        """Whether passes of frequent shapes are replayed, so that few shapes are faster than small passes."""
        return self.executor is not None

    def session(
        self, capacity: int, *, block_size: int | None, shift: int, sampler: Sampler, observe: Observe = _NOTHING
    ) -> Session:
        """A new sequence. capacity: positions of its canvas. block_size: of block-causal attention, else None."""
        net = self.net
        attention = self._attention(probabilities=observe.rollout or observe.attention)
        cache = self.executor.allocate(capacity) if self.executor else None
        cache = cache or KVCache.empty(net.shape, capacity, batch=1, dtype=net.dtype, device=net.device)
        rope = rope_table(net.shape, capacity, net.device)
        return Session(cache, rope, attention, block_size, shift, sampler, observe)

    def reserve(self, sessions: int, capacity: int) -> None:
        """Prepare for `sessions` concurrent sessions of `capacity` positions each."""
        if self.executor is not None:
            self.executor.reserve(sessions, capacity)

    @torch.inference_mode()
    def forward(self, asked: ForwardBatch) -> list[Readout]:
        """Answer a plan of each of several sessions; each gets the answer it would get alone.

        Plans that the executor does not take share one eager pass. A readout's `overhead` and `device` are the whole
        batch's. If a pass fails, the sessions' random states are restored.

        Raises:
            ValueError: an asked position that no query predicts.
            RuntimeError: what the device raises, such as torch.OutOfMemoryError.
        """
        drawn = [(session.generator, session.generator.get_state()) for session, _ in asked if session.generator]
        try:
            return self._forward(asked)
        except Exception:
            for generator, state in drawn:
                generator.set_state(state)
            raise

    def _forward(self, asked: ForwardBatch) -> list[Readout]:
        began = perf_counter()
        forward, chosen = self.executor.choose(asked) if self.executor else (None, [])
        parts: list[tuple[list[int], ForwardFn]] = [(chosen, forward)] if forward else []
        if others := sorted(set(range(len(asked))) - set(chosen)):
            parts.append((others, lambda batch: eager_forward(self.net, batch)))
        found: dict[int, Readout] = {}
        for part, run in parts:
            found |= zip(part, run([asked[n] for n in part]), strict=True)
        overhead = sum(found[part[0]].overhead for part, _ in parts)
        device = perf_counter() - began - overhead
        return [replace(found[n], overhead=overhead, device=device) for n in range(len(asked))]

    def _attention(self, *, probabilities: bool = False) -> AttentionBackend:
        net, requested = self.net, self._requested
        return choose_attention(
            net.device, net.dtype, head_dim=net.shape.head_dim, probabilities=probabilities, requested=requested
        )


def pack_weights(net: Transformer) -> None:
    """Lay a network's weights out in the fastest order for its device."""
    weight = net.norm.weight
    for layer in net.layers:
        assert isinstance(layer, Layer)
        for product, parts in layer.projections():
            if packable(weight):
                product.pack(*parts)
            elif weight.is_cuda:
                product.join(*parts)
    if packable(weight):
        net.predict.pack(net.head)
