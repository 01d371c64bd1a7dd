"""How long work tells how far it is: a callback, and a bar on a terminal that is one."""

from collections.abc import Callable
from typing import TextIO

Progress = Callable[[str, int, int], None]  # what is being done, bytes done, bytes in all

WIDTH = 20  # cells of the bar: a label of up to 40 characters still fits a line of 80


class TerminalBar:
    """Progress as a bar that redraws itself on a terminal; elsewhere a line per thing done."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.label = ""

    def __call__(self, label: str, done: int, total: int) -> None:
        """Draw the bar for `done` of `total` bytes."""
        if label != self.label:
            self.finish()
            self.out.write("" if self.out.isatty() else f"{label}\n")
            self.label = label
        if self.out.isatty():
            filled = WIDTH * done // total
            bar = "█" * filled + "░" * (WIDTH - filled)
            self.out.write(f"\r{label}  {bar} {done / 1e6:5.1f} of {total / 1e6:.1f} MB")
        self.out.flush()

    def finish(self) -> None:
        """End the line that is being redrawn."""
        if self.label and self.out.isatty():
            self.out.write("\n")
        self.label = ""
