"""Headless requests: one JSON line in, one JSON line out; a bad one never stops the others."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dllm.attention import MapsWriter
from dllm.settings import Settings, SettingsError
from dllm.step import Step
from dllm.trace import Trace


class Runnable(Protocol):
    """What the engine hands out; see `dllm.run.Run`."""

    def __iter__(self) -> Iterator[Step]: ...
    def trace(self) -> Trace: ...


class Engine(Protocol):
    """What answers requests; see `dllm.engine.Engine`."""

    @property
    def autoregressive(self) -> bool: ...
    def run(self, prompt: str | list[int], settings: Settings) -> Runnable: ...


class Folder:
    """Where files of answers go: attention maps as `ID.npz`, or with `traces` the trace and its maps.

    Those are `ID.json.gz` and `ID.attention.npz`. What an id holds besides letters, digits and "-_." becomes "_".
    """

    def __init__(self, path: Path, *, traces: bool = False) -> None:
        self.path, self.traces = path, traces
        self._taken: set[str] = set()

    def claim(self, name: str) -> str:
        """The stem of an id's files; each only once, so that no answer is written over another.

        Raises:
            SettingsError: it is another request's.
        """
        stem = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:100]
        if stem in self._taken:
            raise SettingsError(f"id is {name!r}; allowed: one whose file {stem!r} no earlier request has")
        self._taken.add(stem)
        self.path.mkdir(parents=True, exist_ok=True)
        return stem

    def maps(self, stem: str) -> Path:
        """The file of attention maps."""
        return self.path / f"{stem}{'.attention' if self.traces else ''}.npz"


def prompt_of(request: Mapping[str, Any]) -> str | list[int]:
    """The prompt of a request, text or ids.

    Raises:
        SettingsError: none, both, or of the wrong type.
    """
    given = [key for key in ("prompt", "prompt_ids") if request.get(key) is not None]
    if len(given) != 1:
        raise SettingsError(f"a request has {' and '.join(given) or 'no prompt'}; allowed: prompt or prompt_ids, one")
    prompt = request[given[0]]
    if not isinstance(prompt, str if given[0] == "prompt" else list):
        kind = "text" if given[0] == "prompt" else "a list of token ids"
        raise SettingsError(f"{given[0]} is {prompt!r}; allowed: {kind}")
    return prompt


def answer(engine: Engine, line: str, *, folder: Folder | None = None) -> dict[str, Any]:
    """The result line of a request line: {"id", "trace"} or {"id", "error"}. folder: for attention maps and files."""
    name: Any = None
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise SettingsError(f"a request is {line.strip()[:80]!r}; allowed: a JSON object")
        name = request.get("id")
        fields = {k: v for k, v in request.items() if k not in ("id", "prompt", "prompt_ids")}
        if engine.autoregressive:  # all fields but the prompt are optional, for such a model too
            fields.setdefault("block_size", 1)
        settings = Settings.from_json(fields)
        if "attention" in settings.record and folder is None:
            raise SettingsError("record holds 'attention'; allowed: only where there is a place for the side file")
        run = engine.run(prompt_of(request), settings)
        trace = _decode(run, str(name), folder, attention="attention" in settings.record)
        return {"id": name, "trace": trace.as_dict()}
    except json.JSONDecodeError as error:
        return {"id": name, "error": f"not JSON: {error}"}
    except SettingsError as error:
        return {"id": name, "error": str(error)}
    except Exception as error:  # whatever a line brings about, the others are answered
        return {"id": name, "error": f"{type(error).__name__}: {error}"}


def answer_all(engine: Engine, lines: Iterable[str], *, folder: Folder | None = None) -> Iterator[dict[str, Any]]:
    """Result lines in order; empty lines are left out."""
    for line in lines:
        if line.strip():
            yield answer(engine, line, folder=folder)


def _decode(run: Runnable, name: str, folder: Folder | None, *, attention: bool) -> Trace:
    """Decode, and put into the folder what is to be kept there."""
    stem = folder.claim(name) if folder and (attention or folder.traces) else ""
    with ExitStack() as stack:
        writer = stack.enter_context(MapsWriter(folder.maps(stem))) if folder and attention else None
        for step in run:
            if writer and step.readout.attention is not None:
                writer.add(step.index, np.asarray(step.readout.attention))
    trace = run.trace()
    if folder and folder.traces:
        trace.save(folder.path / f"{stem}.json.gz")
    return trace
