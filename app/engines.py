"""The loaded model, and the one thread in which all its work is done, whoever asks and however slowly they listen."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from threading import Event, Lock, current_thread
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

from dllm.cards import offered
from dllm.engine import Engine
from dllm.settings import SettingsError

T = TypeVar("T")
TOLD: Any = object()  # work that yields it goes on when all it said before has been told: what is timed has quiet
NETWORK = "network"  # what its thread is called
POLL = 0.25  # seconds between two words about a load
FRAME = 0.04  # seconds in which what comes is told together: more than 25 messages a second nobody sees
Loader = Callable[..., Any]  # Engine.load, or a stand-in with its signature


class LoadError(RuntimeError):
    """A model could not be loaded; the message says why."""


class Device:
    """Who uses the network now: any number of runs that share its passes, or one race that nothing may disturb.

    Held for as long as a handler lives, so that a cancelled run's last pass cannot slow the next one's timing. Plain
    counters, because a generator may be closed in another thread than it began in.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._sharing = 0
        self._alone = False
        self._wished = 0.0  # until when a race's wish to be alone keeps others out

    def enter(self, stack: ExitStack, *, alone: bool = False) -> bool:
        """Take part until the stack ends, if that can be now; a refused wish to be alone is remembered for a while."""
        with self._lock:
            if alone and self._sharing:
                self._wished = monotonic() + 4 * POLL
            if self._alone or (self._sharing if alone else monotonic() < self._wished):
                return False
            self._alone, self._sharing = alone, self._sharing + (not alone)
            self._wished = 0.0
        stack.callback(self._leave, alone)
        return True

    @property
    def busy(self) -> bool:
        """Whether anyone uses it."""
        return self._alone or self._sharing > 0

    def _leave(self, alone: bool) -> None:
        with self._lock:
            self._alone, self._sharing = self._alone and not alone, self._sharing - (not alone)


class Driven(Generic[T]):
    """Work that goes on by itself in the network's thread, and what has come of it that nobody took yet.

    An item a turn: then the thread does what else was asked of it, so works that are driven at once go on in step and
    share passes. What is not taken waits here; a run makes some hundred passes, and SECONDS ends it.
    """

    def __init__(self, work: Generator[T, None, None], pool: ThreadPoolExecutor) -> None:
        self._work, self._pool = work, pool
        self._come: deque[T] = deque()
        self._ready, self.ended = Event(), Event()
        self._error: BaseException | None = None
        self._rests = False  # until what has come has been told
        pool.submit(self._go_on)

    def take(self) -> list[T]:
        """All that has come since the last time, at least one; nothing when the work has ended.

        Raises:
            BaseException: the work's own, when all that came before it was taken.
        """
        while not self._come and not self.ended.is_set():
            if self._rests:
                self._rests = False
                self._pool.submit(self._go_on)
            self._ready.wait()
            self._ready.clear()
        items = [self._come.popleft() for _ in range(len(self._come))]
        if self._error and not items:
            raise self._error
        return items

    def close(self) -> None:
        """End the work, wherever it stands; waits until it has, but not in the network's own thread.

        What was left without being closed is closed by whoever comes upon it, which may be a pass of the network.
        """
        self.ended.set()
        closing = self._pool.submit(self._work.close)
        if not current_thread().name.startswith(NETWORK):
            closing.result()

    def halt(self) -> None:
        """Let it end after the pass that is being made, and whoever takes know that at once."""
        self.ended.set()
        self._ready.set()

    def _go_on(self) -> None:
        if self.ended.is_set():
            return
        try:
            item = next(self._work)
            if item is TOLD:
                self._rests = True
            else:
                self._come.append(item)
                self._pool.submit(self._go_on)
        except StopIteration:
            self.ended.set()
        except BaseException as error:
            self._error = error
            self.ended.set()
        self._ready.set()


class Engines:
    """Keeps one model loaded: memory is for weights, not for models left behind. All its work is done in one thread."""

    def __init__(self, load: Loader = Engine.load) -> None:
        self._load = load
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=NETWORK)
        self._name: str | None = None
        self._loading: Future[Any] | None = None
        self._said = ""
        self._driven: list[tuple[str | None, Driven[Any]]] = []
        self.device = Device()

    def loading(self, name: str) -> Iterator[str]:
        """Load a model unless it is there; yields what is going on, and returns when it is loaded.

        Raises:
            SettingsError: no such model.
            LoadError: says why; the next call tries again.
        """
        loading = self.begin(name)
        while not wait([loading], timeout=POLL).done:
            yield self._said
        if error := loading.exception():
            raise LoadError(f"the model could not be loaded: {error}") from error

    def begin(self, name: str) -> "Future[Any]":
        """Start loading a model, or join the load that is going on."""
        if name not in (allowed := offered()):
            raise SettingsError(f"model is {name!r}; allowed: {', '.join(allowed)}")
        with self._lock:
            failed = self._loading is not None and self._loading.done() and self._loading.exception() is not None
            if self._loading is None or self._name != name or failed:
                self._name, self._said = name, "Loading the model…"
                self._loading = self._pool.submit(self._work, name)
            return self._loading

    def preload(self) -> None:
        """Start loading the first model of the list, unless a model is there or on its way."""
        if self._loading is None:
            self.begin(next(iter(offered())))

    def drive(self, work: Generator[T, None, None], owner: str | None = None) -> Generator[list[T], None, None]:
        """What comes of work of the network, done in the one thread that does such work; closing ends the work.

        owner: whose `halt` ends it, too.

        The work never waits for who listens: what comes within a FRAME comes together. Torch keeps a team of threads
        for every thread that calls it, and teams that wait spin for a while: steps taken in whatever thread the server
        has at hand were nearly half as fast.
        """
        driven = Driven(work, self._pool)
        self._driven.append((owner, driven))
        try:
            while items := driven.take():
                yield items
                driven.ended.wait(FRAME)
        finally:
            self._driven.remove((owner, driven))
            driven.close()

    def halt(self, owner: str) -> None:
        """End what is driven for someone: a listener who is waiting cannot be closed before something comes."""
        for whose, driven in list(self._driven):
            if whose == owner:
                driven.halt()

    def waiting(self, stack: ExitStack, *, alone: bool = False) -> Iterator[str]:
        """Take part until the stack ends, alone or with others; yields what is waited for until then."""
        while not self.device.enter(stack, alone=alone):
            yield "Waiting until the other runs have ended…" if alone else "Waiting until a race has ended…"
            sleep(POLL)

    def get(self, name: str) -> Any:
        """The loaded engine."""
        return self.begin(name).result()

    def _work(self, name: str) -> Any:
        engine = self._load(name, progress=self._progress)
        self._said = "Warming up…"
        engine.warm()
        return engine

    def _progress(self, label: str, done: int, total: int) -> None:
        self._said = f"{label}: {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else label
