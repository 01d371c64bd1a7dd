"""The loaded model. Loading takes seconds the first time, so it happens in a thread and says how far it is."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from threading import Lock
from time import monotonic, sleep
from typing import Any, TypeVar

from dllm.engine import MODELS, Engine
from dllm.settings import SettingsError

T = TypeVar("T")
END = object()
POLL = 0.25  # seconds between two words about a load
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


class Engines:
    """Keeps one model loaded: memory is for weights, not for models left behind. All its work is done in one thread."""

    def __init__(self, load: Loader = Engine.load) -> None:
        self._load = load
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._name: str | None = None
        self._loading: Future[Any] | None = None
        self._said = ""
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
        if name not in MODELS:
            raise SettingsError(f"model is {name!r}; allowed: {', '.join(MODELS)}")
        with self._lock:
            failed = self._loading is not None and self._loading.done() and self._loading.exception() is not None
            if self._loading is None or self._name != name or failed:
                self._name, self._said = name, "Loading the model…"
                self._loading = self._pool.submit(self._work, name)
            return self._loading

    def preload(self) -> None:
        """Start loading the first model of the list, unless a model is there or on its way."""
        if self._loading is None:
            self.begin(next(iter(MODELS)))

    def drive(self, work: Generator[T, None, None]) -> Iterator[T]:
        """Iterate over work of the network in the one thread that does such work; closing ends the work.

        Torch keeps a team of threads for every thread that calls it, and teams that wait spin for a while: steps taken
        in whatever thread the server has at hand were nearly half as fast.
        """
        try:
            while (item := self._pool.submit(next, work, END).result()) is not END:
                yield item  # type: ignore[misc]
        finally:
            self._pool.submit(work.close).result()

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
