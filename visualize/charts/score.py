"""The score sheet: the confidence of every prediction, committed or not, step by position."""

from itertools import chain
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dllm.settings import is_autoregressive
from dllm.trace import Trace
from visualize.charts.figure import INK, QUIET
from visualize.charts.sheet import (
    MARK,
    cell_markers,
    committed_outlines,
    heatmap,
    marker_size,
    position_count,
    shades,
    sheet,
)
from visualize.lane import head
from visualize.view import View


def score_sheet(trace: Trace) -> go.Figure:
    """Confidence of the token predicted at each position in each step, committed or not.

    z: uint8 (steps, positions shown), 0 where nothing was predicted, 1 … 255 for confidence 0 … 1. The first column is
    the start of the block that holds the first position after the prompt.
    """
    layout = head(trace.prompt, trace.settings)
    steps, end, prompt = len(trace.steps), position_count(trace), len(trace.prompt)
    start = layout["origin"] + (prompt - layout["origin"]) // layout["block"] * layout["block"]
    confidence = np.full((steps, end), np.nan, dtype=np.float32)
    for row, record in zip(confidence, trace.steps, strict=True):
        row[record.positions] = record.confidence
    figure = sheet(
        heatmap(shades(confidence[:, start:]), x0=start, label="confidence", ticks=("0", "0.5", "1")),
        *_rules(layout, start, end, steps),
        *committed_outlines(trace),
        *_block_starts(trace),
        *_remasked(trace),
        *_confirmed(trace),
        steps=steps,
        positions=end,
    )
    return figure.update_xaxes(range=[start - 0.5, max(start, end) - 0.5])


def _block_starts(trace: Trace) -> list[go.Scatter]:
    """First tokens of blocks, which the finished block before predicts; none where a block is one token."""
    if is_autoregressive(trace.settings):
        return []
    passes = [record for record in trace.steps if record.kind in ("commit", "prefill")]
    cells = [(record.index, p) for record in passes for p in record.committed]
    return cell_markers(
        cells, "predicted by the block before", {"symbol": "circle", "size": marker_size(trace) / 2, "color": MARK}
    )


def _remasked(trace: Trace) -> list[go.Scatter]:
    """Tokens that were masked again, and drafts that were struck out, which were never committed."""
    marker = {"symbol": "x", "size": marker_size(trace) / 2, "color": INK}
    masked = [(record.index, p) for record in trace.steps for p in record.withdrawn]
    struck = [(s.index, p) for s in trace.steps if s.tested is not None for p in s.remasked]
    return [*cell_markers(masked, "remasked", marker), *cell_markers(struck, "draft struck out", marker)]


def _confirmed(trace: Trace) -> list[go.Scatter]:
    tested = [(s.index, p, s.remasked) for s in trace.steps for p in s.positions[: len(s.tested or ())]]
    cells = [(index, p) for index, p, struck in tested if p not in struck]
    return cell_markers(cells, "draft confirmed", {"symbol": "circle", "size": marker_size(trace) / 2, "color": MARK})


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


VIEW = View(
    title="Score sheet",
    look_for=(
        "Look for bright cells that are not outlined: predictions the model was sure of but did not keep, and the step "
        "at which they turned into tokens."
    ),
    empty="Nothing was predicted in this lane.",
    charts={
        "Confidence of every prediction, step by position; outlined where it was committed": (
            lambda lane, _: score_sheet(lane.trace)
        ),
    },
)
