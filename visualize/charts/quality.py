"""Quality: what an approximation changed in the answers, in charts and as text with its edits."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dllm.settings import is_autoregressive
from dllm.trace import Trace
from dllm.trace.compare import align, compare, compare_references
from dllm.trace.errors import short
from visualize.charts.figure import SERIES_STYLES, bar_marker, base_figure, whole_ticks
from visualize.comparison import MAX_ITEM, REFERENCE_NAMES, reference_names
from visualize.view import View

_REFERENCE_STYLES = {"no_cache": SERIES_STYLES[0], "one_by_one": SERIES_STYLES[1]}


def has_references(lanes: Mapping[str, Trace]) -> bool:
    """Whether any lane was compared with anything."""
    return any(trace.gate is not None for trace in lanes.values())


def reference_distances(lanes: Mapping[str, Trace]) -> go.Figure:
    """Edits between each lane's answer and each reference, as grouped bars."""
    found = {title: compare_references(trace) for title, trace in lanes.items()}
    bars = []
    for name, style in _REFERENCE_STYLES.items():
        compared = {title: each[name] for title, each in found.items() if name in each}
        bars.append(
            go.Bar(
                x=list(compared),
                y=[each.distance for each in compared.values()],
                customdata=[each.length for each in compared.values()],
                name=REFERENCE_NAMES[name],
                marker=bar_marker(style),
                texttemplate="%{y}",
                textposition="outside",
                cliponaxis=False,
                hovertemplate=(
                    f"%{{x}}: %{{y}} of %{{customdata}} tokens differ from {REFERENCE_NAMES[name]}<extra></extra>"
                ),
            )
        )
    figure = base_figure(*bars, barmode="group", height=280, showlegend=True)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(lanes))
    most = max((each.distance for references in found.values() for each in references.values()), default=0)
    return figure.update_yaxes(title_text="tokens to edit", rangemode="tozero", **whole_ticks(most))


def log_probs(lanes: Mapping[str, Trace]) -> go.Figure:
    """Mean log-probability of a token of each lane's answer under AR, nats; AR's own answer is marked."""
    values = {title: t.gate.log_prob for title, t in lanes.items() if t.gate and t.gate.log_prob is not None}
    bars = []
    for name, own, style in (("diffusion", False, SERIES_STYLES[0]), ("AR itself", True, SERIES_STYLES[3])):
        part = {title: value for title, value in values.items() if is_autoregressive(lanes[title].settings) == own}
        bars.append(
            go.Bar(
                x=list(part),
                y=list(part.values()),
                name=name,
                marker=bar_marker(style),
                texttemplate="%{y:.2f}",
                hovertemplate="%{x}: %{y:.3f} nats a token<extra></extra>",
            )
        )
    figure = base_figure(*bars, barmode="overlay", height=280, showlegend=True)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(values))
    return figure.update_yaxes(title_text="nats a token", rangemode="tozero")


def quality_rows(lanes: Mapping[str, Trace]) -> list[dict[str, Any]]:
    """Each lane beside its references, as plain data of ids for the table of the viewer.

    Returns:
        For each lane {"title", "references": [{"name", "same", "departs", "distance", "length", "edits"}, …],
        "log_prob", "item", "right"}. departs counts tokens of the answer from 1. edits: runs {"kind", "ids"} that are
        "same", "new" (only in the answer) or "gone" (only in the reference).
    """
    return [{"title": title, **_row(trace)} for title, trace in lanes.items()]


def _row(trace: Trace) -> dict[str, Any]:
    quality = trace.gate
    if quality is None:
        return {"references": [], "log_prob": None, "item": None, "right": None}
    names = reference_names(trace)
    references = [_reference(names[name], trace.output, ids) for name, ids in quality.references.items()]
    item = None if quality.item is None else short(quality.item, MAX_ITEM)
    return {"references": references, "log_prob": quality.log_prob, "item": item, "right": quality.right}


def _reference(name: str, ids: Sequence[int], reference: Sequence[int]) -> dict[str, Any]:
    found = compare(ids, reference)
    return {
        "name": name,
        "same": found.same,
        "departs": None if found.departs is None else found.departs + 1,
        "distance": found.distance,
        "length": found.length,
        "edits": [{"kind": edit.kind, "ids": list(edit.ids)} for edit in align(ids, reference)],
    }


VIEW = View(
    title="Quality",
    look_for=(
        "Look for struck-out and inserted tokens that belong together: tokens accepted in the same pass did not see "
        "each other, so words that depend on each other break first."
    ),
    empty=(
        "The answers of this run were not compared with an exact decoder. A race does that, and so does decoding with "
        "AR beside, unless attention or rollout are recorded."
    ),
    has_data=lambda lane: has_references(lane.all_lanes),
    charts={
        "Edits between each answer and those of the exact decoders": (
            lambda lane, _: reference_distances(lane.all_lanes)
        ),
        "Mean log-probability of a token of each answer under AR": lambda lane, _: log_probs(lane.all_lanes),
    },
    extra=lambda lane, _: {"rows": quality_rows(lane.all_lanes)},
)
