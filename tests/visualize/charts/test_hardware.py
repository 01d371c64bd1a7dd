"""Charts of a device: every bar and dot is a number of the document; only the same model's curve is beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from dllm.bench.hardware import Hardware
from dllm.bench.published import Published
from tests.dllm.bench.test_hardware import BOTH, DOCUMENT, LARGE, RATE, SMALL
from visualize.charts.figure import spec
from visualize.charts.hardware import alone, hardware_charts, network_speed_by_batch, passes

PUBLIC = Published.load(Path(__file__).parents[3] / "assets/bench/published.json")
BATCHES = {**LARGE, "rates": [
    {**RATE, "engine": "transformers", "batch": 1, "passes": None},
    {**RATE, "batch": 4},
    {**RATE, "batch": 1, "tokens": 100, "seconds": {"value": 0.25}, "memory": None},
    {**RATE, "way": "block-32-k3", "batch": 1, "tokens": 100, "passes": 40},
]}  # fmt: skip


BLOCKS, TRANSFORMERS = "block 32, 3 tokens a pass", "AR (transformers)"


def document(*networks: dict[str, Any]) -> Hardware:
    return Hardware.model_validate_json(json.dumps({**DOCUMENT, "networks": networks}))


def drawn(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def test_each_pass_stands_beside_its_bound() -> None:
    found = drawn(passes(document(LARGE, SMALL, BOTH)))
    assert set(found) == {"measured", "bound: its bytes at the measured bandwidth"}
    bars, bounds = found.values()
    assert [list(row) for row in bars.x] == [["Fast_dLLM_v2_7B"] * 3 + ["small"] * 3, ["AR", "8", "32"] * 2]
    assert [list(row) for row in bounds.x] == [list(row) for row in bars.x]
    assert list(bars.y) == pytest.approx([8, 8.5, 9] * 2)  # milliseconds
    assert list(bounds.y) == pytest.approx([6] * 6)
    assert list(bars.error_y.array) == pytest.approx([1, 0, 0] * 2)
    assert list(bars.error_y.arrayminus) == pytest.approx([0.5, 0, 0] * 2)
    assert list(bars.customdata[0][1:]) == [", 75 % of the bound's speed", "10 passes, host's share 2.0 %"]


def test_without_a_bandwidth_there_is_no_bound() -> None:
    place = {"device": "cpu", "torch": "2", "threads": 1}
    bars, bounds = drawn(passes(document({**LARGE, "environment": place}))).values()
    assert list(bounds.y) == [None] * 3
    assert bars.customdata[0][1] == ""


def test_a_line_by_batch_size_for_each_decoding() -> None:
    figure: Any = network_speed_by_batch(document(BATCHES).networks[0], PUBLIC)
    found = drawn(figure)
    assert (list(found["AR"].x), list(found["AR"].y)) == ([1, 4], [400, 800])
    assert (list(found["AR"].error_y.array), list(found["AR"].error_y.arrayminus)) == ([0, 200], [0, 300])
    assert [row[0] for row in found["AR"].customdata] == [
        "AR, 3 repeats; 1.00 tokens a pass",
        "AR, 3 repeats; 1.00 tokens a pass; 2.0 GB at most",
    ]
    assert list(found[TRANSFORMERS].customdata[0]) == [f"{TRANSFORMERS}, 3 repeats; 2.0 GB at most"]
    assert list(found[BLOCKS].customdata[0]) == [f"{BLOCKS}, 3 repeats; 2.50 tokens a pass; 2.0 GB at most"]
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"


def test_the_paper_s_curves_are_hollow_and_only_beside_the_model_they_are_of() -> None:
    found = drawn(network_speed_by_batch(document(BATCHES).networks[0], PUBLIC))
    published = {name: line for name, line in found.items() if name.startswith("published")}
    assert list(published) == [
        "published, Fig. 5, NVIDIA H100:<br>Fast-dLLM v2 7B",
        "published, Fig. 5, NVIDIA H100:<br>Qwen2.5 7B, AR, at the same batch size",
    ]
    blocks, ar = published.values()
    assert list(blocks.x) == list(ar.x) == [1, 2, 4, 8, 16, 32, 64]
    assert (blocks.y[0], blocks.y[-1], ar.y[0], ar.y[-1]) == (163.3, 1102.0, 67.8, 602.9)
    assert all(line.marker.symbol.endswith("-open") for line in published.values())
    assert not any(line.marker.symbol.endswith("-open") for name, line in found.items() if name not in published)
    for name in ("random:Efficient-Large-Model/Fast_dLLM_v2_1.5B", "Qwen2.5-7B"):
        other = document({**BATCHES, "name": name}).networks[0]
        assert not any(line.startswith("published") for line in drawn(network_speed_by_batch(other, PUBLIC)))


def test_one_answer_at_a_time_by_engine_and_way() -> None:
    figure: Any = alone(document(BATCHES, BOTH))
    found = drawn(figure)
    assert {name: (list(bar.y), list(bar.x)) for name, bar in found.items()} == {
        "Fast_dLLM_v2_7B": (["AR (transformers)", "AR", "block 32, 3 tokens a<br>pass"], [800, 400, 200]),
        "whole": (["full attention, no cache", "full attention, d2Cache"], [50, 200]),
    }
    assert set(figure.layout.yaxis.categoryarray) == {y for bar in found.values() for y in bar.y}
    assert len({bar.marker.color for bar in found.values()}) == len(found)


def test_what_was_not_measured_is_not_drawn() -> None:
    titles = [each.title for each in hardware_charts(document(BATCHES, SMALL, BOTH), PUBLIC)]
    assert titles == [
        "A forward pass beside its bandwidth bound",
        "Speed by batch size: Fast_dLLM_v2_7B",
        "Speed by batch size: small",
        "One answer at a time",
    ]
    assert [each.title for each in hardware_charts(document(BOTH), PUBLIC)] == ["One answer at a time"]
    only = {**LARGE, "rates": []}
    assert [each.title for each in hardware_charts(document(only), PUBLIC)] == [
        "A forward pass beside its bandwidth bound"
    ]
    assert hardware_charts(document({**only, "passes": []}), PUBLIC) == []


def test_it_is_plain_data() -> None:
    for each in hardware_charts(document(BATCHES, SMALL, BOTH), PUBLIC):
        json.dumps(spec(each.figure), allow_nan=False)
