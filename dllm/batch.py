"""A batch: runs of one network driven together, one forward pass a step for all of them."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dllm.run import Run
from dllm.step import Readout

if TYPE_CHECKING:
    from dllm.models.runner import Session


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
    from dllm.models.runner import answer

    going: list[Row] = []
    while waiting or going:
        while waiting and len(going) < rows:
            going.append(_row(*waiting.popleft()))
        turns = [(row, plan) for row in going if (plan := row.run.plan())]
        for (row, _), readout in zip(turns, answer([(row.session, plan) for row, plan in turns]), strict=True):
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
