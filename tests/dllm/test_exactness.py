"""Exact policies equal no cache; AR is block size 1; nothing is shared between sequences."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.cache import CACHES
from dllm.engine import Engine
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, QWEN2
from dllm.settings import Choice, Settings
from dllm.unmask import UNMASKS
from tests.dllm.nets import WHOLE, engine_of, naive_ar, prompts

BLOCKS = st.sampled_from([1, 2, 4, 8])
RULES = st.sampled_from(
    [Choice(name) for name in UNMASKS if name != "verify"]
    + [Choice("threshold", {"threshold": 0.2}), Choice("threshold", {"threshold": 0.3, "score": "margin"})]
    + [Choice("top_k", {"k": 3, "score": "entropy"}), Choice("entropy_bound", {"gamma": 4.0})]
)


def decode(engine: Engine, prompt: list[int], chosen: Settings) -> list[int]:
    run = engine.run(prompt, chosen)
    for _ in run:
        pass
    return run.canvas.output


@given(prompt=prompts(), block=BLOCKS, rule=RULES, seed=st.integers(0, 3), length=st.integers(1, 20))
@settings(max_examples=60)
def test_exact_policies_equal_no_cache(prompt: list[int], block: int, rule: Choice, seed: int, length: int) -> None:
    for spec in (FAST_DLLM_V2, LLADA, DREAM):
        engine = engine_of(spec, seed)
        chosen = Settings(gen_length=length, block_size=block, sub_block_size=max(1, block // 2), unmask=rule)
        reference = decode(engine, prompt, replace(chosen, cache=Choice("none")))
        for name, policy in CACHES.items():
            if policy.exact and spec.attentions[0] in policy.attentions:
                assert decode(engine, prompt, replace(chosen, cache=Choice(name))) == reference, (spec.name, name)


@given(prompt=prompts(), block=BLOCKS, rule=RULES, seed=st.integers(0, 3), length=st.integers(1, 20))
@settings(max_examples=30)
def test_d2_told_to_recompute_everything_equals_no_cache(
    prompt: list[int], block: int, rule: Choice, seed: int, length: int
) -> None:
    for spec in WHOLE:
        engine = engine_of(spec, seed)
        chosen = Settings(gen_length=length, block_size=block, unmask=rule, cache=Choice("none"))
        d2 = Choice("d2", {"k": 4096, "p": 1.0, "inflate": 4096})
        assert decode(engine, prompt, replace(chosen, cache=d2)) == decode(engine, prompt, chosen)


@given(prompt=prompts(), block=BLOCKS, whole=st.booleans(), rule=RULES)
@settings(max_examples=30)
def test_sub_block_cache_is_exact_for_one_sub_block_or_for_single_tokens(
    prompt: list[int], block: int, whole: bool, rule: Choice
) -> None:
    engine = engine_of(FAST_DLLM_V2)
    sub = block if whole else 1
    chosen = Settings(gen_length=12, block_size=block, sub_block_size=sub, unmask=rule, cache=Choice("block"))
    if whole:
        assert decode(engine, prompt, replace(chosen, cache=Choice("sub_block"))) == decode(engine, prompt, chosen)
        return
    run = engine.run(prompt, replace(chosen, cache=Choice("sub_block")))
    for step in run:  # a sub-block of one is always reached from the block: nothing stale is read
        assert step.plan.kind != "denoise" or len(step.plan.queries) == block


@pytest.mark.parametrize("cache", ["none", "block", "sub_block"])
@given(prompt=prompts(), seed=st.integers(0, 3))
@settings(max_examples=20)
def test_block_size_one_is_naive_ar(cache: str, prompt: list[int], seed: int) -> None:
    for spec in (QWEN2, FAST_DLLM_V2):
        engine = engine_of(spec, seed)
        stop = engine.model.stop_ids
        ours = decode(engine, prompt, Settings(gen_length=10, block_size=1, cache=Choice(cache)))
        assert ours == naive_ar(engine, prompt, 10, stop)


def test_ar_feeds_one_token_a_step() -> None:
    run = engine_of(QWEN2).run([1, 2, 3, 4], Settings(gen_length=5, block_size=1, stop_ids=()))
    steps = list(run)
    assert [s.plan.kind for s in steps] == ["prefill", *["ar"] * 4]
    assert [len(s.plan.queries) for s in steps] == [4, 1, 1, 1, 1]


@given(a=prompts(), b=prompts(), seed=st.integers(0, 5))
@settings(max_examples=20)
def test_interleaved_runs_equal_solo_runs(a: list[int], b: list[int], seed: int) -> None:
    for spec, cache in ((FAST_DLLM_V2, "sub_block"), (DREAM, "d2"), (LLADA, "dual")):
        engine = engine_of(spec)
        chosen = Settings(gen_length=9, block_size=4, cache=Choice(cache), temperature=0.8, seed=seed)
        solo = [decode(engine, a, chosen), decode(engine, b, chosen)]
        runs = [engine.run(a, chosen), engine.run(b, chosen)]
        turns = [iter(r) for r in runs]
        while any([next(t, None) for t in turns]):  # noqa: C419 - both must advance
            pass
        assert [r.canvas.output for r in runs] == solo


@given(prompt=prompts(), seed=st.integers(0, 10))
@settings(max_examples=15)
def test_a_seed_decides_a_sampled_run(prompt: list[int], seed: int) -> None:
    for spec in (FAST_DLLM_V2, LLADA):
        engine = engine_of(spec)
        chosen = Settings(gen_length=8, block_size=4, temperature=1.5, top_p=0.9, seed=seed, stop_ids=())
        assert decode(engine, prompt, chosen) == decode(engine, prompt, chosen)
    others = {tuple(decode(engine, prompt, replace(chosen, seed=s))) for s in range(8)}
    assert len(others) > 1


def test_attention_probabilities_do_not_change_the_answer() -> None:
    for spec in (FAST_DLLM_V2, LLADA):
        engine = engine_of(spec)
        chosen = Settings(gen_length=12, block_size=4)
        observed = replace(chosen, record=("attention", "rollout", "alternatives"))
        assert decode(engine, [1, 2, 3], observed) == decode(engine, [1, 2, 3], chosen)
