"""Lanes against each other: tokens over time, the latency of every pass, and the numbers side by side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dllm.metrics import DEFINITIONS
from dllm.pace import DEFINITIONS as RULES
from dllm.pace import Pace, comparable, course, first_step, laps, pace
from dllm.trace import Trace
from visualize.figure import PAPER, RULE, by_step, frame

CHOICES = {"count EOS": ("yes", "no"), "time": ("end to end", "decode only")}
CAPTIONS = (
    "Tokens of the answer over time, each lane to its end",
    "Time of each pass, step by step",
    "Tokens a second, time to the first token, tokens a pass, and passes",
)


@dataclass(frozen=True, slots=True)
class Look:
    """How a lane is drawn, everywhere: colour, and for those who do not see it dash, marker and pattern."""

    colour: str
    dash: str
    symbol: str
    shape: str


LOOKS = (
    Look("#0072b2", "solid", "circle", ""),
    Look("#e69f00", "dash", "square", "/"),
    Look("#009e73", "dot", "diamond", "."),
    Look("#cc79a7", "dashdot", "triangle-up", "x"),
    Look("#56b4e9", "longdash", "cross", "-"),
    Look("#d55e00", "longdashdot", "star", "+"),
)
FLAGS = ("top left", "bottom right")  # in turn, so that lanes that end together can be read
# a number of a Pace, its axis title, and its form
NUMBERS: tuple[tuple[str, str, Callable[[Pace], float | None]], ...] = (
    ("TPS", ".3~g", lambda p: p.tps),
    ("TTFT, ms", ".3~g", lambda p: None if p.ttft is None else 1000 * p.ttft),
    ("TPF", ".3~g", lambda p: p.tpf),
    ("NFE", "d", lambda p: p.nfe),
)


def looks(lanes: Mapping[str, Trace]) -> dict[str, Look]:
    """A look for each lane by its place, so that it is the same in every figure."""
    return {title: LOOKS[place % len(LOOKS)] for place, title in enumerate(lanes)}


def figures(lanes: Mapping[str, Trace], *, eos: bool = True, decode_only: bool = False) -> list[go.Figure]:
    """What CAPTIONS names, under one counting rule."""
    return [draw(lanes, eos=eos, decode_only=decode_only) for draw in (progress, latency, numbers)]


def progress(lanes: Mapping[str, Trace], *, eos: bool = True, decode_only: bool = False) -> go.Figure:
    """Tokens standing against milliseconds, a staircase for each lane, with a flag where it ended."""
    traces = []
    for place, (title, look) in enumerate(looks(lanes).items()):
        times, tokens = course(lanes[title], eos=eos, decode_only=decode_only)
        traces.append(
            go.Scatter(
                x=times,
                y=tokens,
                name=title,
                legendgroup=title,
                mode="lines",
                line={"color": look.colour, "dash": look.dash, "shape": "hv", "width": 2},
                hovertemplate=f"%{{x:.0f}} ms: %{{y}} tokens<extra>{title}</extra>",
            )
        )
        traces.append(
            go.Scatter(
                x=times[-1:],
                y=tokens[-1:],
                name=title,
                legendgroup=title,
                showlegend=False,
                mode="markers+text",
                marker={"color": look.colour, "symbol": look.symbol, "size": 11},
                text=[f"{times[-1]:.0f} ms"],
                textposition=FLAGS[place % 2],
                cliponaxis=False,
                hovertemplate=f"ended after %{{x:.0f}} ms with %{{y}} tokens<extra>{title}</extra>",
            )
        )
    figure = frame(*traces, showlegend=True)
    ends = [float(trace.x[-1]) for trace in traces]
    figure.update_xaxes(title_text="milliseconds", range=[0, 1.1 * max(ends, default=0) or 1])
    return figure.update_yaxes(title_text="tokens of the answer", rangemode="tozero")


def latency(lanes: Mapping[str, Trace], *, eos: bool = True, decode_only: bool = False) -> go.Figure:
    """Milliseconds of every counted pass by its step; what it was and how many positions it computed on hover."""
    traces = []
    for title, look in looks(lanes).items():
        trace = lanes[title]
        first = first_step(trace, eos=eos)
        begin = 0 if not decode_only else len(trace.steps) if first is None else first + 1
        steps = trace.steps[begin:]
        traces.append(
            go.Scatter(
                x=[step.index + 1 for step in steps],
                y=[1000 * step.seconds for step in steps],
                customdata=[[step.kind, step.query_count] for step in steps],
                name=title,
                mode="lines+markers",
                line={"color": look.colour, "dash": look.dash},
                marker={"color": look.colour, "symbol": look.symbol, "size": 5},
                hovertemplate=(
                    "step %{x}: %{y:.1f} ms, %{customdata[0]}, %{customdata[1]} positions"
                    f"<extra>{title}</extra>"
                ),
            )
        )
    figure = frame(*traces, showlegend=True, meta={"step": "x"})
    by_step(figure, max((len(trace.steps) for trace in lanes.values()), default=0))
    return figure.update_yaxes(title_text="milliseconds of the pass", rangemode="tozero")


def numbers(lanes: Mapping[str, Trace], *, eos: bool = True, decode_only: bool = False) -> go.Figure:
    """TPS, TTFT, TPF and NFE, a bar for each lane; the whiskers of TPS reach from its slowest to its fastest lap."""
    titles = [title for title, _, _ in NUMBERS]
    figure = make_subplots(rows=1, cols=len(NUMBERS), subplot_titles=titles, horizontal_spacing=0.07)
    for title, look in looks(lanes).items():
        said = pace(lanes[title], eos=eos, decode_only=decode_only)
        for column, (name, form, value) in enumerate(NUMBERS, 1):
            bar = go.Bar(
                x=[title],
                y=[value(said)],
                name=title,
                legendgroup=title,
                showlegend=column == 1,
                marker={
                    "color": look.colour,
                    "pattern": {"shape": look.shape, "fillmode": "overlay", "fgcolor": PAPER, "size": 5},
                },
                error_y=_whisker(said, laps(lanes[title], eos=eos, decode_only=decode_only)) if column == 1 else None,
                texttemplate=f"%{{y:{form}}}",
                textposition="inside",
                insidetextanchor="start",
                textangle=0,
                hovertemplate=f"%{{y:{form}}} {name}<extra>{title}</extra>",
            )
            figure.add_trace(bar, row=1, col=column)
    house = frame(height=300, showlegend=True, bargap=0.15).layout
    figure.update_layout(house).update_layout(template="none", margin_t=64, legend_y=1.14)
    figure.update_xaxes(showticklabels=False, linecolor=RULE, showgrid=False)
    return figure.update_yaxes(gridcolor=RULE, zeroline=False, linecolor=RULE, tickcolor=RULE, rangemode="tozero")


def note(lanes: Mapping[str, Trace], *, eos: bool = True, decode_only: bool = False) -> str:
    """What the figures count, in words; first of all why it is no race, where it is none."""
    why = comparable(list(lanes.values())) if len(lanes) > 1 else ""
    said = [no_race(why)] if why else []
    said += [RULES["decode_only" if decode_only else "end_to_end"], RULES["eos" if eos else "no_eos"], RULES["cut"]]
    said += [DEFINITIONS[name] for name in (("ttft", "tpf") if decode_only else ("tps", "ttft", "tpf", "nfe"))]
    if any(laps(trace, eos=eos, decode_only=decode_only) for trace in lanes.values()):
        said.append(RULES["laps"])
    return " ".join(said)


def no_race(why: str) -> str:
    """The sentence of `dllm.pace.comparable` as the page says it."""
    return f"Not a race: {why[:1].lower()}{why[1:]}"


def _whisker(said: Pace, laps: list[float]) -> dict[str, Any] | None:
    """From the slowest to the fastest lap, around the trace's own number."""
    if len(laps) < 2:
        return None
    up, down = max(0.0, max(laps) - said.tps), max(0.0, said.tps - min(laps))
    return {"type": "data", "symmetric": False, "array": [up], "arrayminus": [down]}
