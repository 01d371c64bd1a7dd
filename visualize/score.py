"""The score sheet: how sure the model was of every guess, kept or not, step by position."""

from itertools import chain
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dllm.trace import Trace
from visualize.figure import CLEAR, INK, QUIET, VIRIDIS, sheet
from visualize.lane import head

TOP = 255  # the code of the highest value
PERCENTILE = 99  # scaled to the few highest of some quantities, all others would look alike
MARK = "#d81b60"  # no colour of viridis, and seen on light and on dark paper


def score_sheet(trace: Trace) -> go.Figure:
    """Confidence of the token predicted at each position in each step, also where it was not committed.

    z: uint8 (steps, positions shown), 0 where nothing was asked, 1 … 255 for confidence 0 … 1. The first column is
    the start of the block that holds the first position after the prompt.
    """
    layout = head(trace.prompt, trace.settings)
    steps, end, prompt = len(trace.steps), width(trace), len(trace.prompt)
    start = layout["origin"] + (prompt - layout["origin"]) // layout["block"] * layout["block"]
    confidence = np.full((steps, end), np.nan, dtype=np.float32)
    for row, record in zip(confidence, trace.steps, strict=True):
        row[record.positions] = record.confidence
    figure = sheet(
        heat(shades(confidence[:, start:]), x0=start, label="confidence", ticks=("0", "0.5", "1")),
        *_rules(layout, start, end, steps),
        *outlines(trace),
        *_seeds(trace),
        *_remasked(trace),
        *_confirmed(trace),
        steps=steps,
        positions=end,
    )
    return figure.update_xaxes(range=[start - 0.5, max(start, end) - 0.5])


def shades(values: np.ndarray, top: float = 1.0) -> np.ndarray:
    """Values as codes of one byte: 0 where they are NaN, 1 for 0, TOP for `top` and above."""
    codes = 1 + np.round(np.clip(values / top, 0, 1) * (TOP - 1))
    return np.where(np.isnan(codes), 0, codes).astype(np.uint8)


def top_of(values: np.ndarray) -> float:
    """What the end of a colour scale stands for where a few values are far above the others; NaN does not count."""
    known = values[~np.isnan(values)].astype(np.float32)
    top = float(np.percentile(known, PERCENTILE)) if known.size else 0.0
    return top if top > 0 else 1.0


def heat(codes: np.ndarray, *, label: str, ticks: tuple[str, ...], x0: int = 0) -> go.Heatmap:
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


def outlines(trace: Trace) -> list[go.Scatter]:
    """An outline around every committed cell of a sheet; nothing where none was committed."""
    cells = [(record.index, p) for record in trace.steps for p in record.committed]
    return marks(cells, "committed", {"symbol": "square-open", "size": _size(trace), "color": MARK})


def marks(cells: list[tuple[int, int]], name: str, marker: dict[str, Any]) -> list[go.Scatter]:
    """A marker on some cells (step index, position) of a sheet. The pointer feels the cell below, not the marker."""
    if not cells:
        return []
    y, x = np.array(cells, dtype=np.int32).T
    return [go.Scatter(x=x, y=y + 1, mode="markers", name=name, marker=marker, hoverinfo="skip")]


def width(trace: Trace) -> int:
    """Positions a sheet must show: a token may be predicted one beyond the last cache entry."""
    return max([len(trace.prompt), *(end for s in trace.steps for end in (s.visible, 1 + max(s.positions, default=0)))])


def _seeds(trace: Trace) -> list[go.Scatter]:
    """First tokens of blocks, predicted by the finished block before; with single tokens that is every one."""
    if trace.settings["block_size"] == 1:
        return []
    passes = [record for record in trace.steps if record.kind in ("commit", "prefill")]
    cells = [(record.index, p) for record in passes for p in record.committed]
    return marks(cells, "seeded by the block before", {"symbol": "circle", "size": _size(trace) / 2, "color": MARK})


def _remasked(trace: Trace) -> list[go.Scatter]:
    """Tokens that were masked again, and drafts that were struck out: those were never committed."""
    look = {"symbol": "x", "size": _size(trace) / 2, "color": INK}
    masked = [(record.index, p) for record in trace.steps for p in record.withdrawn]
    struck = [(s.index, p) for s in trace.steps if s.tested is not None for p in s.remasked]
    return [*marks(masked, "remasked", look), *marks(struck, "draft struck out", look)]


def _confirmed(trace: Trace) -> list[go.Scatter]:
    tested = [(s.index, p, s.remasked) for s in trace.steps for p in s.positions[: len(s.tested or ())]]
    cells = [(index, p) for index, p, struck in tested if p not in struck]
    return marks(cells, "draft confirmed", {"symbol": "circle", "size": _size(trace) / 2, "color": MARK})


def _size(trace: Trace) -> int:
    """Pixels of an outline: about a cell's on a page of ordinary width, but never too small to be seen."""
    return max(4, min(10, 800 // max(1, width(trace)), 600 // max(1, len(trace.steps))))


def _rules(layout: dict[str, Any], start: int, end: int, steps: int) -> list[go.Scatter]:
    """Vertical lines between blocks, between sub-blocks, and at the end of the prompt."""
    block, sub = layout["block"], layout["sub_block"]
    blocks = range(start + block, end, block) if block > 1 else ()
    subs = [p for p in range(start + sub, end, sub) if (p - start) % block] if 1 < block != sub else ()
    found = [
        ("block", blocks, {"width": 2, "color": QUIET}),
        ("sub-block", subs, {"width": 1, "color": QUIET, "dash": "dot"}),
        ("end of the prompt", [len(layout["prompt"])], {"width": 2, "color": INK, "dash": "dash"}),
    ]
    return [
        go.Scatter(
            x=list(chain.from_iterable((p - 0.5, p - 0.5, None) for p in places)),
            y=[0.5, steps + 0.5, None] * len(places),
            mode="lines",
            name=name,
            line=line,
            hoverinfo="skip",
        )
        for name, places, line in found
        if places
    ]
