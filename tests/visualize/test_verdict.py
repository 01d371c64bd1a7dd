"""What is claimed of a race, and what is not: each number against the steps it is made of."""

import re
from typing import Any

import pytest

from dllm.trace import Trace
from dllm.trace.cost import Sizes, cost
from dllm.trace.schema import Gate
from tests.dllm.traces import made
from tests.visualize.records import step
from visualize.comparison import comparison_sentence
from visualize.verdict import verdict

SIZES = Sizes(layers=2, hidden=16, heads=4, kv_heads=2, head_dim=4, layer_weights=512, vocab=40, itemsize=2)


def lane(
    passes: list[int],
    seconds: float,
    *,
    block: int = 4,
    held: bool = True,
    repeats: Any = (),
    sizes: Any = None,
    rule: str = "threshold",
) -> Trace:
    """A lane that was warmed up and writes so many tokens in each pass, which takes so many seconds.

    Its token is 9; AR's and that of verified decoding is 8.
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
    return trace.model_copy(
        update={
            "output": output,
            "stop_reason": "length",
            "model": trace.model.model_copy(update={"sizes": sizes}),
            "environment": trace.environment.model_copy(update={"warm_up": 5}),
            "timing": trace.timing.model_copy(update={"laps": list(repeats)}),
            "gate": Gate(references={"no_cache": output}) if held else None,
        }
    )


def race(ours: Trace, theirs: Trace, **more: Trace) -> str:
    return verdict({"Block diffusion": ours, "Autoregressive": theirs, **more})


AR = lane([1] * 8, 0.05, block=1)  # 20 tokens a second


def test_it_says_plainly_when_ar_was_faster() -> None:
    said = race(lane([2] * 4, 0.2), AR)
    assert said.startswith("AR was faster here: 20.0 tokens per second, 2.00 times block diffusion's 10.0.")
    assert (
        "A pass of block diffusion computed 4.0 positions for the 2.00 tokens it wrote and took 4.00 times as" in said
    )
    assert said.endswith("as an AR pass, which wrote 1.00.")
    assert "Same answer" not in said  # nothing is claimed that a gate had to stand for


def test_a_speed_up_is_told_with_its_gate() -> None:
    fast = lane([2] * 4, 0.05)
    said = race(fast, AR)
    assert said.startswith("Block diffusion was faster here: 40.0 tokens per second, 2.00 times AR's 20.0.")
    assert said.lower().endswith(f"block diffusion: {comparison_sentence(fast).lower()}")
    assert 3 <= said.count(". ") + 1 <= 5


def verified(seconds: float, **given: Any) -> Trace:
    return lane([2] * 4, seconds, rule="verify", **given)


def test_of_the_same_words_it_says_how_much_faster_they_came() -> None:
    said = verdict({"Verified decoding": verified(0.05), "Autoregressive": AR})
    assert said.startswith(
        "Verified decoding wrote the same words as AR, 2.00 times as fast: 40.0 tokens per second beside AR's 20.0. "
    )
    assert said.endswith("Verified decoding: same answer as without cache.")


def test_of_the_same_words_it_says_as_plainly_that_they_came_later() -> None:
    said = verdict({"Verified decoding": verified(0.2), "Autoregressive": AR})
    assert said.startswith(
        "Verified decoding wrote the same words as AR, but AR was 2.00 times as fast: 20.0 tokens per second beside "
        "10.0. A pass of verified decoding computed 4.0 positions for the 2.00 tokens it wrote"
    )


def test_the_same_words_claim_no_more_than_the_laps_and_the_gate_do() -> None:
    for tied in (verified(0.1), verified(0.05, repeats=[0.1, 0.2, 0.5])):
        slow = AR.model_copy(update={"timing": AR.timing.model_copy(update={"laps": [0.4, 0.4, 0.4]})})
        said = verdict({"Verified decoding": tied, "Autoregressive": slow if tied.timing.laps else AR})
        assert said.startswith("Equally fast here: ")
        assert "within the noise of these runs. Both wrote the same words." in said
        assert "times as fast" not in said
    said = verdict({"Verified decoding": verified(0.05, held=False), "Autoregressive": AR})
    assert "no speed-up is claimed" in said
    assert "times as fast" not in said


def test_other_words_are_not_called_the_same() -> None:
    other = verified(0.05)
    other = other.model_copy(update={"output": [*other.output[:-1], 7]})
    said = verdict({"Verified decoding": other, "Autoregressive": AR})
    assert said.startswith("Verified decoding was faster here: 40.0")
    assert "same words" not in said
    without_ar = verdict({"Verified decoding": verified(0.05), "Block cache": lane([1] * 8, 0.2)})
    assert "same words" not in without_ar


def test_the_same_words_are_told_of_a_lane_that_was_not_the_fastest() -> None:
    said = verdict({"AR": AR, "Verified decoding": verified(0.08), "Sub-block cache · 0.9": lane([2] * 4, 0.05)})
    assert "Sub-block cache · 0.9 was faster here: 40.0" in said
    assert "Verified decoding wrote the same words as AR, 1.25 times as fast: 25.0 tokens per second" in said


@pytest.mark.parametrize("gate", [None, Gate(log_prob=-0.1), Gate(item="x", right=True)])
def test_without_an_exact_decoder_beside_it_no_speed_up_is_told(gate: Gate | None) -> None:
    fast = lane([2] * 4, 0.05).model_copy(update={"gate": gate})
    said = race(fast, AR)
    assert said.startswith(
        "Block diffusion was ahead of AR, but its answer was not compared with the exact decoder, so no speed-up is "
        "claimed."
    )
    assert not re.search(r"40\.0|2\.00 times AR|faster", said)


@pytest.mark.parametrize(
    ("seconds", "tied"), [(0.1, True), (0.1029, True), (0.0971, True), (0.105, False), (0.095, False)]
)
def test_a_difference_too_small_to_show_is_none(seconds: float, tied: bool) -> None:
    said = race(lane([2] * 4, seconds), AR)
    assert said.startswith("Equally fast here: ") == tied
    assert ("faster here" in said) != tied
    assert ("within the noise of these runs" in said) == tied


@pytest.mark.parametrize(
    ("ours", "theirs", "tied"),
    [
        ([0.15, 0.2, 0.45], [0.4, 0.4, 0.4], True),
        ([0.15, 0.2, 0.25], [0.3, 0.4, 0.5], False),
        ([0.15, 0.2, 0.3], [0.3, 0.4, 0.5], True),
        ([0.15, 0.2, 0.45], [], False),  # one was timed once: only its difference can tell
    ],
)
def test_laps_that_reach_into_each_other_show_no_difference(ours: list[float], theirs: list[float], tied: bool) -> None:
    fast, slow = lane([2] * 4, 0.05, repeats=ours), lane([1] * 8, 0.05, block=1, repeats=theirs)
    for said in (race(fast, slow), verdict({"AR": slow, "B": fast})):
        assert said.startswith("Equally fast here") == tied
        assert f"40.0 ({len(ours)} repeats, {8 / max(ours):.1f} to {8 / min(ours):.1f})" in said


def test_why_counts_operations_where_sizes_are_known() -> None:
    ours, theirs = lane([2] * 4, 0.2, sizes=SIZES), lane([1] * 8, 0.05, block=1, sizes=SIZES)

    def work(trace: Trace) -> float:
        return sum(cost(s.query_count, s.visible, len(s.positions), SIZES).flops for s in trace.steps) / 8

    said = race(ours, theirs)
    assert f"and did {work(ours) / work(theirs):.1f} times the operations for each token." in said
    assert "took 4.00 times as long as an AR pass," in said


def test_what_is_no_race_is_called_none() -> None:
    other = lane([2] * 4, 0.05)
    other = other.model_copy(update={"environment": other.environment.model_copy(update={"device": "cuda"})})
    assert race(other, AR) == "Not a race: the lanes differ in their device: cuda and cpu."
    cold = AR.model_copy(update={"environment": AR.environment.model_copy(update={"warm_up": 0})})
    assert race(lane([2] * 4, 0.05), cold).startswith("Not a race: a lane was not warmed up")


def test_without_two_lanes_or_without_tokens_there_is_nothing_to_compare() -> None:
    assert verdict({}) == ""
    assert verdict({"AR": AR}) == ""
    assert race(lane([], 1.0), AR) == ""
    assert race(lane([0], 1.0), AR) == ""


def test_more_lanes_are_ranked_and_the_best_is_explained() -> None:
    lanes = {
        "Sub-block cache · 0.9": lane([2] * 4, 0.05),
        "AR": AR,
        "PrefixCache · 0.9": lane([2] * 4, 0.08, held=False),
        "D²Cache": lane([2] * 4, 0.2),
    }
    said = verdict(lanes)
    assert said.startswith(
        "From fastest to slowest: sub-block cache · 0.9 40.0, PrefixCache · 0.9 25.0 (answer not compared with the "
        "exact decoder), AR 20.0, D²Cache 10.0 tokens per second. Sub-block cache · 0.9 was faster here: "
    )
    assert "A pass of sub-block cache · 0.9 computed" in said
    assert "Sub-block cache · 0.9: same answer as without cache." in said
    assert "D²Cache: " not in said  # it was not faster
    assert "PrefixCache · 0.9: " not in said  # there is nothing to tell


def test_without_ar_the_slowest_is_compared_with() -> None:
    said = verdict({"Block cache": lane([1] * 8, 0.2), "PrefixCache": lane([2] * 4, 0.2)})
    assert said.startswith("PrefixCache was faster here: 10.0 tokens per second, 2.00 times block cache's 5.0.")
    assert "as a pass of block cache, which wrote 1.00." in said
    assert said.endswith("PrefixCache: same answer as without cache.")
