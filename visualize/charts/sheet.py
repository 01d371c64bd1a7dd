"""Heat maps of steps by positions: their frame, the codes of their cells, and marks on cells."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from dllm.trace import Trace
from visualize.charts.figure import CLEAR, PAPER, VIRIDIS, base_figure, by_position, whole_ticks

TOP = 255  # the code of the highest value
PERCENTILE = 99  # some quantities have a few values far above all others, which would leave the rest without contrast
_OUTLINED = 8  # pixels of a mark, from which there is room for a second edge below it
MARK = "#d81b60"  # no colour of viridis, and seen on light and on dark paper


def sheet(*traces: Any, steps: int, positions: int, **layout: Any) -> go.Figure:
    """A figure of steps (downwards, counted from 1) by positions; its height grows with the steps, up to a limit."""
    height = min(780, max(320, 150 + 9 * steps))
    figure = base_figure(*traces, height=height, meta={"step": "y", "position": "x"}, **layout)
    by_position(figure, "x", positions).update_xaxes(range=[-0.5, positions - 0.5], showgrid=False)
    return figure.update_yaxes(title_text="step", range=[steps + 0.5, 0.5], showgrid=False, **whole_ticks(steps))


def shades(values: np.ndarray, top: float = 1.0) -> np.ndarray:
    """Values as codes of one byte: 0 where they are NaN, 1 for 0, TOP for `top` and above."""
    codes = 1 + np.round(np.clip(values / top, 0, 1) * (TOP - 1))
    return np.where(np.isnan(codes), 0, codes).astype(np.uint8)


def scale_top(values: np.ndarray) -> float:
    """The value at the top of a colour scale: the PERCENTILE-th percentile, without NaN; 1 if that is not positive."""
    known = values[~np.isnan(values)].astype(np.float32)
    top = float(np.percentile(known, PERCENTILE)) if known.size else 0.0
    return top if top > 0 else 1.0


def heatmap(codes: np.ndarray, *, label: str, ticks: tuple[str, ...], x0: int = 0) -> go.Heatmap:
    """Codes of `shades`, step by position, with a colour bar; `ticks` name evenly spaced values from 0 to the top."""
    first = 1 / TOP
    stops = [first + i * (1 - first) / (len(VIRIDIS) - 1) for i in range(len(VIRIDIS))]
    bar = {"title": {"text": label, "side": "right"}, "thickness": 12, "ticktext": ticks, "outlinewidth": 0}
    return go.Heatmap(
        z=codes,
        x0=x0,
        y0=1,
        zmin=0,
        zmax=TOP,
        colorscale=[(0, CLEAR), (first / 2, CLEAR), (first / 2, VIRIDIS[0]), *zip(stops, VIRIDIS, strict=True)],
        colorbar={**bar, "tickvals": [1 + i * (TOP - 1) / (len(ticks) - 1) for i in range(len(ticks))]},
        hoverinfo="none",
    )


def committed_outlines(trace: Trace) -> list[go.Scatter]:
    """An outline around every committed cell of a sheet, on a paler one that sets it off; none without commits."""
    cells, size = [(record.index, p) for record in trace.steps for p in record.committed], marker_size(trace)
    edge = {"symbol": "square-open", "size": size}
    below = cell_markers(cells, "", {**edge, "color": PAPER, "line": {"width": 4}}) if size >= _OUTLINED else []
    for drawn in below:
        drawn.showlegend = False
    return [*below, *cell_markers(cells, "committed", {**edge, "color": MARK, "line": {"width": 2}})]


def cell_markers(cells: list[tuple[int, int]], name: str, marker: dict[str, Any]) -> list[go.Scatter]:
    """Markers on cells (step index, position) of a sheet; hovering shows the cell below, not the marker."""
    if not cells:
        return []
    y, x = np.array(cells, dtype=np.int32).T
    return [go.Scatter(x=x, y=y + 1, mode="markers", name=name, marker=marker, hoverinfo="skip")]


def position_count(trace: Trace) -> int:
    """Positions that a sheet shows: up to one beyond the last cache entry, where a token may be predicted."""
    return max([len(trace.prompt), *(end for s in trace.steps for end in (s.visible, 1 + max(s.positions, default=0)))])


def marker_size(trace: Trace) -> int:
    """Pixels of an outline: about the size of a cell on a page of ordinary width, at least 4."""
    return max(4, min(10, 800 // max(1, position_count(trace)), 600 // max(1, len(trace.steps))))
