import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dllm.trace import StepRecord, Trace
from dllm.trace.schema import Environment, Gate, ModelRecord, Timing
from tests.visualize.records import PROMPT, SETTINGS, step
from tests.visualize.runs import verified
from visualize.lane import LANES, Title
from visualize.stage import MANY, VIEW_SCHEMA, Stage, dumps, stopped
from visualize.verdict import verdict


def piece(token: int) -> str:
    return f"<b>{token}</b>"


def trace(stop_reason: str = "length", steps: Sequence[StepRecord] = (), **given: Any) -> Trace:
    fields: dict[str, Any] = {"settings": SETTINGS, "output": [], "timing": Timing(decode=0.5, recorder=0.125), **given}
    return Trace(
        schema="blockscope.trace/1",
        model=ModelRecord(id="tiny", family="llama", dtype="float32", parameters=1, layers=1, heads=1),
        environment=Environment(device="cpu", torch="2", threads=1, warm_up=1),
        prompt=PROMPT,
        stop_reason=stop_reason,  # type: ignore[arg-type]
        steps=list(steps),
        **fields,
    )


def settings_of(name: str) -> dict[str, Any]:
    return {**SETTINGS, "block_size": 1, "sub_block_size": 1, "attention": "block_causal"} if name == "ar" else SETTINGS


def play(steps: int, lanes: tuple[str, ...] = ("diffusion",)) -> list[dict[str, Any]]:
    """All messages of a run whose lanes have so many steps each."""
    stage = Stage("run", lanes, piece)
    texts = []
    for name in lanes:
        texts.append(stage.open(name, PROMPT, settings_of(name)))
        passes = [step(i, {4 + i: 9} if i < 4 else {}) for i in range(steps)]
        texts += [stage.step(name, record) for record in passes]
        texts.append(stage.close(name, trace(steps=passes, output=[9] * min(4, steps), settings=settings_of(name))))
    return [json.loads(text) for text in [*texts, stage.finish()]]


def test_every_pass_is_one_message() -> None:
    messages = play(steps=6)
    assert len(messages) == 1 + 6 + 1 + 1
    assert all(m["schema"] == VIEW_SCHEMA and m["run"] == "run" for m in messages)
    assert [m["lanes"][0]["frames"][-1]["i"] for m in messages[1:7]] == [0, 1, 2, 3, 4, 5]


def test_a_delta_holds_one_frame_and_no_head() -> None:
    delta = play(steps=6)[3]
    assert [f["i"] for f in delta["lanes"][0]["frames"]] == [2]
    assert "head" not in delta["lanes"][0]
    assert "pieces" not in delta  # its ids were sent before


def test_at_every_power_of_two_the_whole_lane_is_sent() -> None:
    whole = [m["lanes"][0]["frames"][-1]["i"] + 1 for m in play(steps=9)[1:10] if "head" in m["lanes"][0]]
    assert whole == [1, 2, 4, 8]


@pytest.mark.parametrize("late", range(8))
def test_whoever_comes_late_has_everything_at_the_end(late: int) -> None:
    frames: dict[int, Any] = {}
    pieces: dict[str, str] = {}
    for message in play(steps=6)[late:]:
        for frame in message["lanes"][0]["frames"]:
            frames[frame["i"]] = frame
        pieces |= message.get("pieces", {})
    assert sorted(frames) == [0, 1, 2, 3, 4, 5]
    assert set(pieces) == {str(i) for i in [*PROMPT, 9]}


def seen(messages: Sequence[dict[str, Any]]) -> tuple[Any, ...]:
    """What a viewer has that took these messages, by the schema's rules: frames by index, the newest of all else."""
    frames: dict[int, Any] = {}
    pieces: dict[str, str] = {}
    about: dict[str, Any] = {}
    for message in messages:
        pieces |= message.get("pieces", {})
        for lane in message["lanes"]:
            frames |= {frame["i"]: frame for frame in lane["frames"]}
            about |= {key: value for key, value in lane.items() if key != "frames" and "head" in lane}
    return frames, pieces, about, {key: value for key, value in messages[-1].items() if key != "pieces"}


@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8), late=st.integers(0, 10))
@example(sizes=[7, 1], late=0)  # the whole lane, with alternatives, after passes that came without
@example(sizes=[1, 2], late=3)
def test_however_passes_are_told_together_a_viewer_sees_the_same(sizes: list[int], late: int) -> None:
    new = [{4 + i: 9} if i < 4 else {} for i in range(sum(sizes))]
    passes = [
        step(i, at, asked={**dict.fromkeys(range(4, 8), 10 + i), **at}, alternatives=[[(200 + i, 0.5)]] * 4)
        for i, at in enumerate(new)
    ]
    ended = trace(steps=passes, output=[9] * min(4, len(passes)))

    def told(groups: Sequence[Sequence[StepRecord]]) -> list[dict[str, Any]]:
        stage = Stage("run", ["diffusion"], piece)
        texts = [stage.open("diffusion", PROMPT, SETTINGS), *(stage.step("diffusion", *group) for group in groups)]
        return [json.loads(text) for text in [*texts, stage.close("diffusion", ended), stage.finish()]]

    edges = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    together = told([passes[a:b] for a, b in pairwise(edges)])
    alone = told([[each] for each in passes])
    assert seen(together) == seen(alone)
    assert seen(together[late % len(together) :]) == seen(alone)  # the last message heals who came late
    for message, (a, b) in zip(together[1:-2], pairwise(edges), strict=True):
        (lane,) = message["lanes"]
        whole = any(a < 2**n <= b for n in range(8))
        assert [frame["i"] for frame in lane["frames"]] == list(range(0 if whole else a, b))
        assert ("head" in lane) == whole
    for n in range(len(together)):  # and whoever took all so far knows every piece that is on show
        frames, pieces, _, _ = seen(together[: n + 1])
        shown = [i for frame in frames.values() for i in frame["tokens"]]
        shown += [i for frame in frames.values() for row in frame.get("alternatives", ()) for i, _ in row]
        assert set(map(str, shown)) <= set(pieces)


