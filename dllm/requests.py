"""Headless requests: one JSON line in, one JSON line out; a bad one never stops the others."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

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


def answer(engine: Engine, line: str, *, side: Path | None = None) -> dict[str, Any]:
    """The result line of a request line: {"id", "trace"} or {"id", "error"}.

    side: folder for attention maps (`ID.npz`, one array (layers, heads, queries, visible) of float16 a step).
    """
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
        if "attention" in settings.record and side is None:
            raise SettingsError("record holds 'attention'; allowed: only where there is a place for the side file")
        run = engine.run(prompt_of(request), settings)
        maps = {f"step{step.index}": step.readout.attention for step in run if step.readout.attention is not None}
        if maps and side is not None:
            _save_maps(side, str(name), maps)
        return {"id": name, "trace": run.trace().as_dict()}
    except json.JSONDecodeError as error:
        return {"id": name, "error": f"not JSON: {error}"}
    except SettingsError as error:
        return {"id": name, "error": str(error)}
    except Exception as error:  # whatever a line brings about, the others are answered
        return {"id": name, "error": f"{type(error).__name__}: {error}"}


def answer_all(engine: Engine, lines: Iterable[str], *, side: Path | None = None) -> Iterator[dict[str, Any]]:
    """Result lines in order; empty lines are left out."""
    for line in lines:
        if line.strip():
            yield answer(engine, line, side=side)


def _save_maps(side: Path, name: str, maps: Mapping[str, Any]) -> None:
    import numpy as np

    side.mkdir(parents=True, exist_ok=True)
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:100]
    np.savez_compressed(side / f"{safe}.npz", **maps)
