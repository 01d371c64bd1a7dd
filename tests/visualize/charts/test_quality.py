"""What is said, drawn and listed of an answer's references, against `dllm.trace.compare`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.trace import Trace
from dllm.trace.compare import compare
from dllm.trace.schema import Gate
from tests.dllm.traces import made
from tests.visualize.records import step
from visualize.charts.quality import VIEW, has_references, log_probs, quality_rows, reference_distances
from visualize.comparison import REFERENCE_NAMES, comparison_sentence, matches_references
from visualize.view import LaneData
from visualize.views import VIEWS, answer_question

ONE, SEVERAL = [step(0, {4: 1}), step(1, {5: 2})], [step(0, {4: 1, 5: 2})]
IDS = st.lists(st.integers(0, 3), max_size=6)


def held(output: list[int], *, steps: Any = SEVERAL, dtype: str = "float32", cache: str = "none", **gate: Any) -> Trace:
    trace = made(*steps, **{"cache": {"name": cache}, "unmask": {"name": "threshold"}, **gate.pop("settings", {})})
    model = trace.model.model_copy(update={"dtype": dtype})
    return trace.model_copy(update={"output": output, "model": model, "gate": Gate(**gate)})


def test_without_a_gate_nothing_is_said() -> None:
    assert comparison_sentence(made()) == ""
    assert matches_references(made()) is None
    assert matches_references(held([1], log_prob=-1.0)) is None


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (
            {"references": {"no_cache": [1, 2], "one_by_one": [1, 2]}},
            "Same answer as without cache and one token at a time.",
        ),
        (
            {"references": {"no_cache": [1, 2], "one_by_one": [1, 3, 4]}},
            "Same answer as without cache. Departs from decoding one token at a time at token 2: 2 of 3 tokens differ.",
        ),
        (
            {"references": {"no_cache": [3, 2]}, "log_prob": -0.414, "item": "capital-france", "right": False},
            "Departs from decoding without cache at token 1: 1 of 2 tokens differ. Mean log-probability -0.41 under "
            "AR. Suite item capital-france: wrong.",
        ),
        ({"item": "capital-france", "right": True}, "Suite item capital-france: right."),
        ({"item": "capital-france"}, ""),
    ],
)
def test_it_is_said_in_words(gate: dict[str, Any], said: str) -> None:
    assert comparison_sentence(held([1, 2], **gate)) == said


AR = {"block_size": 1, "sub_block_size": 1, "attention": "block_causal"}
ROUNDED = "Only rounding can make this difference: in {} "


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize(
    ("given", "rounding"),
    [
        ({"references": {"no_cache": [1, 3]}}, True),
        ({"references": {"no_cache": [1, 3]}, "cache": "block"}, True),
        ({"references": {"no_cache": [1, 3]}, "cache": "sub_block"}, False),
        ({"references": {"no_cache": [1, 3]}, "cache": "d2", "steps": ONE}, False),
        ({"references": {"no_cache": [1, 2]}}, False),  # nothing differs
        # several tokens a pass: this difference is the price of taking them together
        ({"references": {"no_cache": [1, 2], "one_by_one": [1, 3]}}, False),
        ({"references": {"no_cache": [1, 2], "one_by_one": [1, 3]}, "steps": ONE}, True),
        ({"references": {"one_by_one": [1, 3]}, "cache": "sub_block", "steps": ONE, "settings": AR}, True),
    ],
)
def test_rounding_is_named_where_only_it_can_be_the_cause(given: dict[str, Any], rounding: bool, dtype: str) -> None:
    said = comparison_sentence(held([1, 2], dtype=dtype, **given))
    assert (ROUNDED.format(dtype) in said) == (rounding and dtype != "float32")


VERIFY = {"unmask": {"name": "verify"}}


@pytest.mark.parametrize(
    ("references", "said"),
    [
        ({"no_cache": [1, 2], "one_by_one": [1, 2]}, "Same answer as AR and without cache."),
        ({"one_by_one": [1, 2]}, "Same answer as AR."),
        (
            {"no_cache": [1, 2], "one_by_one": [1, 3, 4]},
            "Same answer as without cache. Departs from AR at token 2: 2 of 3 tokens differ.",
        ),
    ],
)
def test_verified_decoding_is_held_against_ar(references: dict[str, Any], said: str) -> None:
    assert comparison_sentence(held([1, 2], references=references, settings=VERIFY)) == said
    (row,) = quality_rows({"x": held([1, 2], references=references, settings=VERIFY)})
    assert [part["name"] for part in row["references"]] == [
        {"one_by_one": "AR", "no_cache": "without cache"}[name] for name in references
    ]


@pytest.mark.parametrize("cache", ["none", "block"])
@pytest.mark.parametrize("wrong", ["no_cache", "one_by_one"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_whatever_verified_decoding_departs_from_is_rounding(cache: str, wrong: str, dtype: str) -> None:
    """However many tokens a pass takes: each was tested."""
    references = {"no_cache": [1, 2], "one_by_one": [1, 2], wrong: [1, 3]}
    said = comparison_sentence(held([1, 2], dtype=dtype, cache=cache, references=references, settings=VERIFY))
    assert "at token 2: 1 of 2 tokens differ." in said
    assert (ROUNDED.format(dtype) in said) == (dtype == "bfloat16")


@given(answer=IDS, references=st.dictionaries(st.sampled_from(list(REFERENCE_NAMES)), IDS))
def test_rows_tell_each_comparison_and_both_texts(answer: list[int], references: dict[str, list[int]]) -> None:
    trace = held(answer, references=references)
    (row,) = quality_rows({"x": trace})
    assert matches_references(trace) == (all(ids == answer for ids in references.values()) if references else None)
    assert [part["name"] for part in row["references"]] == [REFERENCE_NAMES[name] for name in references]
    for part, reference in zip(row["references"], references.values(), strict=True):
        found = compare(answer, reference)
        assert (part["same"], part["distance"], part["length"]) == (found.same, found.distance, found.length)
        assert part["departs"] == (None if found.departs is None else found.departs + 1)
        assert [i for edit in part["edits"] for i in edit["ids"] if edit["kind"] != "gone"] == answer
        assert [i for edit in part["edits"] for i in edit["ids"] if edit["kind"] != "new"] == reference


def test_every_lane_has_a_row_and_a_strangers_item_is_cut() -> None:
    found = quality_rows({"a": made(), "b": held([1], item="x" * 900, right=True, log_prob=-2.0)})
    assert [row["title"] for row in found] == ["a", "b"]
    assert found[0] == {"title": "a", "references": [], "log_prob": None, "item": None, "right": None}
    assert (found[1]["log_prob"], found[1]["right"]) == (-2.0, True)
    assert len(found[1]["item"]) <= 60
    assert len(comparison_sentence(held([1], item="x" * 900, right=True))) < 100


def lanes() -> dict[str, Trace]:
    return {
        "fast": held([1, 2, 3], references={"no_cache": [1, 2, 3], "one_by_one": [4]}, log_prob=-0.5),
        "AR": held([1, 2], references={"one_by_one": [1]}, log_prob=-0.25, settings=AR),
        "unheld": made(),
    }


def test_bars_are_the_distances_of_each_lane_and_reference() -> None:
    bars = {bar.name: bar for bar in reference_distances(lanes()).data}
    assert set(bars) == set(REFERENCE_NAMES.values())
    assert dict(zip(bars["without cache"].x, bars["without cache"].y, strict=True)) == {"fast": 0}
    assert dict(zip(bars["one token at a time"].x, bars["one token at a time"].y, strict=True)) == {"fast": 3, "AR": 1}
    assert list(bars["one token at a time"].customdata) == [3, 2]
    assert (
        len({bar.marker.color for bar in bars.values()})
        == len({bar.marker.pattern.shape for bar in bars.values()})
        == 2
    )


def test_the_ar_lane_is_marked_among_the_log_probabilities() -> None:
    others, own = log_probs(lanes()).data
    assert (others.x, others.y) == (("fast",), (-0.5,))
    assert (own.name, own.x, own.y) == ("AR itself", ("AR",), (-0.25,))
    assert others.marker.color != own.marker.color
    assert others.marker.pattern.shape != own.marker.pattern.shape


def test_the_view_needs_one_lane_that_was_held_against_something() -> None:
    found = answer_question(LaneData(lanes()["fast"], lanes=lanes()), {"view": "gate"})
    assert len(found["figures"]) == len(found["captions"]) == len(VIEW.charts)
    assert found["rows"] == quality_rows(lanes())
    bare = made(step(0, {4: 1}), unmask={"name": "threshold"})
    assert answer_question(LaneData(bare, lanes={"x": bare}), {"view": "gate"}) == {"empty": VIEWS["gate"].empty}
    assert not has_references({"x": bare})
    assert "figures" in answer_question(LaneData(bare, lanes={"x": bare, **lanes()}), {"view": "gate"})
