from tests.visualize.records import PROMPT, SETTINGS, step
from visualize.lane import frame, head, ids_in


def test_blocks_are_counted_from_the_prompt_or_from_the_start() -> None:
    assert head(PROMPT, SETTINGS) == {
        "prompt": PROMPT, "end": 8, "block": 4, "sub_block": 2, "origin": 4, "stop_ids": [2],
    }  # fmt: skip
    assert head(PROMPT, {**SETTINGS, "attention": "block_causal"})["origin"] == 0


def test_a_frame_says_what_was_guessed_and_what_was_kept() -> None:
    drawn = frame(step(3, {5: 7}, seconds=0.123456789))
    assert drawn == {
        "i": 3, "kind": "denoise", "block": (4, 8), "window": (4, 8), "at": [4, 5, 6, 7], "tokens": [9, 7, 9, 9],
        "confidence": [0.5] * 4, "new": [5], "seconds": 0.123457,
    }  # fmt: skip


def test_a_frame_carries_alternatives_and_remasked_positions_where_there_are_any() -> None:
    rows = [[(9, 0.87654321), (3, 0.1)]] * 4
    drawn = frame(step(0, {4: 9}, alternatives=rows, remasked=[5]))
    assert drawn["alternatives"][0] == [[9, 0.8765], [3, 0.1]]
    assert drawn["remasked"] == [5]


def test_every_id_that_can_be_shown_has_its_text_sent() -> None:
    rows = [[(9, 0.9), (3, 0.1)]] * 4
    assert ids_in(step(0, {4: 7}, alternatives=rows)) == {7, 9, 3}
