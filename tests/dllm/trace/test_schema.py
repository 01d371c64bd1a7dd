"""The trace: what goes in comes out, what is wrong is named, and what is derived follows from its definition."""

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.cache import CACHES
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, ModelSpec
from dllm.settings import Choice, Settings
from dllm.step import Plan
from dllm.trace import Trace, TraceError
from dllm.trace.cost import cost
from dllm.trace.records import position_spans
from dllm.trace.schema import MAX_POSITIONS, MAX_STEPS, MAX_TRACE_BYTES
from dllm.trace.throughput import throughput
from tests.dllm.nets import engine_of, prompts
from tests.dllm.traces import canvas_at

WAYS = [
    (spec, name)
    for name, policy in CACHES.items()
    for spec in (FAST_DLLM_V2, LLADA, DREAM)
    if spec.attentions[0] in policy.attentions
]


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
    canvas = canvas_at(trace, len(trace.steps))
    assert canvas[: len(prompt)] == prompt
    assert canvas[len(prompt) : len(prompt) + len(trace.output)] == trace.output


@given(prompt=prompts(), family=st.integers(0, 2))
@settings(max_examples=20)
def test_numbers_follow_their_definitions(prompt: list[int], family: int) -> None:
    trace = traced(prompt, family)
    n = throughput(trace)
    assert (n.nfe, n.tokens) == (len(trace.steps), len(trace.output))
    assert n.seconds == sum(s.seconds for s in trace.steps) == trace.timing.decode
    assert n.tps == n.tokens / n.seconds
    assert n.tpf == n.tokens / n.nfe
    assert n.recomputed == sum(s.query_count for s in trace.steps) / sum(s.attended for s in trace.steps) <= 1
    assert 0 < (n.ttft or 0) <= n.seconds


def test_no_cache_recomputes_everything() -> None:
    run = engine_of(LLADA).run([1, 2], Settings(gen_length=8, block_size=4, cache=Choice("none")))
    for _ in run:
        pass
    assert throughput(run.trace()).recomputed == 1


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
        (["steps", 1, "positions"], [4, 4], r"steps\.1\.positions: 4 stands after 4; allowed: ascending"),
        (["steps", 1, "committed"], [5, 4], r"steps\.1\.committed: 4 stands after 5; allowed: ascending"),
        (["steps", 1, "block"], [8, 4], r"block is \(8, 4\) and window .* allowed: a start up to its end"),
        (["steps", 1, "window"], [8, 4], r"and window \(8, 4\); allowed: a start up to its end"),
        (
            ["steps", 1, "window"],
            [0, MAX_POSITIONS + 1],
            f"or equal to {MAX_POSITIONS}, not {MAX_POSITIONS + 1}",
        ),
        (["steps", 1, "visible"], 10**9, r"steps\.1\.visible: .* not 1000000000"),
        (["steps", 1, "visible"], 500, r"steps\[1\] reaches position 499; allowed: 0 to 11"),
        (["steps", 1, "tokens"], [2**31], r"steps\.1\.tokens\.0: .* less than 2147483648, not 2147483648"),
        (["steps", 1, "rollout"], [1.0], r"rollout has 1 values; allowed: \d+, one a visible position"),
        (
            ["steps", 1, "reasons"],
            {"whim": []},
            r"steps\[1\]\.reasons holds 'whim'; allowed: density, ",
        ),
        (
            ["steps", 1, "reasons"],
            {"density": [11]},
            r"\[1\]\.reasons lists position 11; allowed: each query once",
        ),
        (["steps", 0, "reasons"], {"density": [0], "rollout": [0]}, r"lists position 0; allowed: each query once"),
        (["steps", 0, "reasons"], {"density": [0, 0]}, r"steps\.0\.reasons\.density: 0 stands after 0"),
        (["steps", 1, "flops"], 10**30, r"steps\.1\.flops"),
        (["timing", "decode"], 1e300, r"timing\.decode"),
        (["pieces"], {"1": "x" * 1001}, r"pieces\.1: String should have at most 1000 characters"),
        (["model", "id"], "x" * 1001, r"model\.id: String should have at most 1000 characters, not 'xxx"),
        (["settings"], {}, "settings.gen_length is missing"),
        (["settings", "stop_ids"], None, "settings.stop_ids is missing"),
        (["settings", "block_size"], 0, "block_size is 0; allowed: 1 to 4096"),
        (["settings", "whim"], 1, "unknown field 'whim'; allowed: attention"),
        (["settings", "cache"], {"name": "d2", "k": [1]}, r"option k is \[1\] in settings; allowed: up to 1e9"),
        (["settings", "unmask"], {"name": "x" * 2000}, "option name is 'xxx"),
        (["output"], [], r"output is \[\]; allowed: what the steps wrote, \[\d"),
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


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused_wherever_it_stands(number: str) -> None:
    data = json.loads(traced([1, 2, 3], 2, record=("alternatives", "rollout")).to_json())
    places = [
        (data["steps"][0], "seconds"), (data["steps"][1]["rollout"], 0), (data["steps"][0]["confidence"], 0),
        (data["steps"][0]["alternatives"][0][0], 1), (data["timing"], "decode"), (data["timing"], "ttft"),
        (data["settings"], "temperature"), (data["settings"]["cache"], "k"), (data["settings"]["unmask"], "threshold"),
    ]  # fmt: skip
    for place, key in places:
        kept = place.get(key) if isinstance(place, dict) else place[key]
        place[key] = "@"
        with pytest.raises(TraceError, match="not a valid trace"):
            Trace.from_json(json.dumps(data).replace('"@"', number))
        place[key] = 1 if kept is None else kept


