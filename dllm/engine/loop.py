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

_T = TypeVar("_T")


class RunLike(Protocol):
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
class BatchRow:
    """A run that is being decoded, with its KV cache.

    made: the steps that were made in shared passes and not taken yet, or the error that ended the run.
    """

    run: RunLike
    session: "Session"
    made: deque[Step | Exception] = field(default_factory=deque)

    @classmethod
    def begin(cls, run: RunLike) -> "BatchRow":
        """Raises RuntimeError where the run was begun before."""
        return cls(run, run.session())

    def take(self) -> Step | None:
        """The next step that was made; None where there is none. An error that ended the run is raised."""
        found = self.made.popleft() if self.made else None
        if isinstance(found, Exception):
            raise found
        return found

    def attempt(self, work: Callable[[], _T]) -> _T | None:
        """The result of some work for this row; None where it failed, and the error waits to be taken."""
        try:
            return work()
        except Exception as error:  # of whatever kind: it must not end the other rows
            clear_frames(error.__traceback__)  # they hold the device's memory, and the error may wait for long
            self.made.append(error)
            return None


class Scheduler:
    """Runs decoded together as they come and go: a pass serves all that wait for one and are of the same network.

    For one thread: taking a step of one run makes the pass for the others too, which find their steps made.
    """

    def __init__(self) -> None:
        self.rows: list[BatchRow] = []

    def decode(self, run: RunLike) -> Iterator[Step]:
        """The steps of a run; closing the iterator frees its KV cache and leaves the others alone.

        Raises:
            RuntimeError: the run's own; never that of another.
        """
        row = BatchRow.begin(run)
        self.rows.append(row)
        try:
            while step := self._next(row):
                yield step
        finally:
            self.rows.remove(row)

    def _next(self, row: BatchRow) -> Step | None:
        if not row.made:
            runner = row.run.runner
            advance([other for other in self.rows if other.run.runner is runner and not other.made], retry_alone=True)
        return row.take()


def advance(rows: Sequence[BatchRow], *, retry_alone: bool = False) -> None:
    """Make one forward pass for all rows, which are of one network: each gets its next step, or its own error.

    A row whose answer is complete gets nothing. All decoders commit before anything is recorded, so that no step's
    seconds contain the recording of other rows.

    retry_alone: where a pass for several rows fails (out of memory), make a pass for each, so that only those rows end
        whose own pass fails. Otherwise its error is raised.
    """
    asked = [(row, plan) for row in rows if (plan := row.attempt(row.run.plan))]
    found = _shared(asked, retry_alone) if len(asked) > 1 else None
    if found is None:
        found = [got for turn in asked for got in turn[0].attempt(partial(_pass, [turn])) or ()]
    steps = [(row, step) for row, readout in found if (step := row.attempt(partial(row.run.commit, readout)))]
    for row, step in steps:
        if row.attempt(partial(row.run.record, step)):
            row.made.append(step)


def _shared(asked: list[tuple[BatchRow, Plan]], retry_alone: bool) -> list[tuple[BatchRow, Readout]] | None:
    """One pass for all; None where it failed and each row should retry alone, after its memory is free."""
    try:
        return _pass(asked)
    except Exception:
        if not retry_alone:
            raise
    return None


def _pass(asked: list[tuple[BatchRow, Plan]]) -> list[tuple[BatchRow, Readout]]:
    """One forward pass, whose number of rows each run keeps."""
    readouts = asked[0][0].run.runner.forward([(row.session, plan) for row, plan in asked])
    for row, _ in asked:
        row.run.rows = max(row.run.rows, len(asked))
    return [(row, readout) for (row, _), readout in zip(asked, readouts, strict=True)]
