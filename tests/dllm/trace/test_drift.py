import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm.engine import Engine
from dllm.engine import drift as shadows
from dllm.engine.drift import DriftReplay, principal_components
from dllm.models.attention import AttentionMask
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, QWEN2, ModelSpec
from dllm.models.kv_cache import KVCache
from dllm.models.transformer import KVView, rope_table
from dllm.settings import Choice, Settings, SettingsError
from dllm.trace import Trace
from dllm.trace import drift as drifts
from dllm.trace.drift import Change, Drift
from tests.dllm.nets import MASK, VOCAB, both_engine, engine_of, hybrid_engine
from tests.dllm.traces import canvas_at

PROMPT = [1, 2, 3, 4, 5, 6, 7]
FEW = Choice("threshold", {"threshold": 0.2, "k": 2})
EXACT = [(FAST_DLLM_V2, "none"), (FAST_DLLM_V2, "block"), (LLADA, "none"), (DREAM, "none"), (QWEN2, "block")]
STALE = [(FAST_DLLM_V2, "sub_block"), *((spec, cache) for spec in (LLADA, DREAM) for cache in ("prefix", "dual", "d2"))]


def named(value: Any) -> str:
    return value if isinstance(value, str) else value.name


def traced(engine: Engine, cache: str, **changes: Any) -> Trace:
    block = 1 if engine.autoregressive else 8
    chosen = Settings(gen_length=20, block_size=block, sub_block_size=min(block, 4), cache=Choice(cache), stop_ids=())
    run = engine.run(PROMPT, replace(chosen, **changes))
    for _ in run:
        pass
    return run.trace()


def measured(engine: Engine, trace: Trace) -> Drift:
    shadow = DriftReplay(engine, trace)
    assert list(shadow) == list(range(1, len(trace.steps) + 1))
    shadow.drift.check(trace)
    return shadow.drift


def fresh_pass(engine: Engine, trace: Trace, step: int) -> tuple[KVCache, torch.Tensor]:
    """Keys, values and logits (visible, vocab) of everything that a step sees, by the network alone."""
    net, visible = engine.model.net, trace.steps[step].visible
    cache = KVCache.empty(net.shape, visible, batch=1, dtype=net.norm.weight.dtype, device=torch.device("cpu"))
    ids = torch.tensor([canvas_at(trace, step - 1, mask=MASK)[:visible]])
    mask = None
    if trace.settings["attention"] == "block_causal":
        block = torch.arange(visible) // trace.settings["block_size"]
        mask = block[:, None] >= block
    rope = rope_table(net.shape, visible, torch.device("cpu"))
    hidden = net(ids, rope, mask=mask, cache=cache, at=slice(0, visible), visible=visible)
    return cache, net.head(hidden)[0]


@pytest.mark.parametrize(("spec", "cache"), EXACT, ids=named)
def test_an_exact_cache_does_not_drift(spec: ModelSpec, cache: str) -> None:
    engine = engine_of(spec)
    trace = traced(engine, cache)
    drift = measured(engine, trace)
    for found in (drift.keys, drift.values):
        assert np.nanmax(np.abs(found)) < 1e-3
        for row, record in zip(found, trace.steps, strict=True):
            assert not np.isnan(row[:, : record.visible]).any()
            assert np.isnan(row[:, record.visible :]).all()
    assert drift.changed == ()


@pytest.mark.parametrize(("spec", "cache"), [(FAST_DLLM_V2, "block"), (QWEN2, "block")], ids=named)
def test_rounding_is_no_drift(spec: ModelSpec, cache: str) -> None:
    for seed in range(4):
        engine = engine_of(spec, seed, layers=6)
        engine.model.net.bfloat16()
        drift = measured(engine, traced(engine, cache))
        assert max(np.nanmax(drift.keys), np.nanmax(drift.values)) < 1e-6
        assert drift.changed == ()
        assert engine.model.net.norm.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(("spec", "cache"), STALE, ids=named)
