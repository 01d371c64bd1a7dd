from collections import Counter

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.models.families import FAST_DLLM_V2, QWEN2, ModelSpec
from dllm.trace import Trace
from tests.dllm.nets import prompts
from tests.dllm.traces import canvas_at, decoded, every_way, large, made
from tests.visualize.records import step
from tests.visualize.runs import verified
from visualize.charts.score import score_sheet
from visualize.charts.sheet import TOP, heatmap, shades


def cells(figure: go.Figure, name: str) -> list[tuple[int, int]]:
    """Step index and position of every marker of a trace; none if there is no such trace."""
    found = [(int(y) - 1, int(x)) for t in figure.select_traces({"name": name}) for x, y in zip(t.x, t.y, strict=True)]
    return sorted(found)


def lines(figure: go.Figure, name: str) -> list[float]:
    """Where the vertical lines of a trace stand, each once."""
    return [x for t in figure.select_traces({"name": name}) for x in t.x[::3]]


def confidences(trace: Trace) -> dict[tuple[int, int], float]:
    return {(s.index, p): c for s in trace.steps for p, c in zip(s.positions, s.confidence, strict=True)}


@every_way
@given(prompt=prompts())
@settings(max_examples=5)
def test_the_sheet_is_the_trace(spec: ModelSpec, cache: str, prompt: list[int]) -> None:
    trace = decoded(spec, cache, prompt)
    figure = score_sheet(trace)
    sheet, known = figure.data[0], confidences(trace)
    for row, codes in enumerate(sheet.z.tolist()):
        for column, code in enumerate(codes):
            cell = (row + sheet.y0 - 1, column + sheet.x0)
            assert (code > 0) == (cell in known)
            if code:
                assert (code - 1) / (TOP - 1) == pytest.approx(known.pop(cell), abs=1 / 254)
    assert known == {}
    written = [p for p, token in enumerate(canvas_at(trace, len(trace.steps))) if token is not None]
    assert sorted(p for _, p in cells(figure, "committed")) == written[len(prompt) :]


@given(prompt=prompts())
@settings(max_examples=20)
def test_a_seed_is_the_first_token_of_a_block(prompt: list[int]) -> None:
    trace = decoded(FAST_DLLM_V2, "sub_block", prompt, stop_ids=())
    seeds = cells(score_sheet(trace), "predicted by the block before")
    starts = [p for p in range(0, len(prompt) + 13, 8) if p >= len(prompt)]
    assert [p for _, p in seeds] == starts
    assert set(seeds) <= set(cells(score_sheet(trace), "committed"))


def test_single_tokens_have_neither_blocks_nor_seeds() -> None:
    figure = score_sheet(decoded(QWEN2, "block", [1, 2, 3], block_size=1, record=()))
    names = {t.name for t in figure.data if t.showlegend is not False}
    assert names == {None, "committed", "end of the prompt"}
    assert figure.layout.xaxis.range[0] == 2.5


def test_a_remasked_token_is_crossed_out_and_may_be_written_again() -> None:
    trace = made(step(0, {4: 1, 5: 1}), step(1, {6: 1}, remasked=[5]), step(2, {5: 2, 7: 1}))
    figure = score_sheet(trace)
    assert cells(figure, "remasked") == [(1, 5)]
    left = Counter(p for _, p in cells(figure, "committed"))
    left.subtract(p for _, p in cells(figure, "remasked"))
    assert left == {4: 1, 5: 1, 6: 1, 7: 1}
    assert "remasked" not in {t.name for t in score_sheet(made(step(0, {4: 1}))).data}


@pytest.mark.parametrize(
    ("attention", "start", "blocks", "subs"),
    [("block_causal", 4, [7.5], [5.5, 9.5]), ("bidirectional", 5, [8.5], [6.5, 10.5])],
)
def test_rules_stand_between_blocks(attention: str, start: int, blocks: list[float], subs: list[float]) -> None:
    trace = made(step(0, {5: 1}, visible=12), prompt=[1] * 5, attention=attention)
    figure = score_sheet(trace)
    assert lines(figure, "block") == blocks
    assert lines(figure, "sub-block") == subs
    assert lines(figure, "end of the prompt") == [4.5]
    assert figure.layout.xaxis.range == (start - 0.5, 11.5)


def test_a_token_beyond_the_last_entry_is_on_the_sheet() -> None:
    figure = score_sheet(decoded(QWEN2, "block", [1, 2, 3], block_size=1, gen_length=4, stop_ids=(), record=()))
    assert cells(figure, "committed") == [(0, 3), (1, 4), (2, 5), (3, 6)]
    assert figure.layout.xaxis.range[1] == 6.5


@given(st.lists(st.floats(0, 1) | st.just(np.nan), min_size=1), st.floats(0.01, 100))
def test_shades_keep_values_to_half_a_code(values: list[float], top: float) -> None:
    given_values = np.array([values]) * top
    codes = shades(given_values, top)
    assert ((codes == 0) == np.isnan(given_values)).all()
    back = np.where(codes == 0, np.nan, (codes.astype(float) - 1) / (TOP - 1) * top)
    np.testing.assert_allclose(back, given_values, atol=0.501 * top / (TOP - 1))
    assert shades(np.array([2 * top, -top]), top).tolist() == [TOP, 1]


def test_only_code_zero_is_clear() -> None:
    drawn = heatmap(np.zeros((1, 1), np.uint8), label="", ticks=("0", "1"))
    clear = [stop * TOP for stop, colour in drawn.colorscale if colour == "rgba(0,0,0,0)"]
    assert (drawn.zmin, drawn.zmax) == (0, TOP)
    assert clear[0] == 0
    assert 0 < clear[-1] < 1
    assert list(drawn.colorbar.tickvals) == [1, TOP]


def test_a_large_trace_stays_small() -> None:
    assert len(score_sheet(large()).to_json()) < 3_000_000


def test_a_trace_without_steps_is_drawn() -> None:
    assert cells(score_sheet(made()), "committed") == []


def test_of_verified_decoding_it_tells_which_drafts_were_kept() -> None:
    """A draft is right where AR said the same, and every one before it was right."""
    trace, kept, struck = verified(), [], []
    for s in trace.steps:
        right = True
        for p, draft, said in zip(s.positions, s.tested or (), s.tokens, strict=False):
            right = right and draft == said
            (kept if right else struck).append((s.index, p))
    figure = score_sheet(trace)
    assert cells(figure, "draft confirmed") == kept != []
    assert cells(figure, "draft struck out") == struck != []
    assert {*kept} <= {*cells(figure, "committed")}
    assert not {"remasked", "block", "sub-block"} & {t.name for t in figure.data}
