"""Where numbers come from, in one line."""

from typing import Any

import pytest

from dllm.unmask import Verify
from visualize.facts import DRAFTS, decoder_words, provenance, short_words

ABOUT: dict[str, Any] = {
    "id": "m", "parameters": 134_515_008, "dtype": "bfloat16", "device": "cpu: X", "threads": 2, "torch": "2.13.0",
    "commit": "abc1234", "warm_up": 24,
}  # fmt: skip


def test_all_that_is_known_is_said_in_one_line() -> None:
    assert provenance(ABOUT, title="SmolLM2-135M", seed=7) == (
        "Measured live: SmolLM2-135M (135 M parameters, bfloat16), on cpu: X, 2 threads, torch 2.13.0, commit abc1234, "
        "seed 7, 24 warm-up passes."
    )


@pytest.mark.parametrize("commit", [None, ""])
def test_what_is_not_known_is_left_out(commit: str | None) -> None:
    said = provenance({**ABOUT, "commit": commit, "threads": 1, "warm_up": 1}, opening="Recorded")
    assert said == "Recorded: m (135 M parameters, bfloat16), on cpu: X, 1 thread, torch 2.13.0, 1 warm-up pass."
    assert provenance({k: v for k, v in ABOUT.items() if k not in ("commit", "torch")}).endswith(
        "2 threads, 24 warm-up passes."
    )


def test_a_seed_of_nothing_is_a_seed() -> None:
    assert ", seed 0, " in provenance(ABOUT, seed=0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "No cache in full attention · 0.9"),
        ({"attention": "block_causal"}, "No cache · 0.9"),
        ({"cache": {"name": "d2", "k": 3}}, "d²Cache · 0.9"),
        ({"unmask": {"name": "top_k"}}, "No cache in full attention"),
        ({"block_size": 1, "attention": "block_causal"}, "AR"),
        ({"block_size": 1, "attention": "hybrid"}, "AR"),
        ({"block_size": 1}, "No cache in full attention · 0.9"),
        ({"unmask": {"name": "verify", "drafts": 3}}, "Verified decoding"),
        ({"cache": {"name": "<a href=x>"}, "unmask": {"threshold": "<b>"}}, "Another cache"),
    ],
)
def test_a_lane_is_named_in_words_of_our_own(change: dict, name: str) -> None:
    settings = {"block_size": 8, "attention": "bidirectional", "cache": {"name": "none"}}
    assert short_words({**settings, "unmask": {"name": "threshold", "threshold": 0.9}, **change}) == name


@pytest.mark.parametrize(
    ("options", "drafts"), [({}, "2 drafts"), ({"drafts": 1}, "1 draft"), ({"drafts": "<b>"}, "2 drafts")]
)
def test_verified_decoding_is_told_by_its_drafts(options: dict, drafts: str) -> None:
    settings = {"block_size": 3, "unmask": {"name": "verify", **options}}
    assert decoder_words(settings) == f"AR's words, up to {drafts} tested a pass"
    assert Verify().drafts == DRAFTS
