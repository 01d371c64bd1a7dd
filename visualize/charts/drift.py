"""Drift: how far cached keys and values are from fresh ones, and where that changed a token."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dllm.settings import is_verified
from dllm.trace import Trace
from dllm.trace.drift import Drift
from dllm.trace.metrics import REUSED, states
from visualize.charts.figure import ACCENT, INK, VIRIDIS, base_figure, by_position, spec
from visualize.charts.key_path import key_path, within
from visualize.charts.sheet import MARK, cell_markers, heatmap, scale_top, shades, sheet
from visualize.charts.unlocked import query_rows
from visualize.view import LaneData, Options, View, choice_option, number_option

_ENTRIES = ("keys", "values")
NO_DRIFT = "There is no drift to measure: verified decoding keeps entries of final tokens only, so none is ever stale."


def drift_sheet(drift: Drift, *, what: str = "keys", layer: int | None = None) -> go.Figure:
    """Drift, step by position, of one layer (from 0) or the mean over layers; clear where there was no entry.

    A cross where stale entries changed the best token of a position, a star where that token was committed.

    Raises:
        ValueError: names the layer or `what`, and the values allowed.
    """
    entries = _entries(drift, what)
    values = _mean(entries, 1) if layer is None else entries[:, within("layer", layer, entries.shape[1])]
    top = scale_top(values)
    figure = sheet(
        heatmap(shades(values.astype(np.float32), top), label="1 − cos", ticks=("0", f"≥ {top:.2g}")),
        *cell_markers(_cells(drift, False), "stale best token", {"symbol": "x", "size": 8, "color": MARK}),
        *cell_markers(_cells(drift, True), "stale token committed", {"symbol": "star", "size": 11, "color": MARK}),
        steps=len(values),
        positions=max([values.shape[1], *(change.position + 1 for change in drift.changed)]),
    )
    return figure.update_layout(showlegend=bool(drift.changed))


def drift_by_layer(drift: Drift, trace: Trace, step: int, what: str = "keys") -> go.Figure:
    """Drift at one step (from 0), layer by position; below, the positions that the step recomputed.

    All steps have one colour scale, so that they can be compared.

    Raises:
        ValueError: names the step or `what`, and the values allowed.
    """
    entries = _entries(drift, what)
    values = entries[within("step", step, len(entries))].astype(np.float32)
    recomputed = query_rows(trace.steps[step])
    cells = go.Heatmap(
        z=values,
        x0=0,
        y0=1,
        zmin=0,
        zmax=scale_top(entries),
        colorscale=VIRIDIS,
        colorbar={"title": {"text": "1 − cos", "side": "right"}, "thickness": 12, "outlinewidth": 0},
        hoverongaps=False,
        hovertemplate="layer %{y}: %{z:.3g}<extra></extra>",
    )
    below = go.Scatter(
        x=recomputed.astype(np.int32),
        y=np.zeros(len(recomputed), dtype=np.uint8),
        mode="markers",
        name="recomputed in this step",
        marker={"symbol": "square", "size": 5, "color": ACCENT},
        hoverinfo="skip",
    )
    figure = base_figure(cells, below, meta={"position": "x"}, showlegend=True)
    by_position(figure, "x", values.shape[1]).update_xaxes(range=[-0.5, values.shape[1] - 0.5], showgrid=False)
    return figure.update_yaxes(
        title_text="layer", range=[-0.75, len(values) + 0.5], showgrid=False, tickvals=_ticks(len(values))
    )


def drift_depth(drift: Drift, trace: Trace | None = None) -> go.Figure:
    """Mean drift by layer, over all entries of all steps; given the trace, over those that a step reused.

    Makes "drift grows with depth" (Elastic-Cache, arXiv 2510.14973) checkable by eye.
    """
    layers = drift.keys.shape[1]
    counted = np.ones((len(drift.keys), drift.keys.shape[2]), dtype=bool) if trace is None else states(trace) == REUSED
    lines = [
        go.Scatter(
            x=np.arange(1, layers + 1, dtype=np.int16),
            y=_mean(_entries(drift, what).transpose(0, 2, 1)[counted], 0),
            mode="lines+markers",
            name=what,
            line={"color": colour, "dash": dash},
            hovertemplate="layer %{x}: %{y:.3g} " + what + "<extra></extra>",
        )
        for what, colour, dash in (("keys", ACCENT, "solid"), ("values", INK, "dot"))
    ]
    figure = base_figure(*lines)
    figure.update_xaxes(title_text="layer", range=[0.5, max(1, layers) + 0.5], tickvals=_ticks(layers))
    title = "mean 1 − cos" if trace is None else "mean 1 − cos of reused entries"
    return figure.update_yaxes(title_text=title, rangemode="tozero", automargin=True)


def changed_tokens(drift: Drift, trace: Trace) -> list[dict[str, Any]]:
    """Where stale entries changed a best token, for the page's table; steps are counted from 1.

    Each: {"step", "position", "token", "confidence", "fresh", "fresh_confidence", "committed"}; token is the id that
    the cache gave, fresh the one without it.
    """
    return [
        {
            "step": trace.steps[change.step].index + 1,
            "position": change.position,
            "token": change.token,
            "confidence": round(change.confidence, 4),
            "fresh": change.fresh_token,
            "fresh_confidence": round(change.fresh_confidence, 4),
            "committed": change.committed,
        }
        for change in drift.changed
    ]


def _entries(drift: Drift, what: str) -> np.ndarray:
    """(steps, layers, positions)."""
    if what not in _ENTRIES:
        raise ValueError(f"what is {what!r}; allowed: {', '.join(_ENTRIES)}")
    return getattr(drift, what)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean of what is known, float32; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis)
    total = np.where(known, values, 0).sum(axis, dtype=np.float32)
    return np.divide(total, count, out=np.full(total.shape, np.nan, np.float32), where=count > 0, casting="unsafe")


def _ticks(layers: int) -> list[int]:
    """About eight ticks, at layers only: a chart of few layers would have ticks between them."""
    return list(range(1, layers + 1, max(1, round(layers / 8))))


def _cells(drift: Drift, committed: bool) -> list[tuple[int, int]]:
    return [(change.step, change.position) for change in drift.changed if change.committed == committed]


def _layer(lane: LaneData, options: Options) -> int | None:
    """A layer, or None for the mean of all."""
    layers = lane.known_drift.keys.shape[1]
    return None if options.get("layer") is None else number_option(options, "layer", layers)


def _what(options: Options) -> str:
    return choice_option(options, "what", _ENTRIES)


def _drift_at(lane: LaneData, options: Options) -> dict[str, Any]:
    """Drift at one step, layer by position."""
    step = number_option(options, "step", len(lane.trace.steps))
    figure = drift_by_layer(lane.known_drift, lane.trace, step, _what(options))
    return {"figures": [spec(figure)], "captions": ["Drift at the cursor's step, layer by position"]}


def _path_of(lane: LaneData, options: Options) -> dict[str, Any]:
    """The path of one position's keys over the steps."""
    _, layers, positions = lane.known_drift.keys.shape
    layer, position = number_option(options, "layer", layers), number_option(options, "position", positions)
    figure = key_path(lane.known_drift, lane.trace, layer, position)
    return {"figures": [spec(figure)], "captions": [f"Keys of position {position} in layer {layer + 1}"]}


