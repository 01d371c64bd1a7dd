from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from dllm.models.families import LLADA, ModelSpec
from dllm.trace.metrics import RECOMPUTED, STATES, ages, states
from tests.dllm.nets import prompts
from tests.dllm.traces import decoded, every_way, large, made
from tests.visualize.records import step
from tests.visualize.runs import verified
from visualize.charts import ledger
from visualize.charts.ledger import STATE_STYLES, K, patterned, resolution

STATE = st.integers(0, len(STATES) - 1)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=STATE))
def test_every_pixel_of_a_cell_tells_its_state(done: np.ndarray) -> None:
    for down, across in ((1, 1), (K, K), (K, 3 * K), (2 * K, K)):
        drawn = patterned(done, down, across)
        assert drawn.dtype == np.uint8
        assert drawn.max() < 2 * len(STATE_STYLES)
        np.testing.assert_array_equal(drawn % len(STATE_STYLES), done.repeat(down, axis=0).repeat(across, axis=1))


def test_reasons_differ_in_pattern_and_hue() -> None:
    every = np.arange(len(STATE_STYLES), dtype=np.uint8)[None]
    drawn = patterned(every, K, K) >= len(STATE_STYLES)
    bitmaps = [drawn[:, K * code : K * (code + 1)] for code in range(RECOMPUTED, len(STATE_STYLES))]
    for a, b in combinations(bitmaps, 2):
        assert (a != b).any()
    for looked in (STATE_STYLES[1:], STATE_STYLES[RECOMPUTED:]):
        assert len({look.hue for look in looked}) == len(looked)
    assert (
        len({look.symbol for look in STATE_STYLES[RECOMPUTED:]})
        == len({look.pattern for look in STATE_STYLES[RECOMPUTED:]})
        == 6
    )
    assert len(STATE_STYLES) == len(STATES)


def test_a_cell_is_drawn_around_its_position_and_step() -> None:
    trace = made(step(0, {4: 1}, queries=[(0, 8)]), step(1, {5: 1}, queries=[(7, 8)]))
    cells = ledger.ledger(trace).data[0]
    x = cells.x0 + cells.dx * np.arange(cells.z.shape[1])
    y = cells.y0 + cells.dy * np.arange(cells.z.shape[0])
    for row, column in np.ndindex(cells.z.shape):
        index, position = round(y[row]) - 1, round(x[column])
        assert cells.z[row, column] % len(STATE_STYLES) == states(trace)[index, position]


@every_way
@given(prompt=prompts())
@settings(max_examples=5)
def test_bars_add_up_to_the_queries(spec: ModelSpec, cache: str, prompt: list[int]) -> None:
    trace = decoded(spec, cache, prompt)
    bars = ledger.queries_by_reason(trace).data
    assert sum(bar.y for bar in bars).tolist() == [record.query_count for record in trace.steps]
    assert bars[0].x.tolist() == [record.index + 1 for record in trace.steps]


def test_masks_that_leave_no_entry_are_a_bar_of_their_own() -> None:
    trace = verified()
    *entries, guessed = ledger.queries_by_reason(trace).data
    assert guessed.name == ledger.GUESSES.name
    assert guessed.y.tolist() == [sum(len(case.tokens) for case in record.cases or ()) for record in trace.steps]
    known = [sum(end - start for start, end in record.queries) for record in trace.steps]
    assert sum(bar.y for bar in entries).tolist() == known
    assert [a + b for a, b in zip(known, guessed.y, strict=True)] == [record.query_count for record in trace.steps]
    look = guessed.marker
    assert (look.color, look.pattern.shape) not in {(bar.marker.color, bar.marker.pattern.shape) for bar in entries}


def test_the_legend_names_the_states_there_are() -> None:
    some = made(step(0, {4: 1}, queries=[(0, 8)]), step(1, {}, reasons={"density": [4, 5], "rollout": [6, 7]}))
    names = [t.name for t in ledger.ledger(some).data[1:] if t.showlegend is not False]
    assert names == [
        "reused",
        "recomputed",
        "recomputed: certainty density",
        "recomputed: attention rollout",
        "committed",
    ]
    assert [t.name for t in ledger.queries_by_reason(some).data] == names[1:4]


@given(prompt=prompts())
@settings(max_examples=10)
def test_ages_are_drawn_as_they_are(prompt: list[int]) -> None:
    trace = decoded(LLADA, "d2", prompt)
    cells, age = ledger.entry_age(trace).data[0], ages(trace)
    assert ((cells.z == 0) == (age < 0)).all()
    back = (cells.z.astype(float) - 1) / 254 * float(cells.colorbar.ticktext[-1])
    np.testing.assert_array_equal(np.round(back)[age >= 0], age[age >= 0])


def test_an_entry_never_computed_is_clear() -> None:
    early = step(0, {}, visible=3, queries=[(0, 3)], asked={})
    cells = ledger.entry_age(made(early, step(1, {}, queries=[(4, 8)]))).data[0]
    assert (cells.z == 0).tolist() == [[False] * 3 + [True] * 5, [False] * 3 + [True] + [False] * 4]


def test_a_large_trace_stays_small_and_is_drawn_without_patterns() -> None:
    trace = large()
    for figure in (ledger.ledger(trace), ledger.entry_age(trace), ledger.queries_by_reason(trace)):
        assert len(figure.to_json()) < 3_000_000
    np.testing.assert_array_equal(ledger.ledger(trace).data[0].z, states(trace))


def test_a_trace_without_steps_is_drawn() -> None:
    assert ledger.ledger(made()).data[0].z.size == 0
    assert ledger.entry_age(made()).data[0].z.size == 0
    assert not ledger.queries_by_reason(made()).data


@given(steps=st.integers(0, 400), positions=st.integers(0, 400))
def test_a_pattern_is_finer_where_cells_are_large_and_never_large_as_data(steps: int, positions: int) -> None:
    down, across = resolution(steps, positions)
    assert (down % K, across % K) == (0, 0) or (down, across) == (1, 1)
    assert down * steps * across * positions <= 16 * ledger.MAX_PATTERNED
    assert (down, across) <= resolution(steps // 2, positions)
