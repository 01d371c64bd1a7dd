"""The canvas as a trace tells it: which token stands at which position after each step."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dllm.trace.records import StepRecord


class Cell(NamedTuple):
    """A generated token on the canvas, its probability, and the index of the step that committed it."""

    token: int
    confidence: float
    step: int


Cells = dict[int, Cell]  # by position; masked positions and the prompt have none


def canvases(steps: Iterable[StepRecord]) -> Iterator[Cells]:
    """The canvas after each of these steps, the same dict every time: copy it to keep it."""
    cells: Cells = {}
    for step in steps:
        write(cells, step)
        yield cells


def write(cells: Cells, step: StepRecord) -> None:
    """Change the canvas as a step did: write its committed tokens, then mask what it withdrew."""
    guesses = dict(zip(step.positions, zip(step.tokens, step.confidence, strict=True), strict=True))
    for position in step.committed:
        cells[position] = Cell(*guesses[position], step.index)
    for position in step.withdrawn:
        cells.pop(position, None)


def canvas_after(steps: Iterable[StepRecord]) -> Cells:
    """The canvas after the last of these steps; empty without steps."""
    last = deque(canvases(steps), maxlen=1)
    return last[0] if last else {}
