"""The loop: plan, pass, commit, record. It drives one run or many, each pass serving all that wait for one."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from traceback import clear_frames
from typing import TYPE_CHECKING, Protocol, TypeVar

from dllm.step import Plan, Readout, Step

if TYPE_CHECKING:
    from dllm.models.runner import Runner
    from dllm.models.session import Session

Found = TypeVar("Found")


class Drivable(Protocol):
    """What the loop drives: a run (`dllm.engine.run.Run`).

    rows: the most runs that one of its passes served.
    """

    runner: "Runner"
    rows: int

    def session(self) -> "Session":
        """The device's side of it, once."""
        ...

    def plan(self) -> Plan | None:
        """The next forward pass, or None when the answer is complete."""
        ...

    def commit(self, readout: Readout) -> Step:
        """Commit tokens of the answer to `plan()`."""
        ...

    def record(self, step: Step) -> object:
        """Keep the record of a step and return it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A run that is being decoded, with its KV cache.

    made: the steps that were made in shared passes and not taken yet, or the error that ended the run.
    """

    run: Drivable
    session: "Session"
    made: deque[Step | Exception] = field(default_factory=deque)

    @classmethod
    def begin(cls, run: Drivable) -> "Row":
        """Raises RuntimeError where the run was begun before."""
        return cls(run, run.session())

    def take(self) -> Step | None:
        """The next step that was made; None where there is none. An error that ended the run is raised."""
        found = self.made.popleft() if self.made else None
        if isinstance(found, Exception):
            raise found
        return found

    def attempt(self, work: Callable[[], Found]) -> Found | None:
        """The result of some work for this row; None where it failed, and the error waits to be taken."""
        try:
            return work()
        except Exception as error:  # of whatever kind: it must not end the other rows
            clear_frames(error.__traceback__)  # they hold the device's memory, and the error may wait for long
            self.made.append(error)
            return None


class Table:
    """Runs decoded together as they come and go: a pass serves all that wait for one and are of the same network.

    For one thread: taking a step of one run makes the pass for the others too, which find their steps made.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def decode(self, run: Drivable) -> Iterator[Step]:
        """The steps of a run; closing the iterator frees its KV cache and leaves the others alone.

        Raises:
            RuntimeError: the run's own; never that of another.
        """
        row = Row.begin(run)
        self.rows.append(row)
        try:
            while step := self._next(row):
                yield step
        finally:
            self.rows.remove(row)

    def _next(self, row: Row) -> Step | None:
        if not row.made:
            runner = row.run.runner
            advance([other for other in self.rows if other.run.runner is runner and not other.made], apart=True)
        return row.take()


def advance(rows: Sequence[Row], *, apart: bool = False) -> None:
    """Make one forward pass for all rows, which are of one network: each gets its next step, or its own error.

    A row whose answer is complete gets nothing. All decoders commit before anything is recorded, so that no step's
    seconds contain the recording of other rows.

    apart: where a pass for several rows fails (out of memory), make a pass for each, so that only those rows end
        whose own pass fails. Otherwise its error is raised.
    """
    asked = [(row, plan) for row in rows if (plan := row.attempt(row.run.plan))]
    found = _shared(asked, apart) if len(asked) > 1 else None
    if found is None:
        found = [got for turn in asked for got in turn[0].attempt(partial(_pass, [turn])) or ()]
    steps = [(row, step) for row, readout in found if (step := row.attempt(partial(row.run.commit, readout)))]
    for row, step in steps:
        if row.attempt(partial(row.run.record, step)):
            row.made.append(step)


def _shared(asked: list[tuple[Row, Plan]], apart: bool) -> list[tuple[Row, Readout]] | None:
    """One pass for all; None where it failed and rows are to be tried apart, once the failed pass's memory is free."""
    try:
        return _pass(asked)
    except Exception:
        if not apart:
            raise
    return None


def _pass(asked: list[tuple[Row, Plan]]) -> list[tuple[Row, Readout]]:
    """One forward pass, whose number of rows each run keeps."""
    readouts = asked[0][0].run.runner.forward([(row.session, plan) for row, plan in asked])
    for row, _ in asked:
        row.run.rows = max(row.run.rows, len(asked))
    return [(row, readout) for (row, _), readout in zip(asked, readouts, strict=True)]
