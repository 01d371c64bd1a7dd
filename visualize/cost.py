"""What every pass cost: operations by part, bytes by kind, and how many operations a byte."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dllm.cost import Cost, cost
from dllm.trace import Trace
from visualize.figure import ACCENT, INK, PAPER, by_step, frame

# part of a Cost, its name, its colour and its pattern: lightness and pattern tell them apart as well as hue
OPERATIONS = (
    ("projections", "projections", "#0072b2", ""),
    ("attention", "attention", "#e69f00", "/"),
    ("head", "head (logits)", "#009e73", "."),
)
BYTES = (
    ("weights", "weights read", "#0072b2", ""),
    ("read", "keys and values read", "#e69f00", "/"),
    ("written", "keys and values written", "#cc79a7", "x"),
)

TICKS = [digit * 10.0**exponent for exponent in range(-1, 6) for digit in (1, 2, 5)]


def has_sizes(trace: Trace) -> bool:
    """Whether the trace says what its passes are priced by."""
    return trace.model.sizes is not None


def costs(trace: Trace) -> list[Cost]:
    """The cost of each pass.

    Raises:
        ValueError: the trace does not hold the sizes of its model.
    """
    if trace.model.sizes is None:
        raise ValueError("the trace holds no sizes of its model; allowed: one recorded since they are kept")
    sizes, found = trace.model.sizes, []
    for s in trace.steps:
        found.append(cost(s.query_count, s.attended, len(s.positions) + s.guessing, sizes))
    return found


def operations(trace: Trace) -> go.Figure:
    """Floating-point operations of each step, by part."""
    return _stacked(costs(trace), OPERATIONS, "operations")


def moved(trace: Trace) -> go.Figure:
    """Bytes that each step moves, by kind."""
    return _stacked(costs(trace), BYTES, "bytes")


def intensity(trace: Trace) -> go.Figure:
    """Operations a byte, by step, and positions computed for each token committed so far."""
    steps = list(range(1, len(trace.steps) + 1))
    computed, committed, per_token = 0, 0, []
    for step in trace.steps:
        computed, committed = computed + step.query_count, committed + len(step.committed)
        per_token.append(computed / committed if committed else None)
    style = {"mode": "lines+markers", "marker": {"size": 4}}
    figure = frame(
        go.Scatter(
            x=steps,
            y=[c.intensity for c in costs(trace)],
            name="operations a byte",
            line={"color": ACCENT},
            hovertemplate="step %{x}: %{y:.3s} operations a byte<extra></extra>",
            **style,
        ),
        go.Scatter(
            x=steps,
            y=per_token,
            name="positions computed a token, so far",
            line={"color": INK, "dash": "dot"},
            hovertemplate="up to step %{x}: %{y:.1f} positions a token<extra></extra>",
            **style,
        ),
        meta={"step": "x"},
    )
    return by_step(figure, len(steps)).update_yaxes(type="log", title_text="by step", tickvals=TICKS, tickformat="~s")


def _stacked(prices: Sequence[Cost], parts: Sequence[tuple[str, str, str, str]], title: str) -> go.Figure:
    steps = list(range(1, len(prices) + 1))
    bars = [
        go.Bar(
            x=steps,
            y=[getattr(price, part) for price in prices],
            name=name,
            marker={"color": colour, "pattern": {"shape": shape, "fillmode": "overlay", "fgcolor": PAPER, "size": 5}},
            hovertemplate=f"step %{{x}}: %{{y:.3s}} for {name}<extra></extra>",
        )
        for part, name, colour, shape in parts
    ]
    figure = frame(*bars, meta={"step": "x"}, barmode="stack", bargap=0)
    return by_step(figure, len(steps)).update_yaxes(title_text=title, tickformat=".2s")
