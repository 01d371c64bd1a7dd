"""Runs that were shown lately: what the inspector asks about, what is saved and whose drift is measured."""

import base64
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Lock
from typing import Any
from uuid import uuid4
from weakref import finalize

import gradio as gr

from dllm.drift import Drift
from dllm.settings import SettingsError
from dllm.trace import TraceError
from visualize.export import EXPORTS
from visualize.replay import Replay
from visualize.views import QuestionError

CAPACITY = 32  # runs of all visitors together; the one not asked about for longest goes first


@dataclass(frozen=True, eq=False)
class Kept:
    """A run, whose it is, the drift measured since, and a folder that ends with it."""

    source: Callable[[], Replay]
    session: str | None
    path: Path
    drifts: dict[str, Drift] = field(default_factory=dict)

    def replay(self) -> Replay:
        """The run as it stands now.

        Raises:
            QuestionError: there is nothing of it yet.
        """
        replay = self.source()
        return replace(replay, drifts={**replay.drifts, **self.drifts})


class Shelf:
    """Keeps the last runs by their ids, which nobody can guess. A closed tab frees its own."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lock = Lock()
        self._drawing = Lock()  # one picture at a time: visitors share the cores that somebody's run is timed on

    def open(self, source: Callable[[], Replay], session: str | None = None, *, folder: Path | None = None) -> str:
        """Keep a run; returns its id. `source` is called whenever the run is asked about; `folder` becomes its own."""
        run, kept = uuid4().hex, Kept(source, session, folder or new_folder())
        finalize(kept, rmtree, kept.path, ignore_errors=True)
        with self._lock:
            self._kept[run] = kept
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return run

    def get(self, run: Any) -> Kept:
        """A run by its id.

        Raises:
            QuestionError: it is not kept, or not any more.
        """
        with self._lock:
            if not isinstance(run, str) or run not in self._kept:
                raise QuestionError("This run is no longer kept on the server: decode again, or open a saved trace.")
            self._kept.move_to_end(run)
            return self._kept[run]

    def leave(self, request: gr.Request) -> None:
        """A tab was closed: free what it decoded."""
        with self._lock:
            for run in [run for run, kept in self._kept.items() if kept.session == request.session_hash]:
                del self._kept[run]

    def ask(self, question: Any) -> Mapping[str, Any]:
        """What the viewer's script calls: {"run", "lane", "view", …} → a picture, a file, or {"error": why not}."""
        try:
            if not isinstance(question, Mapping):
                raise QuestionError(f"a question is {question!r:.80}; allowed: an object")
            kept = self.get(question.get("run"))
            with self._drawing:
                replay = kept.replay()
                return export(replay, question) if question.get("view") == "export" else replay.ask(question)
        except (QuestionError, SettingsError, TraceError) as error:
            return {"error": str(error)}


def new_folder() -> Path:
    """A folder for the files of one run."""
    return Path(mkdtemp(prefix="blockscope-"))


def export(replay: Replay, question: Mapping[str, Any]) -> dict[str, str]:
    """A lane as a file: its name, media type and bytes in base64."""
    name, lane = question.get("format"), question.get("lane")
    if not isinstance(name, str) or name not in EXPORTS:
        raise QuestionError(f"format is {name!r}; allowed: {', '.join(EXPORTS)}")
    if not isinstance(lane, str) or lane not in replay.traces:
        raise QuestionError(f"lane is {lane!r}; allowed: {', '.join(replay.traces)}")
    made = EXPORTS[name].make(replay, lane)
    file = f"blockscope-{replay.link or 'run'}-{lane}{EXPORTS[name].suffix}"
    return {"name": file, "media": EXPORTS[name].media, "data": base64.b64encode(made).decode()}
