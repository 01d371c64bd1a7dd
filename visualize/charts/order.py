"""The order in which tokens were committed, and how far each is from those committed just before."""

import numpy as np
import plotly.graph_objects as go

from dllm.trace import Trace
from dllm.trace.metrics import commit_distances
from visualize.charts.figure import ACCENT, QUIET, VIRIDIS, base_figure, by_position, by_step, whole_ticks
from visualize.charts.sheet import position_count
from visualize.view import View

_NEAR = 10  # d²Cache's observation 2 (arXiv 2509.23094): 90 % of tokens lie within this distance


def decode_order(trace: Trace) -> go.Figure:
    """A dot for every commit, step by position, coloured by the confidence it was committed with."""
    known = [dict(zip(record.positions, record.confidence, strict=True)) for record in trace.steps]
    dots = [(s.index + 1, p, sure[p]) for s, sure in zip(trace.steps, known, strict=True) for p in s.committed]
    step, position, confidence = np.array(dots, dtype=np.float32).reshape(-1, 3).T
    bar = {"title": {"text": "confidence", "side": "right"}, "thickness": 12, "outlinewidth": 0}
    marker = {"size": 6, "color": confidence, "colorscale": VIRIDIS, "cmin": 0, "cmax": 1, "colorbar": bar}
    figure = base_figure(
        go.Scatter(x=step, y=position, mode="markers", marker=marker, hoverinfo="none"),
        meta={"step": "x", "position": "y"},
    )
    by_step(figure, len(trace.steps))
    first, end = len(trace.prompt), position_count(trace)
    return by_position(figure, "y", end - first).update_yaxes(range=[first - 0.5, end - 0.5])


def commit_distance_shares(trace: Trace) -> go.Figure:
    """Share of commits by their distance (see `commit_distances`), and the share up to each distance, in percent."""
    counts = np.bincount(commit_distances(trace), minlength=1)
    share = (100 * counts / max(1, counts.sum())).astype(np.float32)
    at = np.arange(len(share), dtype=np.int16)
    total = np.cumsum(share)
    figure = base_figure(
        go.Bar(
            x=at,
            y=share,
            name="at this distance",
            marker_color=QUIET,
            hovertemplate="%{y:.0f} % at %{x}<extra></extra>",
        ),
        go.Scatter(
            x=at,
            y=total,
            name="up to this distance",
            line={"color": ACCENT},
            hovertemplate="%{y:.0f} % within %{x}<extra></extra>",
        ),
        bargap=0.1,
    )
    figure.update_xaxes(
        title_text="distance in positions to the nearest token of the commit before", **whole_ticks(len(share))
    )
    figure.update_yaxes(title_text="share of commits", ticksuffix=" %", range=[0, 102], automargin=True)
    if counts.sum():
        near = min(_NEAR, len(total) - 1)
        text = f"{total[near]:.0f} % within {near}"
        figure.add_annotation(x=near, y=float(total[near]), text=text, arrowcolor=QUIET, ax=0, ay=64, xanchor="right")
    return figure


VIEW = View(
    title="Decode order",
    look_for=(
        "Look for how far the next token lies from the last one: near it, decoding is almost left to right; far away, "
        "the model jumps."
    ),
    empty="No token was committed in this lane.",
    has_data=lambda lane: any(step.committed for step in lane.trace.steps),
    charts={
        "Step at which each position was committed": lambda lane, _: decode_order(lane.trace),
        "Distance to the token committed before": lambda lane, _: commit_distance_shares(lane.trace),
    },
)