def test_a_stale_cache_drifts_where_it_was_not_recomputed(spec: ModelSpec, cache: str) -> None:
    engine = engine_of(spec)
    trace = traced(engine, cache)
    drift = measured(engine, trace)
    assert np.nanmax(drift.keys) > 0.01
    assert np.nanmax(drift.values) > 0.01
    encoded: dict[int, int | None] = {}  # position → the token that its cache entry is of
    stale = 0
    for record in trace.steps:
        ids = canvas_at(trace, record.index - 1, mask=MASK)
        for span in record.queries:
            encoded.update((p, ids[p]) for p in range(*span))
        for p in range(record.visible):
            here = (drift.keys[record.index, 0, p], drift.values[record.index, 0, p])
            if encoded[p] == ids[p]:  # the first layer's entries depend on nothing else
                assert max(here) < 1e-6
            else:
                stale += 1
                assert min(here) > 1e-4
    if (spec, cache) == (DREAM, "dual"):  # under a shift a block's last query waits for the next block
        assert stale


@pytest.mark.parametrize(("spec", "cache"), STALE, ids=named)
def test_a_step_equals_the_definition(spec: ModelSpec, cache: str) -> None:
    engine = engine_of(spec)
    trace = traced(engine, cache)
    drift = measured(engine, trace)
    run = engine.run(PROMPT, Settings.from_json(trace.settings))
    session = run.session()
    for step, record in enumerate(trace.steps):
        plan = run.plan()
        assert plan is not None
        (readout,) = run.runner.forward([(session, plan)])
        run.record(run.commit(readout))
        fresh, logits = fresh_pass(engine, trace, step)
        for found, mine, other in (
            (drift.keys, session.cache.keys, fresh.keys), (drift.values, session.cache.values, fresh.values),
        ):  # fmt: skip
            for layer in range(2):
                for p in (0, len(PROMPT), record.visible - 1):
                    a, b = (x[layer, 0, :, p].flatten().numpy() for x in (mine, other))
                    cosine = a @ b / np.sqrt((a @ a) * (b @ b))
                    assert found[step, layer, p] == pytest.approx(1 - cosine, rel=2e-3, abs=1e-6)
        probs = logits.softmax(-1)
        wanted = []
        for p, token, sure in zip(readout.positions, readout.tokens, readout.confidence, strict=True):
            row = probs[p - run.canvas.shift]
            best = int(torch.cat((row[:MASK], torch.zeros(1), row[MASK + 1 :])).argmax())
            if best != token:
                wanted.append(Change(step, p, token, sure, best, float(row[best]), p in record.committed))
        found = [change for change in drift.changed if change.step == step]
        assert [replace(c, confidence=0, fresh_confidence=0) for c in found] == [
            replace(c, confidence=0, fresh_confidence=0) for c in wanted
        ]
        assert [c.confidence for c in found] == pytest.approx([c.confidence for c in wanted])
        assert [c.fresh_confidence for c in found] == pytest.approx([c.fresh_confidence for c in wanted])


def test_some_cache_changes_what_is_committed() -> None:
    engine = engine_of(LLADA)
    changed = [c for cache in ("dual", "prefix", "d2") for c in measured(engine, traced(engine, cache)).changed]
    assert {c.committed for c in changed} == {True, False}


def test_a_sampled_or_remasked_trace_replays() -> None:
    engine = engine_of(LLADA)
    trace = traced(engine, "none", temperature=1.0, top_p=0.8)
    assert np.nanmax(measured(engine, trace).keys) == 0
    last = trace.steps[-1]
    written = trace.steps[0].committed[0]
    again = last.model_copy(update={"remasked": [written]})
    more = last.model_copy(update={"index": last.index + 1, "committed": [], "remasked": []})
    trace = trace.model_copy(update={"steps": [*trace.steps[:-1], again, more]})
    shadow = DriftReplay(engine, trace)
    list(shadow)
    assert np.nanmax(shadow.drift.keys) == 0


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 99))
def test_paths_are_principal_components(steps: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(steps, 2, 70, width)).astype(np.float16)
    visible = np.sort(rng.integers(1, 71, size=steps)).tolist()
    found = principal_components(states, visible)
    assert found.dtype == np.float16
    assert found.shape == (2, 70, steps, 2)
    for position in (0, 63, 64, 69):
        counts = np.array([position < v for v in visible])
        assert np.isnan(found[1, position, ~counts]).all()
        x = states[counts, 1, position].astype(float)
        if not len(x):
            continue
        u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
        wanted = np.zeros((len(x), 2))
        wanted[:, : min(2, len(s))] = (u * s)[:, :2]
        mine = found[1, position, counts].astype(float)
        # a component's sign, and its direction where two are equally strong, is free: distances are not
        apart = [np.linalg.norm(p[:, None] - p, axis=-1) for p in (mine, wanted)]
        if len(s) < 3 or s[1] - s[2] > 0.05 * s[0]:
            np.testing.assert_allclose(*apart, atol=5e-3 * max(1, s[0]))


