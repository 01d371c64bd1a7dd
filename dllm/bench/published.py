"""What others published: speeds and scores beside the baselines that they were published with."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from dllm.bench.document import Name, Record, Share, read
from dllm.trace.schema import Amount, Text


class Point(Record):
    """A published number beside the baseline it was published with. at: what the points of a series differ in."""

    at: Name
    tps: Annotated[Amount, Field(gt=0)]
    base_tps: Annotated[Amount, Field(gt=0)]
    score: Share | None = None
    base_score: Share | None = None


class Series(Record):
    """Points of one figure or table. source: where it is printed, and how it was read. baseline: its words for it."""

    label: Name
    model: Name
    hardware: Name
    task: Name
    source: Name
    read: Name
    baseline: Name
    note: Text = ""
    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=100)]


class Published(Record):
    """Others' numbers. quality: speed and score; batches: speed by batch size, which `at` is."""

    schema_: Literal["blockscope.published/1"] = Field("blockscope.published/1", alias="schema")
    quality: tuple[Series, ...]
    batches: tuple[Series, ...]

    @classmethod
    def load(cls, path: str | Path) -> "Published":
        """Read and check a file.

        Raises:
            BenchmarkError: what is wrong and where.
        """
        return read(cls, Path(path))
