"""What a cache did in a trace, step by position, and in which order tokens were committed."""

import numpy as np

from dllm.trace.schema import Trace

# what the cache did with a position in a step; the last four are d²Cache's reasons for recomputing it
STATES = ("absent", "reused", "recomputed", "density", "committed", "rollout", "inflated", "padded")
ABSENT, REUSED, RECOMPUTED = range(3)


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


def influences(trace: Trace, *, identity: bool = True) -> np.ndarray:
    """Rollout influence: float32 as `states`, NaN where it was not recorded.

    A position that was not recomputed keeps its row of the identity, so its influence is at least 1 (d²Cache,
    arXiv 2509.23094, Eq. 6-8). Without this identity term, the 1 is taken off and what others draw from it is left.
    """
    out = np.full(_shape(trace), np.nan, dtype=np.float32)
    for row, record in zip(out, trace.steps, strict=True):
        known = (record.rollout or [])[: record.visible]
        row[: len(known)] = known
    return out if identity else out - (states(trace) == REUSED)


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
