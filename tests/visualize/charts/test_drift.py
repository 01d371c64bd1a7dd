from functools import cache
from typing import Any

import numpy as np
import pytest

from dllm.engine.drift import DriftReplay
from dllm.models.families import LLADA
from dllm.settings import Choice, Settings
from dllm.trace import Trace
from dllm.trace.drift import Change, Drift
from dllm.trace.metrics import REUSED, states
from tests.dllm.nets import engine_of
from tests.dllm.traces import made
from tests.visualize.records import step
from tests.visualize.runs import verified
from visualize.charts.drift import NO_DRIFT, changed_tokens, drift_by_layer, drift_depth, drift_sheet
from visualize.charts.key_path import key_path, phases
from visualize.view import LaneData
from visualize.views import answer_question

CHANGES = (Change(0, 5, 11, 0.61234, 12, 0.5, False), Change(1, 6, 13, 0.9, 14, 0.7, True))


def traced() -> Trace:
    return made(step(0, {4: 1}), step(1, {6: 13}, queries=[(5, 6), (7, 8)]), step(2, {5: 1, 7: 1}))


def drifted(*, known: bool = True, changed: tuple[Change, ...] = CHANGES) -> Drift:
    """Of `traced`: 3 steps, 2 layers, 8 positions; position 7 is never seen."""
    keys = np.random.default_rng(0).random((3, 2, 8)).astype(np.float16)
    keys[:, :, 7] = np.nan
    paths = np.random.default_rng(1).random((2, 8, 3, 2)).astype(np.float16)
    if not known:
        keys[:], paths[:] = np.nan, np.nan
    return Drift(keys, keys / 2, paths, changed)


@cache
def measured() -> tuple[Drift, Trace]:
    engine = engine_of(LLADA, seed=1)
    run = engine.run([1, 2, 3], Settings(gen_length=12, block_size=6, cache=Choice("d2", {"k": 3})))
    for _ in run:
        pass
    shadow = DriftReplay(engine, run.trace())
    assert list(shadow)
    return shadow.drift, run.trace()


def drawn(drift: Drift, trace: Trace) -> list[Any]:
    position = drift.keys.shape[2] - 1
    return [
        drift_sheet(drift),
        drift_sheet(drift, what="values", layer=0),
        drift_by_layer(drift, trace, 0),
        drift_depth(drift),
        drift_depth(drift, trace),
        key_path(drift, trace, 0, position),
    ]


@pytest.mark.parametrize("layer", [None, 0, 1])
def test_the_sheet_shows_one_layer_or_the_mean(layer: int | None) -> None:
    drift = drifted()
    figure = drift_sheet(drift, layer=layer)
    assert figure.layout.meta == {"step": "y", "position": "x"}
    cells = figure.data[0]
    assert cells.hoverinfo == "none"
    assert cells.colorbar.title.text == "1 − cos"
    top = float(cells.colorbar.ticktext[-1].removeprefix("≥ "))
    for s, row in enumerate(cells.z):
        for p, code in enumerate(row):
            values = [float(drift.keys[s, n, p]) for n in ((0, 1) if layer is None else (layer,))]
            wanted = sum(values) / len(values)
            if np.isnan(wanted):
                assert code == 0
            else:
                assert (code - 1) / 254 * top == pytest.approx(min(wanted, top), abs=0.02)


def test_the_sheet_marks_changed_tokens_by_whether_they_were_committed() -> None:
    _, crosses, stars = drift_sheet(drifted()).data
    assert (crosses.marker.symbol, crosses.x.tolist(), crosses.y.tolist()) == ("x", [5], [1])
    assert (stars.marker.symbol, stars.x.tolist(), stars.y.tolist()) == ("star", [6], [2])
    assert len(drift_sheet(drifted(changed=())).data) == 1


def test_a_changed_token_beyond_the_last_entry_is_on_the_sheet() -> None:
    far = Change(2, 8, 1, 0.5, 2, 0.5, True)
    assert drift_sheet(drifted(changed=(far,))).layout.xaxis.range[1] > 8


def test_one_step_by_layer() -> None:
    drift = drifted()
    figure = drift_by_layer(drift, traced(), 1, "values")
    cells, below = figure.data
    assert figure.layout.meta == {"position": "x"}
    np.testing.assert_array_equal(cells.z, drift.values[1].astype(np.float32))
    assert cells.zmax == drift_by_layer(drift, traced(), 2, "values").data[0].zmax
    assert below.x.tolist() == [5, 7]


