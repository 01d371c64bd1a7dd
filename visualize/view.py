"""A view of the inspector as data: the texts of a tab, its charts, and the questions that the page can ask about it.

Each chart module holds its own `VIEW`; `visualize.views.VIEWS` lists them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from dllm.trace import Trace
from dllm.trace.attention import Maps
from dllm.trace.drift import Drift
from dllm.trace.schema import MAX_CELLS
from visualize.charts.figure import spec
from visualize.facts import short_words


class QuestionError(ValueError):
    """A question that cannot be answered; the message names the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class LaneData:
    """What a lane is drawn from: its trace, what was recorded beside it, and all traces of the run by their titles."""

    trace: Trace
    maps: Maps | None = None
    drift: Drift | None = None
    lanes: Mapping[str, Trace] = field(default_factory=dict)

    @property
    def all_lanes(self) -> Mapping[str, Trace]:
        """Every lane of the run by its title; a lane without others is the only one."""
        return self.lanes or {short_words(self.trace.settings): self.trace}

    @property
    def known_maps(self) -> Maps:
        """The attention maps.

        Raises:
            QuestionError: attention was not recorded.
        """
        if self.maps is None:
            raise QuestionError("attention was not recorded in this lane")
        return self.maps

    @property
    def known_drift(self) -> Drift:
        """The drift of cached entries.

        Raises:
            QuestionError: drift was not measured.
        """
        if self.drift is None:
            raise QuestionError("the drift of this lane was not measured")
        return self.drift


Options = Mapping[str, Any]
Draw = Callable[[LaneData, Options], go.Figure]
Reply = Callable[[LaneData, Options], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One tab of the inspector.

    Attributes:
        title: of the tab.
        look_for: what a reader should look for; begins with "Look for".
        empty: shown where a lane has nothing to draw.
        charts: caption → how the chart is drawn. A caption names a chart for those who cannot see it.
        has_data: whether a lane has what the view draws.
        never: why a lane can never have it, or "".
        choices: options that the page offers above the charts → their values, the first being the default.
        extra: further fields of the answer: a note, rows of a table, a number of layers.
        details: further questions, which the page asks while the cursor moves → their answers.
        saved: questions, besides one for each combination of `choices`, whose answers a saved page carries, the most
            general first.
    """

    title: str
    look_for: str
    empty: str
    charts: Mapping[str, Draw]
    has_data: Callable[[LaneData], bool] = lambda _: True
    never: Callable[[LaneData], str] = lambda _: ""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    extra: Reply = lambda *_: {}
    details: Mapping[str, Reply] = field(default_factory=dict)
    saved: Callable[[LaneData], Iterable[Options]] = lambda _: ()

    def answer(self, lane: LaneData, options: Options) -> dict[str, Any]:
        """The charts as plain data, or a sentence that says why there are none.

        Returns:
            {"figures": [plotly figure, …], "captions": [str, …]} and the fields of `extra`; or {"empty": str}, with
            "final": True where the lane can never have what is missing.

        Raises:
            QuestionError: names an option and what is allowed.
        """
        cells = len(lane.trace.steps) * max([0, *(step.visible for step in lane.trace.steps)])
        if cells > MAX_CELLS:
            allowed = f"charts are drawn up to {MAX_CELLS:,}"
            return {"empty": f"This run has {cells:,} cells (steps × positions); {allowed}."}
        if reason := self.never(lane):
            return {"empty": reason, "final": True}
        if not lane.trace.steps or not self.has_data(lane):
            return {"empty": self.empty}
        figures = [spec(draw(lane, options)) for draw in self.charts.values()]
        return {"figures": figures, "captions": list(self.charts), **self.extra(lane, options)}


def number_option(options: Options, name: str, count: int) -> int:
    """An option that counts from 0.

    Raises:
        QuestionError: it is not a number from 0 to count - 1.
    """
    value = options.get(name)
    if type(value) is not int or not 0 <= value < count:
        raise QuestionError(f"{name} is {value!r}; allowed: 0 to {count - 1}")
    return value


def choice_option(options: Options, name: str, allowed: Sequence[str]) -> str:
    """One of the allowed values; the first where the option is not given.

    Raises:
        QuestionError: it is none of them.
    """
    value = options.get(name, allowed[0])
    if value not in allowed:
        raise QuestionError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
    return value
