"""What a device does with networks of published shapes: schema `blockscope.hardware/1`, written by `bench --suite gpu`.

Only what was measured is stored; floors, shares and speeds are derived.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, RootModel, model_validator

from dllm.benchmark import LIMIT, Benchmark, Name, Number, Record, Share, read
from dllm.step import Kind
from dllm.trace import Count, Environment

SCHEMA = "blockscope.hardware/1"
THEIRS, BLOCKS = "transformers' generate, AR", "block diffusion, 3 tokens a pass"
NO_CACHE, D2 = "no cache", "d2Cache"
LEAST = 1e-9  # seconds of a pass

Size = Annotated[int, Field(ge=1, le=65_536)]


class Pass(Record):
    """Forward passes of one kind over so many positions, of runs of one answer.

    count: passes timed. seconds: the median of all; its bounds are the medians of the fastest and the slowest round.
    bytes: moved by the median pass. host: share of the run's passes that was not spent in the device's part.
    """

    kind: Kind
    queries: Size
    count: Annotated[Count, Field(ge=1)]
    seconds: Number
    bytes: Annotated[Count, Field(ge=1)]
    host: Share

    @model_validator(mode="after")
    def _timed(self) -> "Pass":
        _check_seconds(self.seconds)
        return self

    @property
    def name(self) -> str:
        """What a table calls it."""
        return "AR step" if self.kind == "ar" else f"{self.kind} step, {self.queries} queries"


class Rate(Record):
    """Answers decoded together, so many at a time.

    tokens: of all answers. passes: of one of them; None where nobody counted. laps: times it was decoded. seconds: of
    the median lap. memory: most bytes held of the device; None where it does not tell.
    """

    decoding: Name
    batch: Annotated[int, Field(ge=1, le=4096)]
    tokens: Annotated[Count, Field(ge=1)]
    passes: Annotated[Count, Field(ge=1)] | None = None
    laps: Annotated[int, Field(ge=1, le=1000)]
    seconds: Number
    memory: Count | None = None

    @model_validator(mode="after")
    def _timed(self) -> "Rate":
        if self.tokens > LIMIT * _check_seconds(self.seconds):
            raise ValueError(f"{self.tokens} tokens took {self.seconds.value} s; allowed: up to {LIMIT:g} a second")
        return self

    @property
    def tps(self) -> Number:
        """Tokens a second of all answers; the slowest and the fastest lap are its bounds."""
        slow, fast = self.seconds.high, self.seconds.low
        return Number(
            value=self.tokens / self.seconds.value,
            low=None if slow is None else self.tokens / slow,
            high=None if fast is None else self.tokens / fast,
        )

    @property
    def tpf(self) -> float | None:
        """Tokens of one answer a forward pass."""
        return None if self.passes is None else self.tokens / self.batch / self.passes


class Network(Record):
    """One network on the device: its passes, then its rates.

    prompt, answer: tokens of a prompt and of an answer. full: decodings that the device's memory did not hold.
    """

    name: Name
    dtype: Name
    parameters: Annotated[Count, Field(ge=1)]
    environment: Environment
    prompt: Size
    answer: Size
    passes: Annotated[tuple[Pass, ...], Field(max_length=100)] = ()
    rates: Annotated[tuple[Rate, ...], Field(max_length=1000)] = ()
    full: Annotated[tuple[Name, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _once(self) -> "Network":
        named = [f"the {p.name}" for p in self.passes] + [f"{r.decoding!r} at batch {r.batch}" for r in self.rates]
        if again := [name for n, name in enumerate(named) if name in named[:n]]:
            raise ValueError(f"{again[0]} is there for the second time; allowed: once")
        if slow := [p for p in self.passes if (self.floor(p) or 0) > LIMIT]:
            raise ValueError(f"peak_bytes is {self.environment.peak_bytes} for {slow[0].bytes} bytes; allowed: more")
        return self

    @property
    def title(self) -> str:
        """Its name without where it comes from."""
        return self.name.rpartition(":")[2].rpartition("/")[2]

    def floor(self, timed: Pass) -> float | None:
        """Seconds that a pass's bytes take at the measured bandwidth; None where that was not measured."""
        peak = self.environment.peak_bytes
        return None if peak is None else timed.bytes / peak

    def share(self, timed: Pass) -> float | None:
        """Of the floor's speed, what a pass reaches."""
        floor = self.floor(timed)
        return None if floor is None else floor / timed.seconds.value

    def rate(self, decoding: str, batch: int = 1) -> Rate | None:
        """The rate of this name, if it was measured."""
        return next((rate for rate in self.rates if (rate.decoding, rate.batch) == (decoding, batch)), None)


class Hardware(Record):
    """Networks measured one after another on one machine, each round as often as `rounds` says."""

    schema_: Literal["blockscope.hardware/1"] = Field(SCHEMA, alias="schema")
    rounds: Annotated[int, Field(ge=1, le=1000)]
    networks: Annotated[tuple[Network, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _once(self) -> "Hardware":
        names = [network.name for network in self.networks]
        if again := [name for n, name in enumerate(names) if name in names[:n]]:
            raise ValueError(f"{again[0]!r} is there for the second time; allowed: once")
        return self

    @classmethod
    def load(cls, path: str | Path) -> "Hardware":
        """Read and check a file.

        Raises:
            BenchmarkError: what is wrong and where.
        """
        return read(cls, Path(path))

    def to_json(self) -> str:
        """The JSON text."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1) + "\n"


class Measured(RootModel[Annotated[Benchmark | Hardware, Field(discriminator="schema_")]]):
    """Either document; its schema tells which."""

    @classmethod
    def load(cls, path: str | Path) -> Benchmark | Hardware:
        """Read and check a file.

        Raises:
            BenchmarkError: what is wrong and where.
        """
        return read(cls, Path(path)).root


def _check_seconds(seconds: Number) -> float:
    """The least of them, which must not be so small that ratios to it are not finite."""
    least = seconds.value if seconds.low is None else min(seconds.value, seconds.low)
    if least < LEAST:
        raise ValueError(f"seconds is {least}; allowed: {LEAST:g} and more")
    return least
