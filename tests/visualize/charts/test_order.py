import pytest
from hypothesis import given, settings

from dllm.models.families import LLADA
from dllm.trace.metrics import commit_distances
from tests.dllm.nets import prompts
from tests.dllm.traces import decoded, large, made
from tests.visualize.records import step
from visualize.charts.order import commit_distance_shares, decode_order


@given(prompt=prompts())
@settings(max_examples=10)
def test_every_commit_is_a_dot_at_its_step(prompt: list[int]) -> None:
    trace = decoded(LLADA, "d2", prompt)
    figure = decode_order(trace)
    (dots,) = figure.data
    assert figure.layout.meta == {"step": "x", "position": "y"}
    assert [(int(x) - 1, int(y)) for x, y in zip(dots.x, dots.y, strict=True)] == [
        (record.index, p) for record in trace.steps for p in record.committed
    ]
    sure = [record.confidence[record.positions.index(p)] for record in trace.steps for p in record.committed]
    assert dots.marker.color == pytest.approx(sure)


@given(prompt=prompts())
@settings(max_examples=10)
def test_shares_are_counts_of_distances(prompt: list[int]) -> None:
    trace = decoded(LLADA, "d2", prompt)
    found = commit_distances(trace)
    bars, line = commit_distance_shares(trace).data
    for at, share, total in zip(bars.x, bars.y, line.y, strict=True):
        assert share == pytest.approx(100 * sum(d == at for d in found) / len(found))
        assert total == pytest.approx(100 * sum(d <= at for d in found) / len(found), abs=1e-3)
    assert total == pytest.approx(100, abs=1e-3)


@pytest.mark.parametrize(("position", "text"), [(13, "75 % within 10"), (12, "50 % within 10")])
def test_the_share_within_ten_is_said(position: int, text: str) -> None:
    groups = [[4], [23], [position, 24]]  # 1 from the prompt, 19, then `position` and 1 from 23
    trace = made(*(step(i, dict.fromkeys(g, 1), asked=dict.fromkeys(g, 1), visible=40) for i, g in enumerate(groups)))
    (note,) = commit_distance_shares(trace).layout.annotations
    assert note.text == text
    (near,) = commit_distance_shares(made(step(0, {4: 1, 6: 1}))).layout.annotations
    assert (near.text, near.x) == ("100 % within 3", 3)  # no farther one is on the axis


def test_a_large_trace_stays_small() -> None:
    trace = large()
    for figure in (decode_order(trace), commit_distance_shares(trace)):
        assert len(figure.to_json()) < 3_000_000


def test_a_trace_without_steps_is_drawn() -> None:
    assert len(decode_order(made()).data[0].x) == 0
    assert not commit_distance_shares(made()).layout.annotations
