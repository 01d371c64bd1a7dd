"""What is derived from a trace: pure functions, each number with one definition."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dllm.records import StepRecord
from dllm.trace import Trace

# what the page shows beside each number
DEFINITIONS = {
    "tps": "Tokens per second: tokens of the answer ÷ seconds of all its steps. Recording and drawing are not in it.",
    "tpf": "Tokens per forward: tokens of the answer ÷ forward passes. AR is about 1.",
    "nfe": "Forward passes (number of function evaluations), prefill and commit passes included.",
    "recomputed": "Positions pushed through the network ÷ positions visible to it, over all passes. No cache is 100 %.",
    "ttft": "Time to the first token of the answer: seconds of all steps up to the one that committed it.",
    "recorder": "Seconds spent on recording alternatives and the like; not part of any other number.",
}

# what the cache did with a position in a step; the last four are d²Cache's reasons for recomputing it
STATES = ("absent", "reused", "recomputed", "density", "committed", "rollout", "inflated", "padded")
ABSENT, REUSED, RECOMPUTED = range(3)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a run so far; see DEFINITIONS."""

    tokens: int
    nfe: int
    seconds: float
    tps: float
    tpf: float
    recomputed: float
    ttft: float | None
    recorder: float


def canvas_at(trace: Trace, step: int, *, mask: int | None = None) -> list[int | None]:
    """The ids on the canvas after a step (-1: before the first): the prompt, then as far as any step reached."""
    length = max([len(trace.prompt), *(p + 1 for s in trace.steps for p in (*s.committed, s.visible - 1))])
    canvas: list[int | None] = [*trace.prompt, *[mask] * (length - len(trace.prompt))]
    for record in trace.steps[: step + 1]:
        proposed = dict(zip(record.positions, record.tokens, strict=True))
        for p in record.committed:
            canvas[p] = proposed[p]
        for p in record.withdrawn:
            canvas[p] = mask
    return canvas


def numbers(trace: Trace) -> Numbers:
    """The numbers of a whole trace."""
    steps, tokens = trace.steps, len(trace.output)
    seconds = sum(s.seconds for s in steps)
    queries, visible = sum(s.query_count for s in steps), sum(s.attended for s in steps)
    return Numbers(
        tokens=tokens,
        nfe=len(steps),
        seconds=seconds,
        tps=tokens / seconds if seconds else 0.0,
        tpf=tokens / len(steps) if steps else 0.0,
        recomputed=queries / visible if visible else 0.0,
        ttft=ttft(steps),
        recorder=trace.timing.recorder,
    )


def ttft(steps: Sequence[StepRecord]) -> float | None:
    """Seconds up to the end of the first step that committed a token; None before."""
    total = 0.0
    for s in steps:
        total += s.seconds
        if s.committed:
            return total
    return None


def entry_ages(trace: Trace, step: int) -> list[int | None]:
    """Steps since each position's KV entry was computed, as seen after a step; None: never."""
    length = max([0, *(s.visible for s in trace.steps[: step + 1])])
    ages: list[int | None] = [None] * length
    for record in trace.steps[: step + 1]:
        for start, end in record.queries:
            ages[start:end] = [step - record.index] * (end - start)
    return ages


def states(trace: Trace) -> np.ndarray:
    """What the cache did, as codes into STATES: uint8 (steps, positions), positions = the largest `visible`.

    absent: not visible in that step. reused: visible and not recomputed. The others were recomputed: for one of
    d²Cache's reasons (arXiv 2509.23094), or, as "recomputed", without one of them.
    """
    out = np.full(_shape(trace), ABSENT, dtype=np.uint8)
    for row, record in zip(out, trace.steps, strict=True):
        row[: record.visible] = REUSED
        for start, end in record.queries:
            row[start:end] = RECOMPUTED
        for code, reason in enumerate(STATES[RECOMPUTED + 1 :], RECOMPUTED + 1):
            listed = np.asarray((record.reasons or {}).get(reason, ()), dtype=int)
            listed = listed[listed < len(row)]
            row[listed[row[listed] == RECOMPUTED]] = code
    return out


def ages(trace: Trace) -> np.ndarray:
    """Steps since each position's KV entry was computed, as seen after each step; -1: never. int32 as `states`."""
    out = np.empty(_shape(trace), dtype=np.int32)
    computed = np.full(out.shape[1], -1, dtype=np.int32)
    for row, record in zip(out, trace.steps, strict=True):
        for start, end in record.queries:
            computed[start:end] = record.index
        row[:] = np.where(computed < 0, -1, record.index - computed)
    return out


def influences(trace: Trace, *, floor: bool = True) -> np.ndarray:
    """Rollout influence: float32 as `states`, NaN where it was not recorded.

    A position that was not recomputed keeps its row of the identity, so its influence is at least 1 (d²Cache,
    arXiv 2509.23094, Eq. 6-8). Without the floor this 1 is taken off, and only what others draw from it is left.
    """
    out = np.full(_shape(trace), np.nan, dtype=np.float32)
    for row, record in zip(out, trace.steps, strict=True):
        known = (record.rollout or [])[: record.visible]
        row[: len(known)] = known
    return out if floor else out - (states(trace) == REUSED)


def commit_distances(trace: Trace) -> list[int]:
    """For every commit, in order: positions to the nearest token committed in the step before.

    "The step before" is the latest earlier step that committed any; before the first commit it is the end of the
    prompt. d²Cache's observation 2 (arXiv 2509.23094): 90 % are at most 10.
    """
    before, out = [len(trace.prompt) - 1], []
    for record in trace.steps:
        out += [min(abs(p - q) for q in before) for p in record.committed]
        before = record.committed or before
    return out


def _shape(trace: Trace) -> tuple[int, int]:
    return len(trace.steps), max([0, *(record.visible for record in trace.steps)])