def test_a_path_is_that_of_the_fresh_keys() -> None:
    engine = engine_of(LLADA)
    trace = traced(engine, "dual")
    drift = measured(engine, trace)
    assert drift.paths.shape == (2, len(PROMPT) + 20, len(trace.steps), 2)
    for p in (0, len(PROMPT) + 3):
        keys = np.stack([fresh_pass(engine, trace, n)[0].keys[1, 0, :, p].flatten() for n in range(len(trace.steps))])
        u, s, _ = np.linalg.svd(keys - keys.mean(0))
        wanted = u[:, :2] * s[:2]
        found = drift.paths[1, p].astype(float)
        np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=2e-3 * s[0])
        np.testing.assert_allclose(np.abs(found.T @ wanted), np.diag(s[:2] ** 2), atol=2e-3 * s[0] ** 2)


def small(changed: tuple[Change, ...]) -> Drift:
    rng = np.random.default_rng(0)
    keys = rng.random((3, 2, 5)).astype(np.float16)
    keys[0, :, 3:] = np.nan
    return Drift(keys, keys + np.float16(1), rng.normal(size=(2, 5, 3, 2)).astype(np.float16), changed)


@pytest.mark.parametrize(
    "changed", [(), (Change(0, 2, 7, 1 / 3, 2**31, 0.1, True), Change(2, 4, 0, 1.0, 5, 1e-9, False))]
)
def test_a_file_holds_all_of_it(tmp_path: Path, changed: tuple[Change, ...]) -> None:
    drift = small(changed)
    drift.save(tmp_path / "a.drift.npz")
    for source in (tmp_path / "a.drift.npz", str(tmp_path / "a.drift.npz"), (tmp_path / "a.drift.npz").read_bytes()):
        found = Drift.load(source)
        for name in ("keys", "values", "paths"):
            np.testing.assert_array_equal(getattr(found, name), getattr(drift, name))
            assert getattr(found, name).dtype == np.float16
        assert found.changed == changed
        assert all(type(c.committed) is bool and type(c.token) is int for c in found.changed)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema": np.frombuffer(b"other", np.uint8)}, "schema is 'other'; allowed: 'blockscope.drift/1'"),
        ({"schema": None}, "schema.npy"),
        ({"keys": np.zeros((3, 2, 5))}, "an array of float64; allowed: float16"),
        ({"keys": np.array([None], dtype=object)}, "an array of object"),
        ({"keys": np.zeros((3, 2, 4), np.float16)}, "do not fit together"),
        ({"paths": np.zeros((2, 5, 3, 3), np.float16)}, "do not fit together"),
        ({"keys": np.zeros(1001, np.float16)}, "keys.npy unpacks to 2002 bytes; allowed: 2000"),
        ({"changed": np.zeros((1, 6))}, "rows of 7"),
        ({"changed": np.full((1, 7), np.nan)}, "finite"),
    ],
)
def test_a_bad_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(drifts, "MAX_DRIFT_CELLS", 1000)
    small(()).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as good:
        arrays = {name: array for name, array in {**good, **fields}.items() if array is not None}
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        Drift.load(tmp_path / "b.npz")
    with pytest.raises(ValueError, match="not a valid drift file"):
        Drift.load(b"no zip")


def test_the_drift_of_another_trace_is_refused() -> None:
    engine = engine_of(LLADA)
    trace, other = traced(engine, "dual"), traced(engine, "none", gen_length=12)
    drift = measured(engine, trace)
    with pytest.raises(ValueError, match=r"drift is of \(\d+, 2, 27\) steps, layers and positions; the trace has"):
        drift.check(other)
    strange = replace(drift, changed=(Change(0, 0, 1, 0.5, 2, 0.5, False),))
    with pytest.raises(ValueError, match="drift changes position 0 in step 0, which did not ask for it"):
        strange.check(trace)


