"""Attention through denoising: the maps of a step, and which share of attention goes where."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dllm.trace import Trace
from dllm.trace.attention import Maps, quantise
from visualize.charts.figure import ACCENT, INK, QUIET, VIRIDIS, base_figure, by_position, by_step, spec
from visualize.charts.sheet import MARK
from visualize.charts.unlocked import query_rows, rollout, sources, written
from visualize.view import LaneData, Options, View, number_option

IDENTITY = (
    "The identity term: a position that was not recomputed in a step draws on itself alone there, so it counts at "
    "least 1 in its own column. Without this term only what was computed in the step is left."
)
_NOT_KEPT = "No attention was kept for this step."
_ATTENTION_SHARES = (  # name, colour, dash; the first three add up to 1
    ("masks", INK, "dot"),
    ("the prompt", QUIET, "solid"),
    ("written tokens", ACCENT, "solid"),
    ("the future (positions after the query)", MARK, "dash"),
)


def layer_maps(trace: Trace, maps: Maps, step: int, layer: int) -> dict[str, Any]:
    """One layer's attention at one step (both from 0) for the page.

    Returns:
        {"step", "layer", "layers", "queries": [[start, end], …], "visible", "planes", "data"}. data: base64 of
        round(255 √p), uint8 (planes, queries, visible); the first plane is the mean over heads.

    Raises:
        TraceError: attention of this step or layer was not kept.
    """
    heads = maps.layer(step, layer)
    planes = {"head mean": heads.mean(0), **{f"head {n}": probs for n, probs in enumerate(heads, start=1)}}
    return _payload(trace, maps, step, planes) | {"layer": layer}


def rollout_maps(trace: Trace, maps: Maps, step: int) -> dict[str, Any]:
    """The rollout over all layers at one step for the page: as `layer_maps`, every visible position a row.

    "layer" is None; "planes" are without the identity term and with it (see `rollout`). "influence" holds each plane's
    column sums: how much all positions draw on each. "note" explains the term. "unlocked": what the tokens of this
    step drew on (see `sources`).

    Raises:
        TraceError: attention of this step was not kept.
    """
    rows = query_rows(trace.steps[step])
    whole = rollout(maps.mean(step), rows)
    computed = np.zeros_like(whole)
    computed[rows] = whole[rows]  # the same as identity=False, at half the price
    planes = {"without the identity term": computed, "with the identity term": whole}
    return _payload(trace, maps, step, planes) | {
        "layer": None,
        "note": IDENTITY,
        "queries": [[0, trace.steps[step].visible]],
        "influence": [plane.sum(0).round(4).tolist() for plane in planes.values()],
        "unlocked": sources(trace, whole, step=step, shift=trace.model.shift),
    }


def shares(trace: Trace, maps: Maps) -> go.Figure:
    """Which share of attention goes to masks, prompt and written tokens, and which to the future, by step.

    The mean over layers, heads and queries; a gap where no attention was kept. What a position holds is meant before
    the step. The future is every position after the query, whatever it holds: autoregressive decoding has none.
    """
    step = np.arange(1, len(trace.steps) + 1, dtype=np.int32)
    lines = [
        go.Scatter(
            x=step,
            y=values,
            mode="lines+markers",
            name=name,
            line={"color": colour, "dash": dash},
            marker={"size": 4},
            hovertemplate=f"step %{{x}}: %{{y:.1%}} to {name}<extra></extra>",
        )
        for (name, colour, dash), values in zip(_ATTENTION_SHARES, _shares(trace, maps), strict=True)
    ]
    figure = base_figure(*lines, meta={"step": "x"})
    by_step(figure, len(step))
    return figure.update_yaxes(title_text="share of attention", tickformat=".0%", range=[-0.02, 1.02], automargin=True)


def map_template() -> go.Figure:
    """The empty heat map into which the page puts a plane: query by attended position."""
    bar = {"title": {"text": "probability", "side": "right"}, "thickness": 12, "outlinewidth": 0}
    hover = "query %{y} attends to %{x}<extra></extra>"
    figure = base_figure(
        go.Heatmap(colorscale=VIRIDIS, colorbar=bar, hovertemplate=hover),
        height=560,
        meta={"position": "x", "query": "y"},
    )
    by_position(figure, "x", 0).update_xaxes(title_text="attends to", showgrid=False)
    by_position(figure, "y", 0)
    return figure.update_yaxes(title_text="query", autorange="reversed", showgrid=False)


def _payload(trace: Trace, maps: Maps, step: int, planes: dict[str, np.ndarray]) -> dict[str, Any]:
    record = trace.steps[step]
    return {
        "step": step,
        "layers": maps.layers,
        "queries": [list(span) for span in record.queries],
        "visible": record.visible,
        "planes": list(planes),
        "data": b64encode(quantise(np.stack(list(planes.values()))).tobytes()).decode(),
    }


def _shares(trace: Trace, maps: Maps) -> np.ndarray:
    """As _ATTENTION_SHARES, float32 (4, steps); NaN where no attention was kept."""
    out, holders = np.full((len(_ATTENTION_SHARES), len(trace.steps)), np.nan, dtype=np.float32), written(trace)
    for step in maps.steps:
        record = trace.steps[step]
        probs = maps.mean(step).mean(0)  # (queries, visible)
        holder = holders[step, : record.visible]
        future = np.arange(record.visible) > query_rows(record)[:, None]
        parts = [holder < 0, holder == 0, holder > 0, future]
        out[:, step] = [np.where(part, probs, 0).sum() / max(1, len(probs)) for part in parts]
    return out


def _maps_at(lane: LaneData, options: Options) -> dict[str, Any]:
    """Attention of one layer at one step, all heads."""
    maps, step = lane.known_maps, number_option(options, "step", len(lane.trace.steps))
    if step not in maps.steps:
        return {"empty": maps.note or _NOT_KEPT}
    return layer_maps(lane.trace, maps, step, number_option(options, "layer", maps.layers))


def _rollout_at(lane: LaneData, options: Options) -> dict[str, Any]:
    """Rollout at one step, and what its tokens drew on."""
    maps, step = lane.known_maps, number_option(options, "step", len(lane.trace.steps))
    if step not in maps.steps:
        return {"empty": maps.note or _NOT_KEPT}
    return rollout_maps(lane.trace, maps, step)


def _extra(lane: LaneData, _: Options) -> dict[str, Any]:
    maps = lane.known_maps
    return {"layers": maps.layers, "note": maps.note, "template": spec(map_template())}


def _saved(lane: LaneData) -> Iterator[dict[str, Any]]:
    if lane.maps is None:
        return
    yield from ({"view": "rollout_at", "step": step} for step in lane.maps.steps)
    for layer in reversed(range(lane.maps.layers)):
        yield from ({"view": "maps", "layer": layer, "step": step} for step in lane.maps.steps)


VIEW = View(
    title="Attention",
    look_for=(
        "Look for the share that goes to the future: autoregressive decoding has none, and block diffusion reads its "
        "own guesses there. Attention is not explanation."
    ),
    empty=(
        "Attention was not recorded in this lane. Tick “attention” under “Record for the inspector” in the settings "
        "and decode again, or open a recorded run that has it."
    ),
    has_data=lambda lane: lane.maps is not None,
    charts={
        "Share of attention to the future, to masks, to the prompt and to written tokens": (
            lambda lane, _: shares(lane.trace, lane.known_maps)
        ),
    },
    extra=_extra,
    details={"maps": _maps_at, "rollout_at": _rollout_at},
    saved=_saved,
)
