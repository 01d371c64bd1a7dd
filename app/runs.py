"""Runs that were shown lately: what the inspector asks about, what is saved and whose drift is measured."""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import rmtree
from threading import Lock
from typing import Protocol
from uuid import uuid4
from weakref import finalize

import gradio as gr

from app.limits import KEPT, KEPT_BYTES, KEPT_EACH
from dllm.trace.drift import Drift
from visualize.replay import Replay
from visualize.view import QuestionError

_SHARED_VIEWS = 1000  # views of the gallery that are kept; they take no memory


class RunSource(Protocol):
    """A replay that never changes, or a run that is being decoded.

    shared: whether it is of the gallery, whose files are read once for all visitors.
    `replay` is the run as it stands now (QuestionError: there is nothing of it yet), `bytes` its memory, about.
    """

    @property
    def shared(self) -> bool: ...
    def replay(self) -> Replay: ...
    def bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Saved:
    """A replay of recorded files."""

    found: Replay
    shared: bool = False

    def replay(self) -> Replay:
        """The replay."""
        return self.found

    def bytes(self) -> int:
        """Memory of its traces; nothing for a view of shared ones."""
        return 0 if self.shared else sum(trace.nbytes for trace in self.found.traces.values())


@dataclass(eq=False)
class KeptRun:
    """A run, its session (None: it has left), the drift measured since, and a folder that ends with it."""

    source: RunSource
    session: str | None
    path: Path | None
    drifts: dict[str, Drift] = field(default_factory=dict)

    def replay(self) -> Replay:
        """The run as it stands now, as `RunSource.replay`."""
        replay = self.source.replay()
        return replace(replay, drifts={**replay.drifts, **self.drifts})


class Runs:
    """Keeps the last runs by their ids, which cannot be guessed. A closed tab's are the first to go.

    Above a limit, the session's own oldest runs are freed first, then those of the session with most memory or runs,
    so that one visitor cannot take everything from the others.
    """

    def __init__(self, *, most: int = KEPT, each: int = KEPT_EACH, memory: int = KEPT_BYTES) -> None:
        """most, each: runs of all sessions, and of one. memory: bytes of all."""
        self._most, self._each, self._memory = most, each, memory
        self._kept: OrderedDict[str, KeptRun] = OrderedDict()  # the run not asked about for longest first
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def open(self, source: RunSource, session: str | None = None, *, folder: Path | None = None) -> str:
        """Keep a run; returns its id. folder: of its files; removed when the run is freed."""
        run, kept = uuid4().hex, KeptRun(source, session, folder)
        if folder is not None:
            finalize(kept, rmtree, folder, ignore_errors=True)
        with self._lock:
            self._kept[run] = kept
            self._evict(run, session)
        return run

    def get(self, run: object) -> KeptRun:
        """A run by its id.

        Raises:
            QuestionError: it is not kept, or not any more.
        """
        with self._lock:
            if not isinstance(run, str) or run not in self._kept:
                raise QuestionError("This run is no longer kept on the server: decode again, or open a saved trace.")
            self._kept.move_to_end(run)
            return self._kept[run]

    def leave(self, session: str | None) -> None:
        """A tab was closed: its runs belong to nobody, so that they are the first to be freed."""
        with self._lock:
            for kept in self._kept.values():
                if kept.session == session:
                    kept.session = None

    def _evict(self, fresh: str, session: str | None) -> None:
        """Free what is above the limits, never the run that has just come."""
        if session is not None:
            own = [run for run, kept in self._kept.items() if kept.session == session]
            for run in own[: max(0, len(own) - self._each)]:
                del self._kept[run]
        self._shrink(fresh, lambda source: int(not source.shared), self._most)
        self._shrink(fresh, lambda source: int(source.shared), _SHARED_VIEWS)
        self._shrink(fresh, lambda source: source.bytes(), self._memory)

    def _shrink(self, fresh: str, size: Callable[[RunSource], int], limit: int) -> None:
        """Free the oldest runs of the session that has most, until all are within the limit."""
        sizes = {run: count for run, kept in self._kept.items() if (count := size(kept.source))}
        while sum(sizes.values()) > limit and sizes.keys() - {fresh}:
            shares: Counter[str] = Counter()
            for run, count in sizes.items():
                shares[self._owner(run)] += count
            others = (run for run in sizes if run != fresh)
            gone = max(others, key=lambda run: (self._kept[run].session is None, shares[self._owner(run)]))
            del self._kept[gone], sizes[gone]

    def _owner(self, run: str) -> str:
        return self._kept[run].session or run


def session_of(request: gr.Request | None) -> str | None:
    """The session of a request; None for calls that come from no page."""
    return request.session_hash if request else None
