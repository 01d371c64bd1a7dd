"""The race against its definitions: every number in a figure is one of a `Throughput` or of a step."""

from typing import Any

import plotly.graph_objects as go
import pytest

from dllm.models.families import FAST_DLLM_V2
from dllm.trace import Trace
from dllm.trace.throughput import comparable, throughput, timeline
from tests.dllm.traces import decoded, made
from tests.visualize.records import step
from visualize.charts.figure import SERIES_STYLES
from visualize.charts.race import VIEW, lane_styles, latency, number_bars, progress, race_note
from visualize.view import LaneData, QuestionError
from visualize.views import answer_question


def every_figure(lanes: dict[str, Trace], **rule: bool) -> list[go.Figure]:
    return [draw(lanes, **rule) for draw in (progress, latency, number_bars)]


RULES = [{"eos": eos, "decode_only": only} for eos in (True, False) for only in (False, True)]
every_rule = pytest.mark.parametrize("rule", RULES)


def warmed(trace: Trace, *, warm_up: int = 3, repeats: tuple[float, ...] = ()) -> Trace:
    environment = trace.environment.model_copy(update={"warm_up": warm_up})
    timing = trace.timing.model_copy(update={"laps": list(repeats)})
    return trace.model_copy(update={"environment": environment, "timing": timing})


@pytest.fixture(scope="module")
def lanes() -> dict[str, Trace]:
    ways: dict[str, dict[str, Any]] = {"Block diffusion": {}, "Autoregressive": {"block_size": 1}}
    found = {title: decoded(FAST_DLLM_V2, "block", [1, 2, 3], **changes) for title, changes in ways.items()}
    whole = sum(step.seconds for step in found["Block diffusion"].steps)
    repeats = (0.25 * whole, whole, 2 * whole)
    return {
        title: warmed(trace, repeats=repeats if title == "Block diffusion" else ()) for title, trace in found.items()
    }


@every_rule
def test_a_staircase_is_the_course_and_ends_in_its_flag(lanes: dict[str, Trace], rule: dict[str, bool]) -> None:
    drawn = progress(lanes, **rule).data
    for title, stairs, flag in zip(lanes, drawn[::2], drawn[1::2], strict=True):
        times, tokens = timeline(lanes[title], **rule)
        assert (stairs.name, stairs.line.shape) == (title, "hv")
        assert (list(stairs.x), list(stairs.y)) == (times.tolist(), tokens.tolist())
        assert (list(flag.x), list(flag.y)) == ([times[-1]], [tokens[-1]])
        assert flag.text == (f"{times[-1]:.0f} ms",)


@every_rule
def test_latency_is_of_the_passes_that_count(lanes: dict[str, Trace], rule: dict[str, bool]) -> None:
    figure = latency(lanes, **rule)
    assert figure.layout.meta == {"step": "x"}
    for (title, trace), line in zip(lanes.items(), figure.data, strict=True):
        assert line.name == title
        assert len(line.x) == throughput(trace, **rule).nfe
        for x, y, (kind, computed) in zip(line.x, line.y, line.customdata, strict=True):
            record = trace.steps[x - 1]
            assert (y, kind, computed) == (1000 * record.seconds, record.kind, record.query_count)
        if len(line.x):
            assert line.x[-1] == len(trace.steps)


@every_rule
def test_bars_are_the_throughput(lanes: dict[str, Trace], rule: dict[str, bool]) -> None:
    figure = number_bars(lanes, **rule)
    assert [title.text for title in figure.layout.annotations] == ["TPS", "TTFT, ms", "TPF", "NFE"]
    for title, trace in lanes.items():
        said = throughput(trace, **rule)
        bars = [bar for bar in figure.data if bar.name == title]
        assert said.ttft is not None
        assert [bar.y[0] for bar in bars] == [said.tps, 1000 * said.ttft, said.tpf, said.nfe]
        assert [bar.xaxis for bar in bars] == ["x", "x2", "x3", "x4"]
        assert [bar.showlegend for bar in bars] == [True, False, False, False]


