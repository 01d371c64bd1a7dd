"""Rollout influence: which positions the others draw on, and how much that changes from step to step."""

from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from dllm.trace import Trace
from dllm.trace.metrics import influences
from visualize.charts.attention import IDENTITY
from visualize.charts.figure import ACCENT, QUIET, base_figure, by_step
from visualize.charts.sheet import PERCENTILE, committed_outlines, heatmap, position_count, scale_top, shades, sheet
from visualize.view import Options, View, choice_option


def has_rollout(trace: Trace) -> bool:
    """Whether any step recorded rollout influence."""
    return any(record.rollout is not None for record in trace.steps)


def influence_map(trace: Trace, *, identity: bool = True) -> go.Figure:
    """Rollout influence of every position in every step, with the identity term or without (see `influences`)."""
    values = influences(trace, identity=identity)
    top = scale_top(values)
    cells = heatmap(shades(values, top), label=f"influence to {PERCENTILE}th percentile", ticks=("0", f"≥ {top:.3g}"))
    return sheet(cells, *committed_outlines(trace), steps=len(trace.steps), positions=position_count(trace))


def influence_change(trace: Trace) -> go.Figure:
    """1 − cosine between the influences of a step and the step before (d²Cache, arXiv 2509.23094, Fig. 3b).

    Over the positions visible in both; a gap where either was not recorded. With the identity term, which makes
    steps look alike, and without it.
    """
    step = np.arange(1, len(trace.steps) + 1, dtype=np.int32)
    lines = [
        go.Scatter(
            x=step,
            y=_changes(influences(trace, identity=identity)),
            mode="lines+markers",
            name=name,
            line={"color": colour, "dash": dash},
            marker={"size": 4},
            hovertemplate="step %{x}: %{y:.3f} " + name + "<extra></extra>",
        )
        for identity, name, colour, dash in (
            (True, "with the identity term", QUIET, "dot"),
            (False, "without it", ACCENT, "solid"),
        )
    ]
    figure = base_figure(*lines, meta={"step": "x"})
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


def _identity(options: Options) -> bool:
    return choice_option(options, NAME, CHOICE) == "kept"


NAME, CHOICE = "identity term", ("left out", "kept")
VIEW = View(
    title="Rollout",
    look_for=(
        "Look for bright columns: the few positions that all others draw on. Below, see how much that changes from one "
        "step to the next: 0 is no change, 1 is nothing in common."
    ),
    empty=(
        "Rollout was not recorded in this lane. Tick “rollout” under “Record for the inspector” in the settings, or "
        "choose d²Cache, and decode again."
    ),
    has_data=lambda lane: has_rollout(lane.trace),
    charts={
        "Rollout influence of every position in every step": (
            lambda lane, options: influence_map(lane.trace, identity=_identity(options))
        ),
        "How much the influence changed since the step before": lambda lane, _: influence_change(lane.trace),
    },
    choices={NAME: CHOICE},
    extra=lambda *_: {"note": IDENTITY},
)
