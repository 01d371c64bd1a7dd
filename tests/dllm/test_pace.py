"""Speed under a counting rule, against counting by hand and token by token."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.metrics import DEFINITIONS as METRICS
from dllm.metrics import numbers
from dllm.models.families import LLADA
from dllm.pace import DEFINITIONS, comparable, course, first_step, laps, pace
from dllm.records import StepRecord
from dllm.trace import Trace
from tests.dllm.nets import prompts
from tests.dllm.traces import decoded, every_way, made
from tests.visualize.records import step

RULES = [(eos, only) for eos in (True, False) for only in (False, True)]
STOP = 2  # of tests.visualize.records.SETTINGS
TRACES = Path(__file__).resolve().parents[2] / "assets/traces"


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
def test_a_course_by_hand(eos: bool, only: bool, times: list[int], tokens: list[int], tps: float) -> None:
    found = course(by_hand(), eos=eos, decode_only=only)
    assert found[0].tolist() == pytest.approx(times)
    assert found[1].tolist() == tokens
    said = pace(by_hand(), eos=eos, decode_only=only)
    assert (said.tokens, said.seconds, said.nfe) == (tokens[-1], times[-1] / 1000, len(times) - 1)
    assert (said.tps, said.tpf) == pytest.approx((tps, tokens[-1] / (len(times) - 1)))
    assert said.ttft == 1.5


@every_way
def test_end_to_end_with_the_stop_token_is_what_the_page_shows(spec: Any, cache: str) -> None:
    trace = decoded(spec, cache, [1, 2, 3, 4])
    said, known = pace(trace), numbers(trace)
    assert (said.tokens, said.nfe) == (known.tokens, known.nfe)
    assert (said.seconds, said.tps, said.tpf) == pytest.approx((known.seconds, known.tps, known.tpf))
    assert said.ttft == pytest.approx(known.ttft)


@given(prompt=prompts(), rule=st.sampled_from(RULES), cache=st.sampled_from(["none", "d2"]))
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
    found = course(trace, eos=eos, decode_only=only)
    assert found[0].tolist() == pytest.approx(times)
    assert found[1].tolist() == standing
    said = pace(trace, eos=eos, decode_only=only)
    assert (said.tokens, said.seconds, said.nfe) == pytest.approx((found[1][-1], found[0][-1] / 1000, len(times) - 1))
    if first is not None and said.ttft is not None:
        whole = pace(trace, eos=eos)
        at_once = whole.tokens - pace(trace, eos=eos, decode_only=True).tokens
        if only and said.seconds:
            assert said.tps == pytest.approx((whole.tokens - at_once) / (whole.seconds - said.ttft))


def test_the_first_step_is_that_of_a_token_that_counts() -> None:
    stop_first = wrote(step(0, {6: STOP}), step(1, {7: 9}), step(2, {4: 5, 5: 6}), output=[5, 6, STOP])
    assert first_step(stop_first) == 0
    assert first_step(stop_first, eos=False) == 2
    assert pace(stop_first, eos=False).ttft == 0.75


def test_without_a_token_every_ratio_is_nothing() -> None:
    trace = wrote(step(0, {}), output=[])
    for eos, only in RULES:
        said = pace(trace, eos=eos, decode_only=only)
        assert (said.tokens, said.tps, said.tpf, said.ttft) == (0, 0, 0, None)
        assert said.nfe == (0 if only else 1)
    only_stop = wrote(step(0, {4: STOP}), output=[STOP])
    assert pace(only_stop).tokens == 1
    assert pace(only_stop, eos=False).tokens == 0


def test_a_block_that_writes_past_the_cap_counts_up_to_it() -> None:
    asked = dict.fromkeys(range(4, 12), 9)
    trace = wrote(step(0, asked, asked=asked, visible=12), output=[9] * 4)
    assert pace(trace).tokens == 4


def test_laps_are_paces_of_the_same_tokens() -> None:
    trace = by_hand()
    trace = trace.model_copy(update={"timing": trace.timing.model_copy(update={"laps": [2.0, 1.0, 4.0]})})
    assert laps(trace) == [1.5, 3.0, 0.75]
    assert laps(trace, eos=False) == [1.0, 2.0, 0.5]
    assert laps(trace, decode_only=True) == []


def test_words_are_there_once() -> None:
    assert not set(DEFINITIONS) & set(METRICS)
    assert all(text.endswith(".") for text in DEFINITIONS.values())


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


def test_a_course_is_of_numbers() -> None:
    times, tokens = course(by_hand())
    assert np.issubdtype(times.dtype, np.floating)
    assert np.issubdtype(tokens.dtype, np.integer)
