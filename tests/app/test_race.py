"""The race, called as the page calls it; test_browser has it in a real browser."""

import json
import re
from time import perf_counter, sleep
from typing import Any

import gradio as gr
import pytest

from app.engines import Engines
from app.lanes import NO_LANE, START, WAYS, race_settings
from app.race import racer
from app.refusals import page_words
from app.runs import Runs
from dllm.decode import ModelTraits, resolve
from dllm.engine import Engine
from dllm.settings import SettingsError
from dllm.trace import Trace
from tests.app.scripted import ScriptedEngine
from tests.app.test_worker import settle
from visualize.lane import titles_of
from visualize.stage import Stage

SHARED = (16, 8, 4, 2, False)  # answer length, block, sub-block, repeats, live
TWO = ("ar", 0.9, "sub-block", 0.9)
QUESTION = "What is the capital of France?"


def messages(engines: Engines, runs: Runs, *values: Any, prompt: str = QUESTION) -> list[dict[str, Any]]:
    return [json.loads(text) for text in racer(engines, runs)(prompt, "default", None, *values)]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_one_that_the_default_model_decodes(way: str, engine: Engine) -> None:
    other = "ar" if way != "ar" else "d2"
    lanes, _, _ = race_settings([*SHARED, other, 0.9, way, 0.6])
    settings = list(lanes.values())[1]
    assert resolve(settings, engine.traits)
    assert settings.gen_length == 16
    assert (settings.block_size == 1) == (way == "ar")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([*SHARED, "ar", 0.9, "gpt", 0.9], "lane is 'gpt'; allowed: ar, verified, none"),
        ([*SHARED, "block", 0.9, "block", 0.9], "two lanes are block-0.9"),
        ([*SHARED, "block", 7, "ar", 0.9], "threshold is 7; allowed: 0.0 to 1.0"),
        ([999, *SHARED[1:], *TWO], "gen_length is 999; allowed on this page: up to 256"),
        ([16, 8, 5, 2, False, *TWO], "sub_block_size is 5; allowed: a divisor of block_size 8"),
        ([*SHARED, "ar", 0.9, NO_LANE, 0.9], "a race has 1 lanes; allowed: 2 to 4"),
        ([*SHARED[:3], 99, False, *TWO], "repeats is 99; allowed: 1 to 20"),
        (["many", *SHARED[1:], *TWO], "gen_length is 'many'; allowed: an integer"),
        ([16.5, *SHARED[1:], *TWO], "gen_length is 16.5; allowed: an integer"),
        ([None, *SHARED[1:], *TWO], "gen_length is None; allowed: an integer"),
        ([float("nan"), *SHARED[1:], *TWO], "gen_length is nan; allowed: an integer"),
        ([*SHARED[:3], "two", False, *TWO], "repeats is 'two'; allowed: an integer"),
        ([*SHARED, "ar", 0.9, "block", "high"], "threshold is 'high'; allowed: a number"),
        ([*SHARED, "ar", 0.9, ["block"], 0.9], "lane is ['block']; allowed: ar, verified, none"),
    ],
)
def test_a_race_that_makes_no_sense_is_refused(values: list[Any], message: str, engines: Engines) -> None:
    with pytest.raises((gr.Error, SettingsError), match=re.escape(page_words(message)).replace("'", "(&#x27;|')")):
        messages(engines, Runs(), *values)


def test_verified_decoding_races_without_a_threshold(engine: Engine) -> None:
    lanes, _, _ = race_settings([*SHARED, "ar", 0.9, "verified", 0.3, "sub-block", 0.9, NO_LANE, 0.9])
    assert list(lanes) == ["ar", "verified", "sub-block-0.9"]
    settings = {name: resolve(each, engine.traits) for name, each in lanes.items()}
    assert settings["verified"].rule.name == "verify"
    assert {each.attention for each in settings.values()} == {"hybrid"}
    assert settings["sub-block-0.9"].rule.options == {"threshold": 0.9}
    with pytest.raises(SettingsError, match="two lanes are verified"):
        race_settings([*SHARED, "verified", 0.9, "verified", 0.3])


def test_the_lanes_to_begin_with_are_a_race(engine: Engine) -> None:
    lanes, _, _ = race_settings([16, 8, 4, 1, False, *(value for lane in START for value in lane)])
    assert list(lanes) == ["ar", "verified", "sub-block-0.9"]
    titles = titles_of({name: resolve(each, engine.traits).as_json() for name, each in lanes.items()})
    assert [title.title for title in titles.values()] == [
        "Autoregressive",
        "Verified decoding",
        "Sub-block cache · 0.9",
    ]


def test_a_model_without_hybrid_attention_races_under_its_own() -> None:
    """The ways of block diffusion name no attention, because published checkpoints have another."""
    traits = ModelTraits("v2", 100, 100, 1, ("block_causal",), 5, ())
    lanes, _, _ = race_settings([*SHARED, "ar", 0.9, "none", 0.9, "block", 0.9, "sub-block", 0.9])
    assert {resolve(each, traits).attention for each in lanes.values()} == {"block_causal"}
    lanes, _, _ = race_settings([*SHARED, "ar", 0.9, "verified", 0.9])
    with pytest.raises(SettingsError, match="allowed: for a model with hybrid attention"):
        resolve(lanes["verified"], traits)


