"""Requests answered together are answered as they are alone, in order, and a bad one spoils no other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.engine.requests import OutputFolder, answer_requests
from dllm.engine.run import Run
from dllm.models.families import FAST_DLLM_V2, LLADA
from dllm.step import Plan
from dllm.trace.attention import Maps
from tests.dllm.nets import both_engine, engine_of, prompts

TIMES = ("seconds", "ttft", "decode", "recorder", "rows")  # rows: how many runs shared a pass


def timeless(value: Any) -> Any:
    """JSON without what a clock says."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in TIMES}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def lines(*requests: dict[str, Any] | str) -> list[str]:
    return [request if isinstance(request, str) else json.dumps(request) for request in requests]


REQUESTS = st.lists(
    st.fixed_dictionaries(
        {"prompt_ids": prompts(), "gen_length": st.integers(1, 12), "block_size": st.sampled_from([1, 4, 8])},
        optional={"cache": st.sampled_from(["none", "block", "sub_block", "dual", "nonsense"]), "seed": st.just("x")},
    ),
    max_size=9,
)


@given(asked=REQUESTS, batch=st.integers(2, 4))
@settings(max_examples=30)
def test_a_batch_answers_what_each_request_gets_alone(asked: list[dict[str, Any]], batch: int) -> None:
    for spec in (FAST_DLLM_V2, LLADA):
        engine, given_lines = engine_of(spec), lines(*({"id": i, **request} for i, request in enumerate(asked)))
        alone = timeless(list(answer_requests(engine, given_lines)))
        assert timeless(list(answer_requests(engine, given_lines, batch=batch))) == alone


def test_bad_lines_stand_in_their_places() -> None:
    good = {"prompt_ids": [1, 2], "gen_length": 4, "block_size": 4}
    asked = lines(
        "nonsense", {"id": "a", **good}, "[]", "", {"id": "b"}, {"id": "c", **good, "seed": -1}, {"id": "d", **good}
    )
    told = list(answer_requests(engine_of(FAST_DLLM_V2), asked, batch=3))
    assert [(result["id"], "error" in result) for result in told] == [
        (None, True), ("a", False), (None, True), ("b", True), ("c", True), ("d", False),
    ]  # fmt: skip


def test_networks_are_not_mixed() -> None:
    """The default model's full attention is another network."""
    engine = both_engine()
    kinds = ("hybrid", "bidirectional") * 2
    asked = lines(*({"prompt_ids": [1, 2, 3], "gen_length": 6, "block_size": 4, "attention": a} for a in kinds))
    assert timeless(list(answer_requests(engine, asked, batch=4))) == timeless(list(answer_requests(engine, asked)))


def test_a_run_that_fails_midway_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Run.plan

    def failing(self: Run) -> Plan | None:
        if self.prompt == [9] and self.records:
            raise RuntimeError("this one fails")
        return plan(self)

    monkeypatch.setattr(Run, "plan", failing)
    asked = lines(*({"id": i, "prompt_ids": [i], "gen_length": 6, "block_size": 2} for i in (1, 9, 2, 3)))
    told = list(answer_requests(engine_of(LLADA), asked, batch=2))
    assert [result.get("error", "") for result in told] == ["", "RuntimeError: this one fails", "", ""]
    assert all(len(result["trace"]["output"]) == 6 for result in told if "trace" in result)


def test_attention_is_kept_in_a_batch_too(tmp_path: Path) -> None:
    request = {"prompt_ids": [1, 2], "gen_length": 4, "block_size": 4}
    asked = lines({"id": "a", **request, "record": ["attention"]}, {"id": "b", **request})
    told = list(answer_requests(engine_of(LLADA), asked, folder=OutputFolder(tmp_path), batch=2))
    assert Maps.open(tmp_path / "a.npz").steps == list(range(len(told[0]["trace"]["steps"])))
    assert not (tmp_path / "b.npz").exists()


def test_requests_are_read_as_they_are_needed() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield json.dumps({"prompt_ids": [1], "gen_length": 2, "block_size": 2})

    answers = answer_requests(engine_of(LLADA), endless(), batch=2)
    assert "trace" in next(answers)
    assert read <= 8


def test_a_batch_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="batch is 0; allowed: 1 or more"):
        list(answer_requests(engine_of(LLADA), [], batch=0))
