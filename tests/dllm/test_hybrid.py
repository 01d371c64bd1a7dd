"""Hybrid attention: known tokens are AR's, whatever masks do; the caches stay exact under it."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm.cache import CACHES
from dllm.engine.run import Run
from dllm.models.kv_cache import KVCache
from dllm.models.transformer import rope_table
from dllm.settings import Choice, Settings, SettingsError
from tests.dllm.nets import engine_of, hybrid_engine, naive_ar, prompts
from tests.dllm.test_exactness import RULES, decode

HYBRID = Settings(gen_length=12, attention="hybrid")


def entries(run: Run) -> KVCache:
    """The KV cache of a run that was decoded here to its end."""
    session = run.session()
    while plan := run.plan():
        run.record(run.commit(run.runner.forward([(session, plan)])[0]))
    return session.cache


@given(
    prompt=prompts(), block=st.sampled_from([1, 2, 4, 8]), rule=RULES, seed=st.integers(0, 3), length=st.integers(1, 20)
)
def test_exact_policies_equal_no_cache(prompt: list[int], block: int, rule: Choice, seed: int, length: int) -> None:
    engine = hybrid_engine(seed)
    chosen = replace(HYBRID, gen_length=length, block_size=block, sub_block_size=max(1, block // 2), unmask=rule)
    reference = decode(engine, prompt, replace(chosen, cache=Choice("none")))
    for name, policy in CACHES.items():
        if policy.exact and "hybrid" in policy.attentions:
            assert decode(engine, prompt, replace(chosen, cache=Choice(name))) == reference, name


@pytest.mark.parametrize("cache", ["none", "block", "sub_block"])
@given(prompt=prompts(), seed=st.integers(0, 3))
def test_block_size_one_is_naive_ar_of_the_base(cache: str, prompt: list[int], seed: int) -> None:
    engine = hybrid_engine(seed)
    ours = decode(engine, prompt, replace(HYBRID, gen_length=10, block_size=1, cache=Choice(cache)))
    assert ours == naive_ar(engine, prompt, 10, engine.model.stop_ids)


@given(prompt=prompts(), block=st.sampled_from([2, 4, 8]), seed=st.integers(0, 3), rule=RULES)
def test_entries_of_finished_text_are_ars(prompt: list[int], block: int, seed: int, rule: Choice) -> None:
    engine = hybrid_engine(seed)
    run = engine.run(prompt, replace(HYBRID, block_size=block, unmask=rule, cache=Choice("block"), stop_ids=()))
    cache = entries(run)
    ids = torch.tensor([[*prompt, *run.canvas.output]])
    n = run.decoder._encoded if rule.name == "verify" else run.decoder.policy.encoded
    net, fresh = (
        engine.model.net,
        KVCache.empty(engine.model.net.shape, n, batch=1, dtype=torch.float64, device=torch.device("cpu")),
    )
    causal = torch.ones(n, n, dtype=torch.bool).tril()
    net(ids[:, :n], rope_table(net.shape, n, ids.device), mask=causal, cache=fresh, at=slice(0, n), visible=n)
    for ours, ar in ((cache.keys, fresh.keys), (cache.values, fresh.values)):
        torch.testing.assert_close(ours[:, :, :, :n], ar, rtol=0, atol=1e-12)


@given(prompt=prompts(low=2), seed=st.integers(0, 3))
def test_a_known_token_never_looks_at_a_mask(prompt: list[int], seed: int) -> None:
    """What another mask vector changes is what masks say, and nothing that known tokens say."""
    told = []
    for vector in (0.0, 3.0):
        engine = hybrid_engine(seed)
        engine.model.net.mask_vector.fill_(vector)
        run = engine.run(prompt, replace(HYBRID, block_size=8, unmask=Choice("top_k", {"k": 1})))
        told.append(next(iter(run)).readout)
    first, other = told
    assert first.positions[0] == len(prompt)  # said by the last known token
    assert first.tokens[0] == other.tokens[0]
    assert first.confidence[0] == other.confidence[0]
    assert first.confidence[1:] != other.confidence[1:]


def test_a_published_family_has_no_hybrid_attention() -> None:
    from dllm.models.families import FAST_DLLM_V2

    with pytest.raises(SettingsError, match="attention is 'hybrid'; allowed for fast_dllm_v2: block_causal"):
        engine_of(FAST_DLLM_V2).run([1, 2], HYBRID)


def test_d2_needs_full_attention() -> None:
    with pytest.raises(SettingsError, match="cache is 'd2'; allowed under hybrid attention: none, block, sub_block"):
        hybrid_engine().run([1, 2], replace(HYBRID, cache=Choice("d2")))
