"""What all charts have in common: their frame, colours that follow the page's theme, and how the cursor is linked."""

import json
from typing import Any

import plotly.graph_objects as go

# CSS variables of the page; it replaces them before drawing, in light and in dark
INK, QUIET, RULE, ACCENT, PAPER = "var(--ink)", "var(--quiet)", "var(--rule)", "var(--accent)", "var(--paper)"
CLEAR = "rgba(0,0,0,0)"
# lightness rises evenly, so it reads without colour vision and in print; the same stops as in the viewer's script
VIRIDIS = ["#440154", "#472c7a", "#3b518b", "#2c718e", "#21908d", "#27ad81", "#5cc863", "#aadc32", "#fde725"]


def frame(*traces: Any, height: int = 360, **layout: Any) -> go.Figure:
    """A figure in the house's style. `meta` says which axis is steps and which is positions: {"step": "y", …}."""
    axis = {"gridcolor": RULE, "zeroline": False, "linecolor": RULE, "tickcolor": RULE}
    figure = go.Figure(list(traces))
    figure.update_layout(
        height=height,
        margin={"l": 56, "r": 16, "t": 28, "b": 44},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"color": INK, "size": 12},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hoverlabel={"bgcolor": PAPER, "bordercolor": RULE, "font": {"color": INK}},
        template="none",
    )
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    return figure.update_layout(**layout)


def sheet(*traces: Any, steps: int, positions: int, **layout: Any) -> go.Figure:
    """A frame of steps (downwards, counted from 1) by positions; its height grows with the steps, within reason."""
    height = min(720, max(260, 90 + 9 * steps))
    figure = frame(*traces, height=height, meta={"step": "y", "position": "x"}, **layout)
    figure.update_xaxes(title_text="position", range=[-0.5, positions - 0.5], showgrid=False)
    return figure.update_yaxes(title_text="step", range=[steps + 0.5, 0.5], showgrid=False)


def by_step(figure: go.Figure, steps: int) -> go.Figure:
    """Steps, counted from 1, along the x axis."""
    return figure.update_xaxes(title_text="step", range=[0.5, max(1, steps) + 0.5])


def scale(colours: list[str]) -> list[tuple[float, str]]:
    """A colour scale for codes 0 … n-1, each its own colour: use with zmin=-0.5 and zmax=n-0.5."""
    n = len(colours)
    return [stop for i, colour in enumerate(colours) for stop in ((i / n, colour), ((i + 1) / n, colour))]


def spec(figure: go.Figure) -> dict[str, Any]:
    """The figure as plain data for the page; arrays as base64."""
    body = figure.to_json(validate=False)
    assert body is not None
    return json.loads(body)
