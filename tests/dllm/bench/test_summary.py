"""A row is what a few lines of arithmetic say of its answers."""

from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.bench.document import Number, Row
from dllm.bench.summary import COLUMNS, Answer, cell, columns, summarize, table
from dllm.settings import Settings
from tests.dllm.bench.test_document import ROW, UNTIMED, WHOLE, load


def answer(tokens: int, passes: int, *seconds: float, **more: Any) -> Answer:
    """An answer of so many different tokens, equal to the exact decoder's."""
    ids = tuple(range(tokens))
    return Answer(**{"ids": ids, "passes": passes, "exact": ids, "seconds": seconds, **more})


def row(answers: list[Answer], name: str = "some way", **more: Any) -> Row:
    return summarize(name, Settings().as_json(), answers, **more)


def value(number: Number | None) -> float:
    assert number is not None
    return number.value


@given(
    st.lists(
        st.tuples(st.integers(1, 64), st.integers(1, 64), st.lists(st.floats(0.01, 10), min_size=1, max_size=5)),
        min_size=1,
        max_size=6,
    )
)
def test_speed_and_parallelism_by_definition(answers: list[tuple[int, int, list[float]]]) -> None:
    found = row([answer(tokens, passes, *repeats) for tokens, passes, repeats in answers])
    tokens, seconds = sum(a[0] for a in answers), sum(median(a[2]) for a in answers)
    assert found.tps is not None
    assert found.tps.value == pytest.approx(tokens / seconds, abs=1e-3)
    assert found.tpf.value == pytest.approx(tokens / sum(a[1] for a in answers), abs=1e-3)
    assert found.seconds == pytest.approx(seconds)
    ratios = [tokens / median(repeats) for tokens, _, repeats in answers]
    assert found.tps.low is not None
    assert found.tps.high is not None
    assert min(ratios) - 1e-3 <= found.tps.low <= found.tps.high <= max(ratios) + 1e-3


def test_quality_by_definition() -> None:
    answers = [
        answer(4, 4, kind="sum", right=True, log_probs=(-1.0, -1.0, -1.0, -1.0), ar=(0, 1, 2, 3)),
        answer(2, 1, kind="sum", right=False, log_probs=(-4.0, -1.0), exact=(0, 7, 7, 7, 7, 7, 7, 7), ar=(0, 1, 2)),
        answer(4, 1, kind="open", log_probs=(0.0, 0.0, 0.0, -1.0), exact=(9, 9), ar=(0, 1, 2, 3), ids=(1, 1, 1, 1)),
    ]
    found = row(answers)
    assert value(found.score) == 0.5
    assert value(found.log_prob) == -1.0
    assert value(found.same) == pytest.approx(1 / 3, abs=1e-4)
    assert value(found.distance) == pytest.approx((0 + 7 / 8 + 4 / 4) / 3, abs=1e-4)
    assert found.departs == 0.5  # at 1 and at 0
    assert value(found.same_as_ar) == pytest.approx(1 / 3, abs=1e-4)
    assert found.departs_from_ar == 1  # at 2 and at 0
    assert value(found.distinct_2) == pytest.approx((1 + 1 + 1 / 3) / 3, abs=1e-4)
    assert found.kinds == {"sum": 0.5}
    assert (found.prompts, found.tokens, found.passes) == (3, 10, 6)
    ar = row(answers, name="AR")
    assert (ar.same_as_ar, ar.departs_from_ar) == (None, None)
    assert ar.same == found.same


def test_what_was_not_measured_is_none() -> None:
    found = row([answer(1, 4)])
    assert (found.score, found.log_prob, found.departs, found.distinct_2) == (None, None, None, None)
    assert (found.tps, found.seconds, found.same_as_ar, found.kinds) == (None, None, None, {})
    assert (value(found.same), value(found.distance)) == (1.0, 0.0)
    with pytest.raises(ValueError, match="there are no answers; allowed: at least one"):
        row([])


def test_answers_decoded_together_have_the_time_of_the_median_round() -> None:
    found = row([answer(30, 10), answer(30, 10)], rounds=[3.0, 1.0, 2.0], batch=2)
    assert (found.seconds, found.batch) == (2.0, 2)
    assert found.tps == Number(value=30.0, low=20.0, high=60.0)
    assert row([answer(30, 10)], rounds=[2.0]).tps == Number(value=15.0)


def test_the_table_has_every_row_and_explains_every_column(tmp_path: Path) -> None:
    more = {"distinct_2": {"value": 0.5}, "same_as_ar": {"value": 0.25}, "departs_from_ar": 7.0}
    rows = [{**ROW, **more}, {**ROW, "name": "AR", "score": None, "tps": {"value": 7}}]
    bench = load(tmp_path, {**WHOLE, "rows": rows})
    lines = table(bench.rows).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:4]]
    assert cells[0] == ["decoding", "batch", *(column.title for column in COLUMNS.values())]
    assert cells[2] == [
        "block 32/8, block cache, 0.9", "1", "20.00 [15.00, 25.00]", "2.00 [1.50, 2.50]", "100.0 % [50.0, 100.0]",
        "-1.00 [-2.00, -0.50]", "0.50", "25.0 %", "7", "100.0 % [50.0, 100.0]", "25.0 % [0.0, 50.0]", "3",
    ]  # fmt: skip
    assert cells[3][:5] == ["AR", "1", "7.00", "2.00 [1.50, 2.50]", "–"]
    assert {line.count("|") for line in lines[:4]} == {len(COLUMNS) + 3}
    assert all(f"{column.title}: {column.meaning}" in lines for column in COLUMNS.values())
    assert cell(bench.rows[1], "tps") == "7.00"


def test_a_column_without_a_number_is_left_out(tmp_path: Path) -> None:
    bench = load(tmp_path, {**WHOLE, "rounds": 0, "rows": [{**ROW, **UNTIMED}]})
    assert list(columns(bench.rows)) == ["tpf", "score", "log_prob"]
    assert "tokens/s" not in table(bench.rows)
