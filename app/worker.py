"""The one thread in which all work of the network is done, and works that go on in it by themselves."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Generic, TypeVar

from app.events import Quiet

T = TypeVar("T")


class Worker:
    """One thread for all work of the network.

    Torch keeps a team of threads for every thread that calls it, and a team that waits spins for a while: steps taken
    in whatever thread the server has at hand were nearly half as fast.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="network")

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Call something in the thread, after all that was submitted before."""
        return self._pool.submit(call)

    def start(self, work: Generator[T, None, None]) -> "Work[T]":
        """Begin a work that goes on by itself."""
        return Work(work, self)


class Work(Generic[T]):
    """A work that goes on by itself in the worker's thread, and its items that were not taken yet.

    One item a turn; then the thread does what else was submitted, so tasks that run at once go on in step and share
    passes. Items that are not taken wait here: a run makes some hundred passes, and a time limit ends it.
    """

    def __init__(self, work: Generator[T, None, None], worker: Worker) -> None:
        self._work, self._worker = work, worker
        self._items: deque[T] = deque()
        self._ready, self.ended = Event(), Event()
        self._error: BaseException | None = None
        self._rests = False  # until all items have been sent
        worker.submit(self._go_on)

    def take(self) -> list[T]:
        """All items since the last call, at least one; an empty list when the work has ended.

        Raises:
            BaseException: the work's own, when all items before it were taken.
        """
        while not self._items and not self.ended.is_set():
            if self._rests:
                self._rests = False
                self._worker.submit(self._go_on)
            self._ready.wait()
            self._ready.clear()
        items = [self._items.popleft() for _ in range(len(self._items))]
        if self._error and not items:
            raise self._error
        return items

    def close(self) -> None:
        """End the work, wherever it stands. Does not wait: the thread may be busy for long, e.g. loading a model."""
        self.halt()
        self._worker.submit(self._work.close)

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
                self._worker.submit(self._go_on)
        except StopIteration:
            self.ended.set()
        except BaseException as error:
            self._error = error
            self.ended.set()
        self._ready.set()
