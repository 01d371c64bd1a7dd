"""Recorded runs: the gallery, deep links into it, and a visitor's own traces."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import copy, rmtree
from typing import Any

import gradio as gr

from app.device import Device
from app.folders import new_folder
from app.limits import DRAWING, RACING
from app.refusals import refusal
from app.runs import Runs, Saved
from dllm.trace import TraceError
from visualize.replay import Replay

FOLDER = Path(__file__).resolve().parent.parent / "assets/traces"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run of the gallery: its title, what it shows, what was asked, and its files."""

    title: str
    about: str
    prompt: str
    traces: list[str]


class Gallery:
    """Handlers that show recorded runs. `runs` are those of the gallery, by the names that links use."""

    def __init__(self, kept: Runs, device: Device) -> None:
        self.kept, self.device = kept, device
        listed = json.loads((FOLDER / "gallery.json").read_text())
        self.runs = {name: Recorded(**entry) for name, entry in listed.items()}
        self.read = cache(self._read)  # all of them take less memory than one long run

    def show(
        self, name: str, request: gr.Request, note: str = "", *, at: int | None = None, welcome: bool = False
    ) -> tuple[str, str]:
        """A run of the gallery, as a message to the viewer, and its prompt; see `Replay.message`."""
        if name not in self.runs:
            raise refusal(f"trace is {name!r}; allowed: {', '.join(self.runs)}")
        replay = self.read(name)
        run = self.kept.open(Saved(replay, shared=True), request.session_hash)
        return replay.message(run, note, at=at, welcome=welcome), self.runs[name].prompt

    def upload(self, paths: list[str] | None, request: gr.Request) -> Any:
        """A visitor's own traces, one a lane, and their side files. After a bad one the run on show stays."""
        if not paths:
            return gr.skip()
        folder = new_folder()  # the run's own, because gradio clears its uploads away
        try:
            with self.device.picture(DRAWING) as inside:
                if not inside:
                    raise TraceError(RACING)
                replay = Replay.load(*_copied(paths, folder), untrusted=True)
        except TraceError as error:
            rmtree(folder)
            raise refusal(error) from None
        return replay.message(self.kept.open(Saved(replay), request.session_hash, folder=folder))

    def _read(self, name: str) -> Replay:
        run = self.runs[name]
        return Replay.load(*(FOLDER / file for file in run.traces), link=name, about=run.about)


def _copied(paths: list[str], folder: Path) -> list[Path]:
    """Uploaded files in a folder. Copied, because visitors who upload the same file share one upload.

    Raises:
        TraceError: two have one name.
    """
    names = [Path(path).name for path in paths]
    if twins := [name for name in names if names.count(name) > 1]:
        raise TraceError(f"two files are called {repr(twins[0])[:80]}; allowed: a name for each")
    return [Path(copy(path, folder / name)) for path, name in zip(paths, names, strict=True)]
