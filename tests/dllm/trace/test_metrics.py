from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.models.families import DREAM, LLADA, ModelSpec
from dllm.settings import Choice
from dllm.trace import metrics
from dllm.trace.metrics import RECOMPUTED, REUSED, STATES
from dllm.trace.records import StepRecord
from tests.dllm.nets import prompts
from tests.dllm.traces import decoded, every_way, made
from tests.visualize.records import PROMPT, step


def queried(record: StepRecord) -> set[int]:
    return {p for start, end in record.queries for p in range(start, end)}


@every_way
@given(prompt=prompts())
@settings(max_examples=10)
def test_the_ledger_counts_what_went_through_the_network(spec: ModelSpec, cache: str, prompt: list[int]) -> None:
    trace = decoded(spec, cache, prompt)
    done = metrics.states(trace)
    assert done.dtype == np.uint8
    assert done.shape == (len(trace.steps), max(record.visible for record in trace.steps))
    for row, record in zip(done, trace.steps, strict=True):
        assert (row >= RECOMPUTED).sum() == record.query_count
        assert (row >= REUSED).sum() == record.visible
        for code, reason in enumerate(STATES[RECOMPUTED + 1 :], RECOMPUTED + 1):
            assert np.flatnonzero(row == code).tolist() == (record.reasons or {}).get(reason, [])
        assert (row == RECOMPUTED).sum() == (0 if record.reasons else record.query_count)


def test_every_reason_of_d2_is_met() -> None:
    policies = Choice("d2", {"k": 3, "inflate": 2}), Choice("d2", {"k": 3, "multiple": 4})
    traces = [decoded(LLADA, policy, list(range(12))) for policy in policies]
    found = {code for trace in traces for code in np.unique(metrics.states(trace)).tolist()}
    assert {STATES[code] for code in found} == set(STATES) - {"absent"}


def test_a_reason_counts_only_for_a_query_and_only_if_it_is_known() -> None:
    reasons = {"density": [1, 2, 900], "whim": [4], "committed": [2, 5]}
    trace = made(
        step(0, {}, visible=6, queries=[(0, 6)], asked={}),
        step(1, {}, queries=[(2, 6)], reasons=reasons),
    )
    assert [[STATES[code] for code in row] for row in metrics.states(trace)] == [
        ["recomputed"] * 6 + ["absent"] * 2,
        ["reused", "reused", "density", "recomputed", "recomputed", "committed", "reused", "reused"],
    ]


@every_way
@given(prompt=prompts())
@settings(max_examples=10)
def test_an_age_is_the_number_of_steps_since_the_last_query(spec: ModelSpec, cache: str, prompt: list[int]) -> None:
    trace = decoded(spec, cache, prompt)
    found = metrics.ages(trace)
    for now, row in enumerate(found.tolist()):
        for position, age in enumerate(row):
            past = [s.index for s in trace.steps[: now + 1] if position in queried(s)]
            assert age == (now - past[-1] if past else -1)


@given(order=st.permutations(range(4, 24)), cuts=st.lists(st.integers(0, 20)))
def test_distances_are_those_to_the_commit_before(order: list[int], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 20]
    groups = [order[a:b] for a, b in pairwise(edges)]
    steps = [
        step(i, dict.fromkeys(group, 1), asked=dict.fromkeys(group, 1), visible=24) for i, group in enumerate(groups)
    ]
    expected = []
    for i, group in enumerate(groups):
        earlier = [[len(PROMPT) - 1], *(before for before in groups[:i] if before)][-1]
        for position in sorted(group):
            expected.append(min(abs(position - other) for other in earlier))
    assert metrics.commit_distances(made(*steps)) == expected


def test_distances_by_hand() -> None:
    trace = made(step(0, {5: 1}), step(1, {}), step(2, {4: 1, 7: 1}), step(3, {6: 1}))
    assert metrics.commit_distances(trace) == [2, 1, 2, 1]


def test_influence_loses_the_identity_term_only_where_nothing_was_recomputed() -> None:
    trace = made(
        step(0, {}, visible=3, queries=[(1, 2)], asked={}, rollout=[1.25, 0.5, 1.25]),
        step(1, {}, visible=4, queries=[(0, 4)], asked={}),
    )
    np.testing.assert_array_equal(metrics.influences(trace), [[1.25, 0.5, 1.25, np.nan], [np.nan] * 4])
    np.testing.assert_array_equal(metrics.influences(trace, identity=False), [[0.25, 0.5, 0.25, np.nan], [np.nan] * 4])


@pytest.mark.parametrize("cache", ["dual", "d2"])
def test_recorded_influence_is_at_least_the_identity_term_and_sums_to_the_visible(cache: str) -> None:
    trace = decoded(DREAM, cache, [1, 2, 3])
    rest = metrics.influences(trace, identity=False)
    assert rest.min() > -1e-5
    for row, record in zip(rest, trace.steps, strict=True):
        assert row.sum() == pytest.approx(record.query_count, abs=1e-3)


def test_a_trace_without_steps_has_no_cells() -> None:
    for cells in (metrics.states(made()), metrics.ages(made()), metrics.influences(made())):
        assert cells.shape == (0, 0)
    assert metrics.commit_distances(made()) == []