def test_the_last_message_holds_both_lanes_and_the_verdict() -> None:
    last = play(steps=4, lanes=("diffusion", "ar"))[-1]
    assert last["done"] is True
    assert [(lane["name"], lane["state"], lane["recorder"]) for lane in last["lanes"]] == [
        ("diffusion", "length", 0.125),
        ("ar", "length", 0.125),
    ]
    assert last["lanes"][0]["frames"][-1]["totals"] == {
        "tokens": 4, "seconds": 1.0, "nfe": 4, "computed": 16, "attended": 32, "ttft": 0.25,
        "tps": 4.0, "tpf": 1.0, "recomputed": 0.5,
    }  # fmt: skip
    traces = {
        LANES[name].title: trace(
            steps=[step(i, {4 + i: 9}) for i in range(4)], output=[9] * 4, settings=settings_of(name)
        )
        for name in ("diffusion", "ar")
    }
    found = verdict(traces)
    assert found is not None
    assert (last["verdict"], tuple(last["verdict_lines"])) == (found.sentence, found.lines)


def test_there_is_no_verdict_on_a_lane_that_did_not_finish() -> None:
    stage = Stage("run", ["diffusion", "ar"], piece)
    for name in ("diffusion", "ar"):
        stage.open(name, PROMPT, SETTINGS)
        stage.step(name, step(0, {4: 9}))
    stage.close("diffusion", trace())
    last = json.loads(stage.finish("It broke."))
    assert "verdict" not in last
    assert [lane["state"] for lane in last["lanes"]] == ["length", "cancelled"]
    assert last["note"] == "It broke."


def test_messages_are_inert_wherever_they_are_put() -> None:
    text = dumps({"x": "<script>\u202e</script>\x00"})
    assert "<" not in text
    assert text.isascii()
    assert json.loads(text) == {"x": "<script>\u202e</script>\x00"}
    with pytest.raises(ValueError, match="Out of range"):
        dumps({"x": float("nan")})


def test_every_message_names_the_lanes_of_its_run() -> None:
    given = {"fast": Title("Fast", "At once.", "Fast as text")}
    named = json.loads(Stage("run", ["fast"], titles=given).note("Preparing…"))
    assert named["titles"] == {"fast": asdict(given["fast"])}
    titles = [message.get("titles", {}) for message in play(steps=1, lanes=("diffusion", "ar"))]
    assert [list(t) for t in titles] == [["diffusion"]] * 3 + [["diffusion", "ar"]] * 4
    assert titles[-1]["ar"] == {**asdict(LANES["ar"]), "about": "One token at a time."}


def test_the_gate_comes_when_a_lane_is_closed_again() -> None:
    stage = Stage("run", ["diffusion"], piece)
    stage.open("diffusion", PROMPT, SETTINGS)
    passes = [step(0, {4: 9, 5: 9})]
    stage.step("diffusion", passes[0])
    known = {"steps": passes, "output": [9, 9], "timing": Timing(decode=0.5, recorder=0.125, laps=[0.5, 0.25, 1.0])}
    (before,) = json.loads(stage.close("diffusion", trace(**known)))["lanes"]
    assert (before["gate"], before["same"]) == (None, None)
    assert before["spread"] == {"low": 2.0, "high": 8.0, "repeats": 3}
    for reference, kept in ([9, 9], True), ([9, 8], False):
        held = trace(**known, gate=Gate(references={"no_cache": reference}))
        (after,) = json.loads(stage.close("diffusion", held))["lanes"]
        assert stage.traces["diffusion"] is held
        assert after["same"] is kept
        assert "without cache" in after["gate"]
        (last,) = json.loads(stage.finish())["lanes"]
        assert last == after


def test_one_lap_has_no_spread() -> None:
    (message,) = [m for m in play(steps=1) if m.get("done")]
    assert message["lanes"][0]["spread"] is None


def test_only_a_race_is_played_on_the_clock() -> None:
    stage = Stage("run", ["diffusion", "ar"], piece)
    assert "clock" not in json.loads(stage.finish())
    assert json.loads(stage.finish(clock=True))["clock"] is True


def test_two_stops_are_two_values() -> None:
    assert stopped("a") != stopped("b")
    assert json.loads(stopped("a"))["stopped"] == "a"


@pytest.mark.parametrize("together", [1, MANY + 1, 99])
def test_drafts_are_never_sent_without_their_text(together: int) -> None:
    """However many passes come at once: whoever took the messages so far can name every draft on show."""
    ran = verified()
    stage = Stage("run", ["diffusion"], piece)
    sent = [stage.open("diffusion", ran.prompt, ran.settings)]
    sent += [stage.step("diffusion", *ran.steps[i : i + together]) for i in range(0, len(ran.steps), together)]
    messages = [json.loads(text) for text in sent]
    for n in range(len(messages)):
        frames, pieces, about, _ = seen(messages[: n + 1])
        shown = [token for frame in frames.values() for _, token, *_ in [*frame["tested"], *frame["drafts"]]]
        assert set(map(str, shown)) <= set(pieces)
    assert about["head"]["verified"] is True
    assert len(frames) == len(ran.steps)
