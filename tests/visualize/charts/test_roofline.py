"""The roofline against its definition: what a pass did a second is at most what the roof allows at its intensity."""

import pytest

from dllm.models.families import FAST_DLLM_V2
from dllm.trace import Trace
from dllm.trace.cost import cost
from dllm.trace.schema import Environment
from tests.dllm.traces import decoded, made
from tests.visualize.records import step
from visualize.charts.race import lane_styles
from visualize.charts.roofline import SHARED_NOTE, UNMEASURED, roofline
from visualize.view import LaneData
from visualize.views import answer_question

PLAIN = Environment(device="cpu", torch="2", threads=1)
PEAKS = PLAIN.model_copy(update={"peak_flops": 4e9, "peak_bytes": 1e9})


@pytest.fixture(scope="module")
def lanes() -> dict[str, Trace]:
    return {"a": decoded(FAST_DLLM_V2, "block", [1, 2, 3]), "b": decoded(FAST_DLLM_V2, "block", [1, 2], block_size=1)}


def test_every_pass_of_every_lane_is_a_dot(lanes: dict[str, Trace]) -> None:
    figure = roofline(lanes, PLAIN)
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")
    assert [dots.name for dots in figure.data] == list(lanes)
    for dots in figure.data:
        trace = lanes[dots.name]
        assert trace.model.sizes is not None
        assert (dots.marker.color, dots.marker.symbol) == (
            lane_styles(lanes)[dots.name].colour,
            lane_styles(lanes)[dots.name].symbol,
        )
        assert len(dots.x) == len(trace.steps)
        for x, y, (number, kind, computed), s in zip(dots.x, dots.y, dots.customdata, trace.steps, strict=True):
            price = cost(s.query_count, s.visible, len(s.positions), trace.model.sizes)
            assert (x, y) == pytest.approx((price.flops / price.bytes, price.flops / s.seconds))
            assert (number, kind, computed) == (s.index + 1, s.kind, s.query_count)


def test_the_roof_is_the_lower_of_both_ceilings(lanes: dict[str, Trace]) -> None:
    figure = roofline(lanes, PEAKS)
    memory, arithmetic = figure.data[:2]
    assert all("this machine, measured" in line.name for line in (memory, arithmetic))
    assert memory.line.dash != arithmetic.line.dash
    for line in (memory, arithmetic):
        assert list(line.y) == pytest.approx([min(x * 1e9, 4e9) for x in line.x])
    assert (memory.x[-1], memory.y[-1]) == pytest.approx((arithmetic.x[0], arithmetic.y[0])) == (4.0, 4e9)
    reached = [x for dots in figure.data[2:] for x in dots.x]
    assert memory.x[0] < min(reached)
    assert max(reached) < arithmetic.x[-1]
    assert not figure.layout.annotations


@pytest.mark.parametrize("missing", ["peak_flops", "peak_bytes"])
def test_what_was_not_measured_is_said(lanes: dict[str, Trace], missing: str) -> None:
    figure = roofline(lanes, PEAKS.model_copy(update={missing: None}))
    assert [dots.name for dots in figure.data] == list(lanes)
    assert [note.text for note in figure.layout.annotations] == [UNMEASURED]


def test_lanes_without_sizes_and_passes_without_time_have_no_place(lanes: dict[str, Trace]) -> None:
    timeless = lanes["a"].model_copy(
        update={"steps": [s.model_copy(update={"seconds": 0.0 if s.index else 1.0}) for s in lanes["a"].steps]}
    )
    figure = roofline({"old": made(step(0, {4: 5})), "a": timeless}, PEAKS)
    assert [line.name for line in figure.data[2:]] == ["a"]
    assert len(figure.data[2].x) == 1
    assert figure.data[2].marker.color == lane_styles({"old": timeless, "a": timeless})["a"].colour


def test_the_cost_view_ends_with_it(lanes: dict[str, Trace]) -> None:
    trace = lanes["a"].model_copy(update={"environment": PEAKS})
    found = answer_question(LaneData(trace, lanes={**lanes, "a": trace}), {"view": "cost"})
    assert len(found["figures"]) == len(found["captions"]) == 4
    assert found["captions"][3].startswith("Roofline")
    assert [line["name"] for line in found["figures"][3]["data"]][2:] == list(lanes)


def test_passes_shared_with_other_runs_are_named_and_not_drawn(lanes: dict[str, Trace]) -> None:
    shared = lanes["a"].model_copy(update={"environment": PEAKS.model_copy(update={"rows": 4})})
    figure = roofline({"a": shared, "b": lanes["b"]}, PEAKS)
    assert [line.name for line in figure.data[2:]] == ["b"]
    assert [note.text for note in figure.layout.annotations] == [SHARED_NOTE.format("a")]
    assert "up to 4 runs" in answer_question(LaneData(shared), {"view": "cost"})["note"]
    assert "up to" not in answer_question(LaneData(lanes["b"]), {"view": "cost"})["note"]
