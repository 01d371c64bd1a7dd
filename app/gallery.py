"""Recorded runs: the gallery, deep links into it, and traces that a visitor brings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from shutil import move, rmtree
from typing import Any

import gradio as gr

from app.shelf import Shelf, new_folder
from dllm.trace import TraceError
from visualize.replay import Replay

FOLDER = Path(__file__).resolve().parent.parent / "assets/traces"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run of the gallery: its title, what it shows, what was asked, and its files."""

    title: str
    about: str
    prompt: str
    traces: tuple[str, ...]


def gallery(folder: Path = FOLDER) -> dict[str, Recorded]:
    """The recorded runs by the names that links use."""
    listed = json.loads((folder / "gallery.json").read_text())
    return {name: Recorded(**{**entry, "traces": tuple(entry["traces"])}) for name, entry in listed.items()}


class Gallery:
    """Handlers that put recorded runs on show."""

    def __init__(self, shelf: Shelf, folder: Path = FOLDER) -> None:
        self.shelf, self.folder = shelf, folder
        self.runs = gallery(folder)

    def show(self, name: str, request: gr.Request, *, at: int | None = None) -> tuple[str, str]:
        """A run of the gallery, as a message to the viewer, and its prompt."""
        if name not in self.runs:
            raise gr.Error(escape(f"trace is {name!r}; allowed: {', '.join(self.runs)}"), print_exception=False)
        run = self.runs[name]
        replay = Replay.load(*(self.folder / file for file in run.traces), link=name, about=run.about)
        return self._on_show(replay, request, at), run.prompt

    def follow(self, request: gr.Request) -> Any:
        """What the page's address asks for, `?trace=NAME&step=N` with steps counted from 1: as `show`, and its name."""
        asked: Mapping[str, str] = dict(request.query_params)
        if "trace" not in asked:
            return gr.skip(), gr.skip(), gr.skip()
        step = asked.get("step", "")
        if step and not (step.isascii() and step.isdigit() and int(step[:9]) > 0):
            raise gr.Error(escape(f"step is {step!r}; allowed: a whole number from 1"), print_exception=False)
        return *self.show(asked["trace"], request, at=int(step[:9]) - 1 if step else None), asked["trace"]

    def upload(self, paths: list[str] | None, request: gr.Request) -> Any:
        """A visitor's own traces, one a lane, and the files beside them. A bad one leaves the run on show as it is."""
        if not paths:
            return gr.skip()
        folder = new_folder()  # the run's own, because gradio clears its uploads away
        try:
            moved = [Path(move(path, folder / Path(path).name)) for path in paths]
            return self._on_show(Replay.load(*moved), request, None, folder)
        except TraceError as error:
            rmtree(folder)
            raise gr.Error(escape(str(error)), print_exception=False) from None

    def _on_show(self, replay: Replay, request: gr.Request, at: int | None, folder: Path | None = None) -> str:
        return replay.message(self.shelf.open(lambda: replay, request.session_hash, folder=folder), at=at)
