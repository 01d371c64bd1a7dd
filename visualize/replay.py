"""A recorded run on show: traces and what lies beside them, all that the viewer needs. No model, no torch."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dllm.settings import is_autoregressive
from dllm.trace import Trace, TraceError
from dllm.trace.attention import Maps
from dllm.trace.drift import Drift
from dllm.trace.untrusted import read_untrusted
from visualize.facts import decoder_words, provenance
from visualize.lane import Title, titles_of
from visualize.stage import Stage
from visualize.view import LaneData, QuestionError
from visualize.views import answer_question

_SUFFIXES = (".json.gz", ".json")
NAME = re.compile(r"[a-z0-9_.-]{1,40}")
_MOST = 4  # lanes of one run


@dataclass(frozen=True, slots=True)
class Replay:
    """Up to four traces by lane ("diffusion", "ar", or any short name), and per lane what was recorded beside them.

    In a notebook the last line of a cell shows it: `Replay.load("trace.json.gz")`.
    link: the name that a deep link calls it by. about: what it shows. live: measured just now, not read from a file.
    """

    traces: Mapping[str, Trace]
    maps: Mapping[str, Maps] = field(default_factory=dict)
    drifts: Mapping[str, Drift] = field(default_factory=dict)
    link: str | None = None
    about: str = ""
    live: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.traces) <= _MOST:
            raise ValueError(f"there are {len(self.traces)} lanes; allowed: 1 to {_MOST}")
        if strange := [name for name in self.traces if not NAME.fullmatch(name)]:
            raise ValueError(f"a lane is called {strange[0]!r}; allowed: 1 to 40 of a-z, 0-9, _, . and -")

    @classmethod
    def load(cls, *paths: str | Path, link: str | None = None, about: str = "", untrusted: bool = False) -> "Replay":
        """Read traces, and the side files given with them or lying beside them: `NAME.attention.npz`, `NAME.drift.npz`.

        untrusted: they are a stranger's, so they are read by `dllm.trace.untrusted.read_untrusted`.

        Raises:
            TraceError: a file is not what its name says, or the traces make no run; says which and why.
        """
        traces: dict[str, Trace] = {}
        maps: dict[str, Maps] = {}
        drifts: dict[str, Drift] = {}
        given = list(dict.fromkeys(map(Path, paths)))
        sides = {path.name: path for path in given if path.suffix == ".npz"}
        given_traces = [path for path in given if path.suffix != ".npz"]
        if len(given_traces) > _MOST:
            raise TraceError(f"{given_traces[_MOST].name} is one trace too many; allowed: up to {_MOST}")
        if not given_traces:
            names = ", ".join(path.name for path in given) or "no files"
            raise TraceError(f"there is no trace among {names}; allowed: .json or .json.gz")
        read_all = read_untrusted if untrusted else _load
        for path, trace in zip(given_traces, read_all(given_traces), strict=True):
            if any(trace.prompt != other.prompt for other in traces.values()):
                raise TraceError(f"{path.name} is of another prompt than the rest; allowed: traces of one prompt")
            lane = _free(lane_of(trace), traces)
            traces[lane] = trace
            for kind, files, read in (("attention", maps, Maps.open), ("drift", drifts, Drift.load)):
                side = beside(path, kind)
                side = side if side.exists() else sides.get(side.name, side)
                if side.exists():
                    files[lane] = _checked(read, side, trace)
        return cls(traces, maps, drifts, link, about)

    def message(self, run: str, note: str = "", *, at: int | None = None, welcome: bool = False) -> str:
        """The whole replay as one message of schema `blockscope.view/1`. at: the step to stand at, from 0.

        note: stands over the lanes, in place of how the run ended. welcome: the page opens with it, and the address
        stays as it is. More than two lanes are a race: they play on one clock, unless a step is asked for.
        """
        pieces = {i: text for trace in self.traces.values() for i, text in trace.pieces.items()}
        parts = {
            i: bytes.fromhex(part) for trace in self.traces.values() for i, part in (trace.fragments or {}).items()
        }
        stage = Stage(run, list(self.traces), lambda i: pieces.get(i, f"<{i}>"), self.titles(), parts.get)
        for name, trace in self.traces.items():
            stage.shift = trace.model.shift
            stage.replay(name, trace)
        stage.link = None if welcome or not self.link else f"trace={self.link}"
        stage.facts = self.facts()
        return stage.finish(note, at=at, clock=at is None and len(self.traces) > 2, welcome=welcome)

    def titles(self) -> dict[str, Title]:
        """The words over its lanes."""
        return titles_of({name: trace.settings for name, trace in self.traces.items()})

    def facts(self) -> str:
        """Where its numbers come from."""
        several = list(self.traces.values())
        trace = next((t for t in several if lane_of(t) != "ar"), several[0])  # AR's may be the base of the model
        opening = "Measured live" if self.live else "Recorded, not computed here"
        about = {**trace.model.model_dump(), **trace.environment.model_dump()}
        titles = self.titles()
        lanes = "; ".join(f"{titles[name].title}: {decoder_words(t.settings)}" for name, t in self.traces.items())
        return " ".join([provenance(about, opening=opening), f"{lanes}.", *filter(None, [self.about])])

    def ask(self, question: Any) -> Mapping[str, Any]:
        """The answer to a question of the page: {"lane": …, "view": …, …}.

        Raises:
            QuestionError: names what was asked and what can be.
        """
        lane = question.get("lane") if isinstance(question, Mapping) else None
        if not isinstance(lane, str) or lane not in self.traces:
            raise QuestionError(f"lane is {lane!r}; allowed: {', '.join(self.traces)}")
        return answer_question(self.lane_data(lane), question)

    def lane_data(self, lane: str) -> LaneData:
        """What the views of a lane are drawn from."""
        lanes = {title.title: self.traces[name] for name, title in self.titles().items()}
        return LaneData(self.traces[lane], self.maps.get(lane), self.drifts.get(lane), lanes)

    def _repr_html_(self) -> str:
        """The page of `visualize.export.html` inside a notebook, in a frame so that neither disturbs the other."""
        from visualize.export.html import page

        source = html.escape(page(self), quote=True)
        style = "width:100%;height:900px;border:0"
        return f'<iframe sandbox="allow-scripts allow-downloads" style="{style}" srcdoc="{source}"></iframe>'


def lane_of(trace: Trace) -> str:
    """Which lane a trace plays in: one token at a time under causal attention is autoregressive."""
    return "ar" if is_autoregressive(trace.settings) else "diffusion"


def _load(paths: Sequence[Path]) -> list[Trace]:
    return [Trace.load(path) for path in paths]


def _free(kind: str, taken: Mapping[str, Trace]) -> str:
    """The name of one more lane of a kind, counted from the second on."""
    names = (kind, *(f"{kind}-{n}" for n in range(2, _MOST + 1)))
    return next(name for name in names if name not in taken)


def beside(path: Path, kind: str) -> Path:
    """The file that lies beside a trace: `a.json.gz` → `a.attention.npz`."""
    return path.with_name(f"{stem(path)}.{kind}.npz")


def stem(path: Path) -> str:
    """A trace's name without its ending."""
    return next((path.name.removesuffix(s) for s in _SUFFIXES if path.name.endswith(s)), path.name)


def _checked(read: Any, path: Path, trace: Trace) -> Any:
    try:
        found = read(path)
        found.check(trace)
    except ValueError as error:
        raise TraceError(f"{path.name}: {error}") from error
    return found
