"""Answers beside references: edits and distances against the recursive definition."""

from functools import cache
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.trace.compare import Comparison, align, compare, compare_references, departure, distance
from dllm.trace.schema import Gate
from tests.dllm.traces import made

IDS = st.lists(st.integers(0, 3), max_size=9)


def naive(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    @cache
    def d(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(d(i - 1, j) + 1, d(i, j - 1) + 1, d(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return d(len(a), len(b))


@given(IDS, IDS)
def test_distance_by_definition(a: list[int], b: list[int]) -> None:
    assert distance(a, b) == naive(tuple(a), tuple(b))


@given(IDS, IDS, IDS)
def test_distance_is_a_metric(a: list[int], b: list[int], c: list[int]) -> None:
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, b) == distance(b, a)
    assert distance(a, c) <= distance(a, b) + distance(b, c)


@given(IDS, IDS)
def test_edits_rebuild_both_in_the_fewest_steps(a: list[int], b: list[int]) -> None:
    edits = align(a, b)
    assert [i for e in edits for i in e.ids if e.kind != "gone"] == a
    assert [i for e in edits for i in e.ids if e.kind != "new"] == b
    assert all(e.ids for e in edits)
    cost, gone = 0, 0
    for edit in edits:  # a replacement is gone and new at the same place, and costs one
        cost += max(0, len(edit.ids) - gone) if edit.kind == "new" else len(edit.ids) if edit.kind == "gone" else 0
        gone = len(edit.ids) if edit.kind == "gone" else 0
    assert cost == distance(a, b)


@given(IDS, IDS)
def test_runs_are_whole_and_gone_stands_before_new(a: list[int], b: list[int]) -> None:
    kinds = [edit.kind for edit in align(a, b)]
    for first, second in pairwise(kinds):
        assert (first, second) in {
            ("same", "gone"),
            ("same", "new"),
            ("gone", "new"),
            ("gone", "same"),
            ("new", "same"),
        }


@pytest.mark.parametrize(
    ("ids", "reference", "edits"),
    [
        ([], [], []),
        ([1, 2], [1, 2], [("same", (1, 2))]),
        ([1, 9, 3], [1, 2, 3], [("same", (1,)), ("gone", (2,)), ("new", (9,)), ("same", (3,))]),
        ([1, 3], [1, 2, 3], [("same", (1,)), ("gone", (2,)), ("same", (3,))]),
        ([1, 2, 3, 4], [1, 4], [("same", (1,)), ("new", (2, 3)), ("same", (4,))]),
        ([7], [], [("new", (7,))]),
    ],
)
def test_edits_by_hand(ids: list[int], reference: list[int], edits: list[tuple[str, tuple[int, ...]]]) -> None:
    assert [(edit.kind, edit.ids) for edit in align(ids, reference)] == edits


@given(IDS, IDS)
def test_a_comparison_says_all_of_it(a: list[int], b: list[int]) -> None:
    found = compare(a, b)
    assert found == Comparison(a == b, departure(a, b), naive(tuple(a), tuple(b)), max(len(a), len(b)))
    assert found.distance <= found.length


@given(IDS, IDS)
def test_departure_is_where_the_common_prefix_ends(a: list[int], b: list[int]) -> None:
    place = departure(a, b)
    assert (place is None) == (a == b)
    if place is not None:
        assert a[:place] == b[:place]
        assert a[place : place + 1] != b[place : place + 1]


@given(st.lists(st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1]), max_size=6))
def test_large_ids_are_not_confused(a: list[int]) -> None:
    b = [i ^ 1 for i in a]
    assert distance(a, b) == naive(tuple(a), tuple(b))


def test_long_answers_are_compared_exactly() -> None:
    chance = Random(0)
    ids = [chance.randrange(1000) for _ in range(1024)]
    other = [chance.randrange(1000, 2000) if chance.random() < 0.5 else i for i in ids]
    assert distance(ids, other) == sum(a != b for a, b in zip(ids, other, strict=True))


def test_a_trace_is_held_against_each_of_its_references() -> None:
    trace = made().model_copy(update={"output": [1, 2, 3]})
    assert compare_references(trace) == {}
    assert compare_references(trace.model_copy(update={"gate": Gate(log_prob=-1.0)})) == {}
    held = trace.model_copy(update={"gate": Gate(references={"one_by_one": [1, 5, 3, 4], "no_cache": [1, 2, 3]})})
    assert compare_references(held) == {
        "one_by_one": Comparison(same=False, departs=1, distance=2, length=4),
        "no_cache": Comparison(same=True, departs=None, distance=0, length=3),
    }
