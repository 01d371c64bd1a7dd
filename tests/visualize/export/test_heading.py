import pytest

from tests.dllm.traces import made
from visualize.export.heading import prompt_text


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["Why", " is", " it", "?"], "Why is it?"),
        (["<|im_start|>", "user\nWhy?", "<|im_end|>\n<|im_start|>", "assistant\n"], "Why?"),
        (
            [
                "<|im_start|>system\nBe good<|im_end|>\n<|im_start|>user\n",
                "A\nB",
                "<|im_end|>",
                "\n<|im_start|>assistant\n",
            ],
            "A\nB",
        ),
        (
            [
                "<|start_header_id|>user<|end_header_id|>\n\n",
                "Why?",
                "<|eot_id|><|start_header_id|>assistant",
                "<|end_header_id|>\n\n",
            ],
            "Why?",
        ),
        (["<s>[INST] ", "Why?", " [/INST]", ""], "Why?"),
        (["<|a|>", "<|b|>", "", ""], "<|a|><|b|>"),
        (["<script>", "alert(1)", "</script>", ""], "<script>alert(1)</script>"),
    ],
)
def test_the_prompt_is_its_last_turn(pieces: list[str], text: str) -> None:
    trace = made().model_copy(update={"pieces": dict(zip((5, 6, 7, 8), pieces, strict=True))})
    assert trace.prompt == [5, 6, 7, 8]
    assert prompt_text(trace) == text


def test_pieces_that_are_missing_are_left_out() -> None:
    assert prompt_text(made()) == ""
