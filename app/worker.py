"""Works of the network: they go on by themselves in its one thread, and another thread takes what they yield."""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Executor
from threading import Event
from typing import Generic, TypeVar

from app.events import Quiet

_T = TypeVar("_T")


class Work(Generic[_T]):
    """A generator that is run in the network's thread, and its items that were not taken yet.

    One item a turn; then the thread does what else was submitted, so that works that run at once go on in step and
    share passes. Items that are not taken wait here: a run makes some hundred passes, and a time limit ends it.
    """

    def __init__(self, work: Generator[_T, None, None], network: Executor) -> None:
        self._work, self._network = work, network
        self._items: deque[_T] = deque()
        self._ready, self.ended = Event(), Event()
        self._error: BaseException | None = None
        self._rests = False  # until all items have been sent
        network.submit(self._go_on)

    def take(self) -> list[_T]:
        """All items since the last call, at least one; an empty list when the work has ended.

        Raises:
            BaseException: the work's own, when all items before it were taken.
        """
        while not self._items and not self.ended.is_set():
            if self._rests:
                self._rests = False
                self._network.submit(self._go_on)
            self._ready.wait()
            self._ready.clear()
        items = [self._items.popleft() for _ in range(len(self._items))]
        if self._error and not items:
            raise self._error
        return items

    def close(self) -> None:
        """End the work, wherever it stands. Does not wait: the thread may be busy for long, e.g. loading a model."""
        self.halt()
        self._network.submit(self._work.close)

    def halt(self) -> None:
        """Let the work end after the pass that is being made, and `take` return at once."""
        self.ended.set()
        self._ready.set()

    def _go_on(self) -> None:
        if self.ended.is_set():
            return
        try:
            item = next(self._work)
            if isinstance(item, Quiet):
                self._rests = True
            else:
                self._items.append(item)
                self._network.submit(self._go_on)
        except StopIteration:
            self.ended.set()
        except BaseException as error:
            self._error = error
            self.ended.set()
        self._ready.set()
