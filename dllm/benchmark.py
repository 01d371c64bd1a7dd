"""A benchmark: schema `blockscope.bench/1`, ways of decoding timed and gated, and what its numbers are made of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dllm.report import LEVEL, Estimate, estimate
from dllm.settings import Settings
from dllm.strict import faults
from dllm.trace import Amount, Count, Environment, Text

SCHEMA = "blockscope.bench/1"
MAX_BYTES = 16 * 2**20
MAX_ROWS = 1000
AR = "AR"  # the name of the row that speeds are compared with
LIMIT = 1e9  # no number of a benchmark is larger

Finite = Annotated[float, Field(ge=-LIMIT, le=LIMIT)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^<>&\n]*$")]  # a chart shows it: no markup
File = Annotated[str, Field(max_length=120, pattern=r"^[a-z0-9][a-z0-9-]*\.json\.gz$")]  # of one folder, never a path

# a column's title, what it means, and whether it is a share
COLUMNS: dict[str, tuple[str, str, bool]] = {
    "tps": ("tokens/s", "Tokens of all answers ÷ seconds of all: at batch 1 each prompt alone, its median lap; at a "
            "larger batch the seconds of all passes, each counted once, of the median round.", False),
    "tpf": ("tokens/forward", "Tokens per forward: tokens of all answers ÷ forward passes of all.", False),
    "score": ("score", "Share of the checked prompts whose answer is right.", True),
    "log_prob": ("log-prob", "Mean log-probability of an answer's token under the AR network, in nats.", False),
    "same": ("as exact", "Share of answers equal to the exact decoder's: the same blocks without a cache, one token a "
             "pass. AR is exact: where its share is below 100 %, that is rounding alone.", True),
    "distance": ("distance", "Edit distance to the exact decoder's answer ÷ the longer one's length, mean over "
                 "answers.", True),
    "departs": ("departs at", "First place where an answer departs from the exact decoder's, median over those that "
                "do.", False),
}  # fmt: skip
BRACKETS = f"In brackets: {LEVEL} % bootstrap intervals over prompts; of a batch, the slowest and the fastest round."


class BenchmarkError(ValueError):
    """A benchmark file that cannot be used; the message says what is wrong and where."""


class Record(BaseModel):
    """Strict: no field is unknown, no number is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Number(Record):
    """A value and the bounds of its interval; none where it was measured once."""

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
    """One way of decoding at one batch size. No speed without its gate: `same` and `distance` are never missing.

    seconds: of one decoding of all prompts. trace: the file of one sample prompt, at batch 1.
    """

    name: Name
    settings: dict[str, Any]
    batch: Annotated[int, Field(ge=1, le=4096)]
    prompts: Annotated[int, Field(ge=1, le=100_000)]
    tokens: Count
    passes: Annotated[Count, Field(ge=1)]
    seconds: Annotated[Amount, Field(gt=0)]
    tps: Number
    tpf: Number
    score: Number | None
    log_prob: Number | None
    same: Number
    distance: Number
    departs: Annotated[float, Field(ge=0, le=LIMIT)] | None
    trace: File | None

    @field_validator("settings")
    @classmethod
    def _known(cls, settings: dict[str, Any]) -> dict[str, Any]:
        return Settings.from_json(settings).as_json()

    @model_validator(mode="after")
    def _shares(self) -> "Row":
        for name in ("score", "same", "distance"):
            number = getattr(self, name)
            if number is not None and not 0 <= number.value <= 1:
                raise ValueError(f"{name} is {number.value}; allowed: 0 to 1")
        return self

    @property
    def threshold(self) -> float | None:
        """That of its unmasking rule, where it has one."""
        return None if self.name == AR else self.settings["unmask"].get("threshold")

    @property
    def family(self) -> str:
        """Its name without the threshold: rows that differ in nothing else have the same."""
        return self.name.removesuffix(f", {self.threshold}")


class SuiteName(Record):
    """Which prompts were decoded, and how many of them."""

    name: Name
    prompts: Annotated[int, Field(ge=1, le=100_000)]


class ModelName(Record):
    """Which network was timed."""

    id: Text
    family: Text
    sha256: Text | None = None
    dtype: Text
    parameters: Count


