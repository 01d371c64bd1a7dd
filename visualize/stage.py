"""What a run sends to the page: opaque JSON strings, each of the passes since the last, schema `blockscope.view/1`.

A message holds the run's id and, per lane, frames with their index. A viewer that was not there yet when the first
ones passed is healed by whole lanes, sent at every power of two, when a lane ends, and at the end of the run.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dllm.trace import StepRecord, Trace
from visualize.lane import Lane, Title, bared, ids_in, titles_of
from visualize.verdict import Verdict, verdict

VIEW_SCHEMA = "blockscope.view/1"
MANY = 4  # passes at once: above, the network is faster than an eye
_OBSERVED = "Attention was recorded, which slows the passes themselves: this run is for looking, not for racing."


class Stage:
    """The messages of one run. `lanes` are the names that will play, `piece` gives the text of an id.

    fragment: gives the bytes of an id, where they are not whole UTF-8 text by themselves.
    titles: the words over the lanes; without them each lane's settings give them, once it has begun.
    """

    def __init__(
        self,
        run: str,
        lanes: Sequence[str],
        piece: Callable[[int], str] | None = None,
        titles: Mapping[str, Title] | None = None,
        fragment: Callable[[int], bytes | None] | None = None,
    ) -> None:
        self.run, self.planned = run, tuple(lanes)
        self.piece, self.titles, self.fragment = piece, titles, fragment
        self.lanes: dict[str, Lane] = {}
        self.settings: dict[str, Mapping[str, Any]] = {}  # of lanes that have begun
        self.traces: dict[str, Trace] = {}  # of lanes that have ended
        self.pieces: dict[int, str] = {}
        self.fragments: dict[int, list[int]] = {}  # of those whose pieces are not whole text
        self.facts: str | None = None
        self.link: str | None = None  # what an address needs to open this run: "trace=NAME" or "run=ID"
        self.shift = 1  # of the model, see `dllm.trace.schema.ModelRecord`
        self.observed = False  # whether recording slowed the passes themselves

    def note(self, text: str) -> str:
        """Say what is being waited for."""
        return self._message(note=text)

    def open(self, name: str, prompt: Sequence[int], settings: Mapping[str, Any]) -> str:
        """A lane begins: its canvas, all masks. `settings` are resolved, in request form."""
        self._begin(name, prompt, settings)
        return self._message([self.lanes[name].whole()], self._learn(prompt))

    def replay(self, name: str, trace: Trace) -> None:
        """A lane that was recorded before, whole; `finish` tells it."""
        self._begin(name, trace.prompt, trace.settings)
        self._learn(trace.prompt)
        for record in trace.steps:
            self.lanes[name].add(record)
        self._end(name, trace)

    def step(self, name: str, *records: StepRecord) -> str:
        """Passes of a lane: their frames alone, or, at 1, 2, 4, 8 … passes, the whole lane.

        Passes that come many at once are sent without alternatives, which follow when the lane has ended.
        """
        lane, bare = self.lanes[name], len(records) > MANY
        whole_at = 1  # the next number of passes at which the whole lane is sent
        while whole_at <= len(lane.frames):
            whole_at *= 2
        drawn = [lane.add(record) for record in records]
        fresh = self._learn(i for record in records for i in ids_in(record, bare=bare))
        if len(lane.frames) >= whole_at:
            if not bare:  # earlier passes may have come bare
                self._learn(i for frame in lane.frames for row in frame.get("alternatives", ()) for i, _ in row)
            return self._message([lane.whole(bare=bare)], self.pieces)
        return self._message([{"name": name, "frames": bared(drawn) if bare else drawn}], fresh)

    def close(self, name: str, trace: Trace) -> str:
        """A lane has ended; the trace says why and what recording took. Sent again when its answer was compared."""
        self._end(name, trace)
        return self._message([self.lanes[name].whole()], self.pieces)

    def finish(
        self,
        note: str = "",
        *,
        at: int | None = None,
        clock: bool = False,
        welcome: bool = False,
        facts: str | None = None,
    ) -> str:
        """The whole run once more, so that nothing is missing, with the comparison of its lanes.

        `note`: what else a visitor must know about how it ended. `at`: the step to stand at, if not the last.
        `clock`: play all lanes at once, on one clock. `welcome`: the page opens with it. `facts`: what they are now
        that it has ended.
        """
        self.facts = facts or self.facts
        for lane in self.lanes.values():
            lane.state = "cancelled" if lane.state == "running" else lane.state
        extra: dict[str, Any] = {"done": True, "note": note}
        if at is not None:
            extra["at"] = at
        if clock:
            extra["clock"] = True
        if welcome:
            extra["welcome"] = True
        if found := self._verdict():
            found = Verdict(_OBSERVED) if self.observed else found
            extra |= {"verdict": found.sentence, "verdict_lines": found.lines}
        return self._message([lane.whole() for lane in self.lanes.values()], self.pieces, **extra)

    def _begin(self, name: str, prompt: Sequence[int], settings: Mapping[str, Any]) -> None:
        self.lanes[name] = Lane(name, prompt, settings, shift=self.shift)
        self.settings[name] = settings
        self.observed |= slowed(settings)

    def _end(self, name: str, trace: Trace) -> None:
        self.traces[name] = trace
        self.lanes[name].end(trace)
        self._learn(i for record in trace.steps for i in ids_in(record))
        self._learn(i for answer in (trace.gate.references if trace.gate else {}).values() for i in answer)

    def title(self, name: str) -> str:
        """What a lane is called: its name, until it has begun or been given one."""
        known = self._titles().get(name)
        return name if known is None else known.title

    def _titles(self) -> Mapping[str, Title]:
        return titles_of(self.settings) if self.titles is None else self.titles

    def _verdict(self) -> Verdict | None:
        titles = self._titles()
        ended = {name: trace for name, trace in self.traces.items() if trace.stop_reason in ("eos", "length")}
        return verdict({titles[name].title: trace for name, trace in ended.items()})

    def _learn(self, ids: Iterable[int]) -> dict[int, str]:
        """The pieces of ids not met before in this run."""
        assert self.piece is not None, "a lane needs the tokenizer's pieces"
        fresh = {i: self.piece(i) for i in ids if i not in self.pieces}
        self.pieces |= fresh
        self.fragments |= {i: list(part) for i in fresh if self.fragment and (part := self.fragment(i))}
        return fresh

    def _message(
        self, lanes: Sequence[dict[str, Any]] = (), pieces: Mapping[int, str] | None = None, **extra: Any
    ) -> str:
        body = {"schema": VIEW_SCHEMA, "run": self.run, "planned": self.planned, "lanes": list(lanes), **extra}
        if titles := self._titles():
            body["titles"] = {name: asdict(title) for name, title in titles.items()}
        if pieces:
            body["pieces"] = pieces
            if parts := {i: self.fragments[i] for i in pieces if i in self.fragments}:
                body["bytes"] = parts
        if self.facts:
            body["facts"] = self.facts
        if self.link:
            body["link"] = self.link
        return dumps(body)


def stopped(nonce: str) -> str:
    """What the Stop button sends: the run on show was cancelled. The nonce makes two stops two different values."""
    return dumps({"schema": VIEW_SCHEMA, "stopped": nonce})


def waiting(note: str) -> str:
    """What is being waited for before a run begins; the run on show stays as it is."""
    return dumps({"schema": VIEW_SCHEMA, "lanes": [], "waiting": note})


def notice(run: str, note: str, **extra: Any) -> str:
    """A word about a run that stays as it is: what is being done with it, or what there is now to see of it."""
    return dumps({"schema": VIEW_SCHEMA, "run": run, "lanes": [], "note": note, **extra})


def slowed(settings: Mapping[str, Any]) -> bool:
    """Whether what was recorded made attention slower than the decoder itself needs. d²Cache needs the rollout."""
    own = {"rollout"} if (settings.get("cache") or {}).get("name") == "d2" else set()
    return bool({"attention", "rollout"} & set(settings.get("record") or ()) - own)


def dumps(body: Mapping[str, Any]) -> str:
    """JSON without a raw `<` or any non-ASCII character: inert wherever it is put."""
    text = json.dumps(body, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
