"""What is claimed of lanes, and what is not: each number against the steps it is made of."""

import re
from typing import Any

import pytest

from dllm.trace import Trace
from dllm.trace.cost import Sizes, cost
from dllm.trace.schema import Gate
from tests.dllm.traces import made
from tests.visualize.records import step
from visualize.comparison import comparison_sentence
from visualize.verdict import Verdict, verdict

SIZES = Sizes(layers=2, hidden=16, heads=4, kv_heads=2, head_dim=4, layer_weights=512, vocab=40, itemsize=2)
CLAIM = re.compile(r"times as fast|faster")


def lane(
    passes: list[int],
    seconds: float,
    *,
    block: int = 4,
    compared: bool = True,
    repeats: Any = None,
    sizes: Any = None,
    rule: str = "threshold",
) -> Trace:
    """A lane that was warmed up and writes so many tokens in each pass, which takes so many seconds.

    Its token is 9; AR's and that of verified decoding is 8. repeats: seconds of all its passes, timed three times alike
    if they are not given.
    """
    steps, at, token = [], 4, 8 if block == 1 or rule == "verify" else 9
    for index, count in enumerate(passes):
        asked = dict.fromkeys(range(at, at + count), token)
        queries = [(4, 5)] if block == 1 else [(4, 8)]
        steps.append(step(index, asked, asked=asked, visible=40, queries=queries, seconds=seconds))
        at += count
    single = {"sub_block_size": 1, "attention": "block_causal"} if block == 1 else {}
    trace = made(*steps, gen_length=40, block_size=block, unmask={"name": rule}, **single)
    output = [token] * sum(passes)
    total = seconds * len(passes)
    return trace.model_copy(
        update={
            "output": output,
            "stop_reason": "length",
            "model": trace.model.model_copy(update={"sizes": sizes}),
            "environment": trace.environment.model_copy(update={"warm_up": 5}),
            "timing": trace.timing.model_copy(update={"laps": [total] * 3 if repeats is None else list(repeats)}),
            "gate": Gate(references={"no_cache": output}) if compared else None,
        }
    )


AR = lane([1] * 8, 0.05, block=1)  # 20 tokens a second


def found(ours: Trace, theirs: Trace = AR, **more: Trace) -> Verdict:
    said = verdict({"Block diffusion": ours, "Autoregressive": theirs, **more})
    assert said is not None
    return said


def test_it_says_plainly_when_ar_was_faster_and_why() -> None:
    assert found(lane([2] * 4, 0.2)).sentence == (
        "Block diffusion wrote other words than AR (from token 1 on) in 4 passes instead of 8, and took 0.80 s instead "
        "of 0.40 s. AR was 2.00 times as fast, because a pass took 4.00 times as long as AR's and wrote 2.00 tokens."
    )


def test_a_speed_up_is_claimed_with_what_the_answer_is_worth() -> None:
    fast = lane([2] * 4, 0.06)
    said = found(fast)
    assert said.sentence.endswith(
        "and took 0.24 s instead of 0.40 s. That is 1.67 times as fast, because a pass took 1.20 times as long as AR's "
        "and wrote 2.00 tokens."
    )
    assert said.lines == (
        "Block diffusion: 33.3 (3 repeats, 33.3 to 33.3) tokens per second, 8 tokens in 4 passes; "
        f"4.0 positions a pass. {comparison_sentence(fast)}",
    )


def test_the_same_words_are_called_so() -> None:
    said = verdict({"Verified decoding": lane([2] * 4, 0.06, rule="verify"), "Autoregressive": AR})
    assert said is not None
    assert said.sentence.startswith("Verified decoding wrote the same words as AR in 4 passes instead of 8")
    assert "1.67 times as fast" in said.sentence


@pytest.mark.parametrize("repeats", [[], [0.24]])
def test_what_was_measured_once_is_claimed_by_nobody(repeats: list[float]) -> None:
    """Seconds and passes are told: they were seen. Who is faster is a matter of several measurements."""
    for ours, theirs in (
        (lane([2] * 4, 0.06, repeats=repeats), AR),
        (lane([2] * 4, 0.06), lane([1] * 8, 0.05, block=1, repeats=repeats)),
    ):
        said = found(ours, theirs).sentence
        assert not CLAIM.search(said)
        assert said.endswith("A pass took 1.20 times as long as AR's and wrote 2.00 tokens. Measured once: a race "
                             "measures several times.")  # fmt: skip


def test_a_wider_pass_that_was_measured_as_quicker_means_a_disturbance() -> None:
    said = found(lane([2] * 4, 0.04)).sentence
    assert not CLAIM.search(said)
    assert said.endswith("a pass over 4.0 positions cannot be quicker than one over 1.0. Please run it again.")
    assert "disturbed" not in found(lane([2] * 4, 0.0495)).sentence  # within the noise


