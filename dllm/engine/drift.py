"""Cache drift: replays a trace with its cache, and compares every step with a pass that recomputes everything."""

from collections.abc import Generator, Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from dllm.cache.plans import denoise
from dllm.canvas import Canvas
from dllm.engine.run import Run, causal_block_size, model_record
from dllm.settings import VERIFY, Settings, SettingsError
from dllm.step import Plan
from dllm.trace.canvases import Cells, canvases
from dllm.trace.drift import MAX_DRIFT_CELLS, Change, Drift, shape_of
from dllm.trace.records import StepRecord
from dllm.trace.schema import ModelRecord, Trace

if TYPE_CHECKING:
    from dllm.engine.engine import Engine
    from dllm.models.drift import PassComparison

MAX_STATE_BYTES = 2**30  # of fresh keys, which are all held for their principal components
_CHUNK = 64  # positions whose components are found together


class DriftReplay:
    """Computes the drift of a trace: iterate (yields the number of steps done), then read `drift`.

    Closing the iterator frees both KV caches. It computes in fp32 or more, so that rounding does not count as drift.
    """

    def __init__(self, engine: "Engine", trace: Trace) -> None:
        """Check the trace; nothing is computed yet.

        Raises:
            SettingsError: no steps, too many, another model than the engine's, settings it does not allow, or
                verified decoding.
        """
        settings = Settings.from_json(trace.settings)
        if settings.rule.name == VERIFY:
            raise SettingsError(
                f"unmask is {VERIFY!r} in the trace; allowed: any other, because the entries that verified decoding "
                "keeps are exact by construction, so there is no drift to measure"
            )
        _check_model(trace.model, model_record(engine.network(settings.attention)))
        self.trace, self.run = trace, engine.run(trace.prompt, settings)  # not begun: it knows model and canvas
        _check_size(trace, self.run)
        self._drift: Drift | None = None

    @property
    def drift(self) -> Drift:
        """The result.

        Raises:
            RuntimeError: it was not iterated to the end.
        """
        if self._drift is None:
            raise RuntimeError("the drift is known after the last step; iterate first")
        return self._drift

    def __iter__(self) -> Generator[int, None, None]:
        """Replay; yields 1, 2, … after each step. The components of the keys are found after the last.

        Raises:
            SettingsError: a step of the trace that no decoder makes; says which.
        """
        from dllm.models.drift import SessionPair

        trace, run = self.trace, self.run
        canvas, vocab = deepcopy(run.canvas), run.model.net.shape.vocab
        pair = SessionPair(run.model, canvas.length, block_size=causal_block_size(run.settings), shift=canvas.shift)
        kept = _Collected(trace, run)
        mask = vocab if run.model.mask_id is None else run.model.mask_id
        for record, cells in zip(trace.steps, canvases(trace.steps), strict=True):
            plan = _plan(record, canvas, vocab)
            fresh = denoise(canvas, range(record.visible), record.positions, visible=record.visible)
            kept.add(record, pair.forward(plan, fresh))
            _write(record, cells, canvas, mask)
            yield record.index + 1
        found = principal_components(kept.states, [record.visible for record in trace.steps])
        self._drift = Drift(kept.keys, kept.values, found, tuple(kept.changes))


class _Collected:
    """What the steps have shown so far."""

    def __init__(self, trace: Trace, run: Run) -> None:
        shape = shape_of(trace)
        self.keys = np.full(shape, np.nan, np.float16)
        self.values = self.keys.copy()
        self.states = np.zeros((*shape, _width(run)), np.float16)
        self.changes: list[Change] = []
        self._origin = np.zeros((*shape[1:], _width(run)), np.float32)
        self._reach = 0
        self._written = np.zeros(shape[2], dtype=bool)  # whether there is a cache entry

    def add(self, record: StepRecord, seen: "PassComparison") -> None:
        step, visible = record.index, record.visible
        for start, end in record.queries:
            self._written[start:end] = True
        written = self._written[:visible]
        self.keys[step, :, :visible] = np.where(written, seen.keys, np.nan)
        self.values[step, :, :visible] = np.where(written, seen.values, np.nan)
        # float16 holds the way from the first state better than the state, and components do not change by it
        self._origin[:, self._reach : visible] = seen.states[:, self._reach :]
        self._reach = max(self._reach, visible)
        self.states[step, :, :visible] = seen.states - self._origin[:, :visible]
        self.changes.extend(_changes(record, seen))


