import io
from base64 import b64decode
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm.models.families import DREAM, FAMILIES, FAST_DLLM_V2, LLADA, ModelSpec
from dllm.models.rollout import rollout_influence
from dllm.settings import Choice, Settings
from dllm.trace import Trace, TraceError
from dllm.trace.attention import Maps, MapsWriter
from dllm.trace.metrics import influences
from dllm.trace.schema import ModelRecord
from tests.dllm.nets import engine_of, rollout_matrix
from tests.dllm.traces import canvas_at, made
from tests.visualize.records import step
from visualize.charts.attention import layer_maps, map_template, rollout, rollout_maps, shares
from visualize.charts.unlocked import unlocked, written

WAYS: dict[str, tuple[ModelSpec, dict[str, Any]]] = {
    "d2": (LLADA, {"gen_length": 12, "block_size": 6, "cache": Choice("d2", {"k": 3})}),
    "dream": (DREAM, {"gen_length": 8, "block_size": 8, "cache": Choice("none")}),
    "sub_block": (FAST_DLLM_V2, {"gen_length": 12, "block_size": 8, "sub_block_size": 4}),
    "ar": (FAST_DLLM_V2, {"gen_length": 8, "block_size": 1}),
}
every_way = pytest.mark.parametrize("way", WAYS)


@cache
def recorded(way: str) -> tuple[Trace, Maps]:
    spec, changes = WAYS[way]
    run, file = engine_of(spec).run([1, 2, 3], Settings(**changes, record=("rollout", "attention"))), io.BytesIO()
    with MapsWriter(file) as writer:
        for made_step in run:
            writer.add(made_step.index, made_step.readout.attention)
    return run.trace(), Maps.open(file.getvalue())


def exact(means: dict[int, np.ndarray]) -> Any:
    """Maps that are not quantised: step → (layers, queries, visible)."""
    return SimpleNamespace(steps=sorted(means), mean=lambda step: means[step])


def stochastic(*shape: int, seed: int) -> np.ndarray:
    p = np.random.default_rng(seed).exponential(size=shape) ** 2
    return p / p.sum(-1, keepdims=True)