@pytest.mark.parametrize("only_reused", [False, True])
def test_depth_is_the_mean_of_each_layer(only_reused: bool) -> None:
    drift, trace = measured()
    reused = states(trace) == REUSED
    lines = drift_depth(drift, trace if only_reused else None).data
    for line, entries in zip(lines, (drift.keys, drift.values), strict=True):
        for layer, found in enumerate(line.y):
            values = [
                float(entries[s, layer, p])
                for s, p in np.ndindex(reused.shape)
                if not np.isnan(entries[s, layer, p]) and (reused[s, p] or not only_reused)
            ]
            assert values
            assert found == pytest.approx(sum(values) / len(values), rel=1e-4)


def test_phases_of_a_path_by_hand() -> None:
    nan = np.nan
    path = np.array([[nan, nan], [0, 0], [1, 0], [1, 2], [1, 4], [9, 4], [9, 4]], dtype=np.float16)
    # moves up to the commit in step 4: 0, 1, 2, 2 of 5; the last two are the fewest that cover half
    assert phases(path, 4) == [1, 1, 1, 2, 2, 3, 3]
    # the last move covers half of 1 + 2
    assert phases(path, 3) == [1, 1, 1, 2, 3, 3, 3]
    assert phases(path, 5) == [1, 1, 1, 1, 1, 2, 3]
    assert phases(path, None) == [1] * 7
    assert phases(path, 0) == [2, 3, 3, 3, 3, 3, 3]
    assert phases(np.zeros((3, 2)), 1) == [1, 2, 3]
    even = np.arange(10.0).reshape(5, 2)
    assert phases(even, 4) == [1, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="committed_step is 7; allowed: 0 to 6"):
        phases(path, 7)


def test_a_trajectory_is_drawn_by_phase_and_marks_the_commit() -> None:
    drift = drifted()
    figure = key_path(drift, traced(), 1, 6)
    line, *points, commit = figure.data
    np.testing.assert_array_equal(np.stack([line.x, line.y], -1), drift.paths[1, 6].astype(np.float32))
    assert line.mode == "lines"
    wanted = phases(drift.paths[1, 6], 1)
    found = {int(at): int(each.name.removeprefix("phase ")[0]) for each in points for at in each.customdata}
    assert [found[n] for n in (1, 2, 3)] == wanted
    assert len({each.marker.symbol for each in points}) == len(points) > 1
    assert all(each.hovertemplate.startswith("step %{customdata}") for each in points)
    assert (commit.name, commit.customdata.tolist()) == ("committed at step 2", [2])


def test_a_position_of_the_prompt_has_one_phase_and_no_commit() -> None:
    _, points = key_path(drifted(), traced(), 0, 2).data
    assert points.name.startswith("phase 1")
    assert points.customdata.tolist() == [1, 2, 3]


def test_a_token_committed_again_counts_from_its_last_commit() -> None:
    trace = made(step(0, {4: 1}, remasked=[4]), step(1, {}), step(2, {4: 2}))
    assert key_path(drifted(), trace, 0, 4).data[-1].name == "committed at step 3"


def test_changes_are_listed_as_the_page_wants_them() -> None:
    first, second = changed_tokens(drifted(), traced())
    assert first == {
        "step": 1,
        "position": 5,
        "token": 11,
        "confidence": 0.6123,
        "fresh": 12,
        "fresh_confidence": 0.5,
        "committed": False,
    }
    assert (second["step"], second["committed"]) == (2, True)


def test_drift_without_any_entry_is_drawn() -> None:
    drift = drifted(known=False, changed=())
    for figure in drawn(drift, traced()):
        assert figure.to_json()
    assert not drift_sheet(drift).data[0].z.any()
    assert np.isnan(drift_depth(drift).data[0].y).all()


def test_drift_of_a_run_is_drawn() -> None:
    drift, trace = measured()
    for figure in drawn(drift, trace):
        assert figure.to_json()
    assert drift_sheet(drift).data[0].z.any()


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda d, t: drift_sheet(d, what="paths"), "what is 'paths'; allowed: keys, values"),
        (lambda d, t: drift_sheet(d, layer=2), "layer is 2; allowed: 0 to 1"),
        (lambda d, t: drift_sheet(d, layer=-1), "layer is -1; allowed: 0 to 1"),
        (lambda d, t: drift_by_layer(d, t, 3), "step is 3; allowed: 0 to 2"),
        (lambda d, t: key_path(d, t, 0, 8), "position is 8; allowed: 0 to 7"),
    ],
)
def test_what_is_not_there_is_refused(draw: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        draw(drifted(), traced())


def test_of_verified_decoding_no_drift_can_be_measured() -> None:
    """Nor is it offered_models: "final" tells the page that what is missing will never be there."""
    assert answer_question(LaneData(verified()), {"view": "drift"}) == {"empty": NO_DRIFT, "final": True}
    assert "final" not in answer_question(LaneData(made(step(0, {4: 1}))), {"view": "drift"})
