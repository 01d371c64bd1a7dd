"""The decoder's contract, above all where the published code breaks it."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.cache import CACHES
from dllm.decode import Decoder, ModelTraits
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, QWEN2, ModelSpec
from dllm.settings import Choice, Settings, SettingsError
from dllm.step import Readout
from dllm.unmask import UNMASKS
from tests.dllm.nets import MASK, STOP, VOCAB, engine_of, hybrid_engine, prompts

ALL = (FAST_DLLM_V2, LLADA, DREAM)


@given(
    prompt=prompts(),
    block=st.sampled_from([1, 2, 4, 8]),
    length=st.integers(1, 20),
    stop=st.sets(st.integers(0, VOCAB - 2), max_size=12),
    rule=st.sampled_from([name for name in UNMASKS if name != "verify"]),
    temperature=st.sampled_from([0.0, 1.0]),
)
@settings(max_examples=60)
def test_every_run_keeps_the_contract(
    prompt: list[int], block: int, length: int, stop: Iterable[int], rule: str, temperature: float
) -> None:
    for engine in (*map(engine_of, ALL), hybrid_engine()):
        spec = engine.model.spec
        for name in CACHES:
            if spec.attentions[0] not in CACHES[name].attentions:
                continue
            chosen = Settings(
                gen_length=length,
                block_size=block,
                cache=Choice(name, {"k": 2} if name == "d2" else {}),
                unmask=Choice(rule),
                stop_ids=tuple(stop),
                temperature=temperature,
            )
            run = engine.run(prompt, chosen)
            written: set[int] = set()
            for step in run:
                plan = step.plan
                assert written.isdisjoint(step.committed)
                assert plan.kind != "denoise" or step.committed
                assert set(step.committed) <= set(plan.asked)
                assert all(p - spec.shift in set(plan.queries) for p in plan.asked)
                assert list(plan.queries) == sorted(set(plan.queries))
                assert plan.queries[-1] < plan.visible <= run.canvas.length
                assert MASK not in step.readout.tokens
                written |= set(step.committed)
            output = run.canvas.output
            assert 1 <= len(output) <= length
            assert not set(stop) & set(output[:-1])
            reason = run.canvas.stop_reason
            assert reason == ("eos" if output[-1] in stop else "length")
            assert reason == "eos" or len(output) == length
            run.trace()


@pytest.mark.parametrize("block", [4, 8])
def test_a_prompt_of_exactly_one_block_is_read(block: int) -> None:
    """The published code drops it: three prompts, one answer."""
    engine = engine_of(FAST_DLLM_V2)
    outputs = set()
    for first in (1, 2, 3):
        run = engine.run([first, *range(4, 3 + block)], Settings(gen_length=8, block_size=block, stop_ids=()))
        steps = list(run)
        assert steps[0].plan.kind == "prefill"
        assert list(steps[0].plan.queries) == list(range(block))
        outputs.add(tuple(run.canvas.output))
    assert len(outputs) == 3


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("top_p", [None, 0.3])
def test_the_mask_is_never_proposed(temperature: float, top_p: float | None) -> None:
    """The published code loops for ever when the mask is the likeliest token."""
    for spec in ALL:
        engine = engine_of(spec)
        head = engine.model.net.head.weight
        others = head[:MASK].clone()
        with torch.inference_mode(False), torch.no_grad():
            head[MASK] = others.mean(0) * 50
        chosen = Settings(gen_length=8, block_size=4, temperature=temperature, top_p=top_p, stop_ids=())
        run = engine.run([1, 2, 3], replace(chosen, record=("alternatives",)))
        for step in run:
            assert MASK not in step.readout.tokens
            assert all(i != MASK for row in step.readout.alternatives or () for i, _ in row)
        assert len(run.canvas.output) == 8


def test_a_mask_token_in_the_prompt_stays() -> None:
    for spec in ALL:
        run = engine_of(spec).run([1, MASK, 3, MASK], Settings(gen_length=6, block_size=4))
        for step in run:
            assert min(step.committed, default=4) >= 4
        assert run.canvas.ids[:4] == [1, MASK, 3, MASK]


def test_a_stop_token_from_a_commit_pass_ends_the_run() -> None:
    """The published batch code misses it there."""
    chosen = Settings(gen_length=16, block_size=4, stop_ids=())
    found = 0
    for seed in range(20):
        engine = engine_of(FAST_DLLM_V2, seed)
        run = engine.run([1, 2, 3, 4], chosen)
        commit = next(s for s in run if s.plan.kind == "commit")
        token, earlier = commit.readout.tokens[0], run.canvas.output[:4]
        if token in earlier:
            continue
        found += 1
        stopped = engine.run([1, 2, 3, 4], replace(chosen, stop_ids=(token,)))
        assert list(stopped)[-1].plan.kind == "commit"
        assert stopped.canvas.stop_reason == "eos"
        assert stopped.canvas.output == [*earlier, token]
    assert found > 5


@given(prompt=prompts(), short=st.integers(1, 15))
@settings(max_examples=25)
def test_the_cap_only_cuts_v2(prompt: list[int], short: int) -> None:
    engine = engine_of(FAST_DLLM_V2)
    outputs = []
    for length in (short, 16):
        run = engine.run(prompt, Settings(gen_length=length, block_size=8, stop_ids=()))
        for _ in run:
            pass
        outputs.append(run.canvas.output)
    assert outputs[0] == outputs[1][:short]


def test_a_policy_that_reaches_no_mask_is_an_error() -> None:
    traits = ModelTraits("t", VOCAB, 64, 0, ("bidirectional",), MASK, (STOP,))
    chosen = Settings(gen_length=4, block_size=4, sub_block_size=4, attention="bidirectional", cache=Choice("none"))
    decoder = Decoder([1, 2], replace(chosen, stop_ids=()), traits)
    plan = decoder.plan()
    assert plan is not None
    with pytest.raises(RuntimeError, match="reaches no mask"):
        decoder.apply(Readout((), (), ()))


@pytest.mark.parametrize(
    ("prompt", "changes", "message"),
    [
        ([], {}, "prompt is empty"),
        ([1, VOCAB], {}, f"holds {VOCAB}; allowed: token ids from 0 to {VOCAB - 1}"),
        ([1, -1], {}, "holds -1"),
        ([1, True], {}, "holds True"),
        ([1] * 500, {"gen_length": 64}, r"576 positions \(500 \+ 64, to the end of a block of 32\); allowed: 512"),
        ([1] * 500, {"gen_length": 12, "block_size": 24}, r"528 positions \(500 \+ 12, .* of 24\); allowed: 512"),
        ([1] * 500, {"gen_length": 13, "block_size": 1}, r"513 positions \(500 \+ 13\); allowed: 512"),
        ([1], {"cache": Choice("dual")}, "allowed under block_causal attention: none, block, sub_block"),
        ([1], {"cache": Choice("lru")}, "cache is 'lru'; allowed: none, prefix"),
        ([1], {"cache": Choice("block", {"k": 3})}, "no option 'k'; allowed: none"),
        ([1], {"unmask": Choice("threshold", {"threshold": 2})}, "threshold is 2; allowed: 0.0 to 1.0"),
        ([1], {"unmask": Choice("greedy")}, "unmask is 'greedy'; allowed: threshold"),
        ([1], {"attention": "bidirectional"}, "allowed for fast_dllm_v2: block_causal"),
        ([1], {"stop_ids": (99,)}, "stop_ids holds 99"),
    ],
)
def test_bad_input_is_named(prompt: list[int], changes: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        engine_of(FAST_DLLM_V2).run(prompt, Settings(**changes))


def test_a_prompt_that_just_fits_is_taken() -> None:
    engine = engine_of(FAST_DLLM_V2, context=64)
    for size, length in ((16, 4), (1, 4), (32, 1)):
        run = engine.run([1] * 60, Settings(gen_length=length, block_size=size, stop_ids=()))
        list(run)
        assert run.canvas.length <= 64


def test_an_autoregressive_model_has_blocks_of_one() -> None:
    with pytest.raises(SettingsError, match="block_size is 8; allowed: 1, because qwen2 is autoregressive"):
        engine_of(QWEN2).run([1], Settings(block_size=8))


def test_the_device_decides_the_default_cache() -> None:
    from dllm.decode import resolve

    traits = ModelTraits("t", VOCAB, 64, 1, ("block_causal", "bidirectional"), MASK, (STOP,))
    names = [resolve(Settings(), replace(traits, sub_block_cache=cpu)).cache for cpu in (True, False)]
    assert [n and n.name for n in names] == ["sub_block", "block"]
    d2 = resolve(Settings(cache=Choice("d2")), traits)
    assert d2.attention == "bidirectional"
    assert d2.sub_block_size == d2.block_size == 32


def test_the_device_decides_what_d2_is_padded_to() -> None:
    from dllm.decode import resolve

    traits = ModelTraits("t", VOCAB, 64, 0, ("bidirectional",), MASK, (STOP,))
    device = replace(traits, multiple=32)
    for asked, plain, padded in (({"k": 3}, {"k": 3}, {"multiple": 32, "k": 3}), ({"multiple": 2}, None, None)):
        chosen = Settings(cache=Choice("d2", asked))
        assert resolve(chosen, traits).cache == Choice("d2", plain or asked)
        assert resolve(chosen, device).cache == Choice("d2", padded or asked)
        assert resolve(resolve(chosen, device), device) == resolve(chosen, device)
    assert resolve(Settings(cache=Choice("dual")), device).cache == Choice("dual")


@given(prompt=prompts(), k=st.integers(1, 6), multiple=st.integers(2, 9), spec=st.sampled_from((LLADA, DREAM)))
@settings(max_examples=30)
def test_d2_recomputes_more_up_to_a_multiple(prompt: list[int], k: int, multiple: int, spec: ModelSpec) -> None:
    asked = Settings(gen_length=20, block_size=8, cache=Choice("d2", {"k": k, "multiple": multiple}), stop_ids=())
    run = engine_of(spec).run(prompt, replace(asked, record=("rollout",)))
    list(run)
    steps, length = run.trace().steps, len(prompt) + 20
    for before, step in pairwise(steps):
        reasons, influence = step.reasons or {}, before.rollout or []
        assert step.query_count == min(length, -(-step.query_count // multiple) * multiple)
        added = reasons["padded"]
        assert len(added) < multiple
        rest = set(range(length)) - {p for chosen in reasons.values() for p in chosen}
        if added and rest:  # none that was left out has had more influence
            assert max(influence[p] for p in rest) <= min(influence[p] for p in added)


def test_d2_as_published_pads_nothing() -> None:
    run = engine_of(LLADA).run([1, 2, 3], Settings(gen_length=16, block_size=8, cache=Choice("d2", {"k": 4})))
    list(run)
    assert all("padded" not in (step.reasons or {}) for step in run.trace().steps)