def test_the_largest_mean_is_that_of_what_is_there() -> None:
    drift = small(())
    means = [np.mean([v for v in step.flatten().astype(float) if v == v]) for step in drift.keys]
    found, step = drift.largest()
    assert step == int(np.argmax(means))
    assert found == pytest.approx(max(means), rel=1e-5)


def test_a_trace_of_another_model_is_refused() -> None:
    engine = engine_of(LLADA)
    trace = traced(engine, "dual")
    for changes, name in (({"id": "other"}, "other"), ({"sha256": "abc"}, "abc"), ({"layers": 3}, "3 layers")):
        strange = trace.model_copy(update={"model": trace.model.model_copy(update=changes)})
        with pytest.raises(SettingsError, match=f"the trace is of model .*{name}.*; allowed: .*tiny.*2 layers"):
            DriftReplay(engine, strange)


def test_full_attention_is_measured_on_its_own_network() -> None:
    engine = both_engine()
    trace = traced(engine, "none", attention="bidirectional")
    assert trace.model.id == "full"
    drift = measured(engine, trace)
    assert np.nanmax(drift.keys) < 1e-3
    assert drift.changed == ()
    with pytest.raises(SettingsError, match=r"the trace is of model full .*, tiny"):
        DriftReplay(
            Engine(engine.model), trace.model_copy(update={"settings": {**trace.settings, "attention": "hybrid"}})
        )


@pytest.mark.parametrize("block", [1, 8])
@pytest.mark.parametrize("cache", ["none", "block"])
def test_an_exact_cache_does_not_drift_under_hybrid_attention(cache: str, block: int) -> None:
    engine = hybrid_engine()
    trace = traced(engine, cache, block_size=block, sub_block_size=min(block, 4), unmask=FEW)
    drift = measured(engine, trace)
    for found in (drift.keys, drift.values):
        assert np.nanmax(np.abs(found)) < 1e-6
        for row, record in zip(found, trace.steps, strict=True):
            assert not np.isnan(row[:, : record.visible]).any()
    assert drift.changed == ()


def test_a_hybrid_network_of_fewer_bits_is_measured_with_its_adapter() -> None:
    found = []
    for bits in (torch.bfloat16, torch.float32):
        engine = hybrid_engine()
        engine.model.net.bfloat16().to(bits)
        trace = traced(engine, "sub_block", unmask=Choice("top_k"))
        if found:  # the same trace by the same weights
            trace = found[0][0].model_copy(update={"model": trace.model})
        found.append((trace, measured(engine, trace)))
    (_, few), (_, many) = found
    np.testing.assert_allclose(few.keys, many.keys, atol=1e-3)
    assert np.nanmax(few.keys) > 0.01
    assert [replace(c, confidence=0, fresh_confidence=0) for c in few.changed] == [
        replace(c, confidence=0, fresh_confidence=0) for c in many.changed
    ]


def test_under_hybrid_attention_finished_text_is_never_stale() -> None:
    """Behind the sub-block masks are frozen; a known token sees none, so what is known without a gap is exact."""
    engine = hybrid_engine()
    trace = traced(engine, "sub_block", unmask=FEW)
    drift = measured(engine, trace)
    stale = 0.0
    for record in trace.steps:
        before = canvas_at(trace, record.index - 1, mask=MASK)
        for found in (drift.keys, drift.values):
            here = found[record.index, :, : record.visible].astype(float).max(0)
            written = before.index(MASK)
            assert here[:written].max() < 1e-6
            stale = max(stale, here[written:].max(initial=0))
    assert stale > 0.01


@pytest.mark.parametrize("cache", ["block", "sub_block"])
def test_a_step_under_hybrid_attention_equals_the_definition(cache: str) -> None:
    """Beside what was cached stands a pass over all that is visible, laid out by the words of the attention."""
    engine = hybrid_engine()
    trace = traced(engine, cache, unmask=FEW)
    drift = measured(engine, trace)
    run = engine.run(PROMPT, Settings.from_json(trace.settings))
    session = run.session()
    for step, record in enumerate(trace.steps):
        plan = run.plan()
        assert plan is not None
        run.record(run.commit(run.runner.forward([(session, plan)])[0]))
        fresh = fresh_hybrid_pass(engine, trace, step)
        for found, mine, other in (
            (drift.keys, session.cache.keys, fresh.keys), (drift.values, session.cache.values, fresh.values),
        ):  # fmt: skip
            a, b = (x[:, 0, :, : record.visible].transpose(1, 2).flatten(2).numpy() for x in (mine, other))
            cosine = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
            np.testing.assert_allclose(found[step, :, : record.visible], 1 - cosine, rtol=2e-3, atol=1e-6)


