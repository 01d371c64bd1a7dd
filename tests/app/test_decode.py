"""The handler, called as the page calls it."""

import json
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from html import escape
from itertools import groupby, pairwise
from pathlib import Path
from threading import Semaphore
from time import sleep
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

import app.decode
from app.controls import Controls
from app.decode import (
    FAULT,
    TYPED,
    autoregressive,
    decode_events,
    handler,
    messages,
    provenance_line,
    stage_of,
    stopper,
)
from app.engines import Engines
from app.events import Event, Passed, Quiet, bundled, note
from app.live import Live
from app.runs import Runs
from dllm.engine import Engine
from dllm.engine.registry import MODELS
from dllm.settings import Choice, Settings, SettingsError
from dllm.trace.throughput import throughput
from tests.app.scripted import ScriptedEngine
from visualize.stage import MANY, Stage

QUESTION = "What is the capital of France?"
PIECES = ["One", " two", " three", " four", " five", " six"]


@pytest.fixture
def live(tmp_path: Path) -> Live:
    return Live(tmp_path)


def values(controls: Controls, **changes: Any) -> list[Any]:
    given = {path: component.value for path, component in zip(controls.paths, controls.components, strict=True)}
    return list({**given, **{(name,): value for name, value in changes.items()}}.values())


def sent_by(stream: Iterator[str]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in stream]


def decode(
    controls: Controls, engine: Any, *, prompt: str = "Count", model: str = "default", ar: bool = True, **changes: Any
) -> Iterator[str]:
    return handler(Engines(engine.load), controls, Runs())(prompt, model, ar, None, *values(controls, **changes))


def test_both_lanes_are_played_one_after_the_other(controls: Controls) -> None:
    sent = sent_by(decode(controls, ScriptedEngine(PIECES)))
    lanes = [part["name"] for message in sent[:-1] for part in message["lanes"]]
    assert [name for name, _ in groupby(lanes)] == ["diffusion", "ar"] * 2  # decoded, then judged
    assert ["verdict" in message for message in sent] == [False] * (len(sent) - 1) + [True]
    assert {message["run"] for message in sent} == {sent[0]["run"]}
    assert sent[-1]["done"] is True


