"""The loaded model, and visits: each waits for the device, loads its model and runs a work on it."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import Event, Lock
from typing import TypeVar

from app.device import Device, Use
from app.environment import threads
from app.worker import Work
from dllm.decode import ModelTraits
from dllm.engine import Engine
from dllm.engine.registry import offered_models
from dllm.settings import SettingsError

_T = TypeVar("_T")
_POLL = 0.25  # seconds between two sentences about a load
FRAME = 0.04  # seconds in which all events are sent together: an eye sees no more than 25 messages a second
PATIENCE = 30.0  # seconds in which a visitor in the line is sent at least one sentence
Loader = Callable[..., Engine]  # Engine.load, or a stand-in with its signature


class LoadError(RuntimeError):
    """A model could not be loaded; the message says why."""


class Engines:
    """Keeps one model loaded: memory is for weights, not for models left behind.

    network: the one thread in which the network works. Torch keeps a team of threads for every thread that calls it,
    and a team that waits spins for a while: steps taken in any thread of the server were nearly half as fast.
    progress: how far the load that is going on has come.
    """

    def __init__(self, load: Loader | None = None) -> None:
        """load: by default `Engine.load` with the page's threads."""
        self._load = load or partial(Engine.load, threads=threads())
        self._lock = Lock()
        self._name: str | None = None
        self._loading: Future[Engine] | None = None
        self.progress = ""
        self.visits: list[Visit] = []
        self.network = ThreadPoolExecutor(1, thread_name_prefix="network")
        self.device = Device()

    def load(self, name: str) -> "Future[Engine]":
        """The model, which is loaded unless it is there or on its way. After a failed load, the next call tries again.

        Raises:
            SettingsError: no such model.
        """
        check_model(name)
        with self._lock:
            failed = self._loading is not None and self._loading.done() and self._loading.exception() is not None
            if self._loading is None or self._name != name or failed:
                self._name, self.progress = name, "Loading the model…"
                self._loading = self.network.submit(self._warm_engine, name)
            return self._loading

    def preload(self) -> None:
        """Start loading the first model of the list, unless a model is there or on its way."""
        if self._loading is None:
            self.load(next(iter(offered_models())))

    def traits(self, name: str) -> ModelTraits | None:
        """What decoders know of a model, if it is loaded."""
        with self._lock:
            loading = self._loading if self._name == name else None
        if loading is None or not loading.done() or loading.exception() is not None:
            return None
        return loading.result().traits

    def visit(self, owner: str | None = None, *, alone: bool = False) -> "Visit":
        """Join the line for the device. owner: a session, whose earlier visit ends. alone: nothing else may run then.

        The visit must be closed, e.g. by a `with` statement.
        """
        self.halt(owner)
        visit = Visit(self, owner, Use.RACE if alone else Use.RUN)
        self.visits.append(visit)
        return visit

    def halt(self, owner: str | None) -> None:
        """End what a session does: a listener who is waiting cannot be closed before something comes."""
        for visit in list(self.visits):
            if owner is not None and visit.owner == owner:
                visit.halt()

    def _warm_engine(self, name: str) -> Engine:
        engine = self._load(name, progress=self._report)
        self.progress = "Warming up…"
        engine.warm()
        return engine

    def _report(self, label: str, done: int, total: int) -> None:
        self.progress = f"{label}: {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else label


class Visit:
    """One use of the network by one visitor. `halted` is set when Stop or a newer visit of theirs has ended it."""

    def __init__(self, engines: Engines, owner: str | None, use: Use) -> None:
        self.owner = owner
        self.halted = Event()
        self.engine: Engine | None = None
        self._engines, self._slot = engines, engines.device.place(use)
        self._work: Work | None = None

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
        while not self._slot.inside and not self.halted.is_set():
            ahead = self._slot.ahead
            yield self._waiting()
            self._slot.wait(PATIENCE, ahead=ahead)
        if self.halted.is_set():
            return
        loading = self._engines.load(model)
        while not wait([loading], timeout=_POLL).done:
            yield self._engines.progress
            if self.halted.is_set():
                return
        if error := loading.exception():
            raise LoadError(f"the model could not be loaded: {error}") from error
        self.engine = loading.result()

    def drive(self, work: Generator[_T, None, None]) -> Generator[list[_T], None, None]:
        """The items of a work that is done in the network's thread; closing this ends the work. Once a visit.

        The work never waits for its listener: all items of a FRAME come together.
        """
        self._work = task = Work(work, self._engines.network)
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
        if not self._slot.inside:
            self._slot.leave()
        if self._work:
            self._work.halt()

    def close(self) -> None:
        """End it, without waiting. The device is free when the network's thread has closed what ran there."""
        self.halted.set()
        if self in self._engines.visits:
            self._engines.visits.remove(self)
        if self._work:
            self._work.close()
            self._engines.network.submit(self._slot.leave)
        else:
            self._slot.leave()

    def _waiting(self) -> str:
        if self._slot.use is Use.RACE:
            reason = "Waiting for the other runs to end…"
        elif self._engines.device.racing:
            reason = "Waiting for a race to end…"
        else:
            reason = "Waiting for a free place…"
        ahead = self._slot.ahead
        return f"{reason} {ahead} ahead of you in the line." if ahead else reason


def check_model(name: object) -> None:
    """Refuse a model that is not offered.

    Raises:
        SettingsError: names it and those that are.
    """
    allowed = offered_models()
    if not isinstance(name, str) or name not in allowed:
        raise SettingsError(f"model is {name!r}; allowed: {', '.join(allowed)}")