def principal_components(states: np.ndarray, visible: list[int]) -> np.ndarray:
    """The first two principal components over the steps of every layer and position: d²Cache Fig. 2a.

    states: (steps, layers, positions, width). visible: per step, how many positions count. A component's sign is that
    its largest value is positive. Gives float16 (layers, positions, steps, 2), NaN where a position does not count.
    """
    steps, layers, positions, _ = states.shape
    counts = np.arange(positions)[:, None] < np.asarray(visible)  # (positions, steps)
    out = np.zeros((layers, positions, steps, 2), np.float16)
    for layer in range(layers):
        for start in range(0, positions, _CHUNK):
            at = slice(start, start + _CHUNK)
            out[layer, at] = _components(states[:, layer, at].swapaxes(0, 1).astype(np.float64), counts[at])
    out[:, ~counts] = np.nan
    return out


def _components(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Scores (n, steps, 2) of x (n, steps, width), over the steps that count (n, steps); 0 at the others."""
    weight = counts[..., None]
    mean = (x * weight).sum(1, keepdims=True) / np.maximum(weight.sum(1, keepdims=True), 1)
    x = (x - mean) * weight
    size, vectors = np.linalg.eigh(x @ x.swapaxes(1, 2))  # ascending; x = U S Vᵀ, so x xᵀ = U S² Uᵀ
    scores = np.zeros((*counts.shape, 2))
    top = vectors[..., :-3:-1] * np.sqrt(np.maximum(size[:, None, :-3:-1], 0))
    scores[..., : top.shape[-1]] = top
    largest = np.take_along_axis(scores, np.abs(scores).argmax(1, keepdims=True), 1)
    return scores * np.where(largest < 0, -1, 1)


def _changes(record: StepRecord, seen: "PassComparison") -> Iterator[Change]:
    cached, fresh, committed = seen.cached, seen.fresh, set(record.committed)
    for p, token, sure, other, fresh_sure in zip(
        record.positions, cached.tokens, cached.confidence, fresh.tokens, fresh.confidence, strict=True
    ):
        if token != other:
            yield Change(record.index, p, token, sure, other, fresh_sure, p in committed)


def _plan(record: StepRecord, canvas: Canvas, vocab: int) -> Plan:
    """The plan that a step was made by."""
    ids = canvas.ids
    queries: Sequence[int] = [p for span in record.queries for p in range(*span)]
    if not queries or record.visible > len(ids):
        raise SettingsError(
            f"step {record.index} computes {len(queries)} positions and sees {record.visible}; "
            f"allowed: at least 1, and at most {len(ids)}"
        )
    if wrong := [p for p in range(record.visible) if ids[p] >= vocab]:
        p = wrong[0]
        raise SettingsError(f"step {record.index} sees token {ids[p]} at position {p}; allowed: ids below {vocab}")
    if wrong := sorted({p - canvas.shift for p in record.positions} - set(queries)):
        raise SettingsError(f"step {record.index} reads position {wrong[0]}, which it does not compute")
    if len(record.queries) == 1:
        queries = range(*record.queries[0])
    return denoise(canvas, queries, record.positions, visible=record.visible)


def _write(record: StepRecord, cells: Cells, canvas: Canvas, mask: int) -> None:
    """Make a decoder's canvas what the trace's is after a step."""
    if wrong := [p for p in record.committed if p >= canvas.length]:
        raise SettingsError(f"step {record.index} commits position {wrong[0]}; allowed: below {canvas.length}")
    for p in record.committed:
        if p in cells:  # else it was withdrawn at once
            canvas.commit(p, cells[p].token)
    for p in record.withdrawn:
        canvas.mask(p, mask)


def _check_model(theirs: ModelRecord, ours: ModelRecord) -> None:
    names = [f"{m.id} ({m.layers} layers, sha256 {m.sha256 or 'unknown'})" for m in (theirs, ours)]
    if names[0] != names[1]:
        raise SettingsError(f"the trace is of model {names[0]}; allowed: that of the engine, {names[1]}")


def _check_size(trace: Trace, run: Run) -> None:
    steps, layers, positions = shape_of(trace)
    cells = steps * layers * positions
    if not cells:
        raise SettingsError("the trace has no steps; allowed: at least one")
    most = min(MAX_DRIFT_CELLS, MAX_STATE_BYTES // (2 * _width(run)))
    if cells > most:
        raise SettingsError(
            f"the trace has {cells} cells ({steps} steps, {layers} layers, {positions} positions); allowed: {most}"
        )


def _width(run: Run) -> int:
    """How many numbers are a position's key."""
    return run.model.net.shape.kv_heads * run.model.net.shape.head_dim
