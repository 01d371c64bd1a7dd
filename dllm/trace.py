"""The trace: schema `blockscope.trace/1`, a JSON record from which every picture and number is derived.

All positions are absolute (0 = first prompt token). Building one needs no model; reading one needs no torch.
"""

import gzip
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError, model_validator

from dllm.step import Plan, Step

SCHEMA = "blockscope.trace/1"
MAX_BYTES = 64 * 2**20  # of JSON, unpacked: an upload larger than this is refused before it is parsed
Span = tuple[NonNegativeInt, NonNegativeInt]
Probability = Annotated[float, Field(ge=0, le=1.0001)]


class TraceError(ValueError):
    """A trace that does not fit the schema; the message says what is wrong and where."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(_Record):
    """Which network spoke."""

    id: str
    family: str
    sha256: str | None = None
    dtype: str
    parameters: NonNegativeInt
    layers: NonNegativeInt
    heads: NonNegativeInt


class Environment(_Record):
    """Where it was timed. `threads` are the CPU threads of the network, `warm_up` the passes run before timing."""

    device: str
    torch: str
    threads: NonNegativeInt
    commit: str | None = None
    warm_up: NonNegativeInt = 0


class Timing(_Record):
    """Seconds: to the first generated token, of all steps, and of recording (which is in neither)."""

    ttft: float | None
    decode: float
    recorder: float


class StepRecord(_Record):
    """One forward pass; `queries` as half-open ranges, `reasons` as d²Cache gives them."""

    index: NonNegativeInt
    kind: Literal["prefill", "denoise", "commit", "ar"]
    block: Span
    window: Span
    queries: list[Span]
    visible: NonNegativeInt
    positions: list[NonNegativeInt]
    tokens: list[NonNegativeInt]
    confidence: list[Probability]
    alternatives: list[list[tuple[NonNegativeInt, Probability]]] | None = None
    committed: list[NonNegativeInt]
    remasked: list[NonNegativeInt] = []
    reasons: dict[str, list[NonNegativeInt]] | None = None
    rollout: list[float] | None = None
    seconds: Annotated[float, Field(ge=0)]
    flops: NonNegativeInt = 0
    bytes: NonNegativeInt = 0

    @model_validator(mode="after")
    def _consistent(self) -> "StepRecord":
        if not len(self.positions) == len(self.tokens) == len(self.confidence):
            raise ValueError("positions, tokens and confidence must have one entry each per asked position")
        if self.alternatives is not None and len(self.alternatives) != len(self.positions):
            raise ValueError("alternatives must have one list per asked position")
        if strange := set(self.committed) - set(self.positions):
            raise ValueError(f"position {min(strange)} is committed but was not asked")
        ends = [0, *(edge for span in self.queries for edge in span)]
        if ends != sorted(ends) or ends[-1] > self.visible:
            raise ValueError("queries must be ascending half-open ranges inside [0, visible)")
        return self

    @property
    def query_count(self) -> int:
        """How many positions went through the network."""
        return sum(end - start for start, end in self.queries)


class Trace(_Record):
    """One decoding, whole. `output` holds generated ids only, cut after the first stop token."""

    schema_: Literal["blockscope.trace/1"] = Field(SCHEMA, alias="schema")
    model: Model
    settings: dict[str, Any]
    environment: Environment
    prompt: list[NonNegativeInt]
    pieces: dict[int, str] = {}
    output: list[NonNegativeInt]
    stop_reason: Literal["eos", "length", "cancelled"]
    steps: list[StepRecord]
    timing: Timing

    @model_validator(mode="after")
    def _replayable(self) -> "Trace":
        written: set[int] = set()
        for n, step in enumerate(self.steps):
            if step.index != n:
                raise ValueError(f"steps[{n}].index is {step.index}, not {n}")
            for p in step.committed:
                if p < len(self.prompt) or p in written:
                    raise ValueError(f"steps[{n}] commits position {p}, which is already written")
            written |= set(step.committed)
            if strange := set(step.remasked) - written:
                raise ValueError(f"steps[{n}] remasks position {min(strange)}, which is not written")
            written -= set(step.remasked)
        return self

    @classmethod
    def from_json(cls, data: str | bytes) -> "Trace":
        """Read and check a trace (JSON, gzip accepted).

        Raises:
            TraceError: what is wrong and where, for the first few faults.
        """
        raw = data.encode() if isinstance(data, str) else data
        try:
            if raw[:2] == b"\x1f\x8b":
                raw = _gunzip(raw)
            if len(raw) > MAX_BYTES:
                raise TraceError(f"the trace has {len(raw)} bytes; allowed: {MAX_BYTES}")
            return cls.model_validate_json(raw)
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, e['loc'])) or 'trace'}: {e['msg']}" for e in error.errors()[:5]]
            raise TraceError("not a valid trace: " + "; ".join(faults)) from None
        except (OSError, EOFError) as error:
            raise TraceError(f"not a valid trace: {error}") from None

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Read a trace file (.json or .json.gz)."""
        return cls.from_json(Path(path).read_bytes())

    def to_json(self) -> str:
        """The JSON text, without fields that were not recorded."""
        return self.model_dump_json(by_alias=True, exclude_none=True)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def save(self, path: str | Path) -> None:
        """Write the trace; gzip when the name ends in .gz."""
        text = self.to_json().encode()
        Path(path).write_bytes(gzip.compress(text, mtime=0) if str(path).endswith(".gz") else text)


def spans(positions: Iterable[int]) -> list[Span]:
    """Ascending positions as half-open ranges."""
    if isinstance(positions, range) and positions.step == 1:
        return [(positions.start, positions.stop)] if positions else []
    out: list[list[int]] = []
    for p in positions:
        if out and out[-1][1] == p:
            out[-1][1] = p + 1
        else:
            out.append([p, p + 1])
    return [(a, b) for a, b in out]


def record(step: Step, *, rollout: bool = False, flops: int = 0, bytes: int = 0) -> StepRecord:
    """A step as the trace keeps it, with the rollout if wanted. Numbers from float32 are rounded to 6 digits."""
    plan: Plan = step.plan
    readout = step.readout
    return StepRecord(
        index=step.index,
        kind=plan.kind,
        block=step.block,
        window=step.window,
        queries=spans(plan.queries),
        visible=plan.visible,
        positions=list(readout.positions),
        tokens=list(readout.tokens),
        confidence=[round(c, 6) for c in readout.confidence],
        alternatives=None
        if readout.alternatives is None
        else [[(i, round(p, 6)) for i, p in row] for row in readout.alternatives],
        committed=list(step.committed),
        remasked=list(step.remasked),
        reasons=None if plan.reasons is None else {k: list(v) for k, v in plan.reasons.items()},
        rollout=None if readout.rollout is None or not rollout else [round(v, 6) for v in readout.rollout],
        seconds=step.seconds,
        flops=flops,
        bytes=bytes,
    )


def _gunzip(raw: bytes) -> bytes:
    """Unpack without trusting the packed size: a few kilobytes can hold gigabytes of zeros."""
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as f:
        return f.read(MAX_BYTES + 1)
