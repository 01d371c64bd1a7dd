"""Runs driven together write what each writes alone: the same tokens, by the same steps, with the same numbers."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.cache import CACHES
from dllm.engine import Engine
from dllm.engine.batch import decode_together
from dllm.engine.run import Run
from dllm.models import eager
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, QWEN2, ModelSpec
from dllm.models.loader import Model, tiny
from dllm.settings import Choice, Settings
from dllm.trace.records import StepRecord, record
from dllm.unmask import UNMASKS
from tests.dllm.nets import MASK, STOP, both_engine, engine_of, prompts, shape_of

BOTH = replace(FAST_DLLM_V2, name="both", attentions=("block_causal", "bidirectional"))  # as the default model
FAMILIES = (BOTH, LLADA, DREAM, QWEN2)
Job = tuple[list[int], Settings]

PROMPTS = [[1, 2, 3], list(range(4, 21)), [7], [30, 2, 9, 9, 1, 5, 6, 8], [11] * 12]


def alone(engine: Engine, jobs: Sequence[Job]) -> list[Run]:
    runs = [engine.run(*job) for job in jobs]
    for run in runs:
        for _ in run:
            pass
    return runs


def check(engine: Engine, jobs: Sequence[Job], rows: int) -> None:
    together = [engine.run(*job) for job in jobs]
    finished = list(decode_together(together, rows=rows))
    assert sorted(map(id, finished)) == sorted(map(id, together))
    for run, solo in zip(together, alone(engine, jobs), strict=True):
        assert run.canvas.ids == solo.canvas.ids
        assert run.canvas.stop_reason == solo.canvas.stop_reason
        for ours, theirs in zip(run.records, solo.records, strict=True):
            assert_same(ours, theirs)
        run.trace()


def assert_same(ours: StepRecord, theirs: StepRecord) -> None:
    """All of a record but its time, numbers to 1e-5."""
    numbers = {"confidence", "rollout", "alternatives", "seconds"}
    assert ours.model_dump(exclude=numbers) == theirs.model_dump(exclude=numbers)
    assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-5)
    assert (ours.rollout is None) == (theirs.rollout is None)
    assert ours.rollout is None or ours.rollout == pytest.approx(theirs.rollout, abs=1e-5)
    assert (ours.alternatives is None) == (theirs.alternatives is None)
    for row, other in zip(ours.alternatives or (), theirs.alternatives or (), strict=True):
        assert [token for token, _ in row] == [token for token, _ in other]
        assert [p for _, p in row] == pytest.approx([p for _, p in other], abs=1e-5)


def cases() -> list[tuple[ModelSpec, str, str]]:
    return [
        (spec, attention, name)
        for spec in FAMILIES
        for attention in spec.attentions
        for name, policy in CACHES.items()
        if attention in policy.attentions
    ]


@pytest.mark.parametrize(("spec", "attention", "cache"), cases(), ids=lambda v: v if isinstance(v, str) else v.name)
def test_rows_equal_solo_runs_in_float32(spec: ModelSpec, attention: str, cache: str) -> None:
    net = tiny(shape_of(spec), seed=1, mask_id=MASK)
    engine = Engine(Model("tiny", spec, net, None if spec.mask_id is None else MASK, (STOP,)))
    chosen = Settings(
        gen_length=11,
        block_size=4 if spec.mask_id is not None else 1,
        attention=attention,
        cache=Choice(cache, {"k": 3} if cache == "d2" else {}),
        unmask=Choice("threshold", {"threshold": 0.3}),
        record=("alternatives", "rollout"),
    )
    jobs = [(prompt, replace(chosen, gen_length=11 - i)) for i, prompt in enumerate(PROMPTS)]
    for rows in (2, 16):  # fewer rows than runs, and room for all
        check(engine, jobs, rows)


@st.composite
def jobs_for(draw: st.DrawFn, spec: ModelSpec) -> list[Job]:
    """Runs that share only the network."""
    jobs = []
    for prompt in draw(st.lists(prompts(), min_size=1, max_size=6)):
        attention = draw(st.sampled_from(spec.attentions))
        allowed = [name for name, policy in CACHES.items() if attention in policy.attentions]
        chosen = Settings(
            gen_length=draw(st.integers(1, 14)),
            # the network for block size 1 may be another: only engines of one network have runs that mix
            block_size=1 if spec.mask_id is None else draw(st.sampled_from([1, 2, 4, 8])),
            attention=attention,
            cache=Choice(draw(st.sampled_from(allowed))),
            unmask=Choice(draw(st.sampled_from([name for name in UNMASKS if name != "verify"]))),
            temperature=draw(st.sampled_from([0.0, 0.0, 1.2])),
            top_p=draw(st.sampled_from([None, 0.8])),
            seed=draw(st.integers(0, 5)),
            record=draw(st.sampled_from([(), ("alternatives",), ("rollout",), ("attention", "rollout")])),
        )
        jobs.append((prompt, chosen))
    return jobs


@pytest.mark.parametrize("spec", FAMILIES, ids=lambda spec: spec.name)
@given(data=st.data(), rows=st.integers(1, 6), seed=st.integers(0, 3))
@settings(max_examples=15)
def test_any_mixture_equals_solo_runs(spec: ModelSpec, data: st.DataObject, rows: int, seed: int) -> None:
    check(engine_of(spec, seed), data.draw(jobs_for(spec)), rows)


def test_equal_runs_draw_from_their_own_seeds() -> None:
    engine = engine_of(LLADA)
    chosen = Settings(gen_length=8, block_size=4, temperature=1.5, stop_ids=())
    runs = [engine.run([1, 2, 3], replace(chosen, seed=seed)) for seed in (0, 1, 0, 2, 3)]
    for _ in decode_together(runs, rows=3):
        pass
    outputs = [run.canvas.output for run in runs]
    assert outputs[0] == outputs[2]
    assert len(set(map(tuple, outputs))) > 2


def test_attention_maps_are_the_rows_own() -> None:
    engine = engine_of(LLADA)
    chosen = Settings(gen_length=4, block_size=4, record=("attention",))
    runs = [engine.run(prompt, chosen) for prompt in PROMPTS[:3]]
    plans = [plan for run in runs if (plan := run.plan())]
    readouts = engine.runner().forward([(run.session(), plan) for run, plan in zip(runs, plans, strict=True)])
    for run, plan, readout in zip(runs, plans, readouts, strict=True):
        (solo,) = engine.runner().forward([(engine.run(run.prompt, chosen).session(), plan)])
        assert readout.attention is not None
        assert readout.attention.shape == (2, 4, len(plan.queries), plan.visible)  # type: ignore[attr-defined]
        assert abs(readout.attention - solo.attention).max() < 1e-5  # type: ignore[operator]


def test_a_finished_run_comes_at_once_and_the_next_takes_its_place() -> None:
    engine = engine_of(QWEN2)
    runs = [engine.run([1, 2], Settings(gen_length=n, block_size=1, stop_ids=())) for n in (9, 2, 3, 1)]
    progress = [(runs.index(run), [len(r.records) for r in runs]) for run in decode_together(runs, rows=2)]
    assert progress == [(1, [2, 2, 0, 0]), (2, [5, 2, 3, 0]), (3, [6, 2, 3, 1]), (0, [9, 2, 3, 1])]


def test_a_pass_is_one_call_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(FAST_DLLM_V2)
    jobs = [(prompt, Settings(gen_length=8, block_size=4)) for prompt in PROMPTS]
    calls: list[int] = []
    net, together = engine.model.net, engine.model.net.forward_varlen
    monkeypatch.setattr(
        net, "forward_varlen", lambda *args, **more: calls.append(len(args[2])) or together(*args, **more)
    )
    runs = [engine.run(*job) for job in jobs]
    assert len(list(decode_together(runs))) == len(jobs)
    assert len(calls) == max(len(run.records) for run in runs)
    assert sum(calls) == sum(len(run.records) for run in runs)


def test_nothing_to_decode_is_nothing() -> None:
    assert list(decode_together([])) == []


def test_what_cannot_be_driven_together_is_named() -> None:
    runs = [engine_of(LLADA).run([1], Settings(gen_length=2, block_size=2)) for _ in range(2)]
    for rows in (0, -3):
        with pytest.raises(ValueError, match=f"rows is {rows}; allowed: 1 or more"):
            decode_together(runs[:1], rows=rows)
    with pytest.raises(ValueError, match="run 1 is of another network"):
        decode_together(runs)


def test_a_run_decodes_once() -> None:
    engine = engine_of(LLADA)
    run, other = (engine.run([1], Settings(gen_length=2, block_size=2)) for _ in range(2))
    with pytest.raises(RuntimeError, match="run 2: a run decodes once"):
        list(decode_together([run, other, run], rows=4))
    with pytest.raises(RuntimeError, match="a run decodes once"):
        list(run)


def test_an_error_says_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(LLADA)
    runs = [engine.run(prompt, Settings(gen_length=4, block_size=2)) for prompt in PROMPTS]
    policy = runs[3].decoder.policy
    plan = policy.plan
    monkeypatch.setattr(policy, "plan", lambda *args: replace(plan(*args), asked=(runs[3].canvas.length - 1,)))
    with pytest.raises(RuntimeError, match=r"run 3: cache policy .* reaches no mask"):
        list(decode_together(runs, rows=2))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_runs_at_a_table_write_what_they_write_alone(data: st.DataObject) -> None:
    """Whoever comes and goes when, and however often each asks for its next step."""
    engine = engine_of(BOTH)
    jobs = [(prompt, data.draw(requests())) for prompt in data.draw(st.lists(prompts(), min_size=1, max_size=4))]
    runs = [engine.run(*job) for job in jobs]
    leaves = data.draw(st.integers(0, len(runs)))  # this one leaves in the middle, or nobody does
    waiting, going = list(enumerate(runs)), {}
    while waiting or going:
        if waiting and (not going or data.draw(st.booleans())):
            index, run = waiting.pop(0)
            going[index] = engine.steps(run)
        index = data.draw(st.sampled_from(sorted(going)))
        if next(going[index], None) is None or (index == leaves and len(runs[index].records) > 2):
            going.pop(index).close()
    assert engine._scheduler.rows == []
    for index, (run, solo) in enumerate(zip(runs, alone(engine, jobs), strict=True)):
        made = len(run.records) if index == leaves else len(solo.records)
        for ours, theirs in zip(run.records, solo.records[:made], strict=True):
            assert_same(ours, theirs)


@st.composite
def requests(draw: st.DrawFn) -> Settings:
    ar = draw(st.booleans())
    rule = Choice("threshold", {"threshold": draw(st.sampled_from([0.05, 0.2, 0.9]))})
    return Settings(
        gen_length=draw(st.integers(1, 9)), block_size=1 if ar else draw(st.sampled_from([2, 4])), unmask=rule
    )


def test_a_trace_tells_how_many_runs_shared_a_pass() -> None:
    engine = engine_of(FAST_DLLM_V2)
    one, two, three = (engine.run([1, 2, n], Settings(gen_length=9, block_size=4, stop_ids=())) for n in range(3))
    first, second = engine.steps(one), engine.steps(two)
    assert [next(first).index, next(second).index, next(first).index, next(second).index] == [0, 0, 1, 1]
    assert len(list(first)) + 2 == len(one.records)
    list(second)
    list(engine.steps(three))
    assert [run.trace().environment.rows for run in (one, two, three)] == [2, 2, 1]
    together = [engine.run([1, 2, n], Settings(gen_length=9, block_size=4, stop_ids=())) for n in range(3)]
    assert list(decode_together(together, rows=3))
    assert [run.trace().environment.rows for run in together] == [3, 3, 3]


def test_networks_do_not_mix_at_a_table() -> None:
    engine = both_engine()
    runs = [
        engine.run([1, 2, 3], Settings(gen_length=6, block_size=4, attention=attention))
        for attention in ("hybrid", "bidirectional")
    ]
    for _ in zip_longest(*map(engine.steps, runs)):
        pass
    assert [run.trace().environment.rows for run in runs] == [1, 1]


def test_an_error_at_a_table_reaches_its_own_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(FAST_DLLM_V2)
    good, bad = (engine.run([1, 2, 3], Settings(gen_length=6, block_size=4, stop_ids=())) for _ in range(2))
    commit = bad.commit

    def fail(readout: object) -> object:
        if len(bad.records) == 2:
            raise RuntimeError("no mask is reached")
        return commit(readout)  # type: ignore[arg-type]

    monkeypatch.setattr(bad, "commit", fail)
    steps, broken = engine.steps(good), engine.steps(bad)
    assert all(next(broken).index == next(steps).index for _ in range(2))
    next(steps)
    with pytest.raises(RuntimeError, match="no mask is reached"):
        next(broken)
    assert list(steps)[-1].index == len(good.records) - 1
    assert good.canvas.output == alone(engine, [([1, 2, 3], good.settings)])[0].canvas.output


@pytest.mark.parametrize("part", ["plan", "commit", "record"])
def test_an_error_of_any_kind_ends_its_own_run_only(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(FAST_DLLM_V2)
    good, bad = (engine.run([1, 2, 3], Settings(gen_length=6, block_size=4, stop_ids=())) for _ in range(2))
    steps, broken = engine.steps(good), engine.steps(bad)
    assert next(steps).index == next(broken).index == 0

    def fail(*_: object) -> None:
        raise ZeroDivisionError(part)

    monkeypatch.setattr(bad, part, fail)
    rest = list(steps)  # these passes are made for the other run, too
    with pytest.raises(ZeroDivisionError, match=part):
        next(broken)
    assert rest[-1].index == len(good.records) - 1
    assert good.canvas.output == alone(engine, [([1, 2, 3], good.settings)])[0].canvas.output
    assert engine._scheduler.rows == []


def test_a_pass_that_fails_ends_only_the_run_that_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run's session is out of memory from its third pass on; whoever takes a step, the others go on."""
    engine = engine_of(FAST_DLLM_V2)
    settings = Settings(gen_length=9, block_size=4, stop_ids=())
    one, bad, two = (engine.run([1, 2, n], settings) for n in range(3))
    begin = bad.session

    def session() -> object:
        made = begin()
        rows = made.rows

        def full(plan: object) -> list[int]:
            if len(bad.records) >= 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return rows(plan)  # type: ignore[arg-type]

        monkeypatch.setattr(made, "rows", full)
        return made

    monkeypatch.setattr(bad, "session", session)
    first, broken, third = map(engine.steps, (one, bad, two))
    assert next(broken).index == 0
    list(zip_longest(first, third))
    assert next(broken).index == 1
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        next(broken)
    for run in (one, two):
        assert run.canvas.output == alone(engine, [(run.prompt, settings)])[0].canvas.output
        assert run.rows > 1
    assert len(bad.records) == 2


