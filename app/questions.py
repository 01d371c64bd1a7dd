"""The inspector's questions: pictures of a kept run, and a lane as a file."""

import asyncio
import base64
from collections.abc import Callable, Coroutine, Mapping
from time import monotonic
from typing import Any

from anyio import to_thread

from app.device import Device, Use
from app.limits import DRAWING, RACING
from app.runs import Runs
from dllm.settings import SettingsError
from dllm.trace import TraceError
from visualize.export.formats import EXPORTS
from visualize.replay import Replay
from visualize.view import QuestionError

_POLL = 0.1  # seconds between two looks at whether the race has ended


def answerer(runs: Runs, device: Device) -> Callable[[object], Coroutine[Any, Any, Mapping[str, Any]]]:
    """What the viewer's script calls. One picture at a time: visitors share the cores that runs are timed on."""
    drawing = asyncio.Lock()

    async def answer(question: object) -> Mapping[str, Any]:
        place, until = device.place(Use.PICTURE), monotonic() + DRAWING
        try:
            while not place.inside and monotonic() < until:
                await asyncio.sleep(_POLL)  # takes no thread of the server's
            if not place.inside:
                return {"error": RACING}
            async with drawing:
                return await to_thread.run_sync(ask, runs, question)
        finally:
            place.leave()

    return answer


def ask(runs: Runs, question: object) -> Mapping[str, Any]:
    """{"run", "lane", "view", …} → a picture, a file, or {"error": why not}."""
    try:
        if not isinstance(question, Mapping):
            raise QuestionError(f"a question is {question!r:.80}; allowed: an object")
        replay = runs.get(question.get("run")).replay()
        return export(replay, question) if question.get("view") == "export" else replay.ask(question)
    except (QuestionError, SettingsError, TraceError) as error:
        return {"error": str(error)}


def export(replay: Replay, question: Mapping[str, Any]) -> dict[str, str]:
    """A lane as a file: its name, media type and bytes in base64.

    Raises:
        QuestionError: no such format or lane.
    """
    name, lane = question.get("format"), question.get("lane")
    if not isinstance(name, str) or name not in EXPORTS:
        raise QuestionError(f"format is {name!r}; allowed: {', '.join(EXPORTS)}")
    if not isinstance(lane, str) or lane not in replay.traces:
        raise QuestionError(f"lane is {lane!r}; allowed: {', '.join(replay.traces)}")
    made = EXPORTS[name].make(replay, lane)
    file = f"blockscope-{replay.link or 'run'}-{lane}{EXPORTS[name].suffix}"
    return {"name": file, "media": EXPORTS[name].media, "data": base64.b64encode(made).decode()}