def test_a_bad_value_takes_nothing_from_the_stage() -> None:
    """The first message of a run clears what was on show, so a refused race must send none."""
    runs = Runs()
    sent = racer(Engines(ScriptedEngine(["a"]).load), runs)("Hi", "default", None, *SHARED, "ar", 0.9, "gpt", 0.9)
    with pytest.raises(gr.Error):
        next(sent)
    assert len(runs) == 0


def test_the_race_is_measured_first_and_shown_together_afterwards(engines: Engines) -> None:
    runs = Runs()
    sent = messages(engines, runs, *SHARED, *TWO)
    assert all(not message["lanes"] for message in sent[:-1])  # nothing is drawn while something is timed
    last = sent[-1]
    assert last["done"]
    assert last["clock"]
    assert [lane["name"] for lane in last["lanes"]] == ["ar", "sub-block-0.9"]
    traces = runs.get(last["run"]).replay().traces
    for lane in last["lanes"]:
        trace: Trace = traces[lane["name"]]
        assert lane["frames"][-1]["totals"]["seconds"] == pytest.approx(sum(step.seconds for step in trace.steps))
        assert sum(step.seconds for step in trace.steps) in trace.timing.laps
        assert lane["spread"]["repeats"] == len(trace.timing.laps) == 2
        assert lane["spread"]["high"] == pytest.approx(len(trace.output) / min(trace.timing.laps))
        assert lane["gate"]
        assert trace.environment.warm_up > 0
        assert trace.environment.peak_bytes
    assert "instead of" in last["verdict"]


def test_no_speed_up_is_claimed_without_a_comparison_of_the_answers(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.decode.COMPARING", 0.0)  # the references take too long
    last = messages(engines, Runs(), *SHARED, "ar", 0.9, "sub-block", 0.3)[-1]
    assert all(lane["same"] is None for lane in last["lanes"])
    assert not re.search("faster here: .* times AR", last["verdict"])


def test_the_warm_up_lap_can_be_watched(engines: Engines) -> None:
    sent = messages(engines, Runs(), 16, 8, 4, 1, True, *TWO)
    for name in ("ar", "sub-block-0.9"):
        last = [
            lane["frames"][-1]["i"] for m in sent[:-1] for lane in m["lanes"] if lane["name"] == name and lane["frames"]
        ]
        whole = next(lane for lane in sent[-1]["lanes"] if lane["name"] == name)
        assert last == sorted(set(last))  # it begins once: of the warm-up only
        assert last[-1] == whole["frames"][-1]["i"]


@pytest.mark.parametrize("seconds", [0.0, 1e9])  # between two words: one at every pass, and none
def test_nothing_is_drawn_while_a_pass_is_timed(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a word nor what is left of the watched warm-ups, however long their messages take."""
    drawn: list[tuple[float, float]] = []
    timed: list[tuple[float, float]] = []

    class Timed(ScriptedEngine):
        runs = 0

        def begun(self) -> None:
            self.runs += 1

        def passed(self) -> None:
            began = perf_counter()
            sleep(0.005)
            if 2 < self.runs <= 2 + 2 * 2:  # two lanes: their warm-ups, then two repeats each
                timed.append((began, perf_counter()))

    def slowly(stage: Stage, *given: Any, **more: Any) -> str:
        began = perf_counter()
        sleep(0.01)
        text = message(stage, *given, **more)
        drawn.append((began, perf_counter()))
        return text

    message = Stage._message
    monkeypatch.setattr(Stage, "_message", slowly)
    monkeypatch.setattr("app.race.NOTE_EVERY", seconds)
    sent = messages(Engines(Timed(["One", " two", " three"]).load), Runs(), 16, 8, 4, 2, True, *TWO)
    assert (len(drawn), len(timed)) == (len(sent), 2 * 2 * 4)
    assert not [one for one in timed for other in drawn if one[0] < other[1] and other[0] < one[1]]
    assert sum("repeat 2 of 2" in message.get("note", "") for message in sent) == (0 if seconds else 2 * 4)
    assert max(len(lane["frames"]) for message in sent[:-1] for lane in message["lanes"]) == 4


def test_a_suite_item_is_checked(engines: Engines) -> None:
    runs = Runs()
    last = messages(engines, runs, *SHARED, *TWO, prompt="Name the capital city of France.")[-1]
    gates = [trace.gate for trace in runs.get(last["run"]).replay().traces.values()]
    assert all(gate and gate.item == "capital-france" and isinstance(gate.right, bool) for gate in gates)


def test_a_race_that_takes_too_long_says_so(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.race.SECONDS", 0.0)
    last = messages(engines, Runs(), *SHARED, *TWO)[-1]
    assert last["done"]
    assert "Stopped at the time limit" in last["note"]
    assert last["lanes"] == []


def test_leaving_a_race_frees_the_device() -> None:
    engine = ScriptedEngine(["One", " two", " three"])
    engines = Engines(engine.load)
    race = racer(engines, Runs())("Count", "default", None, 16, 8, 4, 1, True, *TWO)
    for text in race:
        if json.loads(text)["lanes"]:
            break
    assert engines.device.racing
    race.close()  # type: ignore[attr-defined]
    settle(engines.network)
    settle(engines.network)
    assert engine.closed.is_set()
    assert not engines.device.inside
