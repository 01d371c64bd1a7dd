"""Every pass against the peaks of the machine (the roofline model, Williams et al. 2009), and the tab of costs."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from dllm.trace import Trace
from dllm.trace.cost import FORMULAS
from dllm.trace.schema import Environment
from visualize.charts.cost import intensity, moved, operations
from visualize.charts.figure import INK, QUIET, Style, base_figure
from visualize.charts.race import lane_styles
from visualize.pricing import has_sizes, pass_costs
from visualize.view import LaneData, View

UNMEASURED = "The peaks of this machine were not measured, so there is no roof."
SHARED_NOTE = "Not drawn, because their passes were shared with other runs: {}."
_MEASURED = "this machine, measured"


def roofline(lanes: Mapping[str, Trace], environment: Environment) -> go.Figure:
    """Operations a second against operations a byte: a dot for every pass of every lane, and the peaks above them.

    Args:
        lanes: traces by title. Those without sizes are left out, as are passes without a time. Lanes whose passes were
            shared with other runs are named instead: their seconds are of all runs in a pass, their price is of one.
        environment: whose peaks are drawn; if they were not measured, a note says so.
    """
    alone = {title: trace for title, trace in lanes.items() if trace.environment.rows == 1}
    points = {title: found for title, trace in alone.items() if has_sizes(trace) and (found := _points(trace))}
    dots = [_dots(title, found, lane_styles(lanes)[title]) for title, found in points.items()]
    reached = [x for found in points.values() for x, *_ in found]
    figure = base_figure(*_ceilings(environment, reached), *dots, height=400, showlegend=True)
    measured = environment.peak_bytes is not None and environment.peak_flops is not None
    notes = [] if measured else [UNMEASURED]
    if shared := [title for title in lanes if title not in alone]:
        notes.append(SHARED_NOTE.format(", ".join(shared)))
    if notes:
        where = {"x": 0, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top"}
        figure.add_annotation(text="<br>".join(notes), showarrow=False, font={"color": QUIET}, align="left", **where)
    figure.update_xaxes(type="log", title_text="operations a byte", dtick="D2", tickformat="~g")
    return figure.update_yaxes(type="log", title_text="operations a second", dtick="D2", tickformat="~s")


def _points(trace: Trace) -> list[tuple[float, float, int, str, int]]:
    """Of every timed pass: operations a byte, operations a second, step from 1, kind, positions computed."""
    return [
        (price.intensity, price.flops / step.seconds, step.index + 1, step.kind, step.query_count)
        for step, price in zip(trace.steps, pass_costs(trace), strict=True)
        if step.seconds
    ]


def _dots(title: str, points: list[tuple[float, float, int, str, int]], style: Style) -> go.Scatter:
    return go.Scatter(
        x=[point[0] for point in points],
        y=[point[1] for point in points],
        customdata=[point[2:] for point in points],
        name=title,
        mode="markers",
        marker={"color": style.colour, "symbol": style.symbol, "size": 7, "opacity": 0.75},
        hovertemplate=(
            "step %{customdata[0]}, %{customdata[1]}, %{customdata[2]} positions: %{y:.3s} operations a second at "
            f"%{{x:.3s}} a byte<extra>{title}</extra>"
        ),
    )


def _ceilings(environment: Environment, reached: list[float]) -> list[go.Scatter]:
    """The bound by memory bandwidth, which rises with operations a byte, and that by peak FLOP/s."""
    memory, arithmetic = environment.peak_bytes, environment.peak_flops
    if memory is None or arithmetic is None:
        return []
    ridge = arithmetic / memory
    low, high = min([ridge, *reached]) / 2, max([ridge, *reached]) * 2
    slope = np.geomspace(low, ridge, 16)
    return [
        _ceiling("peak memory bandwidth", slope, slope * memory, "dash", f"{memory:.3g} bytes a second"),
        _ceiling(
            "peak FLOP/s",
            np.array([ridge, high]),
            np.full(2, arithmetic),
            "solid",
            f"{arithmetic:.3g} operations a second",
        ),
    ]


def _ceiling(name: str, x: np.ndarray, y: np.ndarray, dash: str, most: str) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=f"{name} ({_MEASURED})",
        mode="lines",
        line={"color": INK, "dash": dash, "width": 1.5},
        hovertemplate=f"{name}: {most}, {_MEASURED}<extra></extra>",
    )


def _note(lane: LaneData) -> str:
    rows = lane.trace.environment.rows
    shared = f" Passes of this lane served up to {rows} runs; each is priced as if it had served this run alone."
    return FORMULAS + (shared if rows > 1 else "")


VIEW = View(
    title="Cost",
    look_for=(
        "Look for which kind of bytes is tallest: where it is the weights, eight positions move hardly more than one, "
        "and parallel decoding pays on a machine that waits for its memory: left of the ridge of the roofline."
    ),
    empty="This trace was recorded before traces held the sizes of their models, so its passes cannot be priced.",
    has_data=lambda lane: has_sizes(lane.trace),
    charts={
        "Operations of each step, by part": lambda lane, _: operations(lane.trace),
        "Bytes moved by each step, by kind": lambda lane, _: moved(lane.trace),
        "Operations a byte, positions a token": lambda lane, _: intensity(lane.trace),
        "Roofline: operations a second by operations a byte, every pass of every lane": (
            lambda lane, _: roofline(lane.all_lanes, lane.trace.environment)
        ),
    },
    extra=lambda lane, _: {"note": _note(lane)},
)
