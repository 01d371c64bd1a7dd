"""The loaded model, and visits: each waits for the device, loads its model and runs works on it."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from functools import partial
from threading import Event, Lock
from typing import TypeVar

from app.device import Device, Slot, Use
from app.environment import threads
from app.worker import Work, Worker
from dllm.engine import Engine
from dllm.engine.registry import offered_models
from dllm.settings import SettingsError

T = TypeVar("T")
_POLL = 0.25  # seconds between two sentences about a load
FRAME = 0.04  # seconds in which all events are sent together: more than 25 messages a second nobody sees
PATIENCE = 30.0  # seconds in which a visitor in the line is sent at least one sentence
Loader = Callable[..., Engine]  # Engine.load, or a stand-in with its signature


class LoadError(RuntimeError):
    """A model could not be loaded; the message says why."""


class Engines:
    """Keeps one model loaded: memory is for weights, not for models left behind. All its work is done in one thread."""

    def __init__(self, load: Loader | None = None) -> None:
        """load: by default `Engine.load` with the page's threads."""
        self._load = load or partial(Engine.load, threads=threads())
        self._lock = Lock()
        self._name: str | None = None
        self._loading: Future[Engine] | None = None
        self._progress = ""
        self._visits: list[Visit] = []
        self.worker = Worker()
        self.device = Device()

    def loading(self, name: str) -> Generator[str, None, Engine]:
        """Load a model unless it is there; yields how far that is, and returns the engine.

        Raises:
            SettingsError: no such model.
            LoadError: says why; the next call tries again.
        """
        loading = self.begin(name)
        while not wait([loading], timeout=_POLL).done:
            yield self._progress
        if error := loading.exception():
            raise LoadError(f"the model could not be loaded: {error}") from error
        return loading.result()

    def begin(self, name: str) -> "Future[Engine]":
        """Start loading a model, or join the load that is going on.

        Raises:
            SettingsError: no such model.
        """
        check_model(name)
        with self._lock:
            failed = self._loading is not None and self._loading.done() and self._loading.exception() is not None
            if self._loading is None or self._name != name or failed:
                self._name, self._progress = name, "Loading the model…"
                self._loading = self.worker.submit(partial(self._warm_engine, name))
            return self._loading

    def preload(self) -> None:
        """Start loading the first model of the list, unless a model is there or on its way."""
        if self._loading is None:
            self.begin(next(iter(offered_models())))

    def get(self, name: str) -> Engine:
        """The loaded engine; waits for it."""
        return self.begin(name).result()

    def visit(self, owner: str | None = None, *, alone: bool = False) -> "Visit":
        """Join the line for the device. owner: a session, whose earlier visit ends. alone: nothing else may run then.

        The visit must be closed, e.g. by a `with` statement.
        """
        if owner is not None:
            self.halt(owner)
        visit = Visit(self, owner, self.device.place(Use.RACE if alone else Use.RUN))
        self._visits.append(visit)
        return visit

    def halt(self, owner: str) -> None:
        """End what a session does: a listener who is waiting cannot be closed before something comes."""
        for visit in list(self._visits):
            if visit.owner == owner:
                visit.halt()

    def forget(self, visit: "Visit") -> None:
        """A visit was closed."""
        if visit in self._visits:
            self._visits.remove(visit)

    def _warm_engine(self, name: str) -> Engine:
        engine = self._load(name, progress=self._tell)
        self._progress = "Warming up…"
        engine.warm()
        return engine

    def _tell(self, label: str, done: int, total: int) -> None:
        self._progress = f"{label}: {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else label


class Visit:
    """One use of the network by one visitor. `halted` is set when Stop or a newer visit of theirs has ended it."""

    def __init__(self, engines: Engines, owner: str | None, place: Slot) -> None:
        self.owner = owner
        self.halted = Event()
        self.engine: Engine | None = None
        self._engines, self._place = engines, place
        self._tasks: list[Work] = []

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def ready(self, model: str) -> Iterator[str]:
        """Wait for the device, then load the model, so that no race is disturbed by a load; yields what goes on.

        Afterwards `engine` is there, unless the visit was halted.

        Raises:
            SettingsError: no such model.
            LoadError: it could not be loaded; says why.
        """
        while not self._place.inside and not self.halted.is_set():
            ahead = self._place.ahead
            yield self._waiting()
            self._place.wait(PATIENCE, ahead=ahead)
        if self.halted.is_set():
            return
        loading = self._engines.loading(model)
        while True:
            try:
                yield next(loading)
            except StopIteration as loaded:
                self.engine = loaded.value
                return
            if self.halted.is_set():
                return

    def drive(self, work: Generator[T, None, None]) -> Generator[list[T], None, None]:
        """The items of a work that is done in the network's thread; closing this ends the work.

        The work never waits for its listener: all items of a FRAME come together.
        """
        task = self._engines.worker.start(work)
        self._tasks.append(task)
        if self.halted.is_set():
            task.halt()
        try:
            while items := task.take():
                yield items
                task.ended.wait(FRAME)
        finally:
            task.close()

    def halt(self) -> None:
        """End it after the pass that is being made; its listener knows at once."""
        self.halted.set()
        if not self._place.inside:
            self._place.leave()
        for task in list(self._tasks):
            task.halt()

    def close(self) -> None:
        """End it, without waiting. The device is free when the network's thread has closed what ran there."""
        self.halted.set()
        self._engines.forget(self)
        for task in self._tasks:
            task.close()
        if self._tasks:
            self._engines.worker.submit(self._place.leave)
        else:
            self._place.leave()

    def _waiting(self) -> str:
        if self._place.use is Use.RACE:
            reason = "Waiting until the other runs have ended…"
        elif self._engines.device.racing:
            reason = "Waiting until a race has ended…"
        else:
            reason = "Waiting for a free place…"
        ahead = self._place.ahead
        return f"{reason} {ahead} before you in the line." if ahead else reason


def check_model(name: object) -> None:
    """Refuse a model that is not offered.

    Raises:
        SettingsError: names it and those that are.
    """
    allowed = offered_models()
    if not isinstance(name, str) or name not in allowed:
        raise SettingsError(f"model is {name!r}; allowed: {', '.join(allowed)}")
