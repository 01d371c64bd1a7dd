"""Speed under a counting rule, against counting by hand and token by token."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.models.families import FAST_DLLM_V2, LLADA, ModelSpec
from dllm.settings import Choice, Settings
from dllm.trace import Trace
from dllm.trace.records import StepRecord
from dllm.trace.throughput import (
    DEFINITIONS,
    RULES,
    Meter,
    Throughput,
    comparable,
    first_step,
    repeat_tps,
    throughput,
    timeline,
)
from tests.dllm.nets import engine_of, prompts
from tests.dllm.traces import canvas_at, decoded, made
from tests.visualize.records import step
from visualize.lane import Lane

CHOICES = [(eos, only) for eos in (True, False) for only in (False, True)]
STOP = 2  # of tests.visualize.records.SETTINGS
TRACES = Path(__file__).resolve().parents[3] / "assets/traces"


def wrote(*steps: StepRecord, output: list[int], **changes: Any) -> Trace:
    """A made trace whose lane was warmed up and wrote `output`."""
    trace = made(*steps, **changes)
    return trace.model_copy(
        update={
            "output": output,
            "stop_reason": "length",
            "environment": trace.environment.model_copy(update={"warm_up": 3}),
        }
    )


def by_hand() -> Trace:
    """Prefill, then two tokens, a remasking, the rest and a stop token, and one token beyond it."""
    return wrote(
        step(0, {}, kind="prefill", seconds=1.0),
        step(1, {4: 11, 5: 12}, seconds=0.5),
        step(2, {}, remasked=[5], seconds=0.25),
        step(3, {5: 13, 6: STOP, 7: 14}, seconds=0.25),
        output=[11, 13, STOP],
    )


@pytest.mark.parametrize(
    ("eos", "only", "times", "tokens", "tps"),
    [
        (True, False, [0, 1000, 1500, 1750, 2000], [0, 0, 2, 1, 3], 1.5),
        (False, False, [0, 1000, 1500, 1750, 2000], [0, 0, 2, 1, 2], 1.0),
        # the first pass that wrote took both places of the answer but the stop token's
        (True, True, [0, 250, 500], [0, 0, 1], 2.0),
        (False, True, [0, 250, 500], [0, 0, 0], 0.0),
    ],
)
def test_a_timeline_by_hand(eos: bool, only: bool, times: list[int], tokens: list[int], tps: float) -> None:
    found = timeline(by_hand(), eos=eos, decode_only=only)
    assert found[0].tolist() == pytest.approx(times)
    assert found[1].tolist() == tokens
    said = throughput(by_hand(), eos=eos, decode_only=only)
    assert (said.tokens, said.seconds, said.nfe) == (tokens[-1], times[-1] / 1000, len(times) - 1)
    assert (said.tps, said.tpf) == pytest.approx((tps, tokens[-1] / (len(times) - 1)))
    assert said.ttft == 1.5


def reckoned(trace: Trace) -> Throughput:
    """The numbers by their definitions: which tokens the finished canvas counts, and when the first was committed."""
    start, cap = len(trace.prompt), len(trace.prompt) + trace.settings["gen_length"]
    canvas = canvas_at(trace, len(trace.steps))
    stops = [p for p in range(start, len(canvas)) if canvas[p] in trace.settings["stop_ids"]]
    counted = range(start, min([cap, *(p + 1 for p in stops)]))
    firsts = [n for n, step in enumerate(trace.steps) if not set(counted).isdisjoint(step.committed)]
    return Throughput(
        tokens=sum(canvas[p] is not None for p in counted if p < len(canvas)),
        seconds=sum(step.seconds for step in trace.steps),
        nfe=len(trace.steps),
        computed=sum(step.query_count for step in trace.steps),
        attended=sum(step.attended for step in trace.steps),
        ttft=sum(step.seconds for step in trace.steps[: firsts[0] + 1]) if firsts else None,
    )


WITH_V2 = [(LLADA, "d2"), (LLADA, "none"), (FAST_DLLM_V2, "sub_block"), (FAST_DLLM_V2, "none")]


@given(
    way=st.sampled_from(WITH_V2),
    prompt=prompts(),
    length=st.sampled_from([1, 2, 3, 9]),
    seed=st.integers(0, 30),
    left=st.integers(0, 20),
)
def test_the_trace_the_page_and_the_race_say_the_same(
    way: tuple[ModelSpec, str], prompt: list[int], length: int, seed: int, left: int
) -> None:
    chosen = Settings(gen_length=length, block_size=8, cache=Choice(way[1]), temperature=1.0, seed=seed)
    run = engine_of(way[0]).run(prompt, chosen)
    for done in run:
        if done.index == left:
            break
    trace, wanted = run.trace(), reckoned(run.trace())
    lane = Lane("diffusion", trace.prompt, trace.settings)
    for record in trace.steps:
        lane.add(record)
    times, tokens = timeline(trace)
    assert throughput(trace) == wanted
    assert lane.frames[-1]["totals"] == wanted.as_json()
    assert (trace.timing.ttft, trace.timing.decode) == (wanted.ttft, wanted.seconds)
    assert (times[-1] / 1000, tokens[-1]) == (pytest.approx(wanted.seconds), wanted.tokens)
    if trace.stop_reason != "cancelled":
        assert wanted.tokens == len(trace.output)


@given(st.lists(st.tuples(st.sets(st.integers(4, 11)), st.sets(st.integers(4, 11)), st.booleans()), max_size=12))
def test_running_numbers_are_those_of_the_canvas_so_far(changes: list[tuple[set[int], set[int], bool]]) -> None:
    """Whatever is committed and remasked, stop tokens among it, in whichever order."""
    steps, written = list[StepRecord](), set[int]()
    for asked, masked, stop in changes:
        fresh = asked - written
        tokens = {p: STOP if stop and p % 2 else 9 for p in fresh}
        withdrawn = masked & (written | fresh)
        written = (written | fresh) - withdrawn
        steps.append(step(len(steps), tokens, asked=tokens, visible=12, remasked=sorted(withdrawn)))
    counted = Meter(4, 10, [STOP])
    for n, record in enumerate(steps, 1):
        assert counted.add(record) == reckoned(made(*steps[:n], gen_length=6))


def test_a_stop_token_takes_what_stands_behind_it_out_of_the_numbers() -> None:
    counted = Meter(4, 8, [STOP])
    assert counted.add(step(0, {7: 9})).ttft == 0.25
    second = counted.add(step(1, {5: STOP}))
    assert (second.tokens, second.ttft) == (1, 0.5)
    first = counted.add(step(2, {4: 9}))
    assert (first.tokens, first.ttft, first.tps, first.tpf) == (2, 0.5, 2 / 0.75, 2 / 3)
    assert first.recomputed == 0.5


def test_nothing_has_no_numbers() -> None:
    assert (Throughput().tps, Throughput().tpf, Throughput().recomputed, Throughput().ttft) == (0, 0, 0, None)
    assert throughput(made()) == Throughput()


@given(prompt=prompts(), rule=st.sampled_from(CHOICES), cache=st.sampled_from(["none", "d2"]))
def test_every_rule_by_its_definition(prompt: list[int], rule: tuple[bool, bool], cache: str) -> None:
    """Canvas by canvas: which counted positions hold a token, less those of the first pass that wrote one."""
    trace = decoded(LLADA, cache, prompt)
    eos, only = rule
    length = len(trace.output) - (not eos and trace.output[-1] in trace.settings["stop_ids"])
    counted = set(range(len(prompt), len(prompt) + length))
    written, first, times, standing = set(), None, [0.0], [0]
    for record in trace.steps:
        written = (written | set(record.committed)) - set(record.remasked)
        began = first
        if first is None and written & counted:
            first = record
            if only:
                counted -= written
        if not only or began is not None:
            times.append(times[-1] + 1000 * record.seconds)
            standing.append(len(written & counted))
    found = timeline(trace, eos=eos, decode_only=only)
    assert found[0].tolist() == pytest.approx(times)
    assert found[1].tolist() == standing
    said = throughput(trace, eos=eos, decode_only=only)
    assert (said.tokens, said.seconds, said.nfe) == pytest.approx((found[1][-1], found[0][-1] / 1000, len(times) - 1))
    if first is not None and said.ttft is not None:
        whole = throughput(trace, eos=eos)
        at_once = whole.tokens - throughput(trace, eos=eos, decode_only=True).tokens
        if only and said.seconds:
            assert said.tps == pytest.approx((whole.tokens - at_once) / (whole.seconds - said.ttft))


def test_the_first_step_is_that_of_a_token_that_counts() -> None:
    stop_first = wrote(step(0, {6: STOP}), step(1, {7: 9}), step(2, {4: 5, 5: 6}), output=[5, 6, STOP])
    assert first_step(stop_first) == 0
    assert first_step(stop_first, eos=False) == 2
    assert throughput(stop_first, eos=False).ttft == 0.75


def test_without_a_token_every_ratio_is_nothing() -> None:
    trace = wrote(step(0, {}), output=[])
    for eos, only in CHOICES:
        said = throughput(trace, eos=eos, decode_only=only)
        assert (said.tokens, said.tps, said.tpf, said.ttft) == (0, 0, 0, None)
        assert said.nfe == (0 if only else 1)
    only_stop = wrote(step(0, {4: STOP}), output=[STOP])
    assert throughput(only_stop).tokens == 1
    assert throughput(only_stop, eos=False).tokens == 0


def test_a_block_that_writes_past_the_cap_counts_up_to_it() -> None:
    asked = dict.fromkeys(range(4, 12), 9)
    trace = wrote(step(0, asked, asked=asked, visible=12), output=[9] * 4)
    assert throughput(trace).tokens == 4


def test_laps_are_rates_of_the_same_tokens() -> None:
    trace = by_hand()
    trace = trace.model_copy(update={"timing": trace.timing.model_copy(update={"laps": [2.0, 1.0, 4.0]})})
    assert repeat_tps(trace) == [1.5, 3.0, 0.75]
    assert repeat_tps(trace, eos=False) == [1.0, 2.0, 0.5]
    assert repeat_tps(trace, decode_only=True) == []


def test_words_are_there_once() -> None:
    assert not set(DEFINITIONS) & set(RULES)
    assert all(text.endswith(".") for text in [*DEFINITIONS.values(), *RULES.values()])


def fair() -> Trace:
    trace = by_hand()
    return trace.model_copy(update={"model": trace.model.model_copy(update={"sha256": "a"})})


def changed(trace: Trace, part: str, **fields: Any) -> Trace:
    return trace.model_copy(update={part: getattr(trace, part).model_copy(update=fields)})


UNFAIR: list[tuple[Callable[[Trace], Trace], str]] = [
    (lambda t: changed(t, "environment", device="cuda: X"), r"differ in their device: cpu and cuda: X\."),
    (lambda t: changed(t, "environment", torch="3"), r"torch version: 2 and 3"),
    (lambda t: changed(t, "environment", threads=8), r"threads: 1 and 8"),
    (lambda t: changed(t, "environment", warm_up=0), r"was not warmed up"),
    (lambda t: changed(t, "model", dtype="bfloat16"), r"dtype: float32 and bfloat16"),
    (lambda t: changed(t, "model", parameters=7), r"parameters: 1 and 7"),
    (lambda t: changed(t, "model", sha256="b", id="other"), r"different models: made, other"),
    (lambda t: changed(t, "model", sha256=None, id="other"), r"different models"),
    (lambda t: t.model_copy(update={"prompt": [5, 6, 7, 9]}), r"differ in their prompt\."),
    (lambda t: changed(t, "environment", device=""), r"device of a lane is not known"),
    (lambda t: changed(t, "environment", torch=""), r"torch version of a lane is not known"),
    (lambda t: changed(t, "environment", threads=0), r"threads of a lane is not known"),
    (lambda t: changed(t, "model", dtype=""), r"dtype of a lane is not known"),
    (lambda t: changed(t, "model", parameters=0), r"parameters of a lane is not known"),
    (lambda t: t.model_copy(update={"prompt": []}), r"prompt of a lane is not known"),
]


@pytest.mark.parametrize(("change", "why"), UNFAIR)
@pytest.mark.parametrize("turn", [1, -1])
def test_a_race_under_other_conditions_is_refused(change: Callable[[Trace], Trace], why: str, turn: int) -> None:
    lanes = [fair(), fair(), change(fair())]
    said = comparable(lanes[::turn])
    words = why if turn == 1 else why.partition(":")[0]  # which of two is named first follows the lanes
    assert re.search(words, said)
    assert said.endswith(".")


def test_a_race_of_equals_is_fair() -> None:
    assert comparable([fair(), fair(), fair()]) == ""
    # the default's AR lane is its base under another name, known by the same weights
    assert comparable([fair(), changed(fair(), "model", id="base", family="llama")]) == ""
    # without a fingerprint the name must do
    assert comparable([changed(fair(), "model", sha256=None)] * 2) == ""


def test_recorded_races_are_fair() -> None:
    assert comparable([Trace.load(TRACES / f"{n}.json.gz") for n in ("sky-ar", "sky-block", "sky-sub-block")]) == ""


def test_a_strangers_name_is_cut() -> None:
    said = comparable([fair(), changed(fair(), "environment", device="x" * 1000)])
    assert len(said) < 200


def test_a_timeline_is_of_numbers() -> None:
    times, tokens = timeline(by_hand())
    assert np.issubdtype(times.dtype, np.floating)
    assert np.issubdtype(tokens.dtype, np.integer)