@st.composite
def layered(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    visible = draw(st.integers(1, 6))
    rows = sorted(draw(st.sets(st.integers(0, visible - 1), min_size=1)))
    return stochastic(draw(st.integers(1, 4)), len(rows), visible, seed=draw(st.integers(0, 99))), rows


def by_loops(means: np.ndarray, rows: list[int]) -> np.ndarray:
    n = means.shape[-1]
    product = np.eye(n)
    for probs in means:
        mixed = 2 * np.eye(n)
        for row, p in zip(rows, probs, strict=True):
            mixed[row] = p + np.eye(n)[row]
        before, product = product, np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    product[i, j] += mixed[i, k] / mixed[i].sum() * before[k, j]
    return product


def unpacked(shown: dict[str, Any]) -> np.ndarray:
    rows = sum(b - a for a, b in shown["queries"])
    codes = np.frombuffer(b64decode(shown["data"]), np.uint8).reshape(len(shown["planes"]), rows, shown["visible"])
    return (codes / 255) ** 2


def close(found: np.ndarray, p: np.ndarray) -> bool:
    return bool((np.abs(found - p) <= np.sqrt(p) / 255 + 510.0**-2 + 1e-6).all())


@given(layered())
def test_rollout_is_the_product_of_the_layers_matrices(case: tuple[np.ndarray, list[int]]) -> None:
    means, rows = case
    found = rollout(means, np.array(rows))
    np.testing.assert_allclose(found, by_loops(means, rows), atol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)


@given(layered())
def test_rollout_is_the_devices_and_its_column_sums_are_the_devices_influence(
    case: tuple[np.ndarray, list[int]],
) -> None:
    means, rows = case
    found = rollout(means, np.array(rows))
    tensors, queries = list(torch.from_numpy(means)), torch.tensor(rows)
    np.testing.assert_allclose(found, rollout_matrix(tensors, queries).numpy(), atol=1e-12)
    np.testing.assert_allclose(found.sum(0), rollout_influence(tensors, queries).numpy(), atol=1e-12)


@given(layered())
def test_without_the_floor_only_recomputed_rows_are_left(case: tuple[np.ndarray, list[int]]) -> None:
    means, rows = case
    whole, rest = rollout(means, np.array(rows)), rollout(means, np.array(rows), identity=False)
    for row in range(means.shape[-1]):
        np.testing.assert_array_equal(rest[row], whole[row] if row in rows else 0)
        if row not in rows:
            np.testing.assert_array_equal(whole[row], np.eye(len(whole))[row])


def test_two_layers_by_hand() -> None:
    # W_1 = [[½, ½], [0, 1]], W_2 = [[1, 0], [½, ½]], and C = W_2 W_1, not W_1 W_2
    means = np.array([[[0, 1], [0, 1]], [[1, 0], [1, 0]]])
    np.testing.assert_allclose(rollout(means, np.array([0, 1])), [[0.5, 0.5], [0.25, 0.75]])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([1, 2], "means has 1 rows for 2 queries; allowed: one each"),
        ([3], "queries are 3 to 3; allowed: 0 to 2"),
        ([-1], "queries are -1 to -1"),
    ],
)
def test_rollout_refuses_rows_that_do_not_fit(rows: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rollout(np.full((1, 1, 3), 1 / 3), np.array(rows))


def test_shares_of_uniform_causal_attention_by_hand() -> None:
    # prompt 0 1, generated 2 3; query q attends to 0 … q alike
    causal = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    fields: dict[str, Any] = {"visible": 4, "queries": [(0, 4)]}
    trace = made(
        step(0, {2: 9}, **fields, asked={2: 9, 3: 9}),
        step(1, {}, **fields, asked={3: 9}, remasked=[2]),
        step(2, {}, **fields, asked={2: 9}),
        step(3, {}, **fields, asked={2: 9}),
        prompt=[5, 6],
    )
    figure = shares(trace, exact({0: causal[None], 1: causal[None].repeat(2, 0), 3: causal[None]}))
    assert figure.layout.meta == {"step": "x"}
    assert [line.name.split()[-1] for line in figure.data] == ["masks", "prompt", "tokens", "query)"]
    masks, prompt, tokens, future = (line.y for line in figure.data)
    nan = np.nan
    np.testing.assert_allclose(masks, [5 / 24, 1 / 16, nan, 5 / 24], rtol=1e-6)
    np.testing.assert_allclose(prompt, [19 / 24, 19 / 24, nan, 19 / 24], rtol=1e-6)
    np.testing.assert_allclose(tokens, [0, 7 / 48, nan, 0], rtol=1e-6)
    np.testing.assert_allclose(future, [0, 0, nan, 0])
    assert figure.data[3].line.dash == "dash"


def test_the_future_is_what_lies_after_the_query() -> None:
    trace = made(step(0, {}, queries=[(1, 2), (6, 8)]))
    future = shares(trace, exact({0: np.full((1, 3, 8), 1 / 8)})).data[3]
    np.testing.assert_allclose(future.y, [(6 + 1 + 0) / 8 / 3], rtol=1e-6)


@every_way
def test_shares_of_a_run_add_up_and_autoregressive_decoding_has_no_future(way: str) -> None:
    *parts, future = (line.y for line in shares(*recorded(way)).data)
    np.testing.assert_allclose(np.sum(parts, 0), 1, atol=1e-5)
    assert (future == 0).all() == (way == "ar")


@every_way
def test_a_picture_holds_the_maps_of_its_layer(way: str) -> None:
    trace, maps = recorded(way)
    for at in (0, len(trace.steps) - 1):
        shown = layer_maps(trace, maps, at, 1)
        found, heads = unpacked(shown), maps.layer(at, 1)
        assert (shown["step"], shown["layer"], shown["layers"]) == (at, 1, 2)
        assert shown["planes"] == ["head mean", "head 1", "head 2", "head 3", "head 4"]
        assert close(found[1:], heads)
        assert close(found[0], sum(heads) / 4)
    with pytest.raises(TraceError, match="layer is 2; allowed: 0 to 1"):
        layer_maps(trace, maps, 0, 2)


@every_way
def test_a_rollout_picture_agrees_with_what_the_device_recorded(way: str) -> None:
    trace, maps = recorded(way)
    for record in trace.steps:
        shown = rollout_maps(trace, maps, record.index)
        rest, whole = unpacked(shown)
        without, with_identity = shown["influence"]
        assert shown["planes"] == ["without the identity term", "with the identity term"]
        assert whole.shape == (record.visible, record.visible)
        kept = rollout(maps.mean(record.index), np.array([p for a, b in record.queries for p in range(a, b)]))
        assert close(whole, kept)
        np.testing.assert_allclose(with_identity, kept.sum(0), atol=1e-4)
        np.testing.assert_allclose(with_identity, record.rollout, atol=0.05)  # the maps were quantised
        computed = influences(trace, identity=False)[record.index, : record.visible]
        np.testing.assert_allclose(without, computed, atol=0.05)
        outside = [p for p in range(record.visible) if not any(a <= p < b for a, b in record.queries)]
        assert (rest[outside] == 0).all()
        assert shown["unlocked"] == unlocked(trace, maps, record.index)


def test_the_template_waits_for_a_plane() -> None:
    figure = map_template()
    assert figure.layout.meta == {"position": "x", "query": "y"}
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("attends to", "query")
    assert figure.layout.yaxis.autorange == "reversed"
    (cells,) = figure.data
    assert cells.z is None
    assert cells.hovertemplate.startswith("query %{y} attends to %{x}")


@every_way
def test_what_is_written_before_a_step_is_what_the_canvas_holds(way: str) -> None:
    trace, _ = recorded(way)
    for at, row in enumerate(written(trace)):
        canvas = canvas_at(trace, at - 1)
        for position, holder in enumerate(row[: trace.steps[at].visible]):
            assert (holder < 0) == (canvas[position] is None)
            assert (holder == 0) == (position < len(trace.prompt))
            assert holder <= 0 or position in trace.steps[holder - 1].committed


def unlocking(family: str) -> Trace:
    fields: dict[str, Any] = {"visible": 6, "queries": [(2, 6)]}
    trace = made(
        step(0, {2: 7}, **fields, asked=dict.fromkeys(range(2, 6), 7)),
        step(1, {4: 8}, **fields, asked={3: 8, 4: 8}),
        step(2, {3: 9, 5: 10}, **fields, asked={3: 9, 5: 10}),
        prompt=[5, 6],
    )
    old = trace.model.model_dump(exclude={"shift"}) | {"family": family}  # a trace from before traces named the shift
    return trace.model_copy(update={"model": ModelRecord.model_validate(old)})


# of queries 2 … 5; a rollout over one layer is half of it, and half the query itself
DRAWN = np.array([
    [0.3, 0.4, 0.1, 0.1, 0.1, 0.0],
    [0.1, 0.2, 0.3, 0.05, 0.2, 0.15],
    [0.1, 0.0, 0.4, 0.1, 0.3, 0.1],
    [0.2, 0.1, 0.2, 0.2, 0.3, 0.0],
])  # fmt: skip


def source(position: int, weight: float, written: int | None, fresh: bool) -> dict[str, Any]:
    return {"position": position, "weight": weight, "written": written, "fresh": fresh}


def test_who_unlocked_whom_by_hand() -> None:
    maps = exact(dict.fromkeys(range(3), DRAWN[None]))
    third, fifth = unlocked(unlocking("llada"), maps, 2)
    # 5 is a mask; 3 was last asked in step 2, which committed 4
    assert (third["position"], third["token"]) == (3, 9)
    assert third["sources"] == [
        source(2, 0.15, 1, False),
        source(1, 0.1, None, False),
        source(4, 0.1, 2, True),
        source(0, 0.05, None, False),
    ]
    # 5 was last asked in step 1, which committed 2
    assert (fifth["position"], fifth["token"]) == (5, 10)
    assert fifth["sources"][:2] == [source(4, 0.15, 2, True), source(0, 0.1, None, False)]
    assert fifth["sources"][2:] == [source(2, 0.1, 1, True), source(1, 0.05, None, False)]
    assert [len(each["sources"]) for each in unlocked(unlocking("llada"), maps, 2, 1)] == [1, 1]
    (first,) = unlocked(unlocking("llada"), maps, 0)
    assert first["sources"] == [source(1, 0.2, None, False), source(0, 0.15, None, False)]


def test_a_shifted_model_draws_at_the_position_before() -> None:
    maps = exact(dict.fromkeys(range(3), DRAWN[None]))
    third, fifth = unlocked(unlocking("dream"), maps, 2)
    # row 2 is of the query that predicts 3; 2 itself is no source of its own
    assert third["sources"] == [
        source(1, 0.2, None, False),
        source(0, 0.15, None, False),
        source(4, 0.05, 2, True),
    ]
    assert [each["position"] for each in fifth["sources"]] == [2, 0]
    # 2 is predicted at 1, which step 1 did not recompute
    assert unlocked(unlocking("dream"), maps, 0) == []


def test_a_position_that_was_never_asked_is_unlocked_by_all_that_was_written() -> None:
    trace = made(step(0, {4: 7}, asked={4: 7}), step(1, {5: 7}, asked={5: 7}), step(2, {7: 7}, asked={7: 7}))
    (found,) = unlocked(trace, exact({2: np.full((1, 4, 8), 1 / 8)}), 2, 8)
    assert [(each["position"], each["fresh"]) for each in found["sources"]] == [
        (0, False), (1, False), (2, False), (3, False), (4, True), (5, True),
    ]  # fmt: skip


@every_way
def test_sources_of_a_run_hold_tokens_and_the_heaviest_come_first(way: str) -> None:
    trace, maps = recorded(way)
    for record in trace.steps:
        found = unlocked(trace, maps, record.index, 3)
        assert [each["position"] for each in found] == [p for p in record.positions if p in record.committed]
        canvas = canvas_at(trace, record.index - 1)
        for each in found:
            weights = [drawn["weight"] for drawn in each["sources"]]
            assert weights == sorted(weights, reverse=True)
            assert 0 < len(weights) <= 3
            assert all(canvas[drawn["position"]] is not None for drawn in each["sources"])
            if way == "ar":
                assert all(drawn["position"] < each["position"] - 1 for drawn in each["sources"])


@pytest.mark.parametrize("spec", FAMILIES.values(), ids=lambda spec: spec.name)
def test_the_shift_is_the_familys(spec: ModelSpec) -> None:
    assert unlocking(spec.name).model.shift == spec.shift