def test_answers_of_other_lengths_are_not_compared_by_speed() -> None:
    said = found(lane([2] * 4, 0.06), lane([1] * 30, 0.05, block=1)).sentence
    assert not CLAIM.search(said.partition(". ")[2].replace("which way of decoding is faster", ""))
    assert "too different in length, 8 and 30 tokens" in said


@pytest.mark.parametrize("gate", [None, Gate(log_prob=-0.1), Gate(item="x", right=True)])
def test_without_an_exact_decoder_no_speed_up_is_claimed(gate: Gate | None) -> None:
    said = found(lane([2] * 4, 0.06).model_copy(update={"gate": gate})).sentence
    assert said.endswith("Its answer was not compared with the exact decoder's, so no speed-up is claimed.")
    assert not CLAIM.search(said)


@pytest.mark.parametrize(
    ("seconds", "tied"), [(0.1, True), (0.1029, True), (0.0971, True), (0.105, False), (0.095, False)]
)
def test_a_difference_too_small_to_show_is_none(seconds: float, tied: bool) -> None:
    said = found(lane([2] * 4, seconds)).sentence
    assert ("Equally fast within the noise of 3 repeats" in said) == tied
    assert bool(CLAIM.search(said)) != tied


@pytest.mark.parametrize(
    ("ours", "theirs", "tied"),
    [
        ([0.15, 0.24, 0.45], [0.4, 0.4, 0.4], True),
        ([0.15, 0.24, 0.25], [0.3, 0.4, 0.5], False),
        ([0.15, 0.24, 0.3], [0.3, 0.4, 0.5], True),
    ],
)
def test_repeats_that_reach_into_each_other_show_no_difference(
    ours: list[float], theirs: list[float], tied: bool
) -> None:
    said = found(lane([2] * 4, 0.06, repeats=ours), lane([1] * 8, 0.05, block=1, repeats=theirs))
    assert ("Equally fast" in said.sentence) == tied
    assert f"33.3 (3 repeats, {8 / max(ours):.1f} to {8 / min(ours):.1f})" in said.lines[0]


def test_operations_are_told_where_sizes_are_known() -> None:
    ours, theirs = lane([2] * 4, 0.2, sizes=SIZES), lane([1] * 8, 0.05, block=1, sizes=SIZES)

    def work(trace: Trace) -> float:
        return sum(cost(s.query_count, s.visible, len(s.positions), SIZES).flops for s in trace.steps) / 8

    assert f"{work(ours) / work(theirs):.1f} times the operations of AR for each token" in found(ours, theirs).lines[0]


def test_what_is_no_race_is_called_none() -> None:
    other = lane([2] * 4, 0.05)
    other = other.model_copy(update={"environment": other.environment.model_copy(update={"device": "cuda"})})
    assert found(other) == Verdict("Not a race: the lanes differ in their device: cuda and cpu.")
    cold = AR.model_copy(update={"environment": AR.environment.model_copy(update={"warm_up": 0})})
    assert found(lane([2] * 4, 0.05), cold).sentence.startswith("Not a race: a lane was not warmed up")


def test_without_two_lanes_or_without_tokens_there_is_nothing_to_compare() -> None:
    assert verdict({}) is None
    assert verdict({"AR": AR}) is None
    for nothing in (lane([], 1.0), lane([0], 1.0)):
        assert verdict({"Block diffusion": nothing, "Autoregressive": AR}) is None


def test_of_more_lanes_the_fastest_is_explained_and_all_have_a_line() -> None:
    said = verdict(
        {
            "Sub-block cache · 0.9": lane([2] * 4, 0.06),
            "AR": AR,
            "PrefixCache · 0.9": lane([2] * 4, 0.08, compared=False),
            "D²Cache": lane([2] * 4, 0.2),
        }
    )
    assert said is not None
    assert said.sentence.startswith("Sub-block cache · 0.9 wrote other words than AR")
    assert [line.partition(":")[0] for line in said.lines] == [
        "Sub-block cache · 0.9", "PrefixCache · 0.9", "D²Cache", "AR",
    ]  # fmt: skip
    assert "Same answer" not in said.lines[1]


def test_without_ar_the_slowest_is_compared_with() -> None:
    said = verdict({"Block cache": lane([1] * 8, 0.2), "PrefixCache": lane([2] * 4, 0.2)})
    assert said is not None
    assert said.sentence.startswith("PrefixCache wrote the same words as Block cache in 4 passes instead of 8")
    assert said.sentence.endswith("because a pass took 1.00 times as long as one of Block cache and wrote 2.00 tokens.")
