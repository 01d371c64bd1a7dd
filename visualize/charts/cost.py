"""What every pass cost: operations by part, bytes by kind, and how many operations a byte."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dllm.trace import Trace
from dllm.trace.cost import Cost
from visualize.charts.figure import ACCENT, INK, SERIES_STYLES, Style, bar_marker, base_figure, by_step
from visualize.pricing import pass_costs

Part = tuple[str, str, Style]  # a field of Cost, its name, and its style
OPERATION_PARTS: tuple[Part, ...] = (
    ("projections", "projections", SERIES_STYLES[0]),
    ("attention", "attention", SERIES_STYLES[1]),
    ("head", "head (logits)", SERIES_STYLES[2]),
)
BYTE_PARTS: tuple[Part, ...] = (
    ("weights", "weights read", SERIES_STYLES[0]),
    ("read", "keys and values read", SERIES_STYLES[1]),
    ("written", "keys and values written", SERIES_STYLES[3]),
)
_TICKS = [digit * 10.0**exponent for exponent in range(-1, 6) for digit in (1, 2, 5)]


def operations(trace: Trace) -> go.Figure:
    """Floating-point operations of each step, by part."""
    return _stacked(pass_costs(trace), OPERATION_PARTS, "operations")


def moved(trace: Trace) -> go.Figure:
    """Bytes that each step moves, by kind."""
    return _stacked(pass_costs(trace), BYTE_PARTS, "bytes")


def intensity(trace: Trace) -> go.Figure:
    """Operations a byte, by step, and positions computed for each token committed so far."""
    steps = list(range(1, len(trace.steps) + 1))
    computed, committed, per_token = 0, 0, []
    for step in trace.steps:
        computed, committed = computed + step.query_count, committed + len(step.committed)
        per_token.append(computed / committed if committed else None)
    line: dict[str, Any] = {"mode": "lines+markers", "marker": {"size": 4}}
    figure = base_figure(
        go.Scatter(
            x=steps,
            y=[c.intensity for c in pass_costs(trace)],
            name="operations a byte",
            line={"color": ACCENT},
            hovertemplate="step %{x}: %{y:.3s} operations a byte<extra></extra>",
            **line,
        ),
        go.Scatter(
            x=steps,
            y=per_token,
            name="positions computed a token, so far",
            line={"color": INK, "dash": "dot"},
            hovertemplate="up to step %{x}: %{y:.1f} positions a token<extra></extra>",
            **line,
        ),
        meta={"step": "x"},
    )
    return by_step(figure, len(steps)).update_yaxes(type="log", title_text="by step", tickvals=_TICKS, tickformat="~s")


def _stacked(prices: Sequence[Cost], parts: Sequence[Part], title: str) -> go.Figure:
    steps = list(range(1, len(prices) + 1))
    bars = [
        go.Bar(
            x=steps,
            y=[getattr(price, part) for price in prices],
            name=name,
            marker=bar_marker(style),
            hovertemplate=f"step %{{x}}: %{{y:.3s}} for {name}<extra></extra>",
        )
        for part, name, style in parts
    ]
    figure = base_figure(*bars, meta={"step": "x"}, barmode="stack", bargap=0)
    return by_step(figure, len(steps)).update_yaxes(title_text=title, tickformat="~s")
