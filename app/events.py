"""What the network's thread reports of a run, as plain data, and the viewer's message for each report."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from dllm.trace import StepRecord, Trace
from visualize.stage import Stage


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for the status line; of one lane, if that is named."""

    text: str
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A lane begins. settings: resolved, in request form."""

    lane: str
    prompt: tuple[int, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Passed:
    """Forward passes of a lane, in order."""

    lane: str
    records: tuple[StepRecord, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """A lane has ended, or more is known of it."""

    lane: str
    trace: Trace


@dataclass(frozen=True, slots=True)
class Finished:
    """The run has ended. note: what else a visitor must know. facts: where the numbers come from, if that has changed.

    race: all lanes at once, to be played on one clock.
    """

    note: str = ""
    facts: str | None = None
    race: Mapping[str, Trace] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quiet:
    """The work must wait until its earlier messages were sent, so that nothing is drawn while it is timed."""


Event = Note | Opened | Passed | Closed | Finished | Quiet


def message(stage: Stage, event: Event) -> str:
    """The viewer's message for an event. Made in the listener's thread, because between two passes a GPU waits.

    Raises:
        TypeError: of `Quiet`, which is for the worker and not for a viewer.
    """
    match event:
        case Note(text, str(lane)):
            return stage.note(f"{stage.title(lane)}: {text}")
        case Note(text):
            return stage.note(text)
        case Opened(lane, prompt, settings):
            return stage.open(lane, prompt, settings)
        case Passed(lane, records):
            return stage.step(lane, *records)
        case Closed(lane, trace):
            return stage.close(lane, trace)
        case Finished(note, facts, race):
            for name, trace in race.items():
                stage.replay(name, trace)
            return stage.finish(note, clock=bool(race), facts=facts)
    raise TypeError(f"event is {event!r:.80}; allowed: one that a viewer is told of")


def bundled(events: Iterable[Event]) -> Iterator[Event]:
    """The same events, with neighbouring passes of a lane in one."""
    for lane, group in groupby(events, lambda event: event.lane if isinstance(event, Passed) else None):
        if lane is None:
            yield from group
        else:
            passes = [event for event in group if isinstance(event, Passed)]
            yield Passed(lane, tuple(record for event in passes for record in event.records))
