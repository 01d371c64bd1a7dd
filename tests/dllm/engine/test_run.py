import re
from dataclasses import replace

import pytest

from dllm.cache import CACHES
from dllm.engine.batch import decode_together
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, QWEN2, ModelSpec
from dllm.settings import Choice, Settings
from tests.dllm.nets import engine_of

WAYS = [(spec, name) for spec in (FAST_DLLM_V2, LLADA, DREAM) for name, policy in CACHES.items()
        if spec.attentions[0] in policy.attentions]  # fmt: skip


@pytest.mark.parametrize(("spec", "cache"), [*WAYS, (QWEN2, "block")], ids=lambda v: getattr(v, "name", v))
def test_recomputed_is_what_the_model_was_called_with(spec: ModelSpec, cache: str) -> None:
    engine, counted = engine_of(spec), []
    engine.model.net.embed.register_forward_hook(lambda _, inputs, out: counted.append(inputs[0].numel()))
    block = 1 if spec is QWEN2 else 4
    chosen = Settings(gen_length=10, block_size=block, cache=Choice(cache), stop_ids=())
    run = engine.run([1, 2, 3, 4, 5], chosen)
    assert [step.readout.computed for step in run] == counted
    assert [record.query_count for record in run.records] == counted
    alone = list(counted)
    counted.clear()
    runs = list(decode_together([engine.run([1, 2, 3, 4, 5], chosen), engine.run([6], chosen)]))
    assert sum(record.query_count for run in runs for record in run.records) == sum(counted)
    assert [r.query_count for r in max(runs, key=lambda run: len(run.prompt)).records] == alone


def test_a_record_that_counts_otherwise_is_refused() -> None:
    run = engine_of(LLADA).run([1, 2, 3], Settings(gen_length=4, block_size=4))
    session, plan = run.session(), run.plan()
    assert plan is not None
    (readout,) = run.runner.forward([(session, plan)])
    with pytest.raises(RuntimeError, match="step 0 records 7 positions, but the network computed 6"):
        run.record(run.commit(replace(readout, computed=6)))
    assert run.records == []


@pytest.mark.parametrize("spec", [LLADA, DREAM], ids=lambda spec: spec.name)
def test_a_plan_that_misses_the_query_of_a_position_is_refused(spec: ModelSpec) -> None:
    """The query before the asked one, behind the last one, or between two: never another row's answer."""
    run = engine_of(spec).run([1, 2, 3], Settings(gen_length=4, block_size=4))
    session, plan = run.session(), run.plan()
    assert plan is not None
    shift = run.canvas.shift
    for queries, asked in ((range(4, 7), 3), (range(3, 5), 6), ([3, 4, 6], 5), ([4, 5], 3)):
        short = replace(plan, queries=queries, tokens=[39] * len(queries), asked=(asked + shift,))
        message = f"asked holds position {asked + shift}, which query {asked} predicts; allowed: what the queries "
        with pytest.raises(ValueError, match=re.escape(message + str(queries))):
            run.runner.forward([(session, short)])


def test_a_plan_whose_tokens_are_not_its_queries_never_passes() -> None:
    run = engine_of(LLADA).run([1, 2, 3], Settings(gen_length=4, block_size=4))
    session, plan = run.session(), run.plan()
    assert plan is not None
    for tokens in (plan.tokens[:1], plan.tokens[:-1], [*plan.tokens, 0]):
        with pytest.raises((RuntimeError, ValueError)):
            run.runner.forward([(session, replace(plan, tokens=tokens))])
