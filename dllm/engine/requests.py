"""Requests as JSON lines: one line in, one line out; a bad line never stops the others."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dllm.engine.batch import decode_together
from dllm.engine.run import Run
from dllm.files import atomic_write, would_replace
from dllm.settings import Settings, SettingsError
from dllm.trace.attention import MapsWriter
from dllm.trace.schema import Trace

if TYPE_CHECKING:
    from dllm.engine.engine import Engine

_WINDOW = 4  # batches of requests read ahead, so that a long answer leaves no row empty


class OutputFolder:
    """A folder for the files of answers: attention maps `ID.npz`, or with `traces` `ID.json.gz` and `ID.attention.npz`.

    Characters of an id other than letters, digits and "-_." become "_".
    """

    def __init__(self, path: Path, *, traces: bool = False, taken: Sequence[Path] = ()) -> None:
        """taken: files that no answer may overwrite, such as the requests'."""
        self.path, self.traces, self.taken = path, traces, taken
        self._stems: set[str] = set()

    def claim(self, name: str) -> str:
        """Reserve the stem of an id's files.

        Raises:
            SettingsError: another request has the stem, or one of its files is taken.
        """
        stem = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:100]
        if stem in self._stems:
            raise SettingsError(f"id is {name!r}; allowed: one whose file {stem!r} no earlier request has")
        for path in (self.trace(stem), self.maps(stem)):
            if other := next((other for other in self.taken if would_replace(path, other)), None):
                raise SettingsError(
                    f"id is {name!r}; allowed: one whose file is not {str(other)!r}, which is read or written already"
                )
        self._stems.add(stem)
        self.path.mkdir(parents=True, exist_ok=True)
        return stem

    def trace(self, stem: str) -> Path:
        """The trace's file."""
        return self.path / f"{stem}.json.gz"

    def maps(self, stem: str) -> Path:
        """The file of attention maps."""
        return self.path / f"{stem}{'.attention' if self.traces else ''}.npz"


def _prompt_of(request: Mapping[str, Any]) -> str | list[int]:
    """The prompt of a request, text or ids."""
    given = [key for key in ("prompt", "prompt_ids") if request.get(key) is not None]
    if len(given) != 1:
        raise SettingsError(f"a request has {' and '.join(given) or 'no prompt'}; allowed: prompt or prompt_ids, one")
    prompt = request[given[0]]
    if not isinstance(prompt, str if given[0] == "prompt" else list):
        kind = "text" if given[0] == "prompt" else "a list of token ids"
        raise SettingsError(f"{given[0]} is {prompt!r}; allowed: {kind}")
    return prompt


class _Job:
    """A request line and its result: {"id", "trace"} or {"id", "error"}."""

    def __init__(self, engine: "Engine", line: str, folder: OutputFolder | None) -> None:
        self.engine, self.folder = engine, folder
        self.id: Any = None
        self.run: Run | None = None
        self.decoded = False
        self.error = ""
        with self._catching():
            self._read(line)

    @property
    def attention(self) -> bool:
        """Whether attention maps are kept; such a request decodes alone, step by step."""
        return "attention" in self.settings.record

    def begin(self) -> Run:
        """Make a fresh run."""
        self.run, self.decoded = self.engine.run(self.prompt, self.settings), False
        return self.run

    def result(self) -> dict[str, Any]:
        """The result line; decodes if `_decode_together` has not."""
        trace = None
        with self._catching():
            if self.run is not None:
                trace = self._finish(self.run).as_dict()
        return {"id": self.id, "error": self.error} if trace is None else {"id": self.id, "trace": trace}

    def _read(self, line: str) -> None:
        try:
            request = json.loads(line)
        except RecursionError:
            raise SettingsError("the request is nested too deeply; allowed: a JSON object of settings") from None
        if not isinstance(request, dict):
            raise SettingsError(f"a request is {line.strip()[:80]!r}; allowed: a JSON object")
        self.id = request.get("id")
        if strange := next((c for c in line if "\udc80" <= c <= "\udcff"), None):  # a byte, as surrogateescape reads it
            byte = ord(strange) - 0xDC00
            raise SettingsError(f"the request holds the byte {byte:#04x}, which is not UTF-8; allowed: JSON in UTF-8")
        fields = {k: v for k, v in request.items() if k not in ("id", "prompt", "prompt_ids")}
        if self.engine.autoregressive:  # all fields but the prompt are optional, for such a model too
            fields.setdefault("block_size", 1)
        self.settings = Settings.from_json(fields)
        if self.attention and self.folder is None:
            raise SettingsError("record holds 'attention'; allowed: only where there is a place for the side file")
        self.prompt = _prompt_of(request)
        self.begin()

    def _finish(self, run: Run) -> Trace:
        """Decode, and save the trace and the attention maps if they are kept."""
        folder = self.folder if self.folder and (self.attention or self.folder.traces) else None
        stem = folder.claim(str(self.id)) if folder else ""
        with ExitStack() as stack:
            writer = None
            if folder and self.attention:
                writer = stack.enter_context(MapsWriter(stack.enter_context(atomic_write(folder.maps(stem)))))
            for step in () if self.decoded else run:
                if writer and step.readout.attention is not None:
                    writer.add(step.index, np.asarray(step.readout.attention))
        trace = run.trace()
        if folder and folder.traces:
            trace.save(folder.trace(stem))
        return trace

    @contextmanager
    def _catching(self) -> Iterator[None]:
        """Any exception becomes the error of this line."""
        try:
            yield
        except json.JSONDecodeError as error:
            self.error = f"not JSON: {error}"
        except SettingsError as error:
            self.error = str(error)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"


def answer_requests(
    engine: "Engine", lines: Iterable[str], *, folder: OutputFolder | None = None, batch: int = 1
) -> Iterator[dict[str, Any]]:
    """Result lines in order; empty lines are skipped. batch: runs decoded together, with the results of decoding alone.

    Raises:
        ValueError: batch below 1.
    """
    check_batch(batch)
    jobs = (_Job(engine, line, folder) for line in lines if line.strip())
    while window := list(islice(jobs, 1 if batch == 1 else _WINDOW * batch)):
        if batch > 1:
            _decode_together(window, batch)
        yield from (job.result() for job in window)


def check_batch(batch: int) -> None:
    """Raises ValueError if fewer than one run is to be decoded at a time."""
    if batch < 1:
        raise ValueError(f"batch is {batch}; allowed: 1 or more")


def _decode_together(jobs: Sequence[_Job], rows: int) -> None:
    """Decode requests in batches, network by network. If a run fails, unfinished ones of its network decode alone."""
    groups: dict[int, list[_Job]] = {}
    for job in jobs:
        if job.run and not job.attention:
            groups.setdefault(id(job.run.model.net), []).append(job)
    for group in groups.values():
        by_run = {id(job.run): job for job in group}
        try:
            for run in decode_together([job.run for job in group if job.run], rows=rows):
                by_run[id(run)].decoded = True
        except RuntimeError:
            for job in group:
                if not job.decoded:
                    job.begin()
