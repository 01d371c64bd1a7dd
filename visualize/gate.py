"""Whether speed cost an answer anything: in a sentence, in charts, and as text with its edits."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dllm.gate import Comparison, align, compare, compare_references
from dllm.settings import VERIFY
from dllm.strict import short
from dllm.trace import Trace
from visualize.figure import PAPER, frame

NAMES = {"no_cache": "without cache", "one_by_one": "one token at a time"}
# verified decoding is held against AR itself, first of all
VERIFIED = {"one_by_one": "AR", "no_cache": "without cache"}
EXACT = ("none", "block")  # cache policies that are no cache's equal by construction
NARROW = ("bfloat16", "float16")
# a bar for each reference: colour and pattern, so that hue alone never tells them apart
LOOKS = {"no_cache": ("#0072b2", ""), "one_by_one": ("#e69f00", "/")}
CAPTIONS = (
    "Edits between each answer and those of the exact decoders",
    "Mean log-probability of a token of each answer under AR",
)
MOST = 60  # characters of a suite item's name


def words(trace: Trace) -> str:
    """What the answer of a lane was held against, and how it came out; "" where it was not."""
    if trace.gate is None:
        return ""
    known, names = compare_references(trace), _names(trace)
    found = {name: known[name] for name in names if name in known}
    equal = [names[name] for name, each in found.items() if each.same]
    said = [f"Same answer as {' and '.join(equal)}."] if equal else []
    said += [_departure(names[name], each) for name, each in found.items() if not each.same]
    if _rounded(trace, found):
        said.append(f"This is exact by construction; in {trace.model.dtype} rounding alone can change a token.")
    gate = trace.gate
    if gate.log_prob is not None:
        said.append(f"Mean log-probability {gate.log_prob:.2f} under AR.")
    if gate.item is not None and gate.right is not None:
        said.append(f"Suite item {short(gate.item, MOST)}: {'right' if gate.right else 'wrong'}.")
    return " ".join(said)


def same(trace: Trace) -> bool | None:
    """Whether the answer equals every reference; None where there is none."""
    found = compare_references(trace)
    return all(each.same for each in found.values()) if found else None


def has_gate(lanes: Mapping[str, Trace]) -> bool:
    """Whether any lane was held against anything."""
    return any(trace.gate is not None for trace in lanes.values())


def figures(lanes: Mapping[str, Trace]) -> list[go.Figure]:
    """What CAPTIONS names."""
    return [distances(lanes), log_probs(lanes)]


def distances(lanes: Mapping[str, Trace]) -> go.Figure:
    """Edits between each lane's answer and each reference, as bars beside each other."""
    found = {title: compare_references(trace) for title, trace in lanes.items()}
    bars = []
    for name, (colour, shape) in LOOKS.items():
        held = {title: each[name] for title, each in found.items() if name in each}
        bars.append(
            go.Bar(
                x=list(held),
                y=[each.distance for each in held.values()],
                customdata=[each.length for each in held.values()],
                name=NAMES[name],
                marker={"color": colour, "pattern": _pattern(shape)},
                texttemplate="%{y}",
                textposition="outside",
                cliponaxis=False,
                hovertemplate=f"%{{x}}: %{{y}} of %{{customdata}} tokens differ from {NAMES[name]}<extra></extra>",
            )
        )
    figure = frame(*bars, barmode="group", height=280, showlegend=True)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(lanes))
    return figure.update_yaxes(title_text="tokens to edit", rangemode="tozero")


def log_probs(lanes: Mapping[str, Trace]) -> go.Figure:
    """Mean log-probability of a token of each lane's answer under AR, nats; AR's own answer is marked."""
    held = {title: t.gate.log_prob for title, t in lanes.items() if t.gate and t.gate.log_prob is not None}
    bars = []
    for name, own, colour, shape in (("diffusion", False, "#0072b2", ""), ("AR itself", True, "#009e73", "x")):
        part = {title: value for title, value in held.items() if autoregressive(lanes[title]) == own}
        bars.append(
            go.Bar(
                x=list(part),
                y=list(part.values()),
                name=name,
                marker={"color": colour, "pattern": _pattern(shape)},
                texttemplate="%{y:.2f}",
                hovertemplate="%{x}: %{y:.3f} nats a token<extra></extra>",
            )
        )
    figure = frame(*bars, barmode="overlay", height=280, showlegend=True)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(held))
    return figure.update_yaxes(title_text="nats a token", rangemode="tozero")


def rows(lanes: Mapping[str, Trace]) -> list[dict[str, Any]]:
    """Each lane beside its references, as plain data of ids: what `GateTable` of the viewer writes.

    departs counts tokens of the answer from 1. edits: runs that are "same", "new" (only in the answer) or "gone" (only
    in the reference).
    """
    return [{"title": title, **_row(trace)} for title, trace in lanes.items()]


def autoregressive(trace: Trace) -> bool:
    """Whether it was decoded one token at a time, left to right."""
    return trace.settings.get("block_size") == 1


def verified(trace: Trace) -> bool:
    """Whether its tokens are those that AR said, tested several at a time."""
    return (trace.settings.get("unmask") or {}).get("name") == VERIFY


def _names(trace: Trace) -> dict[str, str]:
    """What the references of a lane are called, in the order in which they are told."""
    return VERIFIED if verified(trace) else NAMES


def _row(trace: Trace) -> dict[str, Any]:
    gate = trace.gate
    if gate is None:
        return {"references": [], "log_prob": None, "item": None, "right": None}
    names = _names(trace)
    references = [_held(names[name], trace.output, ids) for name, ids in gate.references.items()]
    item = None if gate.item is None else short(gate.item, MOST)
    return {"references": references, "log_prob": gate.log_prob, "item": item, "right": gate.right}


def _held(name: str, ids: Sequence[int], reference: Sequence[int]) -> dict[str, Any]:
    found = compare(ids, reference)
    return {
        "name": name,
        "same": found.same,
        "departs": None if found.departs is None else found.departs + 1,
        "distance": found.distance,
        "length": found.length,
        "edits": [{"kind": edit.kind, "ids": list(edit.ids)} for edit in align(ids, reference)],
    }


def _departure(name: str, found: Comparison) -> str:
    assert found.departs is not None
    what = name if name == VERIFIED["one_by_one"] else f"decoding {name}"
    at = f"Departs from {what} at token {found.departs + 1}"
    return f"{at}: {found.distance} of {found.length} tokens differ."


def _rounded(trace: Trace, found: Mapping[str, Comparison]) -> bool:
    """Whether a difference is one that only rounding can make: the cache is exact, and no token was taken untested."""
    cache = (trace.settings.get("cache") or {}).get("name", "none")
    if trace.model.dtype not in NARROW or not (cache in EXACT or autoregressive(trace)):
        return False
    single = verified(trace) or all(len(step.committed) <= 1 for step in trace.steps)
    return any(not each.same and (single or name == "no_cache") for name, each in found.items())


def _pattern(shape: str) -> dict[str, Any]:
    return {"shape": shape, "fillmode": "overlay", "fgcolor": PAPER, "size": 5}