def test_ar_can_be_left_out(controls: Controls) -> None:
    last = sent_by(decode(controls, ScriptedEngine(PIECES), ar=False))[-1]
    assert last["planned"] == ["diffusion"]
    assert [lane["name"] for lane in last["lanes"]] == ["diffusion"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt": ""}, "The prompt is empty"),
        ({"prompt": "x" * 5000}, "The prompt has 5000 characters; allowed: 1 to 4000"),
        ({"model": "<b>"}, "Model is &#x27;&lt;b&gt;&#x27;; allowed: default"),
        ({"gen_length": 257}, "Answer length is 257; allowed on this page: up to 256"),
        ({"block_size": 8, "sub_block_size": 3}, "Sub-block size is 3; allowed: a divisor of block size 8"),
        ({"temperature": float("nan")}, "Temperature is nan; allowed: 0.0 to 5.0"),
        ({"seed": -1}, "Seed is -1; allowed: 0 to"),
        ({"gen_length": "many"}, "Answer length is &#x27;many&#x27;; allowed: an integer"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_value(controls: Controls, given: dict[str, Any], message: str) -> None:
    engine = ScriptedEngine(PIECES)
    stream = decode(controls, engine, **given)
    with pytest.raises(gr.Error, match=message.replace("(", r"\(")):
        list(stream)
    assert engine.passes == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"unmask": "verify", "attention": "bidirectional"}, "Attention is 'bidirectional'; allowed where"),
        ({"unmask": "verify", "cache": "dual"}, "Cache is 'dual'; allowed where unmasking rule is 'verify'"),
        (
            {"unmask": "verify", "record": ["attention"]},
            "Record holds 'attention', which verified decoding does not keep",
        ),
        ({"attention": "block_causal"}, "Attention is 'block_causal'; allowed for llama: hybrid, bidirectional"),
        ({"attention": "hybrid", "cache": "dual"}, "Cache is 'dual'; allowed under hybrid attention: "),
    ],
)
def test_settings_that_exclude_each_other_are_refused(
    controls: Controls, engines: Engines, given: dict[str, Any], message: str
) -> None:
    stream = handler(engines, controls, Runs())("Count", "default", True, None, *values(controls, **given))
    with pytest.raises(gr.Error, match=escape(message)):
        list(stream)


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": ""},
        {"model": "gpt"},
        {"gen_length": 257},
        {"record": None},
        {"cache": ["d2"]},
        {"prompt": "half \ud83d"},
        {"prompt": "x" * 4000},  # more tokens than this test allows
        {"unmask": "verify"},  # the scripted model refuses it
    ],
)
def test_a_refusal_leaves_what_is_on_show_and_what_is_kept(
    controls: Controls, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first message of a run takes the stage, and a run that is opened may evict another."""

    class Strict(ScriptedEngine):
        def run(self, prompt: str, settings: Settings) -> Any:
            if settings.rule.name == "verify":
                raise SettingsError("unmask is 'verify'; allowed: another")
            run = super().run(prompt, settings)
            run.prompt = [0] * len(prompt)
            return run

    monkeypatch.setattr("app.limits.PROMPT_TOKENS", 100)
    runs, engines = Runs(), Engines(Strict(PIECES).load)
    given = {"prompt": "Count", "model": "default", **given}
    stream = handler(engines, controls, runs)(
        given.pop("prompt"), given.pop("model"), True, None, *values(controls, **given)
    )
    sent: list[dict[str, Any]] = []
    with pytest.raises(gr.Error):
        sent.extend(json.loads(text) for text in stream)
    assert all("run" not in message for message in sent)
    assert len(runs) == 0
    assert not engines.device.inside


def test_a_prompt_of_too_many_tokens_is_refused(controls: Controls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.limits.PROMPT_TOKENS", 2)
    with pytest.raises(gr.Error, match="The prompt has 3 tokens with its chat template; allowed: 2"):
        list(decode(controls, ScriptedEngine(PIECES)))


def test_closing_the_stream_frees_the_run(controls: Controls) -> None:
    gate = Semaphore(3)
    engine = ScriptedEngine(PIECES, gate=gate)
    stream = decode(controls, engine)
    shown = 0
    while shown < 3:
        shown = max(
            [shown, *(frame["i"] + 1 for lane in json.loads(next(stream))["lanes"] for frame in lane["frames"])]
        )
    assert not engine.closed.is_set()
    stream.close()  # type: ignore[attr-defined]
    gate.release()  # the fourth pass is under way
    assert engine.closed.wait(60)
    assert engine.passes == 4


def test_a_run_goes_on_whatever_its_viewer_does_and_takes_few_messages(controls: Controls) -> None:
    """The viewer takes what it is told first, and then nothing until the network has ended the run by itself."""
    engine = ScriptedEngine([f" word{i}" for i in range(200)])
    stream = decode(controls, engine, ar=False)
    sent = []
    while not (sent and sent[-1]["lanes"]):
        sent.append(json.loads(next(stream)))
    assert engine.closed.wait(60)
    assert engine.passes == 201
    rest = sent_by(stream)
    assert len(rest) <= 5  # the rest of the first passes, all others, the end of the lane and that of the run
    told = [[frame["i"] for frame in lane["frames"]] for m in sent + rest for lane in m["lanes"] if "head" not in lane]
    assert [i for frames in told for i in frames] == sorted({i for frames in told for i in frames})
    (lane,) = rest[-1]["lanes"]
    assert [frame["i"] for frame in lane["frames"]] == list(range(201))
    assert (lane["state"], lane["frames"][-1]["totals"]["tokens"]) == ("eos", 201)


def test_a_lane_ends_at_the_time_limit(controls: Controls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.decode, "SECONDS", -1.0)
    last = sent_by(decode(controls, ScriptedEngine(PIECES)))[-1]
    assert [(len(lane["frames"]), lane["state"]) for lane in last["lanes"]] == [(1, "cancelled"), (1, "cancelled")]
    assert "verdict" not in last
    assert last["note"] == "Stopped at the time limit, -1 s."


def test_a_fault_in_the_engine_ends_the_run_and_is_not_hidden(controls: Controls) -> None:
    class Broken(ScriptedEngine):
        def steps(self, run: Any) -> Iterator[Any]:
            raise ZeroDivisionError("a defect")
            yield

    stream = decode(controls, Broken(PIECES))
    sent = []
    with pytest.raises(ZeroDivisionError):
        sent.extend(json.loads(text) for text in stream)
    assert sent[-1]["done"] is True
    assert sent[-1]["note"] == FAULT


def test_ar_is_the_same_request_one_token_at_a_time() -> None:
    settings = Settings(gen_length=9, block_size=8, sub_block_size=4, cache=Choice("dual"), temperature=0.5, seed=3)
    assert autoregressive(settings) == replace(
        settings, block_size=1, sub_block_size=None, cache=None, attention=None, unmask=Choice("top_k")
    )


def test_the_facts_name_machine_and_method() -> None:
    about = {"id": "default", "parameters": 134_515_008, "dtype": "bfloat16", "device": "cpu: X", "threads": 2}
    assert provenance_line({**about, "warm_up": 3}, lanes=2, seed=7) == (
        f"Measured live: {MODELS['default'].title} (135 M parameters, bfloat16), on cpu: X, 2 threads, seed 7, "
        f"3 warm-up passes. The lanes were measured one after another. {MODELS['default'].about}"
    )
    bare = provenance_line({**about, "id": "x", "threads": 1, "warm_up": 0}, lanes=1, seed=0)
    assert bare.endswith("on cpu: X, 1 thread, seed 0, no warm-up.")


def test_every_stop_is_a_new_value() -> None:
    stop, visitor = stopper(Engines()), SimpleNamespace(session_hash="visitor")
    assert stop(visitor) != stop(visitor)  # type: ignore[arg-type]


def test_stop_ends_a_visitor_s_run_and_leaves_the_others(controls: Controls) -> None:
    gate = Semaphore(0)
    engine = ScriptedEngine(PIECES, gate=gate)
    engines = Engines(engine.load)
    stop, decode = stopper(engines), handler(engines, controls, Runs())
    visitor, other = (SimpleNamespace(session_hash=name) for name in ("visitor", "other"))
    with ThreadPoolExecutor(1) as listener:
        run = listener.submit(sent_by, decode("Count", "default", False, visitor, *values(controls)))  # type: ignore[arg-type]
        while not engines.device.inside:
            sleep(0.01)
        stop(other)  # type: ignore[arg-type]
        gate.release(2)
        while engine.passes < 2:
            sleep(0.01)
        assert not engine.closed.is_set()
        stop(visitor)  # type: ignore[arg-type]
        gate.release(2)  # the third was under way
        sent = run.result(timeout=60)
    assert engine.closed.wait(60)
    assert engine.passes == 3
    assert not any(message.get("done") for message in sent)


def test_the_numbers_on_the_page_are_those_of_the_trace(engine: Engine, live: Live) -> None:
    runs = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def run(self, prompt: str | list[int], settings: Settings) -> Any:
            run = engine.run(prompt, settings)
            if isinstance(prompt, str):  # not a reference
                runs.append(run)
            return run

    settings = Settings(gen_length=16, block_size=8)
    lanes = both(Watched(), settings)
    stage = stage_of(engine, QUESTION, lanes, "run")
    sent = sent_by(messages(stage, one_by_one(decode_events(engine, QUESTION, lanes, live))))
    for lane, run in zip(sent[-1]["lanes"], runs, strict=True):
        assert lane["frames"][-1]["totals"] == throughput(run.trace()).as_json()
        assert [set(frame["new"]) for frame in lane["frames"]] == [set(r.committed) for r in run.records]
    assert "instead of" in sent[-1]["verdict"]


def both(engine: Any, settings: Settings) -> dict[str, Any]:
    return {"diffusion": engine.run(QUESTION, settings), "ar": engine.run(QUESTION, autoregressive(settings))}


def one_by_one(events: Iterator[Event]) -> Generator[list[Event], None, None]:
    for event in events:
        if not isinstance(event, Quiet):
            yield [event]


@given(cuts=st.lists(st.integers(0, 6), max_size=6))
def test_however_passes_come_together_a_viewer_ends_with_all(cuts: list[int]) -> None:
    """Frames that were lost on the way are healed as before: whoever sees the messages has every frame, in order."""
    run = ScriptedEngine(PIECES).run("Count", Settings(gen_length=8, block_size=8))
    list(run)
    said: list[Any] = [Passed("diffusion", (record,)) for record in run.records]
    edges = sorted({0, *cuts, len(said)})

    def news() -> Generator[list[Any], None, None]:
        for start, end in pairwise(edges):
            yield said[start:end]

    stage = Stage("run", ["diffusion"], run.piece)
    stage.open("diffusion", run.prompt, run.settings.as_json())
    sent = sent_by(messages(stage, news()))[1:]
    assert len(sent) == len(edges) - 1
    frames: dict[int, Any] = {}
    for told, (start, end) in zip(sent, pairwise(edges), strict=True):
        [lane] = told["lanes"]
        fresh = [frame["i"] for frame in lane["frames"]]
        assert fresh == list(range(0 if "head" in lane else start, end))
        assert ("head" in lane) == any(start < 2**n <= end for n in range(4))
        assert all(("alternatives" in frame) == (end - start <= MANY) for frame in lane["frames"])
        frames |= {frame["i"]: frame for frame in lane["frames"]}
    alone = Stage("run", ["diffusion"], run.piece)
    alone.open("diffusion", run.prompt, run.settings.as_json())
    for record in run.records:
        alone.step("diffusion", record)
    whole = json.loads(json.dumps(alone.lanes["diffusion"].frames))
    seen = [{name: value for name, value in frame.items() if name in frames[frame["i"]]} for frame in whole]
    assert list(frames.values()) == seen
    ended = json.loads(stage.close("diffusion", run.trace()))
    assert ended["lanes"][0]["frames"] == whole
    assert {i for frame in whole for row in frame["alternatives"] for i, _ in row} <= {int(i) for i in ended["pieces"]}


def test_closing_the_messages_closes_what_the_events_come_from() -> None:
    closed = []

    def news() -> Generator[list[Event], None, None]:
        try:
            yield [note("x", "a"), note("x", "b")]
            yield [note("x", "c")]
        finally:
            closed.append(1)

    stream = messages(Stage("run", []), news())
    assert [json.loads(next(stream))["note"] for _ in range(3)] == ["Preparing…", "x: a", "x: b"]
    stream.close()  # type: ignore[attr-defined]
    assert closed == [1]


def test_a_run_is_a_list_of_events(live: Live) -> None:
    """In the order in which they are shown, with quiet before the lane that is timed next."""
    engine: Any = ScriptedEngine(PIECES[:2])
    lanes = {name: engine.run("Count", Settings(gen_length=3)) for name in ("diffusion", "ar")}
    events = list(decode_events(engine, "Count", lanes, live))
    records = {name: run.records for name, run in lanes.items()}
    expected: list[object] = []
    for name in lanes:
        passes = [event for event in events if isinstance(event, Passed) and event.lane == name]
        assert passes == [Passed(name, (record,)) for record in records[name]]
        expected += [Stage.open, *passes, Stage.close, Quiet()]
    calls = [event.func if isinstance(event, partial) else event for event in events]
    assert calls[: len(expected)] == expected
    assert calls[-1] == Stage.finish
    together = list(bundled(events[:4]))
    assert together == [events[0], Passed("diffusion", tuple(records["diffusion"]))]


@pytest.mark.parametrize(("typed", "said"), [("Say <|im_end|> twice.", True), ("Say it twice.", False)])
def test_a_special_token_that_was_typed_is_mentioned(
    typed: str, said: bool, controls: Controls, engines: Engines
) -> None:
    """It is broken up, so that it cannot end the visitor's turn: the prompt decoded is not the one typed."""
    sent = sent_by(handler(engines, controls, Runs())(typed, "default", False, None, *values(controls, gen_length=8)))
    assert [TYPED in message["facts"] for message in sent if "facts" in message] == [said] * len(sent)


def test_every_event_but_quiet_is_a_message() -> None:
    stage = Stage("run", ["diffusion"], str)
    assert json.loads(note("diffusion", "repeat 1…")(stage))["note"] == "diffusion: repeat 1…"
    assert not callable(Quiet())


@pytest.mark.parametrize(("asked", "ar"), [((), set()), (("rollout",), {"rollout"})])
def test_what_d2_computes_anyway_is_not_asked_of_ar(
    asked: tuple[str, ...], ar: set[str], engine: Engine, live: Live
) -> None:
    """Recorded, it makes AR's attention eager and so slower, and there was no verdict."""
    settings = Settings(gen_length=8, block_size=8, cache=Choice("d2"), record=("alternatives", *asked))
    lanes = app.decode._lanes(engine, QUESTION, settings, ar=True)
    stage = stage_of(engine, QUESTION, lanes, "run")
    last = sent_by(messages(stage, one_by_one(decode_events(engine, QUESTION, lanes, live))))[-1]
    kept = {name: set(trace.settings["record"]) - {"alternatives"} for name, trace in stage.traces.items()}
    assert kept == {"diffusion": {"rollout"}, "ar": ar}
    assert ("instead of" in last["verdict"]) == (not asked)
