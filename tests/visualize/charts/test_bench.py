"""Charts of a benchmark: every dot is a row's numbers, and the front is what the definition says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.bench.document import Benchmark
from dllm.bench.published import Published
from tests.dllm.bench.test_document import ROW, WHOLE
from visualize.charts.bench import benchmark_charts, front, pareto, relative, speed_by_batch, speedup
from visualize.charts.figure import spec

PUBLIC = Published.load(Path(__file__).parents[3] / "assets/bench/published.json")


def row(name: str, speed: float, score: float | None, *, batch: int = 1, threshold: float = 0.9) -> dict[str, Any]:
    found = None if score is None else {"value": score, "low": score / 2, "high": 1.0}
    settings: dict[str, Any] = {**ROW["settings"], "unmask": {"name": "threshold", "threshold": threshold}}  # type: ignore[dict-item]
    if name == "AR":
        settings |= {"block_size": 1, "unmask": {"name": "threshold"}}
    tps = {"value": speed, "low": speed - 5, "high": speed + 10} if batch == 1 else {"value": speed}
    more = {"score": found, "settings": settings, "tps": tps, "trace": None if batch > 1 else "a.json.gz"}
    return {**ROW, "name": name, "batch": batch, **more}


ROWS = [
    row("AR", 30, 0.8),
    row("block 32/8, block cache, 0.9", 40, 0.6),
    row("block 32/8, block cache, 0.5", 60, 0.4, threshold=0.5),
    row("block 32/8, block cache, 1.0", 20, 0.7, threshold=1.0),
    row("full attention, d2 cache, 0.9", 50, 0.6),
    row("AR", 50, 0.8, batch=4),
    row("block 32/8, block cache, 0.9", 55, 0.6, batch=4),
]


def bench(*rows: dict[str, Any]) -> Benchmark:
    return Benchmark.model_validate_json(json.dumps({**WHOLE, "rows": list(rows or ROWS)}))


def names(figure: Any) -> list[str]:
    return [trace.name for trace in figure.data]


def drawn(figure: Any, name: str) -> Any:
    (trace,) = [t for t in figure.data if t.name == name]
    return trace


points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(points)
def test_the_front_by_definition(found: list[tuple[float, float]]) -> None:
    def beaten(a: tuple[float, float]) -> bool:
        return any(b != a and b[0] >= a[0] and b[1] >= a[1] for b in found)

    best = front(found)
    assert sorted(best) == [n for n, point in enumerate(found) if not beaten(point)]
    assert [found[n][0] for n in best] == sorted(found[n][0] for n in best)


def test_every_row_decoded_alone_is_a_dot_that_names_itself() -> None:
    figure: Any = pareto(bench())
    line = drawn(figure, "block 32/8, block cache")
    assert (list(line.x), list(line.y)) == ([60, 40, 20], [40, 60, 70])  # thresholds 0.5, 0.9, 1.0
    assert [list(pair) for pair in line.customdata] == [[2, "a.json.gz"], [1, "a.json.gz"], [3, "a.json.gz"]]
    assert list(line.error_x.array) == [10, 10, 10]
    assert list(line.error_x.arrayminus) == [5, 5, 5]
    assert list(line.error_y.array) == pytest.approx([60, 40, 30])
    assert list(line.error_y.arrayminus) == pytest.approx([20, 30, 35])
    assert [list(pair) for pair in drawn(figure, "AR").customdata] == [[0, "a.json.gz"]]
    assert list(drawn(figure, "nothing is faster and better").x) == [30, 50, 60]
    looks = {(t.marker.color, t.marker.symbol) for t in figure.data if t.marker.symbol}
    assert len(looks) == 3


def test_ratios_are_to_the_own_baseline() -> None:
    figure: Any = relative(bench(), PUBLIC)
    line = drawn(figure, "block 32/8, block cache")
    assert list(line.x) == pytest.approx([2, 4 / 3, 2 / 3])
    assert list(line.y) == pytest.approx([-40, -20, -10])
    assert (list(drawn(figure, "AR").x), list(drawn(figure, "AR").y)) == ([1], [0])
    v2 = drawn(figure, "published, Fig. 4:<br>Fast-dLLM v2, 7B, A100, GSM8K")
    assert v2.x[4] == pytest.approx(101.7 / 39.1)
    assert v2.y[4] == pytest.approx(-0.5)
    assert {t.marker.symbol.endswith("-open") for t in figure.data if t.name.startswith("published")} == {True}
    assert len([t for t in figure.data if t.name.startswith("published")]) == len(PUBLIC.quality)


def test_without_ar_nothing_is_said_to_be_a_multiple_of_it() -> None:
    figure: Any = relative(bench(*ROWS[1:5]), PUBLIC)
    assert all(name.startswith("published") for name in names(figure))
    assert all(name.startswith("published") for name in names(speedup(bench(*ROWS[1:5]), PUBLIC)))


def test_rows_that_were_not_checked_have_no_score_to_draw() -> None:
    alone = bench(row("AR", 30, None), row("block 32/8, block cache, 0.9", 40, None))
    assert names(pareto(alone)) == ["nothing is faster and better"]
    assert all(name.startswith("published") for name in names(relative(alone, PUBLIC)))
    assert list(drawn(speed_by_batch(alone), "AR").y) == [30]


def test_speed_by_batch_size_is_at_the_usual_threshold() -> None:
    figure: Any = speed_by_batch(bench())
    line = drawn(figure, "block 32/8, block cache, 0.9")
    assert (list(line.x), list(line.y)) == ([1, 4], [40, 55])
    assert list(line.error_y.array) == [10, 0]  # no interval of one round
    assert set(names(figure)) == {
        "AR", "block 32/8, block cache, 0.9", "full attention, d2 cache, 0.9",
    }  # fmt: skip
    assert figure.layout.xaxis.type == "log"
    only: Any = speed_by_batch(bench(row("block 32/8, block cache, 1.0", 40, 0.6, threshold=1.0)))
    assert names(only) == ["block 32/8, block cache, 1.0"]


def test_the_lead_over_ar_is_at_the_same_batch_size() -> None:
    figure: Any = speedup(bench(), PUBLIC)
    line = drawn(figure, "block 32/8, block cache, 0.9")
    assert (list(line.x), list(line.y)) == ([1, 4], pytest.approx([40 / 30, 55 / 50]))
    published = drawn(figure, "published, Fig. 5:<br>Fast-dLLM v2, 7B, A100, GSM8K")
    assert [round(y, 2) for y in published.y] == [2.59, 2.32, 1.92, 1.79, 1.79, 1.65, 1.53]
    assert list(published.x) == [1, 2, 4, 8, 16, 32, 64]


def test_charts_are_plain_data_in_the_page_s_colours() -> None:
    for chart in benchmark_charts(bench(), PUBLIC):
        data = spec(chart.figure)
        assert data["layout"]["font"]["color"] == "var(--ink)"
        assert chart.title
        assert chart.look_for
        json.dumps(data, allow_nan=False)
