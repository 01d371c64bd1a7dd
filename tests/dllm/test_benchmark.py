"""A benchmark file is read strictly, and its numbers are what a few lines of arithmetic say."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.benchmark import (
    COLUMNS,
    MAX_BYTES,
    Answer,
    Benchmark,
    BenchmarkError,
    Way,
    cell,
    summarize,
    table,
)
from dllm.published import Published
from dllm.settings import Choice, Settings

ROOT = Path(__file__).parents[2]
NUMBER = {"value": 1.0, "low": 0.5, "high": 1.0}
ROW = {
    "name": "block 32/8, block cache, 0.9",
    "settings": Settings(unmask=Choice("threshold", {"threshold": 0.9})).as_json(),
    "batch": 1,
    "prompts": 3,
    "tokens": 40,
    "passes": 20,
    "seconds": 2.0,
    "tps": {"value": 20.0, "low": 15.0, "high": 25.0},
    "tpf": {"value": 2.0, "low": 1.5, "high": 2.5},
    "score": NUMBER,
    "log_prob": {"value": -1.0, "low": -2.0, "high": -0.5},
    "same": NUMBER,
    "distance": {"value": 0.25, "low": 0.0, "high": 0.5},
    "departs": 3.0,
    "trace": "block-32-8-block-cache-0-9.json.gz",
}
WHOLE = {
    "schema": "blockscope.bench/1",
    "suite": {"name": "small", "prompts": 3},
    "model": {"id": "tiny", "family": "llama", "sha256": None, "dtype": "float64", "parameters": 1000},
    "environment": {"device": "cpu: a", "torch": "2", "threads": 1},
    "rounds": 3,
    "rows": [ROW],
}
WAY = Way("AR", Settings(block_size=1).as_json())


def load(folder: Path, data: Any) -> Benchmark:
    path = folder / "mine.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return Benchmark.load(path)


def answer(tokens: int, passes: int, *laps: float, **more: Any) -> Answer:
    return Answer(**{"tokens": tokens, "passes": passes, "exact_tokens": tokens, "distance": 0, "departs": None,
                     "laps": laps, **more})  # fmt: skip


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    bench = load(tmp_path, WHOLE)
    assert bench.rows[0].name == ROW["name"]
    assert json.loads(bench.to_json())["rows"] == [ROW]
    assert load(tmp_path, bench.to_json()) == bench


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"same": None}, "rows.0.same"),
        ({"distance": None}, "rows.0.distance"),
        ({"same": {"value": 1.5}}, "same is 1.5; allowed: 0 to 1"),
        ({"score": {"value": -0.1}}, "score is -0.1; allowed: 0 to 1"),
        ({"tps": {"value": 1, "low": 2, "high": 1}}, "the interval is 2.0 to 1.0; allowed: low up to high"),
        ({"tps": {"value": 1, "low": 2}}, "the interval is 2.0 to None; allowed"),
        ({"tps": {"value": 1e300}}, "tps.value.*less than or equal to"),
        ({"seconds": 0}, "seconds.*greater than 0, not 0"),
        ({"batch": 0}, "batch.*greater than or equal to 1, not 0"),
        ({"trace": "../../etc/passwd"}, "trace.*match pattern.*passwd"),
        ({"trace": "a/b.json.gz"}, "trace.*match pattern"),
        ({"trace": "..json.gz"}, "trace.*match pattern"),
        ({"name": "<img src=x>"}, "name.*match pattern"),
        ({"name": ""}, "name"),
        ({"colour": 1}, "rows.0.colour: Extra inputs"),
        ({"settings": {"block_size": 0}}, "block_size is 0; allowed: 1 to 4096"),
        ({"settings": {"speed": 9}}, "unknown field 'speed'; allowed"),
    ],
)
def test_a_row_that_is_wrong_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"mine\.json is not a valid benchmark: .*" + message):
        load(tmp_path, {**WHOLE, "rows": [{**ROW, **changes}]})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**WHOLE, "schema": "blockscope.bench/2"}, "schema"),
        ({**WHOLE, "rows": [ROW, ROW]}, "at batch 1 is there for the second time; allowed: once"),
        ({**WHOLE, "rounds": 0}, "rounds"),
        ({**WHOLE, "date": "today"}, "date: Extra"),
        (json.dumps(WHOLE).replace("20.0", "NaN"), "tps.value"),
        ("{", "not a valid benchmark"),
    ],
)
def test_a_file_that_is_wrong_is_refused(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=message):
        load(tmp_path, data)


def test_no_row_is_without_its_gate(tmp_path: Path) -> None:
    for name in ("same", "distance"):
        with pytest.raises(BenchmarkError, match=f"rows.0.{name}: Field required"):
            load(tmp_path, {**WHOLE, "rows": [{k: v for k, v in ROW.items() if k != name}]})


def test_a_file_too_large_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=f"has {MAX_BYTES + 1} bytes; allowed: {MAX_BYTES}"):
        load(tmp_path, " " * (MAX_BYTES + 1))
    with pytest.raises(BenchmarkError, match=r"gone\.json cannot be read: No such file"):
        Benchmark.load(tmp_path / "gone.json")


@given(
    st.lists(
        st.tuples(st.integers(1, 64), st.integers(1, 64), st.lists(st.floats(0.01, 10), min_size=1, max_size=5)),
        min_size=1,
        max_size=6,
    )
)
def test_speed_and_parallelism_by_definition(found: list[tuple[int, int, list[float]]]) -> None:
    row = summarize(WAY, [answer(tokens, passes, *laps) for tokens, passes, laps in found])
    tokens, seconds = sum(f[0] for f in found), sum(median(f[2]) for f in found)
    assert row.tps.value == pytest.approx(tokens / seconds, abs=1e-3)
    assert row.tpf.value == pytest.approx(tokens / sum(f[1] for f in found), abs=1e-3)
    assert row.seconds == pytest.approx(seconds)
    ratios = [tokens / median(laps) for tokens, _, laps in found]
    assert row.tps.low is not None
    assert row.tps.high is not None
    assert min(ratios) - 1e-3 <= row.tps.low <= row.tps.high <= max(ratios) + 1e-3


def test_the_gate_by_definition() -> None:
    row = summarize(
        WAY,
        [
            answer(4, 4, 1.0, right=True, log_probs=(-1.0, -1.0, -1.0, -1.0)),
            answer(2, 1, 1.0, right=False, log_probs=(-4.0, -1.0), exact_tokens=8, distance=6, departs=1),
            answer(4, 1, 1.0, log_probs=(0.0, 0.0, 0.0, -1.0), exact_tokens=2, distance=3, departs=0),
        ],
    )
    assert row.score is not None
    assert row.log_prob is not None
    assert row.score.value == 0.5
    assert row.log_prob.value == -1.0
    assert row.same.value == pytest.approx(1 / 3, abs=1e-4)
    assert row.distance.value == pytest.approx((0 + 6 / 8 + 3 / 4) / 3, abs=1e-4)
    assert row.departs == 0.5
    assert (row.prompts, row.tokens, row.passes) == (3, 10, 6)


def test_what_was_not_measured_is_not_said() -> None:
    row = summarize(WAY, [answer(4, 4, 1.0)])
    assert (row.score, row.log_prob, row.departs) == (None, None, None)
    assert (row.same.value, row.distance.value) == (1.0, 0.0)


def test_answers_decoded_together_have_the_time_of_the_median_round() -> None:
    row = summarize(WAY, [answer(30, 10), answer(30, 10)], [3.0, 1.0, 2.0])
    assert row.seconds == 2.0
    assert row.tps.model_dump() == {"value": 30.0, "low": 20.0, "high": 60.0}
    assert summarize(WAY, [answer(30, 10)], [2.0]).tps.model_dump() == {"value": 15.0, "low": None, "high": None}


def test_a_family_is_what_differs_in_the_threshold_only(tmp_path: Path) -> None:
    row = load(tmp_path, WHOLE).rows[0]
    assert (row.family, row.threshold) == ("block 32/8, block cache", 0.9)
    assert (summarize(WAY, [answer(1, 1, 1.0)]).family, summarize(WAY, [answer(1, 1, 1.0)]).threshold) == ("AR", None)


def test_the_table_holds_every_row_and_says_what_it_means(tmp_path: Path) -> None:
    bench = load(tmp_path, {**WHOLE, "rows": [ROW, {**ROW, "name": "AR", "score": None, "tps": {"value": 7}}]})
    lines = table(bench.rows).splitlines()
    assert lines[2].startswith(
        "| block 32/8, block cache, 0.9 | 1 | 20.00 [15.00, 25.00] | 2.00 [1.50, 2.50] | 100.0 % ["
    )
    assert "| 25.0 % [0.0, 50.0] | 3 |" in lines[2]
    assert lines[3].startswith("| AR | 1 | 7.00 | 2.00 [1.50, 2.50] | – |")
    assert {line.count("|") for line in lines[:4]} == {len(COLUMNS) + 3}
    assert all(any(line.startswith(f"{title}: ") for line in lines) for title, _, _ in COLUMNS.values())
    assert cell(bench.rows[1], "tps") == "7.00"


def test_published_numbers_are_read_strictly_and_come_with_where_they_are_from(tmp_path: Path) -> None:
    path = ROOT / "assets/bench/published.json"
    published = Published.load(path)
    papers = {"arXiv 2509.26328", "arXiv 2509.23094v1"}
    for series in (*published.quality, *published.batches):
        assert series.source.split(", ")[0] in papers
        assert "read" in series.read or series.read == "as printed"
    (first, *_) = published.quality
    at = next(point for point in first.points if point.at == "threshold 0.9")
    assert (at.tps, at.score) == (101.7, 0.806)
    assert {series.label: [int(p.at) for p in series.points] for series in published.batches} == {
        f"Fast-dLLM v2, 7B, {gpu}, GSM8K": [1, 2, 4, 8, 16, 32, 64] for gpu in ("A100", "H100")
    }
    raw = json.loads(path.read_text())
    raw["quality"][0]["points"][0]["score"] = 65.2  # per cent where a share belongs
    (tmp_path / "p.json").write_text(json.dumps(raw))
    with pytest.raises(BenchmarkError, match=r"quality\.0\.points\.0\.score.*not 65\.2"):
        Published.load(tmp_path / "p.json")
