"""Passes replayed from graphs write what passes launched one by one write. The graphs are tapes here; see tape.py."""

import gc
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm.engine import Engine
from dllm.engine.batch import decode_together
from dllm.models import cuda_graph as graph_module
from dllm.models.cuda_graph import ASKED_MULTIPLE, VISIBLE_MULTIPLE, Graph, GraphKey
from dllm.models.graph_cache import CAPTURE_AFTER, MAX_GRAPHS, GraphCache
from dllm.models.kv_cache import MIN_CAPACITY, KVPool
from dllm.models.runner import Runner
from dllm.models.sampling import Sampler
from dllm.models.session import ForwardBatch, ForwardFn, Observe
from dllm.settings import Choice, Settings
from dllm.step import Plan
from dllm.trace import Trace
from tests.dllm.nets import CAUSAL, DREAM, FAST_DLLM_V2, LLADA, WHOLE, engine_of, prompts
from tests.models.tape import taped

LENGTH = 24
BLOCKS = ((1, 1, "block"), (8, 8, "block"), (8, 4, "sub_block"), (8, 8, "none"))
WHOLES = (Choice("none"), Choice("prefix"), Choice("dual"), Choice("d2", {"k": 4, "p": 0.2, "multiple": 4}))
CASES = [
    *((spec, Settings(gen_length=LENGTH, block_size=size, cache=Choice(cache), sub_block_size=sub))
      for spec in CAUSAL for size, sub, cache in BLOCKS),
    *((spec, Settings(gen_length=LENGTH, block_size=8, cache=cache)) for spec in WHOLE for cache in WHOLES),
]  # fmt: skip


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sequences in each replayed pass, as they happen."""
    seen: list[int] = []
    real = Graph.forward
    monkeypatch.setattr(Graph, "forward", lambda self, asked: (seen.append(len(asked)), real(self, asked))[1])
    return seen


def with_graphs(spec: Any, **changes: Any) -> Engine:
    engine = engine_of(spec, **changes)
    engine.runner().executor = GraphCache(engine.model.net, taped)
    return engine


def graphs_of(runner: Runner) -> GraphCache:
    assert isinstance(runner.executor, GraphCache)
    return runner.executor


def decoded(engine: Engine, prompt: list[int], settings: Settings) -> Trace:
    run = engine.run(prompt, settings)
    list(run)
    return run.trace()


def check_same(one: Trace, other: Trace) -> None:
    """Two ways of computing agree: in what was asked and done exactly, in probabilities up to rounding."""
    assert len(one.steps) == len(other.steps)
    for a, b in zip(one.steps, other.steps, strict=True):
        for name in ("kind", "queries", "visible", "positions", "tokens", "committed", "reasons"):
            assert getattr(a, name) == getattr(b, name)
        assert a.confidence == pytest.approx(b.confidence, abs=1e-5)
        assert ids(a) == ids(b)
        assert (a.rollout is None) == (b.rollout is None)
        assert (a.rollout or []) == pytest.approx(b.rollout or [], abs=1e-4)
    assert one.output == other.output


def ids(step: Any) -> list[list[int]]:
    return [[token for token, _ in row] for row in step.alternatives or []]


@pytest.mark.parametrize(("spec", "settings"), CASES, ids=lambda c: getattr(c, "name", None) or c.cache.name)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_replayed_run_is_the_run(spec: Any, settings: Settings, dtype: torch.dtype, replays: list[int]) -> None:
    plain, graphed = engine_of(spec), engine_of(spec)
    for engine in (plain, graphed):
        engine.model.net.to(dtype)
    graphed.runner().executor = GraphCache(graphed.model.net, taped)
    for record in ((), ("alternatives",), ("alternatives", "rollout")):
        for prompt in ([3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8]):
            each = replace(settings, record=record, stop_ids=())
            check_same(decoded(graphed, prompt, each), decoded(plain, prompt, each))
    masked = settings.cache == Choice("none") and spec in CAUSAL  # every pass but a block's last needs a mask
    assert masked or len(replays) > 3 * LENGTH // 8


@given(prompt=prompts(), other=prompts(), length=st.integers(1, 30), k=st.integers(1, 3), spec=st.sampled_from(WHOLE))
def test_what_an_earlier_run_left_in_a_slot_is_not_seen(
    prompt: list[int], other: list[int], length: int, k: int, spec: Any
) -> None:
    settings = Settings(gen_length=length, block_size=4, cache=Choice("dual"), unmask=Choice("top_k", {"k": k}))
    engine = with_graphs(spec)
    for each in (other, prompt, other):
        decoded(engine, each, settings)
    check_same(decoded(engine, prompt, settings), decoded(engine_of(spec), prompt, settings))


@pytest.mark.parametrize(("spec", "settings"), CASES, ids=lambda c: getattr(c, "name", None) or c.cache.name)
def test_runs_together_write_what_they_write_alone(spec: Any, settings: Settings, replays: list[int]) -> None:
    engine, alone = with_graphs(spec), engine_of(spec)
    asked = [[n, 5, n + 1] for n in range(6)] * 2
    runs = [engine.run(prompt, replace(settings, stop_ids=())) for prompt in asked]
    for run in decode_together(runs, rows=4):
        check_same(run.trace(), decoded(alone, run.prompt, replace(settings, stop_ids=())))
    assert (settings.cache == Choice("none") and spec in CAUSAL) or max(replays) > 1


def test_a_mixed_pass_is_a_graph_for_most_and_a_pass_for_the_rest(replays: list[int]) -> None:
    engine, alone = with_graphs(FAST_DLLM_V2), engine_of(FAST_DLLM_V2)
    usual = Settings(gen_length=40, block_size=8, sub_block_size=8, cache=Choice("block"), stop_ids=())
    odd = [replace(usual, temperature=0.7, seed=3), replace(usual, block_size=4, sub_block_size=4)]
    runs = [engine.run([1, 2, 3], each) for each in (usual, usual, *odd)]
    for run in decode_together(runs, rows=4):
        check_same(run.trace(), decoded(alone, [1, 2, 3], run.settings))
    assert 2 in replays


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"record": ("attention",)}])
def test_chance_and_attention_maps_are_not_replayed(change: dict[str, Any], replays: list[int]) -> None:
    settings = Settings(gen_length=LENGTH, block_size=8, stop_ids=(), **change)
    check_same(decoded(with_graphs(LLADA), [1, 2], settings), decoded(engine_of(LLADA), [1, 2], settings))
    assert replays == []


def test_a_rare_shape_is_not_captured() -> None:
    made: list[int] = []

    def noted(body: Callable[[], Any], device: torch.device) -> Any:
        made.append(1)
        return taped(body)

    engine = engine_of(FAST_DLLM_V2)
    engine.runner().executor = GraphCache(engine.model.net, noted)
    once = Settings(gen_length=CAPTURE_AFTER, block_size=1, stop_ids=())
    decoded(engine, [1, 2, 3], once)
    assert not made
    decoded(engine, [1, 2, 3], replace(once, gen_length=CAPTURE_AFTER + 2))
    assert len(made) == 1


def test_what_cannot_be_captured_is_computed(caplog: pytest.LogCaptureFixture) -> None:
    def broken(body: Callable[[], Any], device: torch.device) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    engine = engine_of(DREAM)
    engine.runner().executor = GraphCache(engine.model.net, broken)
    settings = Settings(gen_length=LENGTH, block_size=8, stop_ids=())
    check_same(decoded(engine, [1, 2], settings), decoded(engine_of(DREAM), [1, 2], settings))
    assert "not permitted" in caplog.text
    assert caplog.text.count("no graph for") == 1  # it is not tried again and again


def test_the_tape_refuses_what_a_capture_would() -> None:
    x = torch.ones(3)
    for body in (lambda: x + torch.tensor(2.0), lambda: x * x.sum().item(), lambda: x[x > 0]):
        with pytest.raises(RuntimeError, match="not permitted"):
            taped(body)
    replay, y = taped(lambda: (x * 2).cumsum(0))
    x.fill_(5)
    replay()
    assert y.tolist() == [10, 20, 30]


def test_entries_beyond_the_visible_cannot_matter() -> None:
    runner = with_graphs(LLADA).runner()
    runner.reserve(1, 64)
    plan = Plan(range(8), list(range(8)), 8, (1, 2, 3), "denoise")
    held = runner.session(64, block_size=None, shift=0, sampler=Sampler(39), observe=Observe(rollout=True))
    storage = graphs_of(runner).pool.storage
    assert storage is not None
    assert held.cache.slot == 0
    clean = [runner.forward([(held, plan)])[0] for _ in range(CAPTURE_AFTER + 2)]
    storage.keys[:, :, :, 8:], storage.values[:, :, :, 8:] = 1e6, -1e6
    (dirty,) = runner.forward([(held, plan)])
    assert dirty.tokens == clean[0].tokens
    assert dirty.confidence == pytest.approx(clean[0].confidence, rel=1e-6)
    assert dirty.rollout == pytest.approx(clean[0].rollout, rel=1e-6)
    assert sum(dirty.rollout or ()) == pytest.approx(8)


def test_a_shape_is_rounded_up_where_that_changes_nothing() -> None:
    session = with_graphs(LLADA).runner().session(300, block_size=None, shift=0, sampler=Sampler(39, seed=7))
    plan = Plan(range(40), [0] * 40, 257, tuple(range(33)), "denoise")
    key = GraphKey.of([(session, plan)])
    assert (key.queries, key.visible, key.asked, key.batch, key.slot) == (
        40,
        2 * VISIBLE_MULTIPLE,
        min(40, 2 * ASKED_MULTIPLE),
        1,
        0,
    )
    assert GraphKey.of([(session, plan)] * 3).slot is None
    assert GraphKey.of([(session, replace(plan, asked=()))]).asked == 0
    assert GraphKey.of([(session, replace(plan, asked=(1,)))]).asked == ASKED_MULTIPLE


def test_the_oldest_graph_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dllm.models.graph_cache.MAX_GRAPHS", 2)
    engine = with_graphs(FAST_DLLM_V2)
    for size in (2, 4, 8):
        decoded(engine, [1], Settings(gen_length=32, block_size=size, sub_block_size=size, cache=Choice("block")))
    assert len(graphs_of(engine.runner())._kept) == 2 < MAX_GRAPHS


def test_slots_are_given_back_and_grow_between_sessions_only() -> None:
    net = engine_of(LLADA).model.net
    pool = KVPool(net.shape, dtype=torch.float32, device=torch.device("cpu"))
    assert pool.allocate(1) is None
    pool.grow(2, 5)
    assert (pool.slots, pool.capacity) == (2, MIN_CAPACITY)
    first, second = pool.allocate(MIN_CAPACITY), pool.allocate(7)
    assert first is not None
    assert second is not None
    assert (first.slot, second.slot, pool.allocate(1)) == (0, 1, None)
    assert second.keys.shape[3] == 7
    second.keys.fill_(3)
    assert not pool.must_grow(3, 1)  # not while somebody is in it
    del first, second
    gc.collect()
    assert [pool.must_grow(3, 1), pool.must_grow(1, MIN_CAPACITY + 1), pool.must_grow(2, MIN_CAPACITY)] == [
        True,
        True,
        False,
    ]
    again = pool.allocate(MIN_CAPACITY), pool.allocate(MIN_CAPACITY)
    assert not any(cache is None or cache.keys.any() for cache in again)
    del again
    gc.collect()
    pool.grow(1, MIN_CAPACITY + 1)
    assert (pool.slots, pool.capacity) == (2, 2 * MIN_CAPACITY)


def test_a_larger_storage_makes_graphs_void(replays: list[int]) -> None:
    engine, plain = with_graphs(LLADA, context=2 * MIN_CAPACITY), engine_of(LLADA, context=2 * MIN_CAPACITY)
    settings = Settings(gen_length=16, block_size=8, cache=Choice("dual"), unmask=Choice("top_k"), stop_ids=())
    for prompt in ([1, 2], [n % 30 for n in range(MIN_CAPACITY)], [1, 2]):  # the second does not fit beside its answer
        check_same(decoded(engine, prompt, settings), decoded(plain, prompt, settings))
    assert replays


def test_a_session_without_a_slot_decodes_all_the_same(replays: list[int]) -> None:
    engine = with_graphs(DREAM)
    graphs = graphs_of(engine.runner())
    graphs.reserve(1, 16)
    holder = graphs.allocate(16)
    settings = Settings(gen_length=LENGTH, block_size=8, stop_ids=())
    check_same(decoded(engine, [1, 2], settings), decoded(engine_of(DREAM), [1, 2], settings))
    assert holder is not None
    assert not replays
    del holder
    decoded(engine, [1, 2], settings)
    assert replays


def test_graphs_of_weights_that_were_moved_are_forgotten(replays: list[int]) -> None:
    settings = Settings(gen_length=LENGTH, block_size=8, cache=Choice("dual"), stop_ids=())
    engine, plain = with_graphs(LLADA), engine_of(LLADA)
    decoded(engine, [1, 2], settings)
    for each in (engine, plain):
        each.model.net.to(torch.float32)
    made = len(replays)
    check_same(decoded(engine, [1, 2], settings), decoded(plain, [1, 2], settings))
    assert len(replays) > made > 0
    assert graphs_of(engine.runner()).pool.dtype == torch.float32


def test_another_executor_needs_three_methods() -> None:
    """One that takes every second pass and hands it to an eager runner of the same network."""
    engine, taken = engine_of(LLADA), []
    behind = Runner(engine.model.net)

    class Every:
        def reserve(self, sessions: int, capacity: int) -> None:
            taken.append((sessions, capacity))

        def allocate(self, capacity: int) -> None:
            return None

        def choose(self, asked: ForwardBatch) -> tuple[ForwardFn | None, list[int]]:
            return (behind.forward, list(range(0, len(asked), 2))) if asked[0][1].asked[0] % 2 else (None, [])

    engine.runner().executor = Every()
    jobs = [([n, 2, 3], Settings(gen_length=LENGTH - n, block_size=8, stop_ids=())) for n in range(3)]
    runs = [engine.run(*job) for job in jobs]
    list(decode_together(runs))
    for run, job in zip(runs, jobs, strict=True):
        check_same(run.trace(), decoded(engine_of(LLADA), *job))
    assert taken == [(3, LENGTH + 3)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("spec", "settings"), CASES, ids=lambda c: getattr(c, "name", None) or c.cache.name)
def test_a_cuda_graph_is_the_run(spec: Any, settings: Settings, replays: list[int]) -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    traces = []
    for graphs in (False, True):
        engine = engine_of(spec)
        engine.model.net.to("cuda", torch.float32)
        engine.runner().executor = GraphCache(engine.model.net, graph_module.captured) if graphs else None
        traces.append([decoded(engine, [3, 1, 4], replace(settings, stop_ids=())) for _ in range(2)])
    for plain, graphed in zip(*traces, strict=True):
        check_same(plain, graphed)
    assert replays or settings.cache == Choice("none")
