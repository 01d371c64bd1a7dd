"""Why a token was committed: each sentence against the decoder that made the pass."""

from typing import Any

import numpy as np
import pytest

from dllm.trace.throughput import Meter
from dllm.unmask import certainty_density
from tests.visualize.records import step
from visualize.reasons import commit_reasons, densities

BLOCK = {"block_size": 8, "attention": "block_causal", "cache": {"name": "block"}, "temperature": 0.0}


def reasons(rule: dict[str, Any], confidence: dict[int, float], committed: list[int], **more: Any) -> list[str]:
    record = step(0, dict.fromkeys(committed, 9), asked=dict.fromkeys(confidence, 9))
    record = record.model_copy(update={"confidence": [confidence[p] for p in record.positions]})
    return commit_reasons(record, {**BLOCK, "unmask": rule, **more})


def test_a_threshold_says_what_passed_it_and_what_was_only_the_best() -> None:
    rule = {"name": "threshold", "threshold": 0.8}
    assert reasons(rule, {4: 0.9, 5: 0.85, 6: 0.2}, [4, 5]) == ["surer than the threshold of 0.8."] * 2
    assert reasons(rule, {4: 0.3, 5: 0.2}, [4]) == ["the best guess of the step: none passed the threshold of 0.8."]
    two = {**rule, "k": 2}
    assert reasons(two, {4: 0.9, 5: 0.3}, [4, 5])[1] == "one of the 2 best guesses of the step."


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "top_k"}, "the best guess of the step."),
        ({"name": "top_k", "k": 3}, "one of the 3 best guesses of the step."),
        ({"name": "factor", "factor": 2}, "joint doubt stays below 2."),
        ({"name": "entropy_bound"}, "entropies sum to at most 0.1 nats."),
        ({"name": "certainty_prior"}, "confidence × certainty density."),
        ({"name": "threshold", "score": "margin"}, "above the threshold, or the best guess of the step."),
        ({"name": "threshold", "threshold": "<b>"}, "surer than the threshold of 0.9."),  # a stranger's trace
    ],
)
def test_every_rule_has_its_words(rule: dict[str, Any], said: str) -> None:
    assert reasons(rule, {4: 0.95}, [4])[0].endswith(said)


def test_what_was_drawn_is_said() -> None:
    assert reasons({"name": "top_k"}, {4: 0.5}, [4], temperature=1.0)[0].endswith("It was drawn by chance.")


def test_ar_and_verified_decoding_have_no_rule_to_name() -> None:
    assert reasons({"name": "top_k"}, {4: 0.5}, [4], block_size=1) == ["AR writes one token a pass."]
    record = step(0, {4: 7, 5: 8}, asked={4: 7, 5: 8, 6: 9}).model_copy(update={"tested": [7, 3], "remasked": [5]})
    settings = {**BLOCK, "unmask": {"name": "verify"}, "attention": "hybrid"}
    assert commit_reasons(record, settings) == ["a guess that AR confirmed.", "AR's own token."]


@pytest.mark.parametrize("shift", [0, 1])
def test_densities_are_those_by_the_definition(shift: int) -> None:
    settings = {**BLOCK, "gen_length": 8, "cache": {"name": "d2", "sigma": 2.0}}
    record = step(1, {}, asked={8: 1}).model_copy(update={"reasons": {"density": [6, 7]}})
    before, empty = Meter(4, 12), Meter(4, 12)
    before.add(step(0, {4: 9, 5: 9}))
    known = np.zeros(8, dtype=bool)
    known[[0, 1]] = True
    wanted = certainty_density(known, 2.0)
    assert densities(record, before, settings, shift=shift) == [
        (p, round(float(wanted[p + shift - 4]), 3)) for p in (6, 7)
    ]
    assert densities(record.model_copy(update={"reasons": None}), empty, settings, shift=shift) == []


@pytest.mark.parametrize("sigma", [0, -1, "<b>", 1e9])
def test_options_that_no_decoder_takes_give_no_density(sigma: Any) -> None:
    """They may stand in an uploaded trace, and a division by zero would end its reading."""
    record = step(1, {}, asked={8: 1}).model_copy(update={"reasons": {"density": [6]}})
    settings = {**BLOCK, "gen_length": 8, "cache": {"name": "d2", "sigma": sigma}}
    assert densities(record, Meter(4, 12), settings, shift=1) == []
