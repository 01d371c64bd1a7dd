"""The trace: what goes in comes out, what is wrong is named, and what is derived follows from its definition."""

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm import cost, metrics
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA
from dllm.settings import Choice, Settings
from dllm.step import Plan
from dllm.trace import MAX_BYTES, Trace, TraceError, spans
from tests.dllm.nets import engine_of, prompts


def traced(prompt: list[int], family: int = 0, **changes) -> Trace:
    spec, cache = ((FAST_DLLM_V2, "sub_block"), (LLADA, "dual"), (DREAM, "d2"))[family]
    run = engine_of(spec).run(prompt, Settings(gen_length=9, block_size=4, cache=Choice(cache), **changes))
    for _ in run:
        pass
    return run.trace()


@given(prompt=prompts(), family=st.integers(0, 2))
@settings(max_examples=20)
def test_round_trip_and_replay(prompt: list[int], family: int) -> None:
    trace = traced(prompt, family, record=("alternatives", "rollout"))
    again = Trace.from_json(trace.to_json())
    assert again == trace
    assert Trace.from_json(gzip.compress(trace.to_json().encode())) == trace
    canvas = metrics.canvas_at(trace, len(trace.steps))
    assert canvas[: len(prompt)] == prompt
    assert canvas[len(prompt) : len(prompt) + len(trace.output)] == trace.output
    assert metrics.canvas_at(trace, -1)[len(prompt) :] == [None] * (len(canvas) - len(prompt))


@given(prompt=prompts(), family=st.integers(0, 2))
@settings(max_examples=20)
def test_numbers_follow_their_definitions(prompt: list[int], family: int) -> None:
    trace = traced(prompt, family)
    n = metrics.numbers(trace)
    assert n.nfe == len(trace.steps)
    assert n.tokens == len(trace.output)
    assert n.tps == pytest.approx(n.tokens / sum(s.seconds for s in trace.steps))
    assert n.tpf == n.tokens / n.nfe
    assert 0 < n.recomputed <= 1
    assert 0 < (n.ttft or 0) <= n.seconds
    assert trace.timing.decode == pytest.approx(n.seconds)
    ages = metrics.entry_ages(trace, len(trace.steps) - 1)
    for position, age in enumerate(ages):
        computed = [s.index for s in trace.steps if any(a <= position < b for a, b in s.queries)]
        assert age == (len(trace.steps) - 1 - computed[-1] if computed else None)


def test_no_cache_recomputes_everything() -> None:
    run = engine_of(LLADA).run([1, 2], Settings(gen_length=8, block_size=4, cache=Choice("none")))
    for _ in run:
        pass
    assert metrics.numbers(run.trace()).recomputed == 1


def test_an_unfinished_run_is_cancelled_and_replayable() -> None:
    run = engine_of(FAST_DLLM_V2).run([1, 2, 3], Settings(gen_length=12, block_size=4, stop_ids=()))
    turns = iter(run)
    for _ in range(5):
        next(turns)
    turns.close()  # type: ignore[attr-defined]
    trace = Trace.from_json(run.trace().to_json())
    assert trace.stop_reason == "cancelled"
    assert len(trace.steps) == 5
    assert 0 < len(trace.output) < 12


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["schema"], "blockscope.trace/9", "schema: Input should be 'blockscope.trace/1'"),
        (["extra"], 1, "extra: Extra inputs are not permitted"),
        (["steps", 0, "confidence"], [2.0], "steps.0.confidence.0"),
        (["steps", 1, "index"], 7, r"steps\[1\].index is 7"),
        (["steps", 1, "queries"], [[3, 2]], "ascending half-open ranges"),
        (["steps", 1, "queries"], [[0, 99]], "inside"),
        (["steps", 1, "committed"], [500], "position 500 is committed but was not asked"),
        (["steps", 1, "positions"], [3, 4], "one entry each"),
        (["steps", 1, "seconds"], -1, "steps.1.seconds"),
        (["stop_reason"], "bored", "stop_reason"),
        (["prompt"], ["<b>"], "prompt.0"),
    ],
)
def test_what_is_wrong_is_named(path: list, value: object, message: str) -> None:
    data = json.loads(traced([1, 2, 3]).to_json())
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(TraceError, match=message):
        Trace.from_json(json.dumps(data))


def test_a_position_is_committed_once() -> None:
    data = json.loads(traced([1, 2, 3]).to_json())
    first = next(s for s in data["steps"] if s["committed"])
    later = next(s for s in data["steps"] if s["committed"] and s["index"] > first["index"])
    later |= {k: first[k] for k in ("positions", "tokens", "confidence", "committed")}
    with pytest.raises(TraceError, match="already written"):
        Trace.from_json(json.dumps(data))


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\x1f\x8b nonsense", b"\xff\xfe"])
def test_what_is_no_trace_is_refused(raw: bytes) -> None:
    with pytest.raises(TraceError, match="not a valid trace"):
        Trace.from_json(raw)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(b" " * (MAX_BYTES + 2**20))
    assert len(bomb) < 2**20
    with pytest.raises(TraceError, match="allowed"):
        Trace.from_json(bomb)


def test_files(tmp_path: Path) -> None:
    trace = traced([1, 2, 3])
    for name in ("t.json", "t.json.gz"):
        trace.save(tmp_path / name)
        assert Trace.load(tmp_path / name) == trace


@given(st.sets(st.integers(0, 40)))
def test_spans_are_the_positions(positions: set[int]) -> None:
    ranges = spans(sorted(positions))
    assert [p for a, b in ranges for p in range(a, b)] == sorted(positions)
    assert all(b < c for (_, b), (c, _) in pairwise(ranges))
    assert spans(range(3, 9)) == [(3, 9)]


def test_cost_counts_what_a_pass_does() -> None:
    """Against torch's own counter on a tiny network."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from dllm.models.runner import Session
    from dllm.models.sampling import Sampler

    engine = engine_of(LLADA)
    run = engine.run([1, 2, 3], Settings(gen_length=9, block_size=3))
    session = Session(engine.model.net, 12, block_size=None, shift=0, sampler=Sampler(None))
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        plan = Plan(range(3, 9), (1,) * 6, 12, (3, 4), "denoise")
        session.forward(plan)
    assert cost.flops(plan, run.sizes) == counter.get_total_flops()
    weights = 2 * run.sizes.layer_weights + 16 * 40
    assert cost.bytes_moved(plan, run.sizes) == 8 * (weights + 2 * 2 * 2 * 4 * (6 + 12))
