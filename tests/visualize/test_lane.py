from itertools import combinations_with_replacement
from typing import Any

import pytest

from dllm.trace import StepRecord
from dllm.trace.records import CaseRecord
from tests.visualize.records import PROMPT, SETTINGS, step
from visualize.lane import LANES, VERIFIED, frame, head, ids_in, titles_of

RULE = {"name": "threshold", "threshold": 0.9}
VERIFY = {"name": "verify", "drafts": 2, "least": 0.1}


def test_blocks_are_counted_from_the_prompt_or_from_the_start() -> None:
    assert head(PROMPT, SETTINGS) == {
        "prompt": PROMPT, "end": 8, "block": 4, "sub_block": 2, "origin": 4, "stop_ids": [2], "cache": "none",
    }  # fmt: skip
    assert head(PROMPT, {**SETTINGS, "attention": "block_causal"})["origin"] == 0


def test_a_frame_says_what_was_guessed_and_what_was_kept() -> None:
    drawn = frame(step(3, {5: 7}, seconds=0.123456789))
    assert drawn == {
        "i": 3, "kind": "denoise", "block": (4, 8), "window": (4, 8), "at": [4, 5, 6, 7], "tokens": [9, 7, 9, 9],
        "confidence": [0.5] * 4, "new": [5], "seconds": 0.123457, "queries": [(4, 8)],
    }  # fmt: skip


def test_a_frame_carries_alternatives_and_remasked_positions_where_there_are_any() -> None:
    rows = [[(9, 0.87654321), (3, 0.1)]] * 4
    drawn = frame(step(0, {4: 9}, alternatives=rows, remasked=[5]))
    assert drawn["alternatives"][0] == [[9, 0.8765], [3, 0.1]]
    assert drawn["remasked"] == [5]


def test_every_id_that_can_be_shown_has_its_text_sent() -> None:
    rows = [[(9, 0.9), (3, 0.1)]] * 4
    assert ids_in(step(0, {4: 7}, alternatives=rows)) == {7, 9, 3}
    assert ids_in(step(0, {4: 7}, alternatives=rows), bare=True) == {7, 9}
    assert ids_in(with_drafts()) == {11, 12, 20, 30, 31}
    assert ids_in(with_drafts(), bare=True) == {11, 12, 20, 30, 31}


def with_drafts() -> StepRecord:
    """Drafts 11 and 20 stood at 4 and 5; AR said 11 and 12, so one was right and 30, 31 are what comes next."""
    cases = [
        CaseRecord(right=0, position=5, tokens=[40, 41], confidence=[0.5, 0.5]),
        CaseRecord(right=1, position=6, tokens=[30, 31], confidence=[0.12345678, 0.5]),
    ]
    asked = {4: 11, 5: 12, 6: 12}
    return step(1, {4: 11, 5: 12}, asked=asked, tested=[11, 20], remasked=[5], cases=cases)


def test_a_frame_of_verified_decoding_says_what_was_tested_and_what_stands_now() -> None:
    drawn = frame(with_drafts())
    assert drawn["tested"] == [[4, 11], [5, 20]]
    assert drawn["drafts"] == [[6, 30, 0.1235], [7, 31, 0.5]]
    assert "remasked" not in drawn  # a draft was never committed
    assert not {"tested", "drafts"} & set(frame(step(0, {4: 9})))


def test_the_canvas_of_verified_decoding_is_one_block() -> None:
    """A pass begins where the text ends, so no block of it stands anywhere."""
    verified = {**SETTINGS, "gen_length": 9, "block_size": 3, "attention": "hybrid", "unmask": VERIFY}
    assert head(PROMPT, verified) == {
        "prompt": PROMPT, "end": 13, "block": 9, "sub_block": 9, "origin": 4, "stop_ids": [2], "cache": "none",
        "verified": True,
    }  # fmt: skip