class Benchmark(Record):
    """Ways of decoding, timed on one machine on the same prompts."""

    schema_: Literal["blockscope.bench/1"] = Field(SCHEMA, alias="schema")
    suite: SuiteName
    model: ModelName
    environment: Environment
    rounds: Annotated[int, Field(ge=1, le=1000)]
    rows: Annotated[tuple[Row, ...], Field(max_length=MAX_ROWS)]

    @model_validator(mode="after")
    def _once(self) -> "Benchmark":
        seen: set[tuple[str, int]] = set()
        for row in self.rows:
            if (row.name, row.batch) in seen:
                raise ValueError(f"{row.name!r} at batch {row.batch} is there for the second time; allowed: once")
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
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one prompt was answered with. right: None where it is open. log_probs: per token, under the AR network.

    distance: edits between it and the exact decoder's answer, which has so many tokens; departs: their first
    difference. laps: seconds of every time it was decoded alone.
    """

    tokens: int
    passes: int
    exact_tokens: int
    distance: int
    departs: int | None
    right: bool | None = None
    log_probs: tuple[float, ...] = ()
    laps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """How answers were decoded, and the name of a trace of one."""

    name: str
    settings: dict[str, Any]
    batch: int = 1
    trace: str | None = None


def summarize(way: Way, answers: Sequence[Answer], rounds: Sequence[float] = ()) -> Row:
    """The row of these answers. Prompts are what is drawn anew for the intervals.

    rounds: seconds of every decoding of all of them together, where they were not decoded alone; the interval of the
    speed then reaches from the slowest to the fastest round, and there is none of one round.
    """
    tokens, passes = np.array([a.tokens for a in answers]), np.array([a.passes for a in answers])
    logs = np.array([sum(a.log_probs) for a in answers])
    judged = all(len(a.log_probs) == a.tokens for a in answers)
    departed = [a.departs for a in answers if a.departs is not None]
    seconds = np.array([] if rounds else [median(a.laps) for a in answers])
    return Row(
        name=way.name,
        settings=way.settings,
        batch=way.batch,
        prompts=len(answers),
        tokens=int(tokens.sum()),
        passes=int(passes.sum()),
        seconds=median(rounds) if rounds else float(seconds.sum()),
        tps=_of_rounds(int(tokens.sum()), rounds) if rounds else _ratio(tokens, seconds),
        tpf=_ratio(tokens, passes),
        score=_mean([float(a.right) for a in answers if a.right is not None]),
        log_prob=_ratio(logs, tokens) if judged else None,
        same=_needed(_mean([float(a.departs is None) for a in answers])),
        distance=_needed(_mean([a.distance / max(1, a.tokens, a.exact_tokens) for a in answers])),
        departs=float(median(departed)) if departed else None,
        trace=way.trace,
    )


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table, and what its columns mean."""
    titles = ("decoding", "batch", *(title for title, _, _ in COLUMNS.values()))
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    lines += [f"| {' | '.join((row.name, str(row.batch), *(cell(row, name) for name in COLUMNS)))} |" for row in rows]
    notes = [f"{title}: {about}" for title, about, _ in COLUMNS.values()]
    return "\n".join([*lines, "", BRACKETS, *notes])


def cell(row: Row, name: str) -> str:
    """A number of a row as the tables show it."""
    number, share = getattr(row, name), COLUMNS[name][2]
    if number is None:
        return "–"
    if isinstance(number, float):
        return f"{number:g}"
    shown = [
        f"{100 * v:.1f}" if share else f"{v:.{2 if abs(v) < 100 else 0}f}"
        for v in (number.value, number.low, number.high)
        if v is not None
    ]
    return shown[0] + (" %" if share else "") + (f" [{', '.join(shown[1:])}]" if shown[1:] else "")


Kind = TypeVar("Kind", bound=BaseModel)


def read(kind: type[Kind], path: Path) -> Kind:
    """A JSON file as a record.

    Raises:
        BenchmarkError: what is wrong and where.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise BenchmarkError(f"{path.name} has {size} bytes; allowed: {MAX_BYTES}")
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BenchmarkError(f"{path.name} cannot be read: {error.strerror}; allowed: a JSON file") from None
    except ValidationError as error:
        raise BenchmarkError(f"{path.name} is not a valid benchmark: {faults(error)}") from None


def _ratio(above: np.ndarray, below: np.ndarray) -> Number:
    return _needed(_number(estimate(len(above), lambda i: above[i].sum(-1) / below[i].sum(-1))))


def _mean(values: Sequence[float]) -> Number | None:
    drawn = np.array(values)
    return _number(estimate(len(drawn), lambda i: drawn[i].mean(-1)))


def _of_rounds(tokens: int, rounds: Sequence[float]) -> Number:
    value = tokens / median(rounds)
    if len(rounds) == 1:
        return Number(value=_round(value))
    return Number(value=_round(value), low=_round(tokens / max(rounds)), high=_round(tokens / min(rounds)))


def _number(found: Estimate | None) -> Number | None:
    return found and Number(value=_round(found.value), low=_round(found.low), high=_round(found.high))


def _needed(number: Number | None) -> Number:
    if number is None:
        raise ValueError("there are no answers; allowed: at least one")
    return number


def _round(value: float) -> float:
    return round(float(value), 4)