def _saved(lane: LaneData) -> Iterator[dict[str, Any]]:
    if lane.drift is None:
        return
    steps, layers, positions = lane.drift.keys.shape
    for what in _ENTRIES:
        yield from ({"view": "drift", "what": what, "layer": layer} for layer in range(layers))
        yield from ({"view": "drift_at", "step": step, "what": what} for step in range(steps))
    yield from ({"view": "trajectory", "layer": layers - 1, "position": p} for p in range(positions))


VIEW = View(
    title="Drift",
    look_for=(
        "Look for stars: there a token was committed that fresh keys and values would not have chosen. That is the "
        "price of the cache."
    ),
    empty=(
        "The drift of this lane was not measured. Measuring it decodes once more with a full pass beside every step, "
        "so it takes a while."
    ),
    has_data=lambda lane: lane.drift is not None,
    never=lambda lane: NO_DRIFT if is_verified(lane.trace.settings) else "",
    charts={
        "Drift of cached from fresh entries, step by position": (
            lambda lane, options: drift_sheet(lane.known_drift, what=_what(options), layer=_layer(lane, options))
        ),
        "Mean drift by layer": lambda lane, _: drift_depth(lane.known_drift, lane.trace),
    },
    choices={"what": _ENTRIES},
    extra=lambda lane, _: {
        "layers": lane.known_drift.keys.shape[1],
        "changes": changed_tokens(lane.known_drift, lane.trace),
    },
    details={"drift_at": _drift_at, "trajectory": _path_of},
    saved=_saved,
)
