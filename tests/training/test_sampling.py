"""The batched sampler says what one row alone would say."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm.models.families import LLAMA
from dllm.training.sampling import continue_all, greedy, top_p_pick
from tests.dllm.nets import STOP, engine_of, naive_ar, prompts


@given(st.lists(prompts(), min_size=1, max_size=5), st.integers(1, 20), st.integers(0, 3))
def test_batched_rows_equal_naive_ar(batch: list[list[int]], limit: int, seed: int) -> None:
    engine = engine_of(LLAMA, seed)
    got = continue_all(engine.model.net, batch, stop_id=STOP, limit=limit, pick=greedy)
    assert got == [naive_ar(engine, prompt, limit, (STOP,)) for prompt in batch]


def test_rows_that_end_are_dropped_and_the_others_go_on() -> None:
    engine = engine_of(LLAMA)
    batch = [[i] for i in range(30)]
    solo = [naive_ar(engine, prompt, 40) for prompt in batch]
    stop = solo[3][10]  # so that at least one row ends midway
    got = continue_all(engine.model.net, batch, stop_id=stop, limit=40, pick=greedy)
    want = [ids[: ids.index(stop) + 1] if stop in ids else ids for ids in solo]
    assert got == want
    assert len({len(ids) for ids in got}) > 1


def test_nucleus_never_leaves_the_nucleus_and_covers_it() -> None:
    probs = torch.tensor([0.5, 0.3, 0.15, 0.05])
    pick = top_p_pick(1.0, 0.75, torch.Generator().manual_seed(0))
    drawn = pick(probs.log().expand(4000, 4))
    share = drawn.bincount(minlength=4) / 4000
    # the set is the smallest that reaches 0.75: two tokens, renormalised to 5/8 and 3/8; 5 standard errors
    torch.testing.assert_close(share, torch.tensor([0.625, 0.375, 0.0, 0.0]), atol=0.04, rtol=0)


def test_temperature_sharpens() -> None:
    logits = torch.tensor([1.0, 0.0]).expand(4000, 2)
    pick = top_p_pick(0.5, 1.0, torch.Generator().manual_seed(0))
    want = torch.tensor([2.0, 0.0]).softmax(-1)[0].item()
    assert (pick(logits) == 0).float().mean().item() == pytest.approx(want, abs=0.03)


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 0.9), (-1.0, 0.9), (1.0, 0.0), (1.0, 1.5)])
def test_bad_sampling_is_refused(temperature: float, top_p: float) -> None:
    with pytest.raises(ValueError, match="allowed"):
        top_p_pick(temperature, top_p, torch.Generator())


@pytest.mark.parametrize(("batch", "limit"), [([[1], []], 4), ([[1]], 0)])
def test_nothing_to_continue_is_refused(batch: list[list[int]], limit: int) -> None:
    with pytest.raises(ValueError, match="allowed"):
        continue_all(engine_of(LLAMA).model.net, batch, stop_id=STOP, limit=limit, pick=greedy)