def test_whiskers_reach_from_the_slowest_to_the_fastest_lap(lanes: dict[str, Trace]) -> None:
    bars = {bar.name: bar for bar in number_bars(lanes).data if bar.xaxis == "x"}
    tps = bars["Block diffusion"].y[0]
    whisker = bars["Block diffusion"].error_y
    assert (tps + whisker.array[0], tps - whisker.arrayminus[0]) == pytest.approx((4 * tps, tps / 2))
    assert bars["Autoregressive"].error_y.array is None
    assert all(bar.error_y.array is None for bar in number_bars(lanes, decode_only=True).data)


def test_a_lane_looks_the_same_in_every_figure_and_like_no_other(lanes: dict[str, Trace]) -> None:
    for figure in every_figure(lanes):
        for drawn in figure.data:
            style = lane_styles(lanes)[drawn.name]
            assert style.colour in (drawn.marker.color, drawn.line.color if drawn.type == "scatter" else None)
            if drawn.type == "bar":
                assert drawn.marker.pattern.shape == style.pattern
            elif "lines" in drawn.mode:
                assert drawn.line.dash == style.dash
            if drawn.type == "scatter" and "markers" in drawn.mode:
                assert drawn.marker.symbol == style.symbol
    for part in ("colour", "dash", "symbol", "pattern"):
        assert len({getattr(style, part) for style in SERIES_STYLES}) == len(SERIES_STYLES)


@every_rule
def test_the_note_says_exactly_what_is_counted(lanes: dict[str, Trace], rule: dict[str, bool]) -> None:
    said = race_note(lanes, **rule)
    assert ("is not counted" in said) != rule["eos"]
    assert ("comes after the first token" in said) == rule["decode_only"]
    assert ("the prompt's own included" in said) != rule["decode_only"]
    assert ("slowest and the fastest" in said) != rule["decode_only"]  # repeats are known as a whole only
    assert said.startswith("Counted")


def test_the_note_begins_with_why_it_is_no_race(lanes: dict[str, Trace]) -> None:
    cold = {title: warmed(trace, warm_up=0) for title, trace in lanes.items()}
    why = comparable(list(cold.values()))
    assert race_note(cold).lower().startswith(f"not a race: {why.lower()}")
    assert not race_note({"alone": cold["Autoregressive"]}).startswith("Not a race")  # one lane races nobody


def test_the_view_counts_as_it_is_asked(lanes: dict[str, Trace]) -> None:
    shown = LaneData(lanes["Block diffusion"], lanes=lanes)
    for eos in VIEW.choices["count EOS"]:
        for time in VIEW.choices["time"]:
            found = answer_question(shown, {"view": "race", "count EOS": eos, "time": time})
            rule = {"eos": eos == "yes", "decode_only": time == "decode only"}
            assert found["note"] == race_note(lanes, **rule)
            assert len(found["figures"]) == len(found["captions"]) == len(VIEW.charts)
            assert [bar["y"][0] for bar in found["figures"][2]["data"]][::4] == [
                throughput(trace, **rule).tps for trace in lanes.values()
            ]
    with pytest.raises(QuestionError, match=r"count EOS is 'x'; allowed: yes, no"):
        answer_question(shown, {"view": "race", "count EOS": "x"})
    with pytest.raises(QuestionError, match=r"time is 'x'"):
        answer_question(shown, {"view": "race", "time": "x"})


def test_a_lane_without_a_token_and_a_lane_alone_are_drawn() -> None:
    for rule in RULES:
        assert [len(figure.data) for figure in every_figure({"x": made(step(0, {}))}, **rule)] == [2, 1, 4]
        assert every_figure({"x": made()}, **rule)[2].data[1].y == (None,)
    alone = answer_question(LaneData(decoded(FAST_DLLM_V2, "block", [1, 2])), {"view": "race"})
    assert [trace["name"] for trace in alone["figures"][1]["data"]] == ["Block cache · 0.1"]