def test_too_many_steps_are_refused() -> None:
    data = json.loads(traced([1, 2, 3]).to_json())
    data["steps"] = [data["steps"][0]] * (MAX_STEPS + 1)
    with pytest.raises(TraceError, match=f"it has {MAX_STEPS + 1} steps; allowed: {MAX_STEPS}"):
        Trace.from_json(json.dumps(data))


@pytest.mark.parametrize(("spec", "cache"), WAYS, ids=lambda value: getattr(value, "name", value))
@given(prompt=prompts(), block=st.sampled_from([1, 2, 4, 8]), length=st.integers(1, 20), left=st.integers(0, 30))
@settings(max_examples=15, deadline=None)
def test_whatever_a_decoder_writes_is_read(
    spec: ModelSpec, cache: str, prompt: list[int], block: int, length: int, left: int
) -> None:
    chosen = Settings(gen_length=length, block_size=block, cache=Choice(cache), record=("alternatives", "rollout"))
    run = engine_of(spec, seed=len(prompt)).run(prompt, chosen)
    for step in run:
        if step.index == left:
            break
    trace = run.trace()
    assert Trace.from_json(trace.to_json()) == trace
    assert Trace.from_json(json.dumps(trace.as_dict())) == trace


def test_a_run_stopped_before_its_first_pass_is_read() -> None:
    trace = engine_of(LLADA).run([1], Settings(gen_length=4, block_size=4)).trace()
    assert Trace.from_json(trace.to_json()) == trace


def test_a_remasked_stop_token_ends_nothing() -> None:
    data = json.loads(traced([1, 2, 3], 1, stop_ids=()).to_json())
    steps, start = data["steps"], 3
    first = steps[0]["committed"][0]
    token = dict(zip(steps[0]["positions"], steps[0]["tokens"], strict=True))[first]
    data["settings"]["stop_ids"] = [token]
    steps[0]["remasked"] = [first]
    written = {}
    for step in steps:
        told = dict(zip(step["positions"], step["tokens"], strict=True))
        written |= {p: told[p] for p in step["committed"] if p not in step.get("remasked", ())}
    data["output"] = []
    for p in range(start, start + 9):
        if p not in written:
            break
        data["output"].append(written[p])
        if written[p] == token:
            break
    assert Trace.from_json(json.dumps(data)).output == data["output"]


def test_settings_get_their_whole_form() -> None:
    trace = traced([1, 2, 3])
    data = trace.as_dict()
    assert {"unmask", "seed"} <= set(data["settings"])
    data["settings"] |= {"cache": "sub_block"}
    del data["settings"]["unmask"], data["settings"]["seed"]
    assert Trace.from_json(json.dumps(data)).settings == trace.settings


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\x1f\x8b nonsense", b"\xff\xfe"])
def test_what_is_no_trace_is_refused(raw: bytes) -> None:
    with pytest.raises(TraceError, match="not a valid trace"):
        Trace.from_json(raw)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(b" " * (MAX_TRACE_BYTES + 2**20))
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
    ranges = position_spans(sorted(positions))
    assert [p for a, b in ranges for p in range(a, b)] == sorted(positions)
    assert all(b < c for (_, b), (c, _) in pairwise(ranges))
    assert position_spans(range(3, 9)) == [(3, 9)]


def test_cost_counts_what_a_pass_does() -> None:
    """Against torch's own counter on a tiny network."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from dllm.models.sampling import Sampler

    engine = engine_of(LLADA)
    run = engine.run([1, 2, 3], Settings(gen_length=9, block_size=3))
    runner = engine.runner()
    session = runner.session(12, block_size=None, shift=0, sampler=Sampler(None))
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        plan = Plan(range(3, 9), (1,) * 6, 12, (3, 4), "denoise")
        runner.forward([(session, plan)])
    price = cost(len(plan.queries), plan.visible, len(plan.asked), run.sizes)
    assert price.flops == counter.get_total_flops()
    counted = {str(name): number for name, number in counter.get_flop_counts()["Global"].items()}
    assert price.attention == counted["aten.bmm"]
    assert price.projections + price.head == counted["aten.mm"]
    entry = 8 * 2 * 2 * 2 * 4  # of fp64: keys and values, layers, KV heads, head size
    assert (price.written, price.read) == (6 * entry, 12 * entry)
    assert price.weights == 8 * (2 * run.sizes.layer_weights + 16 * 40)
    assert price.intensity == price.flops / (price.weights + price.read + price.written)
