"""Lanes compared: tokens over time, the latency of every pass, and their numbers side by side."""

from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dllm.trace import Trace
from dllm.trace.throughput import (
    DEFINITIONS,
    RULES,
    Throughput,
    comparable,
    first_step,
    repeat_tps,
    throughput,
    timeline,
)
from visualize.charts.figure import RULE, SERIES_STYLES, Style, bar_marker, base_figure, by_step, whole_ticks
from visualize.comparison import not_a_race
from visualize.view import Draw, Options, View, choice_option

_FLAGS = ("top left", "bottom right")  # in turn, so that lanes that end together can be read
# a number of a Throughput, its axis title, and its form
NUMBERS: tuple[tuple[str, str, Callable[[Throughput], float | None]], ...] = (
    ("TPS", ".3~g", lambda p: p.tps),
    ("TTFT, ms", ".3~g", lambda p: None if p.ttft is None else 1000 * p.ttft),
    ("TPF", ".3~g", lambda p: p.tpf),
    ("NFE", "d", lambda p: p.nfe),
)


def lane_styles(lanes: Mapping[str, Trace]) -> dict[str, Style]:
    """A style for each lane by its place, so that it is the same in every figure."""
    return {title: SERIES_STYLES[place % len(SERIES_STYLES)] for place, title in enumerate(lanes)}


def progress(lanes: Mapping[str, Trace], *, eos: bool = True, decode_only: bool = False) -> go.Figure:
    """Tokens standing against milliseconds, a staircase for each lane, with a flag where it ended."""
    traces = []
    for place, (title, style) in enumerate(lane_styles(lanes).items()):
        times, tokens = timeline(lanes[title], eos=eos, decode_only=decode_only)
        traces.append(
            go.Scatter(
                x=times,
                y=tokens,
                name=title,
                legendgroup=title,
                mode="lines",
                line={"color": style.colour, "dash": style.dash, "shape": "hv", "width": 2},
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
                marker={"color": style.colour, "symbol": style.symbol, "size": 11},
                text=[f"{times[-1]:.0f} ms"],
                textposition=_FLAGS[place % 2],
                cliponaxis=False,
                hovertemplate=f"ended after %{{x:.0f}} ms with %{{y}} tokens<extra>{title}</extra>",
            )
        )
    figure = base_figure(*traces, showlegend=True)
    ends = [float(trace.x[-1]) for trace in traces]
    figure.update_xaxes(title_text="milliseconds", range=[0, 1.1 * max(ends, default=0) or 1])
    most = max((int(trace.y[-1]) for trace in traces), default=0)
    return figure.update_yaxes(title_text="tokens of the answer", rangemode="tozero", **whole_ticks(most))


def latency(lanes: Mapping[str, Trace], *, eos: bool = True, decode_only: bool = False) -> go.Figure:
    """Milliseconds of every counted pass by its step; what it was and how many positions it computed on hover."""
    traces = []
    for title, style in lane_styles(lanes).items():
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
                line={"color": style.colour, "dash": style.dash},
                marker={"color": style.colour, "symbol": style.symbol, "size": 5},
                hovertemplate=(
                    "step %{x}: %{y:.1f} ms, %{customdata[0]}, %{customdata[1]} positions"
                    f"<extra>{title}</extra>"
                ),
            )
        )
    figure = base_figure(*traces, showlegend=True, meta={"step": "x"})
    by_step(figure, max((len(trace.steps) for trace in lanes.values()), default=0))
    return figure.update_yaxes(title_text="milliseconds of the pass", rangemode="tozero")


def number_bars(lanes: Mapping[str, Trace], *, eos: bool = True, decode_only: bool = False) -> go.Figure:
    """TPS, TTFT, TPF and NFE, a bar for each lane; the whiskers of TPS reach from its slowest to its fastest repeat."""
    titles = [title for title, _, _ in NUMBERS]
    rates = {name: repeat_tps(trace, eos=eos, decode_only=decode_only) for name, trace in lanes.items()}
    figure = make_subplots(rows=1, cols=len(NUMBERS), subplot_titles=titles, horizontal_spacing=0.07)
    for title, style in lane_styles(lanes).items():
        found = throughput(lanes[title], eos=eos, decode_only=decode_only)
        for column, (name, form, value) in enumerate(NUMBERS, 1):
            bar = go.Bar(
                x=[title],
                y=[value(found)],
                name=title,
                legendgroup=title,
                showlegend=column == 1,
                marker=bar_marker(style),
                error_y=_whisker(found, rates[title]) if column == 1 else None,
                texttemplate=f"%{{y:{form}}}",
                textposition="inside",
                insidetextanchor="start",
                constraintext="none",  # a short bar must not make its number too small to read
                textangle=0,
                hovertemplate=f"%{{y:{form}}} {name}<extra>{title}</extra>",
            )
            figure.add_trace(bar, row=1, col=column)
    house = base_figure(height=300, showlegend=True, bargap=0.15).layout
    figure.update_layout(house).update_layout(template="none", margin_t=64, legend_y=1.14)
    figure.update_xaxes(showticklabels=False, linecolor=RULE, showgrid=False)
    return figure.update_yaxes(gridcolor=RULE, zeroline=False, linecolor=RULE, tickcolor=RULE, rangemode="tozero")


def race_note(lanes: Mapping[str, Trace], *, eos: bool = True, decode_only: bool = False) -> str:
    """What the figures count, in words; begins with the reason if the lanes cannot be compared."""
    why = comparable(list(lanes.values())) if len(lanes) > 1 else ""
    sentences = [not_a_race(why)] if why else []
    rules = ("decode_only" if decode_only else "end_to_end", "eos" if eos else "no_eos", "cut")
    sentences += [RULES[name] for name in rules]
    sentences += [DEFINITIONS[name] for name in (("ttft", "tpf") if decode_only else ("tps", "ttft", "tpf", "nfe"))]
    if any(repeat_tps(trace, eos=eos, decode_only=decode_only) for trace in lanes.values()):
        sentences.append(RULES["repeats"])
    return " ".join(sentences)


def _whisker(found: Throughput, repeats: list[float]) -> dict[str, Any] | None:
    """From the slowest to the fastest repeat, around the trace's own number."""
    if len(repeats) < 2:
        return None
    up, down = max(0.0, max(repeats) - found.tps), max(0.0, found.tps - min(repeats))
    return {"type": "data", "symmetric": False, "array": [up], "arrayminus": [down]}


def _counting_rule(options: Options) -> dict[str, bool]:
    """The keyword arguments of the figures that the page's choices stand for.

    Raises:
        QuestionError: names the choice and what is allowed.
    """
    eos, time = (choice_option(options, name, values) for name, values in VIEW.choices.items())
    return {"eos": eos == "yes", "decode_only": time == "decode only"}


def _by_rule(draw: Callable[..., go.Figure]) -> Draw:
    return lambda lane, options: draw(lane.all_lanes, **_counting_rule(options))


VIEW = View(
    title="Timing",
    look_for=(
        "Look for where one staircase overtakes another, and whether high steps (many tokens a pass) or short ones "
        "(quick passes) did it."
    ),
    empty="No pass was made in this lane.",
    charts={
        "Tokens of the answer over time, each lane to its end": _by_rule(progress),
        "Time of each pass, step by step": _by_rule(latency),
        "Tokens a second, time to the first token, tokens a pass, and passes": _by_rule(number_bars),
    },
    choices={"count EOS": ("yes", "no"), "time": ("end to end", "decode only")},
    extra=lambda lane, options: {"note": race_note(lane.all_lanes, **_counting_rule(options))},
)
