"""Verified decoding writes what AR writes: token for token at temperature 0, in distribution above."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.engine.batch import decode_together
from dllm.models.families import FAST_DLLM_V2, LLADA, QWEN2
from dllm.settings import Choice, Settings, SettingsError
from dllm.trace import Trace
from dllm.trace.throughput import throughput
from tests.dllm.nets import VOCAB, engine_of, hybrid_engine, naive_ar, prompts
from tests.dllm.test_exactness import decode


def verify(drafts: int = 2, least: float = 0.0, **changes: object) -> Settings:
    return replace(Settings(unmask=Choice("verify", {"drafts": drafts, "least": least})), **changes)


CASES = {
    "prompt": prompts(),
    "seed": st.integers(0, 5),
    "drafts": st.integers(1, 5),
    "least": st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    "length": st.integers(1, 20),
    "cache": st.sampled_from(["none", "block"]),
    "echo": st.booleans(),
}


@given(**CASES)
def test_it_is_ar_token_for_token(
    prompt: list[int], seed: int, drafts: int, least: float, length: int, cache: str, echo: bool
) -> None:
    engine = hybrid_engine(seed, echo=echo)
    ours = decode(engine, prompt, verify(drafts, least, gen_length=length, cache=Choice(cache)))
    assert ours == naive_ar(engine, prompt, length, engine.model.stop_ids)


def test_right_guesses_save_passes() -> None:
    """A net whose text comes round again and whose masks say what comes: nearly every draft is right."""
    engine = hybrid_engine(echo=True)
    run = engine.run([3, 4, 5], verify(2, gen_length=30, stop_ids=()))
    steps = list(run)
    assert len(steps) < 20
    assert sum(len(s.committed) for s in steps) == 30


@given(prompt=prompts(), seed=st.integers(0, 5), drafts=st.integers(1, 4))
def test_the_trace_says_what_every_query_was(prompt: list[int], seed: int, drafts: int) -> None:
    engine = hybrid_engine(seed, echo=True)
    run = engine.run(prompt, verify(drafts, gen_length=16))
    steps = list(run)
    trace = Trace.from_json(run.trace().to_json())
    assert trace == run.trace()
    expected: dict[int, tuple[int, float]] = {}
    for step, record in zip(steps, trace.steps, strict=True):
        masks = [p for case in record.cases for p in range(case.position - 1, case.position - 1 + len(case.tokens))]
        known = [p for start, end in record.queries for p in range(start, end)]
        assert [*known, *masks] == list(step.plan.queries)
        assert record.query_count == len(step.plan.queries)
        tested = dict(zip(record.positions, record.tested, strict=False))
        assert {p: expected[p][0] for p in tested} == tested
        said = dict(zip(record.positions, record.tokens, strict=True))
        for p, draft in tested.items():
            assert (p in record.remasked) == (
                p >= record.committed[-1] and not (p in record.committed and draft == said[p])
            )
        expected = record.drafted


def test_a_batch_is_its_rows_alone() -> None:
    engine = hybrid_engine(echo=True)
    chosen = [verify(2, gen_length=20), verify(3, gen_length=9), Settings(block_size=1, gen_length=12),
              Settings(block_size=4, attention="hybrid", gen_length=12)]  # fmt: skip
    asked = [[1, 2, 3], [5], [7, 8], [9, 9, 9]]
    alone = [decode(engine, p, s) for p, s in zip(asked, chosen, strict=True)]
    runs = [engine.run(p, s) for p, s in zip(asked, chosen, strict=True)]
    for _ in decode_together(runs, rows=4):
        pass
    assert [run.canvas.output for run in runs] == alone


def test_at_a_temperature_the_distribution_is_ars() -> None:
    """Chi-square over the first two tokens of a tiny vocabulary, against the exact distribution of AR."""
    import torch

    from dllm.models.transformer import rope_table

    engine = hybrid_engine(2, vocab=6, std_scale=0.35)
    net, prompt, count = engine.model.net, [1, 2], 3000

    def probabilities(ids: list[int]) -> list[float]:
        n = len(ids)
        mask = torch.ones(n, n, dtype=torch.bool).tril()
        logits = net.head(net(torch.tensor([ids]), rope_table(net.shape, n, torch.device("cpu")), mask=mask))[0, -1]
        probs = logits.softmax(-1)
        probs[engine.model.mask_id] = 0
        return (probs / probs.sum()).tolist()

    first = probabilities(prompt)
    exact = {(a, b): first[a] * q for a in range(6) if first[a] for b, q in enumerate(probabilities([*prompt, a])) if q}
    seen: Counter[tuple[int, ...]] = Counter()
    hits = 0
    for seed in range(count):
        run = engine.run(prompt, verify(2, gen_length=4, temperature=1.0, seed=seed, stop_ids=()))
        for step in run:
            hits += len(step.committed) > 1
        seen[tuple(run.canvas.output[:2])] += 1
    assert hits > count / 10  # drafts were tested, and some of them kept
    assert set(seen) <= set(exact)
    chi = sum((seen[pair] - count * p) ** 2 / (count * p) for pair, p in exact.items())
    freedom = len(exact) - 1
    assert chi < freedom + 4 * (2 * freedom) ** 0.5  # four standard deviations


@pytest.mark.parametrize("spec", [QWEN2, FAST_DLLM_V2, LLADA])
def test_a_model_without_hybrid_attention_is_refused(spec) -> None:
    with pytest.raises(SettingsError, match=f"allowed: for a model with hybrid attention, and {spec.name} has"):
        engine_of(spec).run([1, 2], verify())


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"attention": "block_causal"}, "attention is 'block_causal'; allowed"),
        ({"cache": Choice("sub_block")}, "cache is 'sub_block'; allowed where unmask is 'verify': none, block"),
        ({"cache": Choice("d2")}, "cache is 'd2'"),
        ({"record": ("attention",)}, "record holds 'attention', which verified decoding does not keep; allowed"),
        ({"unmask": Choice("verify", {"drafts": 0})}, "drafts is 0; allowed: 1 to 8"),
        ({"unmask": Choice("verify", {"least": 1.5})}, "least is 1.5; allowed: 0.0 to 1.0"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict, what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        hybrid_engine().run([1, 2], verify(**changes))


def test_an_unknown_token_of_the_vocabulary_is_not_drafted() -> None:
    engine = hybrid_engine(1)
    for step in engine.run([1], verify(4, gen_length=30, stop_ids=())):
        assert all(0 <= t < VOCAB for case in step.cases for t in case.tokens)


def test_without_a_cache_everything_attended_to_is_computed() -> None:
    run = hybrid_engine(echo=True).run([1, 2, 3], verify(2, gen_length=20, cache=Choice("none")))
    for _ in run:
        pass
    assert throughput(run.trace()).recomputed == 1
