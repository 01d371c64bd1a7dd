"""Progress of long work: the callback's type, and a callback that draws a bar on a terminal."""

from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

Progress = Callable[[str, int, int], None]  # what is being done, bytes done, bytes in all


class TerminalBar:
    """Progress as a bar on a terminal; elsewhere each label once, on a line of its own."""

    def __init__(self, out: TextIO) -> None:
        self.out, self.label = out, ""
        self._bar: tqdm | None = None

    def __call__(self, label: str, done: int, total: int) -> None:
        """Draw the bar for `done` of `total` bytes."""
        if label != self.label:
            self.finish()
            self.label = label
            if self.out.isatty():
                self._bar = tqdm(desc=label, total=total, unit="B", unit_scale=True, file=self.out, dynamic_ncols=True)
            else:
                print(label, file=self.out, flush=True)
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)

    def finish(self) -> None:
        """End the line that is being redrawn."""
        if self._bar is not None:
            self._bar.close()
        self.label, self._bar = "", None
