"""Every pass against what the machine can do at most (the roofline model, Williams et al. 2009)."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from dllm.trace import Environment, Trace
from visualize.cost import costs, has_sizes
from visualize.figure import INK, QUIET, frame
from visualize.race import Look, looks

UNMEASURED = "What this machine does at most was not measured, so there is no roof."
MEASURED = "this machine, measured"


def roofline(lanes: Mapping[str, Trace], environment: Environment) -> go.Figure:
    """Operations a second against operations a byte: a dot for every pass of every lane, and the ceilings over them.

    environment: whose peaks are drawn; where they were not measured, that is said instead. Lanes without
    sizes and passes without a time have no place here.
    """
    points = {title: found for title, trace in lanes.items() if has_sizes(trace) and (found := _points(trace))}
    dots = [_dots(title, found, looks(lanes)[title]) for title, found in points.items()]
    reached = [x for found in points.values() for x, *_ in found]
    figure = frame(*_ceilings(environment, reached), *dots, height=400, showlegend=True)
    if environment.peak_bytes is None or environment.peak_flops is None:
        where = {"x": 0, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top"}
        figure.add_annotation(text=UNMEASURED, showarrow=False, font={"color": QUIET}, **where)
    figure.update_xaxes(type="log", title_text="operations a byte", dtick="D2", tickformat="~g")
    return figure.update_yaxes(type="log", title_text="operations a second", dtick="D2", tickformat="~s")


def _points(trace: Trace) -> list[tuple[float, float, int, str, int]]:
    """Of every timed pass: operations a byte and a second, its step from 1, its kind, positions computed."""
    return [
        (price.intensity, price.flops / step.seconds, step.index + 1, step.kind, step.query_count)
        for step, price in zip(trace.steps, costs(trace), strict=True)
        if step.seconds
    ]


def _dots(title: str, points: list[tuple[float, float, int, str, int]], look: Look) -> go.Scatter:
    return go.Scatter(
        x=[point[0] for point in points],
        y=[point[1] for point in points],
        customdata=[point[2:] for point in points],
        name=title,
        mode="markers",
        marker={"color": look.colour, "symbol": look.symbol, "size": 7, "opacity": 0.75},
        hovertemplate=(
            "step %{customdata[0]}, %{customdata[1]}, %{customdata[2]} positions: %{y:.3s} operations a second at "
            f"%{{x:.3s}} a byte<extra>{title}</extra>"
        ),
    )


def _ceilings(environment: Environment, reached: list[float]) -> list[go.Scatter]:
    """Memory's, which rises with the operations a byte, and arithmetic's, which does not; they meet at the ridge."""
    memory, arithmetic = environment.peak_bytes, environment.peak_flops
    if memory is None or arithmetic is None:
        return []
    ridge = arithmetic / memory
    low, high = min([ridge, *reached]) / 2, max([ridge, *reached]) * 2
    slope = np.geomspace(low, ridge, 16)
    return [
        _ceiling("memory", slope, slope * memory, "dash", f"{memory:.3g} bytes a second"),
        _ceiling(
            "arithmetic", np.array([ridge, high]), np.full(2, arithmetic), "solid", f"{arithmetic:.3g} operations"
        ),
    ]


def _ceiling(name: str, x: np.ndarray, y: np.ndarray, dash: str, most: str) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=f"{name} at most ({MEASURED})",
        mode="lines",
        line={"color": INK, "dash": dash, "width": 1.5},
        hovertemplate=f"{name}: at most {most}, {MEASURED}<extra></extra>",
    )
