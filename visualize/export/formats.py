"""What a run can be saved as."""

from collections.abc import Callable
from dataclasses import dataclass

from visualize.export.csv import steps_csv
from visualize.export.gif import gif
from visualize.export.html import page
from visualize.replay import Replay


@dataclass(frozen=True, slots=True)
class Export:
    """A file format: its ending, its media type, what it holds, and how it is made of one lane of a replay."""

    suffix: str
    media: str
    about: str
    make: Callable[[Replay, str], bytes]


EXPORTS: dict[str, Export] = {
    "json": Export(
        ".json",
        "application/json",
        "The trace: opens here again",
        lambda replay, lane: replay.traces[lane].to_json().encode(),
    ),
    "html": Export(
        ".html",
        "text/html",
        "A page that plays without network",
        lambda replay, _: page(replay).encode(),
    ),
    "gif": Export(
        ".gif",
        "image/gif",
        "An animation for slides",
        lambda replay, lane: gif(replay.traces[lane], title=replay.titles()[lane].title),
    ),
    "csv": Export(
        ".csv",
        "text/csv",
        "One line a step",
        lambda replay, lane: steps_csv(replay.traces[lane]).encode(),
    ),
}
