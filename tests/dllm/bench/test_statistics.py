"""Statistics of answers, each against its definition."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.bench.statistics import distinct_2, estimate, mean, ratio

IDS = st.lists(st.integers(0, 4), max_size=12)


@given(IDS)
def test_distinct_2_by_definition(ids: list[int]) -> None:
    share = distinct_2(ids)
    if len(ids) < 2:
        assert share is None
        return
    new = sum(1 for i in range(len(ids) - 1) if all(ids[j : j + 2] != ids[i : i + 2] for j in range(i)))
    assert share == new / (len(ids) - 1)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = random.Random(0)
    covered = 0
    for _ in range(200):
        flags = np.array([rng.random() < 0.7 for _ in range(120)], dtype=float)
        e = estimate(len(flags), lambda i, flags=flags: flags[i].mean(-1))
        assert e is not None
        assert e.low <= e.value <= e.high
        covered += e.low <= 0.7 <= e.high
    assert 180 <= covered <= 199
    assert estimate(0, lambda i: i) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=8))
def test_a_ratio_is_of_sums_and_a_mean_of_values(pairs: list[tuple[int, int]]) -> None:
    above, below = [a for a, _ in pairs], [b for _, b in pairs]
    over, middle = ratio(above, below), mean(above)
    assert over is not None
    assert middle is not None
    assert over.value == pytest.approx(sum(above) / sum(below))
    assert middle.value == pytest.approx(sum(above) / len(above))
    each = [a / b for a, b in pairs]
    assert min(each) - 1e-9 <= over.low <= over.high <= max(each) + 1e-9  # whatever is drawn, it lies between these
    assert mean([]) is ratio([], []) is None
