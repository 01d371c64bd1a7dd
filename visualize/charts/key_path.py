"""The path of one position's keys over the steps, in the phases that d²Cache describes."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from dllm.trace import Trace
from dllm.trace.drift import Drift
from visualize.charts.figure import ACCENT, INK, QUIET, RULE, base_figure
from visualize.charts.sheet import MARK

_PHASES = {  # name, colour, symbol
    1: ("phase 1: before", QUIET, "circle"),
    2: ("phase 2: half of the way, up to the commit", MARK, "diamond"),
    3: ("phase 3: after the commit", ACCENT, "square"),
}


def phases(path: np.ndarray, committed_step: int | None) -> list[int]:
    """The phase, 1, 2 or 3, of every step of a path (steps, 2) that is NaN where the position was not visible.

    d²Cache (arXiv 2509.23094, Fig. 2a) sees a token's keys drift slowly, change fast in the few steps before it is
    decoded, and then stay. Its phases have no borders; the rule here is ours. Phase 3: after the step (from 0) in which
    the token was committed; the first of these is the first to see the token in place of the mask. Phase 2: the
    shortest run of steps ending at the commit whose moves cover half of the way up to the commit. Phase 1: before, and
    everywhere if the token was never committed (None), as in the prompt.

    Raises:
        ValueError: a step that the path does not have.
    """
    if committed_step is None:
        return [1] * len(path)
    end = within("committed_step", committed_step, len(path)) + 1
    known, moves = ~np.isnan(path[:, 0]), np.zeros(len(path))
    seen = path[known].astype(np.float64)
    moves[known] = np.linalg.norm(np.diff(seen, axis=0, prepend=seen[:1]), axis=1)
    covered = np.cumsum(moves[:end][::-1])
    fast = int(np.argmax(covered >= covered[-1] / 2)) + 1
    return [1] * (end - fast) + [2] * fast + [3] * (len(path) - end)


def key_path(drift: Drift, trace: Trace, layer: int, position: int) -> go.Figure:
    """The path of one position's fresh keys in one layer (both from 0) over the steps, by phase (see `phases`).

    Raises:
        ValueError: names the layer or position, and what is allowed.
    """
    layers, positions, steps, _ = drift.paths.shape
    path = drift.paths[within("layer", layer, layers), within("position", position, positions)].astype(np.float32)
    commits = [record.index for record in trace.steps if position in record.committed and record.index < steps]
    committed = max(commits, default=None)
    phase, step = np.array(phases(path, committed), dtype=np.uint8), np.arange(1, steps + 1, dtype=np.int32)
    figure = base_figure(go.Scatter(x=path[:, 0], y=path[:, 1], mode="lines", line={"color": RULE}, hoverinfo="skip"))
    figure.data[0].showlegend = False
    for number, (name, colour, symbol) in _PHASES.items():
        at = (phase == number) & ~np.isnan(path[:, 0])
        if at.any():
            marker = {"symbol": symbol, "size": 7, "color": colour}
            figure.add_trace(_points(path[at], step[at], name, marker))
    if committed is not None and not np.isnan(path[committed, 0]):
        marker = {"symbol": "circle-open", "size": 16, "color": INK, "line": {"width": 2}}
        here = slice(committed, committed + 1)
        figure.add_trace(_points(path[here], step[here], f"committed at step {committed + 1}", marker))
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title_text="first principal component")
    # one unit is as long on both axes: the length of the way is what the phases go by
    return figure.update_yaxes(title_text="second principal component", scaleanchor="x")


def within(name: str, value: int, count: int) -> int:
    """A number from 0 to count - 1.

    Raises:
        ValueError: names the value and what is allowed.
    """
    if not 0 <= value < count:
        raise ValueError(f"{name} is {value!r}; allowed: 0 to {count - 1}")
    return value


def _points(path: np.ndarray, step: np.ndarray, name: str, marker: dict[str, Any]) -> go.Scatter:
    return go.Scatter(
        x=path[:, 0],
        y=path[:, 1],
        customdata=step,
        mode="markers",
        name=name,
        marker=marker,
        hovertemplate="step %{customdata}<extra></extra>",
    )
