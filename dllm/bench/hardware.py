"""The hardware document: schema `blockscope.hardware/1`, a device's forward passes and decoding speeds.

Written by `bench --suite cpu` and `bench --suite gpu`. Only what was measured is stored; bounds, shares and speeds are
derived.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, RootModel, model_validator

from dllm.bench.document import LIMIT, Benchmark, Name, Number, Record, Share, read, to_json
from dllm.step import Kind
from dllm.trace.schema import Count, Environment
from dllm.trace.throughput import Throughput

HARDWARE_SCHEMA = "blockscope.hardware/1"
_MIN_SECONDS = 1e-9  # of a pass

EngineName = Literal["blockscope", "transformers"]  # what decoded
Size = Annotated[int, Field(ge=1, le=65_536)]
Threads = Annotated[int, Field(ge=1, le=4096)]


class Way(StrEnum):
    """How an answer was decoded, as documents name it; `TITLES` says it in words, `dllm.bench.passes` in settings."""

    AR = "ar"
    VERIFIED_1 = "verified-1"
    VERIFIED_2 = "verified-2"
    VERIFIED_2_ALL = "verified-2-all"
    BLOCK_8 = "block-8"
    BLOCK_8_K2 = "block-8-k2"
    BLOCK_8_K3 = "block-8-k3"
    BLOCK_32_8 = "block-32-8"
    BLOCK_32_8_K2 = "block-32-8-k2"
    BLOCK_32_8_K3 = "block-32-8-k3"
    BLOCK_32_K3 = "block-32-k3"
    NO_CACHE = "no-cache"
    D2 = "d2"


TITLES = {
    Way.AR: "AR",
    Way.VERIFIED_1: "verified, 1 draft",
    Way.VERIFIED_2: "verified, 2 drafts",
    Way.VERIFIED_2_ALL: "verified, 2 drafts, every case",
    Way.BLOCK_8: "block 8, threshold 0.9",
    Way.BLOCK_8_K2: "block 8, 2 tokens a pass",
    Way.BLOCK_8_K3: "block 8, 3 tokens a pass",
    Way.BLOCK_32_8: "block 32/8, sub-block cache, threshold 0.9",
    Way.BLOCK_32_8_K2: "block 32/8, sub-block cache, 2 tokens a pass",
    Way.BLOCK_32_8_K3: "block 32/8, sub-block cache, 3 tokens a pass",
    Way.BLOCK_32_K3: "block 32, 3 tokens a pass",
    Way.NO_CACHE: "full attention, no cache",
    Way.D2: "full attention, d2Cache",
}


def title(engine: EngineName, way: Way, threads: int | None = None) -> str:
    """A way of decoding as tables show it; in brackets the engine if it is another, and the threads if given."""
    details = [] if engine == "blockscope" else [engine]
    details += [] if threads is None else [f"{threads} thread{'s' * (threads != 1)}"]
    return f"{TITLES[way]} ({', '.join(details)})" if details else TITLES[way]


class Pass(Record):
    """Forward passes of one kind and width, in runs of one answer.

    Attributes:
        kind: as in a trace.
        queries: positions computed in a pass.
        count: passes timed.
        seconds: the median of all; its bounds are the medians of the fastest and the slowest round.
        bytes: moved by the median pass.
        host: share of the runs' time that was not spent on the device.
        recorder: seconds of recording ÷ the runs' time, which they are not part of; None if unknown.
    """

    kind: Kind
    queries: Size
    count: Annotated[Count, Field(ge=1)]
    seconds: Number
    bytes: Annotated[Count, Field(ge=1)]
    host: Share
    recorder: Share | None = None

    @model_validator(mode="after")
    def _timed(self) -> "Pass":
        _check_seconds(self.seconds)
        return self

    @property
    def title(self) -> str:
        """As tables show it."""
        return "AR step" if self.kind == "ar" else f"{self.kind} step, {self.queries} queries"


class Rate(Record):
    """The speed of an engine in one way of decoding.

    Attributes:
        engine: what decoded.
        way: how.
        threads: CPU threads of the engine; None: those of the environment.
        batch: answers decoded together.
        tokens: of all answers.
        passes: forward passes of one answer; None if unknown.
        repeats: how often it was timed.
        seconds: the median repeat's; the bounds are the fastest and the slowest.
        memory: most bytes held of the device; None if the device does not say.
    """

    engine: EngineName = "blockscope"
    way: Way
    threads: Threads | None = None
    batch: Annotated[int, Field(ge=1, le=4096)] = 1
    tokens: Annotated[Count, Field(ge=1)]
    passes: Annotated[Count, Field(ge=1)] | None = None
    repeats: Annotated[int, Field(ge=1, le=1000)]
    seconds: Number
    memory: Count | None = None

    @model_validator(mode="after")
    def _timed(self) -> "Rate":
        if self.tokens > LIMIT * _check_seconds(self.seconds):
            raise ValueError(f"{self.tokens} tokens took {self.seconds.value} s; allowed: up to {LIMIT:g} a second")
        return self

    @property
    def title(self) -> str:
        """Way, engine and threads as tables show them."""
        return title(self.engine, self.way, self.threads)

    @property
    def tps(self) -> Number:
        """Tokens a second of all answers, from the slowest to the fastest repeat."""
        slow, middle, fast = (
            None if seconds is None else Throughput(tokens=self.tokens, seconds=seconds).tps
            for seconds in (self.seconds.high, self.seconds.value, self.seconds.low)
        )
        return Number(value=middle or 0.0, low=slow, high=fast)

    @property
    def tpf(self) -> float | None:
        """Tokens of one answer a forward pass."""
        return None if self.passes is None else Throughput(tokens=self.tokens, nfe=self.passes * self.batch).tpf


class Network(Record):
    """One network on the device: its passes, then its rates.

    Attributes:
        name: of the model; after "random:" the shape of one, with random weights.
        dtype: of weights and cache.
        parameters: how many.
        environment: device, threads, versions, and how many passes were made before the first timed one.
        prompt: tokens of a prompt.
        answer: most tokens of an answer.
        passes: by kind and width.
        rates: by engine, way, threads and batch size.
        full: what the device's memory could not hold.
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
        named = [f"the {p.title}" for p in self.passes] + [f"{r.title!r} at batch {r.batch}" for r in self.rates]
        if again := [name for n, name in enumerate(named) if name in named[:n]]:
            raise ValueError(f"{again[0]} is there for the second time; allowed: once")
        if slow := [p for p in self.passes if (self.bound(p) or 0) > LIMIT]:
            raise ValueError(f"peak_bytes is {self.environment.peak_bytes} for {slow[0].bytes} bytes; allowed: more")
        return self

    @property
    def title(self) -> str:
        """Its name without its source."""
        return self.name.rpartition(":")[2].rpartition("/")[2]

    @property
    def random(self) -> bool:
        """Whether its weights are random."""
        return self.name.startswith("random:")

    def bound(self, timed: Pass) -> float | None:
        """Seconds that a pass's bytes take at the measured bandwidth; None if that was not measured."""
        peak = self.environment.peak_bytes
        return None if peak is None else timed.bytes / peak

    def share(self, timed: Pass) -> float | None:
        """A pass's speed as a share of its bound's; None without a bound."""
        bound = self.bound(timed)
        return None if bound is None else bound / timed.seconds.value

    def rate(self, way: Way, batch: int = 1, engine: EngineName = "blockscope") -> Rate | None:
        """The rate of an engine, if it was measured."""
        return next((r for r in self.rates if (r.way, r.batch, r.engine) == (way, batch, engine)), None)


class Hardware(Record):
    """Networks measured one after another on one machine. rounds: how often each pass and rate was timed at most."""

    schema_: Literal["blockscope.hardware/1"] = Field(HARDWARE_SCHEMA, alias="schema")
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
        return to_json(self)


class Measured(RootModel[Annotated[Benchmark | Hardware, Field(discriminator="schema_")]]):
    """Either document; its schema says which."""

    @classmethod
    def load(cls, path: str | Path) -> Benchmark | Hardware:
        """Read and check a file.

        Raises:
            BenchmarkError: what is wrong and where.
        """
        return read(cls, Path(path)).root


def _check_seconds(seconds: Number) -> float:
    """The fewest of them, which must not be so few that ratios to them are not finite."""
    fewest = seconds.value if seconds.low is None else min(seconds.value, seconds.low)
    if fewest < _MIN_SECONDS:
        raise ValueError(f"seconds is {fewest}; allowed: {_MIN_SECONDS:g} and more")
    return fewest
