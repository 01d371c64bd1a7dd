"""What a run sends to the page: one opaque JSON string per forward pass, schema `blockscope.view/1`.

A message holds the run's id and, per lane, frames with their index. A viewer that was not there yet when the first
ones passed is healed by whole lanes, sent at every power of two, when a lane ends, and at the end of the run.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dllm.trace import StepRecord, Trace
from visualize.lane import Lane, head, ids_in
from visualize.tally import Tally
from visualize.verdict import verdict

SCHEMA = "blockscope.view/1"


class Stage:
    """The messages of one run. `lanes` are the names that will play, `piece` gives the text of an id."""

    def __init__(self, run: str, lanes: Sequence[str], piece: Callable[[int], str] | None = None) -> None:
        self.run, self.planned = run, tuple(lanes)
        self.piece = piece
        self.lanes: dict[str, Lane] = {}
        self.pieces: dict[int, str] = {}
        self.facts: str | None = None

    def note(self, text: str) -> str:
        """Say what is being waited for."""
        return self._message(note=text)

    def open(self, name: str, prompt: Sequence[int], settings: Mapping[str, Any]) -> str:
        """A lane begins: its canvas, all masks. `settings` are resolved, in request form."""
        self.lanes[name] = Lane(name, head(prompt, settings))
        return self._message([self.lanes[name].whole()], self._learn(prompt))

    def step(self, name: str, record: StepRecord) -> str:
        """One pass of a lane: its frame alone, or at every power of two the whole lane."""
        lane = self.lanes[name]
        drawn = lane.add(record)
        fresh = self._learn(ids_in(record))
        count = len(lane.frames)
        if count & (count - 1) == 0:
            return self._message([lane.whole()], self.pieces)
        return self._message([{"name": name, "frames": [drawn]}], fresh)

    def close(self, name: str, trace: Trace) -> str:
        """A lane has ended; the trace says why and what recording took."""
        lane = self.lanes[name]
        lane.state, lane.recorder = trace.stop_reason, trace.timing.recorder
        return self._message([lane.whole()], self.pieces)

    def finish(self, note: str = "") -> str:
        """The whole run once more, so that nothing is missing, with the comparison of its lanes.

        `note`: what else a visitor must know about how it ended.
        """
        for lane in self.lanes.values():
            lane.state = "cancelled" if lane.state == "running" else lane.state
        ended = {name: lane.counter.tally for name, lane in self.lanes.items() if lane.state in ("eos", "length")}
        extra: dict[str, Any] = {"done": True, "note": note}
        if text := _compare(ended):
            extra["verdict"] = text
        return self._message([lane.whole() for lane in self.lanes.values()], self.pieces, **extra)

    def _learn(self, ids: Iterable[int]) -> dict[int, str]:
        """The pieces of ids not met before in this run."""
        assert self.piece is not None, "a lane needs the tokenizer's pieces"
        fresh = {i: self.piece(i) for i in ids if i not in self.pieces}
        self.pieces |= fresh
        return fresh

    def _message(
        self, lanes: Sequence[dict[str, Any]] = (), pieces: Mapping[int, str] | None = None, **extra: Any
    ) -> str:
        body = {"schema": SCHEMA, "run": self.run, "planned": self.planned, "lanes": list(lanes), **extra}
        if pieces:
            body["pieces"] = pieces
        if self.facts:
            body["facts"] = self.facts
        return dumps(body)


def stopped(nonce: str) -> str:
    """What the Stop button sends: the run on show was cancelled. The nonce makes two stops two different values."""
    return dumps({"schema": SCHEMA, "stopped": nonce})


def dumps(body: Mapping[str, Any]) -> str:
    """JSON without a raw `<` or any non-ASCII character: inert wherever it is put."""
    text = json.dumps(body, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _compare(ended: Mapping[str, Tally]) -> str | None:
    return verdict(ended["diffusion"], ended["ar"]) if {"diffusion", "ar"} <= set(ended) else None
