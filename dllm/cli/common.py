"""What several commands share: options, and how progress is shown."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DEVICE = "cpu, cuda or cuda:N; default: CUDA if there is a device"


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error."""
    from dllm.models.progress import TerminalBar

    bar = TerminalBar(sys.stderr)
    yield bar
    bar.finish()


def report(line: str) -> None:
    """Progress on standard error, a line at a time."""
    print(line, file=sys.stderr, flush=True)
