"""d²Cache (arXiv 2509.23094): recompute a few positions chosen by certainty density and by attention rollout.

Paper semantics: confidences are those of the last time a position was recomputed, a position that was not
recomputed cannot be committed, and the search window is rounded to the true block size.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import numpy as np

from dllm.cache.plans import denoise
from dllm.canvas import Canvas
from dllm.settings import check_knobs, knob
from dllm.step import Plan, Span, Step
from dllm.unmask import certainty_density


@dataclass
class D2:
    """After one full pass, each step recomputes M* ∪ (just committed) ∪ U, as published, and `multiple` adds to it.

    M*: the k masked positions with the highest confidence × certainty density, those of the current block first
    (Eq. 4); none behind a stop token, where nothing is written any more. U: the other positions with the most rollout
    influence, together at most a share p of it (Eq. 9).
    """

    exact: ClassVar[bool] = False
    needs_rollout: ClassVar[bool] = True
    attentions: ClassVar[tuple[str, ...]] = ("bidirectional",)
    k: int = knob(32, "k", "Masked positions recomputed a step.", bounds=(1, 4096, 1))
    p: float = knob(0.1, "p", "Share of rollout influence recomputed.", bounds=(0.0, 1.0, 0.01))
    sigma: float = knob(10.0, "σ", "Reach of a decided token.", bounds=(0.1, 1000.0, 0.1))
    inflate: int = knob(0, "Inflate", "Fill gaps up to this wide.", bounds=(0, 4096, 1))
    multiple: int = knob(
        1, "Multiple", "Recompute more, up to a multiple of this: passes of few sizes.", bounds=(1, 256, 1)
    )
    confidence: np.ndarray | None = field(default=None, init=False, repr=False)  # (G,), latest known
    reasons: dict[str, list[int]] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_knobs(self)

    def plan(self, canvas: Canvas, block: Span, window: Span, asked: list[int]) -> Plan:
        """Everything at first, then the chosen positions; all masks they can predict are asked."""
        masked = canvas.masked_in(canvas.prompt_length, canvas.length)
        if self.reasons is None:
            return denoise(canvas, range(canvas.length), masked)
        queries = sorted(p for chosen in self.reasons.values() for p in chosen)
        fresh = set(queries)
        reachable = [p for p in masked if p - canvas.shift in fresh]
        return denoise(canvas, queries, reachable, reasons=self.reasons)

    def update(self, step: Step, canvas: Canvas) -> None:
        """Choose what the next step recomputes."""
        readout, start, shift = step.readout, canvas.prompt_length, canvas.shift
        if self.confidence is None:
            self.confidence = np.zeros(canvas.length - start)
        self.confidence[np.asarray(readout.positions, dtype=int) - start] = readout.confidence
        likely = self._likely(canvas, step.block)
        chosen = np.zeros(canvas.length, dtype=bool)
        chosen[[start + i - shift for i in likely if i >= shift]] = True
        density = chosen.copy()
        chosen[list(step.committed)] = True
        committed = chosen & ~density
        rollout = self._influential(np.asarray(readout.rollout), chosen)
        if shift:  # the query before the answer belongs to the answer's first token, whatever its influence
            rollout[start - 1] = False
            density[start - 1] = 0 in likely
            committed[start - 1] = False
        chosen = density | committed | rollout
        inflated = self._gaps(chosen)
        parts = {"density": density, "committed": committed, "rollout": rollout, "inflated": inflated}
        if self.multiple > 1:
            parts["padded"] = self._more(np.asarray(readout.rollout), chosen | inflated)
        self.reasons = {name: np.flatnonzero(part).tolist() for name, part in parts.items()}

    def _likely(self, canvas: Canvas, block: Span) -> list[int]:
        """M*: offsets into the answer, of masks before a stop token. The search ends with the k-th mask's block."""
        assert self.confidence is not None
        start, stop = canvas.prompt_length, canvas.stop_at
        masked = np.frombuffer(canvas.masked, dtype=bool)[start:]
        offsets = np.flatnonzero(masked if stop is None else masked[: stop - start])
        if not len(offsets):
            return []
        last = offsets[min(self.k, len(offsets)) - 1]
        offsets = offsets[offsets < (last // canvas.block_size + 1) * canvas.block_size]
        score = (self.confidence * certainty_density(~masked, self.sigma))[offsets]
        outside = (offsets < block[0] - start) | (offsets >= block[1] - start)
        return offsets[np.lexsort((-score, outside))[: self.k]].tolist()

    def _influential(self, influence: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """U: a mask of the positions not chosen yet whose influence sums to at most p; at least one."""
        weight, order = self._by_influence(influence, chosen)
        share = np.cumsum(weight[order]) / (weight.sum() + 1e-9)
        count = len(order) if self.p >= 1 else max(1, int((share <= self.p).sum()))
        out = np.zeros_like(chosen)
        out[order[:count]] = True
        return out

    def _by_influence(self, influence: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The influence of what is not chosen yet, 0 elsewhere; and those positions, the most influential first."""
        weight = np.where(chosen, 0.0, influence)
        return weight, np.argsort(-weight, kind="stable")[: int((~chosen).sum())]

    def _more(self, influence: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """The next most influential positions, as many as make the queries a multiple, if there are enough."""
        out = np.zeros_like(chosen)
        out[self._by_influence(influence, chosen)[1][: -int(chosen.sum()) % self.multiple]] = True
        return out

    def _gaps(self, chosen: np.ndarray) -> np.ndarray:
        """Everything between two chosen positions at most `inflate` apart."""
        out = np.zeros_like(chosen)
        at = np.flatnonzero(chosen)
        for a, b in pairwise(at.tolist()):
            if b - a <= self.inflate:
                out[a + 1 : b] = True
        return out
