"""The benchmark document: schema `blockscope.bench/1`, ways of decoding compared on the prompts of a suite."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dllm.settings import Settings
from dllm.trace.errors import faults
from dllm.trace.schema import Amount, Count, Environment, Text

BENCH_SCHEMA = "blockscope.bench/1"
MAX_BENCH_BYTES = 16 * 2**20
_MAX_ROWS = 1000
AR = "AR"  # the name of the row that speeds are compared with
LIMIT = 1e9  # no number of a benchmark is larger
_SHARES = ("score", "same", "distance", "distinct_2", "same_as_ar")

Finite = Annotated[float, Field(ge=-LIMIT, le=LIMIT)]
Share = Annotated[float, Field(ge=0, le=1)]
Place = Annotated[float, Field(ge=0, le=LIMIT)]
Prompts = Annotated[int, Field(ge=1, le=100_000)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^<>&\n]*$")]  # a chart shows it: no markup
File = Annotated[str, Field(max_length=120, pattern=r"^[a-z0-9][a-z0-9-]*\.json\.gz$")]  # of one folder, never a path


class BenchmarkError(ValueError):
    """A benchmark file that cannot be used; the message says what is wrong and where."""


class Record(BaseModel):
    """Strict: no unknown field, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Number(Record):
    """A value and the bounds of its interval; no bounds if it was measured once."""

    value: Finite
    low: Finite | None = None
    high: Finite | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Number":
        if (self.low is None) != (self.high is None) or (
            self.low is not None and self.high is not None and self.low > self.high
        ):
            raise ValueError(f"the interval is {self.low} to {self.high}; allowed: low up to high, or neither")
        return self


class Row(Record):
    """One way of decoding at one batch size. A speed is never without `same` and `distance`.

    Attributes:
        name: of the way of decoding.
        settings: as in a request.
        batch: prompts decoded together.
        prompts: how many were answered.
        tokens: of all answers.
        passes: forward passes of all answers.
        seconds: of one decoding of all prompts; None if it was not timed.
        tps: tokens a second; None if it was not timed.
        tpf: tokens a forward pass.
        score: share of right answers; None if no prompt has a check.
        log_prob: mean log-probability of a token under the AR network, in nats; None without such a network.
        same: share of answers equal to the exact decoder's; None if not compared.
        distance: mean edit distance to the exact decoder's answer, as a share; None if not compared.
        departs: median place of the first token that differs from the exact decoder's; None if none differs.
        trace: file of a sample prompt's trace, at batch 1.
        distinct_2: distinct pairs of neighbouring tokens ÷ all pairs, mean over answers.
        same_as_ar: share of answers equal to the AR answer; None of AR itself and without AR.
        departs_from_ar: median place of the first token that differs from the AR answer.
        kinds: score by kind of prompt.
    """

    name: Name
    settings: dict[str, Any]
    batch: Annotated[int, Field(ge=1, le=4096)]
    prompts: Prompts
    tokens: Count
    passes: Annotated[Count, Field(ge=1)]
    seconds: Annotated[Amount, Field(gt=0)] | None
    tps: Number | None
    tpf: Number
    score: Number | None
    log_prob: Number | None
    same: Number | None
    distance: Number | None
    departs: Place | None
    trace: File | None
    distinct_2: Number | None = None
    same_as_ar: Number | None = None
    departs_from_ar: Place | None = None
    kinds: Annotated[dict[Text, Share], Field(max_length=1000)] = {}

    @field_validator("settings")
    @classmethod
    def _known(cls, settings: dict[str, Any]) -> dict[str, Any]:
        return Settings.from_json(settings).as_json()

    @model_validator(mode="after")
    def _shares(self) -> "Row":
        for name in _SHARES:
            number = getattr(self, name)
            if number is not None and not 0 <= number.value <= 1:
                raise ValueError(f"{name} is {number.value}; allowed: 0 to 1")
        return self

    @model_validator(mode="after")
    def _compared(self) -> "Row":
        if (self.seconds is None) != (self.tps is None):
            raise ValueError("seconds or tps is missing; allowed: both, or neither where nothing was timed")
        if self.tps is not None and (self.same is None or self.distance is None):
            raise ValueError("tps stands without same or distance; allowed: a speed with both")
        return self

    @property
    def threshold(self) -> float | None:
        """The threshold of its unmasking rule; None if the rule has none."""
        return None if self.name == AR else self.settings["unmask"].get("threshold")

    @property
    def family(self) -> str:
        """Its name without the threshold: equal for rows that differ in nothing else."""
        return self.name.removesuffix(f", {self.threshold}")


class SuiteName(Record):
    """Which suite was asked, and how many prompts of it; checked: how many of these have a right answer."""

    name: Name
    prompts: Prompts
    checked: Annotated[int, Field(ge=0, le=100_000)] | None = None


class ModelName(Record):
    """Which network decoded."""

    id: Text
    family: Text
    sha256: Text | None = None
    dtype: Text
    parameters: Count


class Benchmark(Record):
    """Ways of decoding, compared on one machine on the same prompts; rounds 0: nothing was timed."""

    schema_: Literal["blockscope.bench/1"] = Field(BENCH_SCHEMA, alias="schema")
    suite: SuiteName
    model: ModelName
    environment: Environment
    rounds: Annotated[int, Field(ge=0, le=1000)]
    rows: Annotated[tuple[Row, ...], Field(max_length=_MAX_ROWS)]

    @model_validator(mode="after")
    def _once(self) -> "Benchmark":
        seen: set[tuple[str, int]] = set()
        for row in self.rows:
            if (row.name, row.batch) in seen:
                raise ValueError(f"{row.name!r} at batch {row.batch} is there for the second time; allowed: once")
            if row.tps is not None and not self.rounds:
                raise ValueError(f"rounds is 0, but {row.name!r} at batch {row.batch} has a speed; allowed: 1 or more")
            seen.add((row.name, row.batch))
        return self

    @classmethod
    def load(cls, path: str | Path) -> "Benchmark":
        """Read and check a file.

        Raises:
            BenchmarkError: what is wrong and where.
        """
        return read(cls, Path(path))

    def baseline(self, batch: int = 1) -> Row | None:
        """The AR row at a batch size."""
        return next((row for row in self.rows if (row.name, row.batch) == (AR, batch)), None)

    def to_json(self) -> str:
        """The JSON text."""
        return to_json(self)


Kind = TypeVar("Kind", bound=BaseModel)


def read(kind: type[Kind], path: Path) -> Kind:
    """A JSON file as a record.

    Raises:
        BenchmarkError: what is wrong and where.
    """
    try:
        if (size := path.stat().st_size) > MAX_BENCH_BYTES:
            raise BenchmarkError(f"{path.name} has {size} bytes; allowed: {MAX_BENCH_BYTES}")
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BenchmarkError(f"{path.name} cannot be read: {error.strerror}; allowed: a JSON file") from None
    except ValidationError as error:
        raise BenchmarkError(f"{path.name} is not a valid benchmark: {faults(error)}") from None


def to_json(record: Record) -> str:
    """A document as JSON text."""
    return json.dumps(record.model_dump(mode="json", by_alias=True), indent=1) + "\n"
