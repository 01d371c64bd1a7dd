"""A benchmark file is read strictly; files of older versions are still read."""

import json
from pathlib import Path
from typing import Any

import pytest

from dllm.bench.document import MAX_BENCH_BYTES, Benchmark, BenchmarkError
from dllm.bench.published import Published
from dllm.bench.suite import Suite
from dllm.bench.summary import table
from dllm.bench.ways import ways
from dllm.engine.engine import SHIPPED
from dllm.settings import Choice, Settings
from tests.dllm.nets import both_engine

ROOT = Path(__file__).parents[3]
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
# fields that documents of version 0.2 do not have
LATER = {"distinct_2": None, "same_as_ar": None, "departs_from_ar": None, "kinds": {}}
UNTIMED = {"seconds": None, "tps": None, "same": None, "distance": None, "departs": None}
WHOLE = {
    "schema": "blockscope.bench/1",
    "suite": {"name": "small", "prompts": 3},
    "model": {"id": "tiny", "family": "llama", "sha256": None, "dtype": "float64", "parameters": 1000},
    "environment": {"device": "cpu: a", "torch": "2", "threads": 1},
    "rounds": 3,
    "rows": [ROW],
}


def load(folder: Path, data: Any) -> Benchmark:
    path = folder / "mine.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return Benchmark.load(path)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    bench = load(tmp_path, WHOLE)
    assert bench.rows[0].name == ROW["name"]
    assert json.loads(bench.to_json())["rows"] == [{**ROW, **LATER}]
    assert load(tmp_path, bench.to_json()) == bench


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"same": None}, "tps stands without same or distance; allowed: a speed with both"),
        ({"distance": None}, "tps stands without same or distance; allowed: a speed with both"),
        ({"seconds": None}, "seconds or tps is missing; allowed: both, or neither"),
        ({"tps": None}, "seconds or tps is missing; allowed: both, or neither"),
        ({"distinct_2": {"value": 2}}, "distinct_2 is 2.0; allowed: 0 to 1"),
        ({"kinds": {"a": 2}}, "kinds.a"),
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
        ({**WHOLE, "rounds": -1}, "rounds"),
        ({**WHOLE, "rounds": 0}, "rounds is 0, but 'block 32/8, block cache, 0.9' at batch 1 has a speed"),
        ({**WHOLE, "date": "today"}, "date: Extra"),
        (json.dumps(WHOLE).replace("20.0", "NaN"), "tps.value"),
        ("{", "not a valid benchmark"),
    ],
)
def test_a_file_that_is_wrong_is_refused(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=message):
        load(tmp_path, data)


def test_what_was_not_timed_needs_no_exact_decoder(tmp_path: Path) -> None:
    bench = load(tmp_path, {**WHOLE, "rounds": 0, "rows": [{**ROW, **UNTIMED}]})
    assert (bench.rows[0].tps, bench.rows[0].same) == (None, None)


def test_the_models_evaluation_is_of_the_shipped_suite_and_on_its_card() -> None:
    bench, suite = Benchmark.load(SHIPPED / "evaluation.json"), Suite.load("tasks")
    assert bench.rounds == 0
    assert (bench.suite.name, bench.suite.prompts, bench.suite.checked) == (
        suite.name, len(suite.items), len(suite.checked),
    )  # fmt: skip
    names = [row.name for row in bench.rows]
    assert [name for name in ways(both_engine().traits) if name in names] == names

    def cells(line: str) -> list[str]:
        return [cell.strip() for cell in line.strip("|").split("|")]

    card = [cells(line) for line in (SHIPPED / "README.md").read_text().splitlines()]
    shown = [cells(line) for line in table(bench.rows).split("\n\n")[0].splitlines()]
    assert [row for row in shown if not row[0].startswith("-")] == [row for row in card if row in shown]


def test_no_row_is_without_its_gate(tmp_path: Path) -> None:
    for name in ("same", "distance"):
        with pytest.raises(BenchmarkError, match=f"rows.0.{name}: Field required"):
            load(tmp_path, {**WHOLE, "rows": [{k: v for k, v in ROW.items() if k != name}]})


def test_a_file_too_large_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=f"has {MAX_BENCH_BYTES + 1} bytes; allowed: {MAX_BENCH_BYTES}"):
        load(tmp_path, " " * (MAX_BENCH_BYTES + 1))
    with pytest.raises(BenchmarkError, match=r"gone\.json cannot be read: No such file"):
        Benchmark.load(tmp_path / "gone.json")


def test_a_family_is_what_differs_in_the_threshold_only(tmp_path: Path) -> None:
    row = load(tmp_path, WHOLE).rows[0]
    assert (row.family, row.threshold) == ("block 32/8, block cache", 0.9)
    assert row.model_copy(update={"name": "AR"}).threshold is None


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
