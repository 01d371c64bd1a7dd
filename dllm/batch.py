"""A batch: runs of one network driven together, one forward pass a step for all of them."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dllm.run import Run
from dllm.step import Plan, Readout, Step

if TYPE_CHECKING:
    from dllm.models.runner import Session
    from dllm.models.transformer import Transformer


@dataclass(frozen=True, slots=True)
class Row:
    """A run that is being decoded. index: its place among those given."""

    index: int
    run: Run
    session: "Session"

    def apply(self, readout: Readout) -> None:
        """Let the run commit.

        Raises:
            RuntimeError: the run's, with its index.
        """
        try:
            self.run.apply(readout)
        except RuntimeError as error:
            raise RuntimeError(f"run {self.index}: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """A run at a table. steps: those that it has not taken yet, or the error that ended it."""

    run: Run
    session: "Session"
    steps: deque[Step | RuntimeError] = field(default_factory=deque)


class Table:
    """Runs decoded together as they come and go: a pass serves all that sit here with one network and wait for it.

    It is for one thread: whoever takes a step of a run makes the pass for the others too, which find theirs made.
    """

    def __init__(self) -> None:
        self._seats: list[Seat] = []

    def decode(self, run: Run) -> Iterator[Step]:
        """The steps of a run; closing the iterator frees its KV cache and leaves the others alone.

        Raises:
            RuntimeError: the run's own; never that of another.
        """
        seat = Seat(run, run.session())
        self._seats.append(seat)
        try:
            while True:
                if not seat.steps:
                    self._pass(run.model.net)
                if not seat.steps:
                    return
                step = seat.steps.popleft()
                if isinstance(step, RuntimeError):
                    raise step
                yield step
        finally:
            self._seats.remove(seat)

    def _pass(self, net: "Transformer") -> None:
        waiting = [seat for seat in self._seats if seat.run.model.net is net and not seat.steps]
        turns = [(seat, plan) for seat in waiting if (plan := seat.run.plan())]
        readouts = _answers([(seat.run, seat.session, plan) for seat, plan in turns])
        for (seat, _), readout in zip(turns, readouts, strict=True):
            try:
                seat.steps.append(seat.run.apply(readout))
            except RuntimeError as error:
                seat.steps.append(error)


def _answers(turns: Sequence[tuple[Run, "Session", Plan]]) -> list[Readout]:
    """One forward pass for all of these, which each of their traces then tells."""
    from dllm.models.runner import answer

    for run, _, _ in turns:
        run.rows = max(run.rows, len(turns))
    return answer([(session, plan) for _, session, plan in turns]) if turns else []


def decode_together(runs: Iterable[Run], *, rows: int = 16) -> Iterator[Run]:
    """Decode runs, at most `rows` at a time, and give each as it is finished: the shortest first, not the first.

    Each writes what it would write alone. Settings may differ from run to run. A run that is finished makes room for
    the next. `Step.seconds`, and so all times of a trace, are those of the whole batch's passes: honest about how
    long one waited, but not what the run would have taken alone.

    Raises:
        ValueError: rows below 1, or runs of more than one network.
        RuntimeError: a run was begun before, or its cache policy reached no mask; says which run, counted from 0.
    """
    if rows < 1:
        raise ValueError(f"rows is {rows}; allowed: 1 or more")
    waiting = deque(enumerate(runs))
    for index, run in waiting:
        if run.model.net is not (first := waiting[0][1]).model.net:
            raise ValueError(
                f"run {index} is of another network ({run.model.id}) than run 0 ({first.model.id}); allowed: one"
            )
    return _decode(waiting, rows)


def _decode(waiting: deque[tuple[int, Run]], rows: int) -> Iterator[Run]:
    going: list[Row] = []
    if waiting:
        waiting[0][1].model.net.reserve(min(rows, len(waiting)), max(run.canvas.length for _, run in waiting))
    while waiting or going:
        while waiting and len(going) < rows:
            going.append(_row(*waiting.popleft()))
        turns = [(row, plan) for row in going if (plan := row.run.plan())]
        readouts = _answers([(row.run, row.session, plan) for row, plan in turns])
        for (row, _), readout in zip(turns, readouts, strict=True):
            row.apply(readout)
        done = [row.run for row in going if row.run.canvas.stop_reason]
        going = [row for row in going if not row.run.canvas.stop_reason]
        del turns  # holds the finished runs' KV caches
        yield from done


def _row(index: int, run: Run) -> Row:
    try:
        return Row(index, run, run.session())
    except RuntimeError as error:
        raise RuntimeError(f"run {index}: {error}") from error