def fresh_hybrid_pass(engine: Engine, trace: Trace, step: int) -> KVCache:
    """Keys and values of everything that a step sees, by the network alone."""
    net, visible = engine.model.net, trace.steps[step].visible
    ids = canvas_at(trace, step - 1, mask=MASK)[:visible]
    masks = [p for p, token in enumerate(ids) if token == MASK]
    sees = torch.tensor([[q in masks or (k not in masks and k <= q) for k in range(visible)] for q in range(visible)])
    cache = KVCache.empty(net.shape, visible, batch=1, dtype=torch.float64, device=torch.device("cpu"))
    view = KVView(AttentionMask(sees), cache.layer_entries(visible), slice(0, visible))
    rope = rope_table(net.shape, visible, torch.device("cpu"))
    rows = torch.tensor(masks, dtype=torch.int64)
    net.forward_varlen(torch.tensor([ids]), rope, [view], [visible], masks=rows if masks else None)
    return cache


def test_verified_decoding_has_no_drift_to_measure() -> None:
    engine = hybrid_engine(echo=True)
    run = engine.run(PROMPT, Settings(gen_length=8))
    for _ in run:
        pass
    with pytest.raises(SettingsError, match=r"unmask is 'verify' in the trace; allowed: any other, .* no drift"):
        DriftReplay(engine, run.trace())


def test_traces_that_no_decoder_makes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(DREAM)
    trace = traced(engine, "dual")

    def broken(**changes: Any) -> Trace:
        return trace.model_copy(update={"steps": [trace.steps[0].model_copy(update=changes), *trace.steps[1:]]})

    for strange, message in (
        (trace.model_copy(update={"steps": []}), "the trace has no steps"),
        (trace.model_copy(update={"prompt": [VOCAB]}), f"the prompt holds {VOCAB}"),
        (trace.model_copy(update={"settings": {"gen_length": 0}}), "gen_length is 0"),
        (broken(queries=[]), "step 0 computes 0 positions"),
        (broken(visible=99), "sees 99; allowed: at least 1, and at most 27"),
        (broken(queries=[(0, 3)]), "step 0 reads position 6, which it does not compute"),
        (broken(tokens=[VOCAB] * len(trace.steps[0].tokens)), f"step 1 sees token {VOCAB} at position"),
        (broken(committed=[27], positions=[27], tokens=[1], confidence=[1.0]), "step 0 commits position 27"),
    ):
        with pytest.raises(SettingsError, match=message):
            list(DriftReplay(engine, strange))
    cells = len(trace.steps) * 2 * 27
    monkeypatch.setattr(shadows, "MAX_DRIFT_CELLS", cells - 1)
    with pytest.raises(SettingsError, match=f"the trace has {cells} cells .* allowed: {cells - 1}"):
        DriftReplay(engine, trace)
    monkeypatch.setattr(shadows, "MAX_DRIFT_CELLS", cells)
    DriftReplay(engine, trace)
    monkeypatch.setattr(shadows, "MAX_STATE_BYTES", cells * 8 * 2 - 1)
    with pytest.raises(SettingsError, match=f"the trace has {cells} cells"):
        DriftReplay(engine, trace)


def test_closing_early_frees_the_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    caches: list[weakref.ref[KVCache]] = []
    make = KVCache.__init__

    def noted(self: KVCache, *args: Any, **kwargs: Any) -> None:
        caches.append(weakref.ref(self))
        make(self, *args, **kwargs)

    engine = engine_of(LLADA)
    trace = traced(engine, "dual")
    monkeypatch.setattr(KVCache, "__init__", noted)
    shadow = DriftReplay(engine, trace)
    steps = iter(shadow)
    assert (next(steps), next(steps)) == (1, 2)
    assert [ref() is None for ref in caches] == [False, False]
    steps.close()  # type: ignore[attr-defined]
    gc.collect()
    assert [ref() is None for ref in caches] == [True, True]
    with pytest.raises(RuntimeError, match="iterate first"):
        _ = shadow.drift
