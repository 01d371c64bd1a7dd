"""What a device does with networks of published shapes: schema `blockscope.hardware/1`, written by `bench --suite gpu`.

Only what was measured is stored; floors, shares, speeds and aims are derived.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
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
LARGE = 4e9  # parameters from which on a pass should keep the higher share of the floor's speed
COMPARED: Sequence[tuple[Kind, int]] = (("ar", 1), ("denoise", 32))  # kinds of passes, and their queries
FLOOR_SHARE = {True: 0.7, False: 0.5}  # by whether the network is large
NOTE = (
    "The floor is the time that a pass's bytes (weights, keys and values) take at the bandwidth measured in the same "
    "run; its share is floor ÷ median. The host's share is what planning and committing take of the passes of a run, "
    "as against its time inside the device's part, which includes handing over inputs and launching. Tokens a second "
    "are those of all answers by the wall clock of the whole decoding, prompt and tracing included. Weights are "
    "random, so nothing is said of answers. Memory is the most that torch held of the device, graphs included."
)

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


@dataclass(frozen=True, slots=True)
class Aim:
    """A ratio that was measured, the bound it should keep, and whether that is a least or a most."""

    what: str
    value: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether it keeps its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def aims(network: Network) -> list[Aim]:
    """What should hold of a network, as far as it was measured."""
    bound = FLOOR_SHARE[network.parameters >= LARGE]
    shares = [(timed, share) for timed in network.passes if (share := network.share(timed)) is not None]
    found = [Aim(f"{timed.name}: share of the floor's speed", share, bound, True) for timed, share in shares]
    steps = {timed.kind: timed.seconds.value for timed in network.passes if (timed.kind, timed.queries) in COMPARED}
    if len(steps) == len(COMPARED):
        found.append(Aim("denoise step of 32 queries ÷ AR step", steps["denoise"] / steps["ar"], 1.15, False))
    if network.passes:
        host = max(timed.host for timed in network.passes)
        found.append(Aim("host's share of a pass, the largest", host, 0.05, False))
    plain, cached = network.rate(NO_CACHE), network.rate(D2)
    if plain and cached:
        found.append(Aim("d2Cache ÷ no cache, tokens/s", cached.tps.value / plain.tps.value, 3.1, True))
    return found


def table(found: Hardware) -> str:
    """All of it as Markdown tables, and what was counted."""
    lines: list[str] = []
    for network in found.networks:
        lines += [f"### {network.title}", "", f"{described(network)} on {place(network)}.", ""]
        lines += [*_passes(network), *_rates(network), *_aims(network)]
        lines += [f"Did not fit into memory: {', '.join(network.full)}.", ""] if network.full else []
    return "\n".join([*lines, NOTE])


def described(network: Network) -> str:
    """What was measured, in one line."""
    peak = network.environment.peak_bytes
    read = "" if peak is None else f"; {peak / 1e9:.0f} GB/s measured"
    return (
        f"{network.title} ({network.parameters / 1e6:.0f} M parameters, {network.dtype}; prompts of {network.prompt} "
        f"and answers of {network.answer} tokens{read})"
    )


def place(network: Network) -> str:
    """Where, in one line."""
    where = network.environment
    graphs = {True: ", passes replayed from graphs", False: ", no graphs", None: ""}[where.graphs]
    attention = "" if where.attention is None else f", attention {where.attention}"
    commit = "" if where.commit is None else f", commit {where.commit}"
    return f"{re.sub('^(cpu|cuda): ', '', where.device)}, torch {where.torch}{attention}{graphs}{commit}"


def _passes(network: Network) -> list[str]:
    if not network.passes:
        return []
    lines = [
        "| pass | ms, median | range | floor, ms | share of the floor | host's share |",
        "|---|---|---|---|---|---|",
    ]
    for timed in network.passes:
        floor, share = network.floor(timed), network.share(timed)
        beside = "– | –" if floor is None or share is None else f"{1e3 * floor:.3f} | {100 * share:.0f} %"
        milliseconds = f"{1e3 * timed.seconds.value:.3f} | {_range(timed.seconds, 1e3, 3)}"
        lines.append(f"| {timed.name} | {milliseconds} | {beside} | {100 * timed.host:.1f} % |")
    return [*lines, ""]


def _rates(network: Network) -> list[str]:
    if not network.rates:
        return []
    lines = [
        "| decoding | batch | tokens/s, median | range | tokens a pass | memory, GB |",
        "|---|---|---|---|---|---|",
    ]
    for rate in network.rates:
        tpf = "–" if rate.tpf is None else f"{rate.tpf:.2f}"
        memory = "–" if rate.memory is None else f"{rate.memory / 1e9:.1f}"
        speed = f"{rate.tps.value:.1f} | {_range(rate.tps, 1, 1)}"
        lines.append(f"| {rate.decoding} | {rate.batch} | {speed} | {tpf} | {memory} |")
    return [*lines, ""]


def _aims(network: Network) -> list[str]:
    if not (found := aims(network)):
        return []
    lines = ["| ratio | measured | aim | met |", "|---|---|---|---|"]
    for aim in found:
        sign, met = "≥" if aim.at_least else "≤", "yes" if aim.met else "no"
        lines.append(f"| {aim.what} | {aim.value:.3f} | {sign} {aim.bound:g} | {met} |")
    return [*lines, ""]


def _range(number: Number, factor: float, digits: int) -> str:
    if number.low is None or number.high is None:
        return "–"
    return f"{factor * number.low:.{digits}f} to {factor * number.high:.{digits}f}"
