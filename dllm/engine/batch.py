"""Static batching: runs of one network decoded together, one forward pass a step for all of them."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dllm.engine.loop import BatchRow, advance
from dllm.engine.run import Run


def decode_together(runs: Iterable[Run], *, rows: int = 16) -> Iterator[Run]:
    """Decode runs, at most `rows` at a time, and yield each run when it finishes (completion order).

    Each gives the tokens it would give alone. Settings may differ. A finished run makes room for the next. The times in
    steps and traces are those of the shared passes.

    Raises:
        ValueError: rows below 1, or runs of more than one network.
        RuntimeError: a run was begun before, or its cache policy reached no mask; names the run, counted from 0.
    """
    if rows < 1:
        raise ValueError(f"rows is {rows}; allowed: 1 or more")
    waiting = deque(enumerate(runs))
    for index, run in waiting:
        if run.runner is not (first := waiting[0][1]).runner:
            raise ValueError(
                f"run {index} is of another network ({run.model.id}) than run 0 ({first.model.id}); allowed: one"
            )
    return _decode(waiting, rows)


def _decode(waiting: deque[tuple[int, Run]], rows: int) -> Iterator[Run]:
    going: dict[int, tuple[Run, BatchRow]] = {}
    if waiting:
        waiting[0][1].runner.reserve(min(rows, len(waiting)), max(run.canvas.length for _, run in waiting))
    while waiting or going:
        while waiting and len(going) < rows:
            index, run = waiting.popleft()
            with _named(index):
                going[index] = run, BatchRow(run, run.session())
        advance([row for _, row in going.values()])
        done = [index for index, (run, row) in going.items() if _finished(index, run, row)]
        yield from [going.pop(index)[0] for index in done]  # all their KV caches are freed first


def _finished(index: int, run: Run, row: BatchRow) -> bool:
    with _named(index):
        row.take()
    return run.canvas.stop_reason is not None


@contextmanager
def _named(index: int) -> Iterator[None]:
    """Put a run's index before its RuntimeError; a subclass (out of memory) stays as it is."""
    try:
        yield
    except RuntimeError as error:
        if type(error) is not RuntimeError:
            raise
        raise RuntimeError(f"run {index}: {error}") from error
