import json
from typing import Any

import pytest

from dllm.trace import Environment, Model, Timing, Trace
from tests.visualize.records import PROMPT, SETTINGS, step
from visualize.stage import SCHEMA, Stage, dumps, stopped


def piece(token: int) -> str:
    return f"<b>{token}</b>"


def trace(stop_reason: str = "length") -> Trace:
    return Trace(
        schema="blockscope.trace/1",
        model=Model(id="tiny", family="llama", dtype="float32", parameters=1, layers=1, heads=1),
        settings={},
        environment=Environment(device="cpu", torch="2", threads=1),
        prompt=PROMPT,
        output=[],
        stop_reason=stop_reason,  # type: ignore[arg-type]
        steps=[],
        timing=Timing(ttft=None, decode=0.5, recorder=0.125),
    )


def play(steps: int, lanes: tuple[str, ...] = ("diffusion",)) -> list[dict[str, Any]]:
    """All messages of a run whose lanes have so many steps each."""
    stage = Stage("run", lanes, piece)
    texts = []
    for name in lanes:
        texts.append(stage.open(name, PROMPT, SETTINGS))
        texts += [stage.step(name, step(i, {4 + i: 9} if i < 4 else {})) for i in range(steps)]
        texts.append(stage.close(name, trace()))
    return [json.loads(text) for text in [*texts, stage.finish()]]


def test_every_pass_is_one_message() -> None:
    messages = play(steps=6)
    assert len(messages) == 1 + 6 + 1 + 1
    assert all(m["schema"] == SCHEMA and m["run"] == "run" for m in messages)
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


def test_the_last_message_holds_both_lanes_and_the_verdict() -> None:
    last = play(steps=4, lanes=("diffusion", "ar"))[-1]
    assert last["done"] is True
    assert [(lane["name"], lane["state"], lane["recorder"]) for lane in last["lanes"]] == [
        ("diffusion", "length", 0.125),
        ("ar", "length", 0.125),
    ]
    assert last["lanes"][0]["frames"][-1]["totals"] == {
        "tokens": 4, "passes": 4, "computed": 16, "attended": 32, "seconds": 1.0,
    }  # fmt: skip
    assert "Equally fast" in last["verdict"]


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


def test_two_stops_are_two_values() -> None:
    assert stopped("a") != stopped("b")
    assert json.loads(stopped("a"))["stopped"] == "a"