def test_a_lane_of_verified_decoding_is_called_so() -> None:
    title = titles_of({"diffusion": way(unmask=VERIFY), "ar": way(block=1)})["diffusion"]
    assert (title.title, title.about) == (VERIFIED.title, "AR's words, up to 2 drafts tested a pass.")
    more = {"a": way(block=1), "b": way(unmask=VERIFY), "c": way(unmask={**VERIFY, "drafts": 1})}
    assert [t.title for t in titles_of(more).values()] == [
        "AR",
        "Verified decoding · 2 drafts",
        "Verified decoding · 1 draft",
    ]


def way(cache: str = "block", block: int = 8, **changes: Any) -> dict[str, Any]:
    single = {"attention": "block_causal", "sub_block_size": 1} if block == 1 else {}
    return {**SETTINGS, "block_size": block, "cache": {"name": cache}, "unmask": RULE, **single, **changes}


def test_one_token_at_a_time_is_ar_only_where_attention_is_causal() -> None:
    """A masked diffusion model with blocks of one token sees the masks ahead, and computes them."""
    full = way("none", block=1, attention="bidirectional")
    assert titles_of({"a": full, "b": way(block=1)})["a"].title == "No cache in full attention · 0.9"
    assert "block 1" in titles_of({"a": full})["a"].about
    assert "autoregressive" not in head(PROMPT, full)
    assert all(head(PROMPT, {**full, "attention": name})["autoregressive"] for name in ("block_causal", "hybrid"))


def test_a_decoded_lane_that_is_autoregressive_is_not_called_block_diffusion() -> None:
    titles = titles_of({"diffusion": way(block=1), "ar": way(block=1)})
    assert [title.title for title in titles.values()] == ["Autoregressive", "Autoregressive (2)"]
    assert titles["diffusion"].about == "One token at a time."
    full = titles_of({"diffusion": way("none", block=1, attention="bidirectional")})["diffusion"]
    assert full.title == LANES["diffusion"].title


def test_the_two_usual_lanes_keep_their_names_and_say_their_settings() -> None:
    titles = titles_of({"ar": way(block=1), "diffusion": way(attention="block_causal")})
    assert {name: title.title for name, title in titles.items()} == {n: LANES[n].title for n in ("ar", "diffusion")}
    assert titles["diffusion"].about == "Block cache, block 8, sub-block 2, threshold 0.9."
    assert titles["ar"].about == "One token at a time."
    assert titles_of({}) == {}


def test_beside_others_a_lane_is_named_by_how_it_was_decoded() -> None:
    titles = titles_of({"ar": way(block=1), "diffusion": way("none"), "diffusion-2": way("sub_block")})
    assert [t.title for t in titles.values()] == [
        "Autoregressive",
        "No cache in full attention · 0.9",
        "Sub-block cache · 0.9",
    ]
    assert titles["diffusion"].about == "No cache, block 8, sub-block 2, full attention, threshold 0.9."
    assert titles["diffusion"].text_label == "No cache in full attention · 0.9: answer as text"


def test_lanes_alike_are_told_apart_by_their_blocks_and_then_by_number() -> None:
    titles = titles_of({"a": way(), "b": way(block=16), "c": way(block=16), "d": way("none")})
    assert [(t.title, t.text_label) for t in titles.values()] == [
        (name, f"{name}: answer as text")
        for name in (
            "Block cache · 0.9 · block 8",
            "Block cache · 0.9 · block 16",
            "Block cache · 0.9 · block 16 (2)",
            "No cache in full attention · 0.9",
        )
    ]
    assert [t.title for t in titles_of({"a": way(block=1), "b": way(block=1)}).values()] == ["AR", "AR (2)"]


WAYS = [way(), way(block=16), way(block=1), way("none")]


@pytest.mark.parametrize("chosen", list(combinations_with_replacement(WAYS, 4)))
@pytest.mark.parametrize("names", [("a", "b", "c", "d"), ("ar", "diffusion", "ar-2", "diffusion-2")])
def test_no_two_lanes_of_a_run_are_alike(chosen: tuple[dict[str, Any], ...], names: tuple[str, ...]) -> None:
    titles = titles_of(dict(zip(names, chosen, strict=True)))
    assert list(titles) == list(names)
    assert len({t.title for t in titles.values()}) == 4
    assert len({t.text_label for t in titles.values()}) == 4
