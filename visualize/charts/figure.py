"""What all charts share: layout, colours that follow the page's theme, and the styles of series."""

import json
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

# CSS variables of the page; it replaces them before drawing, in light and in dark
INK, QUIET, RULE, ACCENT, PAPER = "var(--ink)", "var(--quiet)", "var(--rule)", "var(--accent)", "var(--paper)"
CLEAR = "rgba(0,0,0,0)"
# lightness rises evenly, so it reads without colour vision and in print; the viewer's script has the same stops
VIRIDIS = ["#440154", "#472c7a", "#3b518b", "#2c718e", "#21908d", "#27ad81", "#5cc863", "#aadc32", "#fde725"]
MANY_WORDS = 64  # positions that are all named beside an axis
FEW_TICKS = 10  # Plotly draws at most this many by itself; fewer whole numbers get ticks at their halves


@dataclass(frozen=True, slots=True)
class Style:
    """How a series is drawn: its colour, and what tells it apart without colour.

    Attributes:
        colour: CSS colour.
        dash: of a line, in Plotly's vocabulary, as are `symbol` (of a marker) and `pattern` (of a bar).
    """

    colour: str
    dash: str = "solid"
    symbol: str = "circle"
    pattern: str = ""


SERIES_STYLES = (  # the colours of Okabe and Ito (2008), which differ for every kind of colour vision
    Style("#0072b2", "solid", "circle", ""),
    Style("#e69f00", "dash", "square", "/"),
    Style("#009e73", "dot", "diamond", "."),
    Style("#cc79a7", "dashdot", "triangle-up", "x"),
    Style("#56b4e9", "longdash", "cross", "-"),
    Style("#d55e00", "longdashdot", "star", "+"),
)


def bar_marker(style: Style) -> dict[str, Any]:
    """The marker of a bar chart's bars."""
    pattern = {"shape": style.pattern, "fillmode": "overlay", "fgcolor": PAPER, "size": 5}
    return {"color": style.colour, "pattern": pattern}


def base_figure(*traces: Any, height: int = 360, **layout: Any) -> go.Figure:
    """A figure of these Plotly traces in the page's colours.

    `meta` in the layout says for the cursor which axis is steps and which is positions: {"step": "y", "position": "x"}.
    """
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
    figure.update_yaxes(axis, automargin=True)
    return figure.update_layout(**layout)


def by_step(figure: go.Figure, steps: int) -> go.Figure:
    """Steps, counted from 1, along the x axis."""
    return figure.update_xaxes(title_text="step", range=[0.5, max(1, steps) + 0.5], **whole_ticks(steps))


def whole_ticks(count: int) -> dict[str, Any]:
    """Settings of an axis over `count` whole numbers that keep its ticks off their halves."""
    return {"dtick": 1} if count <= FEW_TICKS else {}


def by_position(figure: go.Figure, axis: str, count: int) -> go.Figure:
    """Positions along an axis; the page writes the word at each position in place of its number, so there is room."""
    every: dict[str, Any] = {"dtick": 1} if count <= MANY_WORDS else {"nticks": MANY_WORDS}
    if axis == "x":
        figure.update_layout(margin_b=104)
        return figure.update_xaxes(title_text="position", title_standoff=72, tickangle=-90, **every)
    figure.update_layout(margin_l=120)
    return figure.update_yaxes(title_text="position", title_standoff=72, automargin=False, **every)


def discrete_scale(colours: list[str]) -> list[tuple[float, str]]:
    """A colour scale for codes 0 … n-1, each its own colour: use with zmin=-0.5 and zmax=n-0.5."""
    n = len(colours)
    return [stop for i, colour in enumerate(colours) for stop in ((i / n, colour), ((i + 1) / n, colour))]


def spec(figure: go.Figure) -> dict[str, Any]:
    """The figure as plain data for the page; arrays as base64."""
    body = figure.to_json(validate=False)
    assert body is not None
    return json.loads(body)
