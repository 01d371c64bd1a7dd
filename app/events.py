"""What the network's thread reports of a run: calls of the viewer's stage, each of which makes a message.

They are made in the listener's thread, because a GPU waits between two passes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from dllm.trace import StepRecord
from visualize.stage import Stage


@dataclass(frozen=True, slots=True)
class Passed:
    """Forward passes of a lane, in order."""

    lane: str
    records: tuple[StepRecord, ...]

    def __call__(self, stage: Stage) -> str:
        """Their message."""
        return stage.step(self.lane, *self.records)


@dataclass(frozen=True, slots=True)
class Quiet:
    """The work must wait until its earlier messages were sent, so that nothing is drawn while it is timed."""


Event = Callable[[Stage], str] | Quiet


def note(lane: str, text: str) -> Callable[[Stage], str]:
    """A sentence about a lane for the status line."""
    return lambda stage: stage.note(f"{stage.title(lane)}: {text}")


def bundled(events: Iterable[Callable[[Stage], str]]) -> Iterator[Callable[[Stage], str]]:
    """The same events, with neighbouring passes of a lane in one."""
    for lane, group in groupby(events, lambda event: event.lane if isinstance(event, Passed) else None):
        if lane is None:
            yield from group
        else:
            passes = [event for event in group if isinstance(event, Passed)]
            yield Passed(lane, tuple(record for event in passes for record in event.records))
