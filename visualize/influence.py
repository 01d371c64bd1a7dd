"""Rollout influence: which positions the others draw on, and how steady that is from step to step."""

from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from dllm.metrics import influences
from dllm.trace import Trace
from visualize.figure import ACCENT, QUIET, by_step, frame, sheet
from visualize.score import PERCENTILE, heat, outlines, shades, top_of, width


def has_rollout(trace: Trace) -> bool:
    """Whether any step recorded rollout influence."""
    return any(record.rollout is not None for record in trace.steps)


def influence(trace: Trace, floor: bool = True) -> go.Figure:
    """Rollout influence of every position in every step, with the identity floor or without (see `influences`)."""
    values = influences(trace, floor=floor)
    top = top_of(values)
    cells = heat(shades(values, top), label=f"influence to {PERCENTILE}th percentile", ticks=("0", f"≥ {top:.3g}"))
    return sheet(cells, *outlines(trace), steps=len(trace.steps), positions=width(trace))


def influence_change(trace: Trace) -> go.Figure:
    """1 − cosine between the influences of a step and the step before (d²Cache, arXiv 2509.23094, Fig. 3b).

    Over the positions visible in both; a gap where either was not recorded. With the identity floor, which makes
    steps look alike, and without it.
    """
    step = np.arange(1, len(trace.steps) + 1, dtype=np.int32)
    lines = [
        go.Scatter(
            x=step,
            y=_changes(influences(trace, floor=floor)),
            mode="lines+markers",
            name=name,
            line={"color": colour, "dash": dash},
            marker={"size": 4},
            hovertemplate="step %{x}: %{y:.3f} " + name + "<extra></extra>",
        )
        for floor, name, colour, dash in (
            (True, "with the identity floor", QUIET, "dot"),
            (False, "without it", ACCENT, "solid"),
        )
    ]
    figure = frame(*lines, meta={"step": "x"})
    by_step(figure, len(step))
    return figure.update_yaxes(title_text="1 − cosine to the step before", rangemode="tozero", automargin=True)


def _changes(values: np.ndarray) -> np.ndarray:
    """(steps, positions) → (steps,); NaN for the first step and where there is nothing to compare."""
    out = np.full(len(values), np.nan, dtype=np.float32)
    for step, (a, b) in enumerate(pairwise(values.astype(np.float64)), start=1):
        both = ~(np.isnan(a) | np.isnan(b))
        lengths = np.linalg.norm(a[both]) * np.linalg.norm(b[both])
        if lengths > 0:
            out[step] = max(0.0, 1 - a[both] @ b[both] / lengths)
    return out
