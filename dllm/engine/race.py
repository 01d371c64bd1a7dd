"""A race: one prompt decoded in several ways on one machine, each timed several times in turn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dllm.engine.run import Run
from dllm.settings import Settings, SettingsError
from dllm.trace.schema import Trace
from dllm.trace.throughput import median_repeat

if TYPE_CHECKING:
    from dllm.engine.engine import Engine

LANE_COUNTS = (2, 4)  # how many a race has
_REPEATS = (1, 20)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RacePass:
    """One pass of a race. repeat 0 is the warm-up, which is not timed; `run` stands where the pass left it."""

    lane: str
    repeat: int
    run: Run


class Race:
    """Iterate over its passes, then read `traces`.

    Lanes run one at a time, in rounds that start with a different lane each, so that a slow spell of the machine does
    not hit one lane alone.
    """

    def __init__(
        self, engine: "Engine", prompt: str | list[int], lanes: Mapping[str, Settings], *, repeats: int
    ) -> None:
        """lanes: settings by name. repeats: how often each is timed.

        Raises:
            SettingsError: too few or too many lanes or repeats, two lanes that are the same, or what a run refuses.
        """
        if not LANE_COUNTS[0] <= len(lanes) <= LANE_COUNTS[1]:
            raise SettingsError(f"a race has {len(lanes)} lanes; allowed: {LANE_COUNTS[0]} to {LANE_COUNTS[1]}")
        if not _REPEATS[0] <= repeats <= _REPEATS[1]:
            raise SettingsError(f"repeats is {repeats!r}; allowed: {_REPEATS[0]} to {_REPEATS[1]}")
        self.engine, self.prompt, self.repeats = engine, prompt, repeats
        self.runs = {name: engine.run(prompt, settings) for name, settings in lanes.items()}
        self.settings = {name: run.settings for name, run in self.runs.items()}
        self._refuse_twins()
        self._timed: dict[str, list[Run]] = {name: [] for name in lanes}

    def __iter__(self) -> Iterator[RacePass]:
        names = list(self.runs)
        for repeat in range(self.repeats + 1):
            for name in rotated(names, repeat):
                run = self.runs[name] = self.engine.run(self.prompt, self.settings[name])
                for _ in run:
                    yield RacePass(name, repeat, run)
                if repeat:
                    self._timed[name].append(run)

    def traces(self) -> dict[str, Trace]:
        """By lane the trace of its median repeat, with the seconds of all; only of lanes that finished a repeat."""
        return {name: median_repeat([run.trace() for run in runs]) for name, runs in self._timed.items() if runs}

    def _refuse_twins(self) -> None:
        seen: dict[str, str] = {}
        for name, settings in self.settings.items():
            twin = seen.setdefault(str(settings.as_json()), name)
            if twin != name:
                raise SettingsError(f"lanes {twin} and {name} decode in the same way; allowed: ways that differ")


def rotated(items: Sequence[_T], turn: int) -> list[_T]:
    """The items, beginning with another one every turn."""
    start = turn % len(items)
    return [*items[start:], *items[:start]]
