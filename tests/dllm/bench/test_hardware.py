"""A hardware file is read strictly; what it derives is what a few lines of arithmetic say."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.bench.document import Benchmark, BenchmarkError, Number
from dllm.bench.hardware import TITLES, Hardware, Measured, Network, Rate, Way
from dllm.bench.presets import SETTINGS
from tests.dllm.bench.test_document import WHOLE as BENCHMARK

AR_STEP = {
    "kind": "ar", "queries": 1, "count": 10, "seconds": {"value": 0.008, "low": 0.0075, "high": 0.009},
    "bytes": 12_000_000_000, "host": 0.02, "recorder": 0.01,
}  # fmt: skip
WIDE = {**AR_STEP, "kind": "denoise", "queries": 32, "seconds": {"value": 0.009}, "host": 0.06}
NARROW = {**WIDE, "queries": 8, "seconds": {"value": 0.0085}, "host": 0.01}
RATE: dict[str, Any] = {
    "way": "ar", "batch": 4, "tokens": 400, "passes": 100, "repeats": 3,
    "seconds": {"value": 0.5, "low": 0.4, "high": 0.8}, "memory": 2_000_000_000,
}  # fmt: skip
LARGE: dict[str, Any] = {
    "name": "random:Efficient-Large-Model/Fast_dLLM_v2_7B", "dtype": "bfloat16", "parameters": 7_000_000_000,
    "environment": {"device": "cuda: a", "torch": "2", "threads": 1, "peak_bytes": 2e12, "graphs": True},
    "prompt": 256, "answer": 512, "passes": [AR_STEP, WIDE, NARROW],
    "rates": [{**RATE, "engine": "transformers", "batch": 1, "passes": None, "memory": None}, RATE],
    "full": ["AR at batch 64"],
}  # fmt: skip
SMALL = {**LARGE, "name": "small", "parameters": 1_500_000_000}
BOTH: dict[str, Any] = {
    **LARGE, "name": "whole", "passes": [], "full": [],
    "rates": [
        {**RATE, "way": "no-cache", "batch": 1, "tokens": 100, "seconds": {"value": 2.0}},
        {**RATE, "way": "d2", "batch": 1, "tokens": 100, "seconds": {"value": 0.5}},
    ],
}  # fmt: skip
DOCUMENT = {"schema": "blockscope.hardware/1", "rounds": 3, "networks": [LARGE, SMALL, BOTH]}


def load(folder: Path, data: Any) -> Hardware:
    path = folder / "mine.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return Hardware.load(path)


def network(data: Any) -> Network:
    return Network.model_validate_json(json.dumps(data))


def test_it_is_written_as_it_was_read(tmp_path: Path) -> None:
    found = load(tmp_path, DOCUMENT)
    assert load(tmp_path, found.to_json()) == found
    assert [each.title for each in found.networks] == ["Fast_dLLM_v2_7B", "small", "whole"]


def changed(**changes: Any) -> dict[str, Any]:
    return {**DOCUMENT, "networks": [{**LARGE, **changes}]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "mine.json is not a valid benchmark"),
        ({**DOCUMENT, "schema": "blockscope.bench/1"}, "blockscope.hardware/1"),
        ({**DOCUMENT, "rounds": 0}, "rounds: Input should be greater than or equal to 1"),
        ({**DOCUMENT, "networks": []}, "networks: "),
        ({**DOCUMENT, "networks": [LARGE, LARGE]}, "is there for the second time; allowed: once"),
        ({**DOCUMENT, "aims": []}, "aims: Extra inputs are not permitted"),
        (changed(name="<b>"), "name: String should match pattern"),
        (changed(passes=[AR_STEP, AR_STEP]), "the AR step is there for the second time"),
        (changed(rates=[RATE, RATE]), "'AR' at batch 4 is there for the second time"),
        (changed(passes=[{**AR_STEP, "host": 1.1}]), "host: "),
        (changed(passes=[{**AR_STEP, "kind": "encode"}]), "kind: "),
        (changed(passes=[{**AR_STEP, "bytes": 0}]), "bytes: "),
        (changed(passes=[{**AR_STEP, "seconds": {"value": 0}}]), "seconds is 0.0; allowed: 1e-09 and more"),
        (changed(passes=[{**AR_STEP, "seconds": {"value": 1, "low": 0, "high": 2}}]), "seconds is 0.0; allowed"),
        (changed(passes=[{**AR_STEP, "seconds": {"value": 1, "low": 3, "high": 2}}]), "the interval is 3.0 to 2.0"),
        (changed(rates=[{**RATE, "seconds": {"value": -1}}]), "seconds is -1.0; allowed"),
        (changed(rates=[{**RATE, "tokens": 10**12}]), "tokens took 0.5 s; allowed: up to 1e+09 a second"),
        (changed(rates=[{**RATE, "memory": -1}]), "memory: "),
        (changed(rates=[{**RATE, "way": "fast"}]), "way: "),
        (changed(rates=[{**RATE, "engine": "other"}]), "engine: "),
        (changed(rates=[{**RATE, "threads": 0}]), "threads: "),
        (changed(environment={**LARGE["environment"], "peak_bytes": 1e-200}), "for 12000000000 bytes; allowed: more"),
        (json.dumps(changed(passes=[{**AR_STEP, "host": float("nan")}])), "host"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(BenchmarkError) as error:
        load(tmp_path, data)
    assert message in str(error.value)


def test_the_schema_tells_which_document_it_is(tmp_path: Path) -> None:
    for data, kind in ((DOCUMENT, Hardware), (BENCHMARK, Benchmark)):
        (tmp_path / "a.json").write_text(json.dumps(data))
        assert type(Measured.load(tmp_path / "a.json")) is kind
        assert Measured.load(tmp_path / "a.json") == kind.load(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(json.dumps({**DOCUMENT, "schema": "blockscope.trace/1"}))
    with pytest.raises(BenchmarkError, match=r"'blockscope\.bench/1', 'blockscope\.hardware/1'"):
        Measured.load(tmp_path / "a.json")


def test_the_bound_is_the_time_of_the_bytes_and_the_share_its_part_of_the_pass() -> None:
    found = network(LARGE)
    assert found.bound(found.passes[0]) == 0.006  # 12 GB at 2,000 GB/s
    assert found.share(found.passes[0]) == pytest.approx(0.75)
    unmeasured = network({**LARGE, "environment": {"device": "cpu", "torch": "2", "threads": 1}})
    assert unmeasured.bound(unmeasured.passes[0]) is unmeasured.share(unmeasured.passes[0]) is None


seconds = st.floats(1e-3, 1e3)


@given(st.integers(1, 10**6), st.tuples(seconds, seconds, seconds).map(sorted))
def test_the_speed_of_the_fastest_repeat_is_the_upper_bound(tokens: int, found: list[float]) -> None:
    low, middle, high = found
    number = Number(value=middle, low=low, high=high)
    tps = Rate(way=Way.AR, tokens=tokens, repeats=3, seconds=number).tps
    assert (tps.low, tps.value, tps.high) == (tokens / high, tokens / middle, tokens / low)


def test_tokens_a_pass_are_those_of_one_answer() -> None:
    transformers, ours = network(LARGE).rates
    assert transformers.tpf is None
    assert ours.tpf == 1  # 400 tokens of 4 answers in 100 passes
    assert network(LARGE).rate(Way.AR, 4) == ours
    assert network(LARGE).rate(Way.AR) is None
    assert network(LARGE).rate(Way.AR, engine="transformers") == transformers


def test_rows_are_engine_threads_and_way() -> None:
    rates = [{**RATE, "threads": 1}, {**RATE, "threads": 2}, {**RATE, "engine": "transformers", "threads": 2}, RATE]
    titles = [rate.title for rate in network({**LARGE, "rates": rates}).rates]
    assert titles == ["AR (1 thread)", "AR (2 threads)", "AR (transformers, 2 threads)", "AR"]


def test_every_way_has_settings_and_a_title_of_its_own() -> None:
    assert set(SETTINGS) == set(TITLES) == set(Way)
    assert len(set(TITLES.values())) == len(Way)
    assert len({str(settings.as_json()) for settings in SETTINGS.values()}) == len(Way)
