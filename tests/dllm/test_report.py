"""The numbers of an evaluation, each against its definition."""

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.report import DEFINITIONS, Answer, distinct_2, estimate, summarize, table

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


def answers() -> list[Answer]:
    return [
        Answer("a", "sum", (1, 2, 3, 4), 2, True, (-1.0, -1.0, -1.0, -1.0), None),
        Answer("b", "sum", (1, 1, 1), 3, False, (-2.0, -2.0, -2.0), 1),
        Answer("c", "open", (5,), 1, None, (-3.0,), 0),
    ]


def test_a_row_says_what_its_answers_are() -> None:
    row = summarize("some way", {"seed": 0}, answers(), seconds=1.5, rows=4)
    assert (row.answers, row.tokens, row.passes) == (3, 8, 6)

    def value(name: str) -> float:
        return getattr(row, name).value

    assert value("score") == 0.5
    assert value("tpf") == pytest.approx(8 / 6)
    assert value("log_prob") == pytest.approx(-13 / 8)
    assert value("distinct_2") == pytest.approx((1 + 0.5) / 2)  # an answer of one token has no pairs
    assert value("same") == pytest.approx(1 / 3)
    assert row.departs == 0.5
    assert row.kinds == {"sum": 0.5}


def test_what_cannot_be_said_is_none() -> None:
    ar = summarize("AR", {}, answers(), seconds=1, rows=1)
    assert (ar.same, ar.departs) == (None, None)
    unjudged = [Answer("c", "open", (5, 6), 1)]
    row = summarize("other", {}, unjudged, seconds=1, rows=1)
    assert (row.score, row.log_prob, row.same, row.departs, row.kinds) == (None, None, None, None, {})


def test_the_table_shows_every_row_and_explains_every_column() -> None:
    rows = [summarize(name, {}, answers(), seconds=1, rows=1).as_json() for name in ("AR", "other")]
    text = table(rows)
    lines = text.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| AR", "| other"]
    widths = {line.count("|") for line in lines[:4]}
    assert widths == {len(DEFINITIONS) + 2}
    assert all(definition in text for definition in DEFINITIONS.values())
    assert "50.0 %" in lines[2]


def numbers_in(value: object) -> Sequence[float]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers_in(v)]
    return [value] if isinstance(value, float) else []


def test_json_is_plain_and_short() -> None:
    data = summarize("w", {"temperature": 0.0}, answers(), seconds=1 / 3, rows=1).as_json()
    assert all(math.isfinite(n) and n == round(n, 4) for n in numbers_in(data))
    assert data["tpf"]["value"] == 1.3333
