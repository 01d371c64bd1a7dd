"""The page's examples: right, the same words in every numeric format, and verified decoding writes them too."""

import pytest
import torch

from app.page import EXAMPLES
from dllm.engine import Engine
from dllm.models.transformer import rope_table
from dllm.settings import Choice, Settings

MARGIN = 0.05  # of probability between a written token and the second best, in fp32: more than bf16 rounding moves
LENGTH = 64
RIGHT = {
    "What is the capital of France?": "Paris",
    "Repeat after me: The sun is bright.": "The sun is bright.",
    "What is the opposite of hot?": "cold",
    "Name three fruits.": "apple",
    "Write a Python function that returns the larger of two numbers.": "return max(a, b)",
    "Why is the sky blue?": "Rayleigh scattering",
}


@pytest.fixture(scope="module")
def engines() -> dict[str, Engine]:
    return {dtype: Engine.load("default", device="cpu", dtype=dtype) for dtype in ("float32", "bfloat16")}


def written(engine: Engine, prompt: str, **changes: object) -> list[int]:
    run = engine.run(prompt, Settings(gen_length=LENGTH, **changes))  # type: ignore[arg-type]
    for _ in run:
        pass
    return run.canvas.output


def test_what_is_right_is_known_of_every_example() -> None:
    assert set(RIGHT) == set(EXAMPLES)


@pytest.mark.parametrize("prompt", EXAMPLES)
def test_ar_writes_it_with_a_margin_and_alike_in_every_format(engines: dict[str, Engine], prompt: str) -> None:
    engine = engines["float32"]
    answer = written(engine, prompt, block_size=1)
    assert engine.tokenizer is not None
    assert RIGHT[prompt] in engine.tokenizer.decode(answer)
    net, start = engine.model.net, engine.run(prompt, Settings()).prompt
    ids = torch.tensor([[*start, *answer]])
    n = ids.shape[1]
    with torch.inference_mode():
        causal = torch.ones(n, n, dtype=torch.bool).tril()
        states = net(ids, rope_table(net.shape, n, ids.device), mask=causal)[0, len(start) - 1 : -1]
        first, second = net.logits(states).softmax(-1).topk(2).values.unbind(-1)
    assert (first - second).min() > MARGIN
    assert written(engines["bfloat16"], prompt, block_size=1) == answer


@pytest.mark.parametrize("drafts", [1, 2, 4])
@pytest.mark.parametrize("prompt", EXAMPLES)
def test_verified_decoding_is_ar_token_for_token(engines: dict[str, Engine], prompt: str, drafts: int) -> None:
    engine = engines["float32"]
    rule = Choice("verify", {"drafts": drafts})
    assert written(engine, prompt, unmask=rule) == written(engine, prompt, block_size=1)


@pytest.mark.parametrize("prompt", EXAMPLES)
def test_the_default_lane_is_right_in_bf16_too(engines: dict[str, Engine], prompt: str) -> None:
    engine = engines["bfloat16"]
    assert engine.tokenizer is not None
    assert RIGHT[prompt] in engine.tokenizer.decode(written(engine, prompt))
