import numpy as np
import pytest

from dllm.models.families import DREAM
from dllm.trace import Trace
from tests.dllm.traces import decoded, large, made
from tests.visualize.records import step
from visualize.charts.rollout import has_rollout, influence_change, influence_map


def hand() -> Trace:
    """Four positions, then five; the third step recorded nothing."""
    return made(
        step(0, {}, visible=4, queries=[(0, 4)], asked={}, rollout=[3.0, 0.0, 0.0, 1.0]),
        step(1, {4: 1}, visible=5, queries=[(4, 5)], rollout=[1.0, 1.5, 1.0, 1.0, 0.5], asked={4: 1}),
        step(2, {}, visible=5, queries=[(4, 5)], asked={}),
    )


def test_a_row_that_was_not_recorded_is_clear() -> None:
    cells = influence_map(hand()).data[0]
    assert (cells.z == 0).tolist() == [[False] * 4 + [True], [False] * 5, [True] * 5]


@pytest.mark.parametrize(
    ("identity", "second"), [(True, [1.0, 1.5, 1.0, 1.0, 0.5]), (False, [0.0, 0.5, 0.0, 0.0, 0.5])]
)
def test_the_identity_term_is_taken_off_where_nothing_was_recomputed(identity: bool, second: list[float]) -> None:
    cells = influence_map(hand(), identity=identity).data[0]
    known = [3.0, 0.0, 0.0, 1.0, *second]
    top = np.percentile(known, 99)
    assert cells.colorbar.ticktext[-1] == f"≥ {top:.3g}"
    assert "99th percentile" in cells.colorbar.title.text
    back = (cells.z.astype(float) - 1) / 254 * top
    np.testing.assert_allclose(back[0, :4], np.minimum([3.0, 0.0, 0.0, 1.0], top), atol=top / 254)
    np.testing.assert_allclose(back[1], second, atol=top / 254)


def test_change_is_one_minus_the_cosine_over_what_both_steps_see() -> None:
    figure = influence_change(hand())
    assert figure.layout.meta == {"step": "x"}
    whole, rest = figure.data
    assert whole.x.tolist() == [1, 2, 3]
    cosine = (3 * 1 + 1 * 1) / (np.sqrt(10) * np.sqrt(1 + 1.5**2 + 1 + 1))
    np.testing.assert_allclose(whole.y, [np.nan, 1 - cosine, np.nan], rtol=1e-6)
    np.testing.assert_allclose(rest.y, [np.nan, 1.0, np.nan])  # (3, 0, 0, 1) and (0, ½, 0, 0)


def test_steps_alike_do_not_change_and_without_influence_there_is_no_angle() -> None:
    frozen = [step(i, {}, visible=2, queries=[], asked={}, rollout=[1.0, 1.0]) for i in range(2)]
    whole, rest = influence_change(made(*frozen)).data
    np.testing.assert_allclose(whole.y, [np.nan, 0], atol=1e-7)
    assert np.isnan(rest.y).all()
    assert influence_map(made(*frozen), identity=False).data[0].z.tolist() == [[1, 1], [1, 1]]


def test_a_real_run_shows_what_it_recorded() -> None:
    trace = decoded(DREAM, "d2", [1, 2, 3])
    assert has_rollout(trace)
    assert (influence_map(trace).data[0].z > 0).all()
    whole, rest = influence_change(trace).data
    assert np.isnan(whole.y[0])
    assert (whole.y[1:] >= 0).all()
    assert (rest.y[1:] <= 1 + 1e-6).all()
    assert not has_rollout(decoded(DREAM, "d2", [1, 2, 3], record=()))


def test_a_large_trace_stays_small() -> None:
    trace = large()
    for figure in (influence_map(trace), influence_map(trace, identity=False), influence_change(trace)):
        assert len(figure.to_json()) < 3_000_000


def test_a_trace_without_steps_is_drawn() -> None:
    assert not has_rollout(made())
    assert influence_map(made()).data[0].z.size == 0
    assert influence_map(made(), identity=False).data[0].z.size == 0
    assert len(influence_change(made()).data[0].y) == 0
