"""Rollout of recorded attention, and who unlocked whom by it.

Attention is not explanation: a weight says how much of a position's state was mixed into the query's, and not that the
token would have been another without it.
"""

from typing import Any

import numpy as np

from dllm.trace import StepRecord, Trace
from dllm.trace.attention import Maps
from dllm.trace.canvases import canvases
from visualize.charts.sheet import position_count


def query_rows(record: StepRecord) -> np.ndarray:
    """The positions a step recomputed, ascending, (queries,): those of the rows of its attention."""
    return np.array([p for start, end in record.queries for p in range(start, end)], dtype=int)


def written(trace: Trace) -> np.ndarray:
    """What every position holds before each step, int32 (steps, positions).

    n: a token that step number n (from 1) committed. 0: a token of the prompt. -1: a mask.
    """
    out = np.empty((len(trace.steps), position_count(trace)), dtype=np.int32)
    out[:, : len(trace.prompt)], out[:, len(trace.prompt) :] = 0, -1
    for row, cells in zip(out[1:], canvases(trace.steps), strict=False):  # after a step is before the next
        row[list(cells)] = [cell.step + 1 for cell in cells.values()]
    return out


def rollout(means: np.ndarray, rows: np.ndarray, *, identity: bool = True) -> np.ndarray:
    """Attention rollout (Abnar & Zuidema 2020) as d²Cache has it (arXiv 2509.23094, Eq. 6-8).

    A layer's matrix is W = rownorm(E + I), where E is the identity with the rows of the queries replaced by their
    probabilities; the rollout is C = W_L … W_1.

    Args:
        means: probabilities (layers, queries, visible), the mean over heads; first layer first.
        rows: the queries' positions (queries,), each once.
        identity: keep the rows of positions that were not recomputed. They are rows of the identity by construction
            and say nothing; without them these rows are 0.

    Returns:
        C, float64 (visible, visible): row = the position that draws, column = the source. Rows sum to 1.

    Raises:
        ValueError: `means` has not one row a query, or a query is not visible.
    """
    rows, visible = np.asarray(rows, dtype=int), means.shape[-1]
    if means.shape[1] != len(rows):
        raise ValueError(f"means has {means.shape[1]} rows for {len(rows)} queries; allowed: one each")
    if len(rows) and not 0 <= rows.min() <= rows.max() < visible:
        raise ValueError(f"queries are {rows.min()} to {rows.max()}; allowed: 0 to {visible - 1}")
    product = np.eye(visible)
    for probs in means.astype(np.float64):  # the other rows of W are those of the identity: W · C leaves them
        product[rows] = (probs @ product + product[rows]) / (probs.sum(-1, keepdims=True) + 1)
    if not identity:
        product[np.setdiff1d(np.arange(visible), rows)] = 0
    return product


def unlocked(trace: Trace, maps: Maps, step: int, top: int = 5) -> list[dict[str, Any]]:
    """For every token committed at a step (index from 0), the `top` written tokens it drew on most; see `sources`.

    Attention is not explanation.
    """
    rolled = rollout(maps.mean(step), query_rows(trace.steps[step]))
    return sources(trace, rolled, step=step, shift=trace.model.shift, top=top)


def sources(trace: Trace, rolled: np.ndarray, *, step: int, shift: int, top: int = 5) -> list[dict[str, Any]]:
    """The same from a step's rollout `rolled` (visible, visible): what the query at position - shift draws on.

    A source holds a token, of the prompt or committed before this step; masks and the query itself are none.

    Returns:
        {"position", "token", "sources": [{"position", "weight", "written", "fresh"}, …]}, the heaviest source first.
        written: number of the step (from 1) that committed it, None for the prompt. fresh: committed since the position
        was last asked, or since the start if it never was; these are the candidates that unlocked it.
    """
    record, holders = trace.steps[step], written(trace)[step]
    recomputed = set(query_rows(record).tolist())
    found = []
    for position, token in zip(record.positions, record.tokens, strict=True):
        query = position - shift
        if position in record.committed and query in recomputed:
            weights = np.where(holders[: record.visible] >= 0, rolled[query], 0)
            weights[query] = 0
            drawn = [s for s in np.argsort(-weights, kind="stable")[:top].tolist() if weights[s] > 0]
            since = _last_asked(trace, step, position)
            rows = [_source(s, float(weights[s]), int(holders[s]), since) for s in drawn]
            found.append({"position": position, "token": token, "sources": rows})
    return found


def _source(position: int, weight: float, holder: int, since: int) -> dict[str, Any]:
    return {
        "position": position,
        "weight": round(weight, 4),
        "written": holder or None,
        "fresh": holder >= since,
    }


def _last_asked(trace: Trace, step: int, position: int) -> int:
    """Number of the step before `step` that asked for the position last; what it committed it could not yet see."""
    return max((record.index + 1 for record in trace.steps[:step] if position in record.positions), default=1)