@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_runs_that_fit_alone_but_not_together_write_what_they_write_alone(
    temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory ends where the readouts of a shared pass are brought to the host: after tokens were drawn."""
    engine = engine_of(LLADA)
    settings = Settings(gen_length=8, block_size=4, stop_ids=(), temperature=temperature)
    fetch = eager._fetch

    def full(parts: Sequence[torch.Tensor], device: torch.device) -> list[float]:
        if len(parts) > 2:  # more than the tokens and the confidences of one
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fetch(parts, device)

    jobs = [([1, 2, n], replace(settings, seed=n)) for n in range(3)]
    solo = alone(engine, jobs)
    monkeypatch.setattr(eager, "_fetch", full)
    runs = [engine.run(*job) for job in jobs]
    list(zip_longest(*map(engine.steps, runs)))
    assert [run.canvas.output for run in runs] == [run.canvas.output for run in solo]
    assert {run.rows for run in runs} == {1}
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):  # a batch that is measured must not shrink
        list(decode_together([engine.run(*job) for job in jobs]))


@pytest.mark.parametrize("drive", ["batch", "table"])
def test_no_step_contains_the_recording_of_another_row(drive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only recording moves, steps take no time and recording takes it all."""
    now = 0.0

    def slow(*args: Any, **more: Any) -> StepRecord:
        nonlocal now
        now += 1
        return record(*args, **more)

    monkeypatch.setattr("dllm.engine.run.record", slow)
    for module in ("engine.run", "decode", "models.runner", "models.session"):
        monkeypatch.setattr(f"dllm.{module}.perf_counter", lambda: now)
    engine = engine_of(FAST_DLLM_V2)
    runs = [engine.run([1, 2, n], Settings(gen_length=8, block_size=4, stop_ids=())) for n in range(4)]
    list(decode_together(runs)) if drive == "batch" else list(zip_longest(*map(engine.steps, runs)))
    for run in runs:
        assert [step.seconds for step in run.records] == [0.0] * len(run.records)
        assert run.trace().timing.recorder == len(run.records)
