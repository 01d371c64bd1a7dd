"""Log-probabilities of answers under the AR network, against a plain softmax."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm.models.families import LLAMA
from dllm.models.likelihood import log_probabilities
from dllm.models.transformer import rope_table
from tests.dllm.nets import engine_of, prompts


@given(st.lists(st.tuples(prompts(high=6), prompts(low=0, high=6)), min_size=1, max_size=4))
def test_log_probabilities_by_definition(pairs: list[tuple[list[int], list[int]]]) -> None:
    net = engine_of(LLAMA).model.net
    got = log_probabilities(net, pairs)
    for (prompt, answer), logs in zip(pairs, got, strict=True):
        assert len(logs) == len(answer)
        for n, log in enumerate(logs):
            before = [*prompt, *answer[:n]]
            mask = torch.ones(len(before), len(before), dtype=torch.bool).tril()
            states = net(torch.tensor([before]), rope_table(net.shape, len(before), torch.device("cpu")), mask=mask)
            want = net.head(states)[0, -1].log_softmax(-1)[answer[n]]
            assert log == pytest.approx(want.item(), abs=1e-5)


def test_a_prompt_is_needed() -> None:
    with pytest.raises(ValueError, match="a prompt is empty"):
        log_probabilities(engine_of(LLAMA).model.net, [([], [1])])
