"""The decoding loop: plan, forward pass, commit, record. A pass serves all runs that wait for one."""

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
    """The part of `dllm.engine.run.Run` that the loop needs. rows: the largest batch that served it."""

    runner: "Runner"
    rows: int

    def session(self) -> "Session": ...
    def plan(self) -> Plan | None: ...
    def commit(self, readout: Readout) -> Step: ...
    def record(self, step: Step) -> object: ...


@dataclass(frozen=True, slots=True, eq=False)
class BatchRow:
    """A run with its session. made: steps made in shared passes and not taken yet, or the error that ended it."""

    run: RunLike
    session: "Session"
    made: deque[Step | Exception] = field(default_factory=deque)

    def take(self) -> Step | None:
        """The next step made, if any. Raises the error that ended the run."""
        found = self.made.popleft() if self.made else None
        if isinstance(found, Exception):
            raise found
        return found

    def attempt(self, work: Callable[[], _T]) -> _T | None:
        """The result of some work for this row; None if it failed: `take` then raises its error."""
        try:
            return work()
        except Exception as error:  # of any kind: it must not end the other rows
            clear_frames(error.__traceback__)  # they hold device memory, and the error may wait long
            self.made.append(error)
            return None


class Scheduler:
    """Continuous batching: runs join and leave at any step; a pass serves all waiting runs of one network.

    For one thread: taking a step of one run also makes the steps of the others.
    """

    def __init__(self) -> None:
        self.rows: list[BatchRow] = []

    def decode(self, run: RunLike) -> Iterator[Step]:
        """The steps of a run; closing the iterator frees its KV cache and leaves the others alone.

        Raises:
            RuntimeError: the run was begun before, or its own pass failed; never the error of another run.
        """
        row = BatchRow(run, run.session())
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
    """Make one forward pass for all rows, which share a network: each gets its next step, or its own error.

    A row whose answer is complete gets nothing. All decoders commit before any recording, so that no step's seconds
    include the recording of other rows.

    retry_alone: if a shared pass fails (out of memory), make one pass per row; otherwise the error is raised.
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
