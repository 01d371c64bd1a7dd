"""Views as a contract: listed once, complete, and bounded."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import visualize
from dllm.trace import Trace
from tests.dllm.traces import made
from tests.visualize.records import step
from tests.visualize.runs import recorded
from visualize import view
from visualize.view import LaneData, QuestionError, choice_option, number_option
from visualize.views import QUESTIONS, VIEWS, answer_question


def test_every_chart_module_is_listed_once() -> None:
    folder = Path(visualize.__file__).parent
    sources = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    named = [path for path, source in sources.items() if re.search(r"^VIEW = View\(", source, re.MULTILINE)]
    found = [import_module(".".join(("visualize", *path.relative_to(folder).with_suffix("").parts))) for path in named]
    assert sorted(module.VIEW.title for module in found) == sorted(each.title for each in VIEWS.values())
    assert len({each.title for each in VIEWS.values()}) == len(VIEWS)


def test_no_two_views_share_a_question() -> None:
    assert len(QUESTIONS) == len(VIEWS) + sum(len(each.details) for each in VIEWS.values())


@pytest.mark.parametrize("name", VIEWS)
def test_every_caption_and_choice_is_plain_text(name: str) -> None:
    each = VIEWS[name]
    texts = [each.title, each.look_for, each.empty, *each.charts, *each.choices, *sum(each.choices.values(), ())]
    assert all(text and text == text.strip() and "<" not in text for text in texts)
    assert all(len(values) > 1 for values in each.choices.values())


def test_a_run_too_large_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = made(step(0, {4: 1}), step(1, {5: 1}))  # two steps of 8 visible positions
    monkeypatch.setattr(view, "MAX_CELLS", 16)
    assert "figures" in answer_question(LaneData(trace), {"view": "order"})
    monkeypatch.setattr(view, "MAX_CELLS", 15)
    said = answer_question(LaneData(trace), {"view": "order"})
    assert said == {"empty": "This run has 16 cells (steps × positions); charts are drawn up to 15."}


def test_a_saved_page_asks_only_what_is_answered() -> None:
    replay = recorded()
    (lane,) = replay.traces
    for each in VIEWS.values():
        for question in each.saved(replay.lane_data(lane)):
            assert "figures" in (found := replay.ask({"lane": lane, **question})) or "data" in found


def test_options_are_checked() -> None:
    assert number_option({"n": 2}, "n", 3) == 2
    assert choice_option({}, "c", ("a", "b")) == "a"
    for value in (3, -1, True, "1", None, 1.0):
        with pytest.raises(QuestionError, match=f"n is {value!r}; allowed: 0 to 2"):
            number_option({"n": value}, "n", 3)
    with pytest.raises(QuestionError, match="c is 'x'; allowed: a, b"):
        choice_option({"c": "x"}, "c", ("a", "b"))


def test_a_lane_alone_is_the_only_one() -> None:
    trace: Trace = made(step(0, {4: 1}), unmask={"name": "threshold"})
    assert list(LaneData(trace).all_lanes.values()) == [trace]
    with pytest.raises(QuestionError, match="attention was not recorded"):
        _ = LaneData(trace).known_maps
    with pytest.raises(QuestionError, match="was not measured"):
        _ = LaneData(trace).known_drift
