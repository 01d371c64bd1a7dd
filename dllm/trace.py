"""The trace: schema `blockscope.trace/1`, a JSON record from which every picture and number is derived.

All positions are absolute (0 = first prompt token). Building one needs no model; reading one needs no torch.
"""

import gzip
import zlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from dllm.cost import Sizes
from dllm.files import write_file
from dllm.records import FAST, MAX_POSITIONS, STRICT, Amount, CaseRecord, Count, Id, Span, StepRecord
from dllm.step import Case, Step
from dllm.strict import MAX_TEXT, TraceError, check, faults, resolved, short
from dllm.text import text

SCHEMA = "blockscope.trace/1"
MAX_BYTES = 64 * 2**20  # of JSON, unpacked: an upload larger than this is refused before it is parsed
MAX_STEPS = 16_384
MAX_CELLS = 2**24  # steps × positions: a larger trace is read, but no picture of that size is drawn
MAX_PIECES = 2**20

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Rate = Annotated[float, Field(gt=0, le=1e18)]  # operations or bytes a second


Hex = Annotated[str, Field(max_length=MAX_TEXT, pattern="^(?:[0-9a-f]{2})+$")]


class _Record(BaseModel):
    model_config = STRICT


class Model(_Record):
    """Which network spoke; `sizes` price its passes (traces from before them have none)."""

    id: Text
    family: Text
    sha256: Text | None = None
    dtype: Text
    parameters: Count
    layers: Count
    heads: Count
    sizes: Sizes | None = None


class Environment(_Record):
    """Where it was timed. `threads` are the CPU threads of the network, `warm_up` the passes run before timing.

    peak_flops, peak_bytes: what this machine was measured to do at most, a second, in the model's dtype.
    rows: most runs that a pass served at once; above 1 the seconds are those of shared passes. attention: how it was
    computed; graphs: whether passes of usual shapes were replayed from CUDA graphs (None where nobody noted it).
    """

    device: Text
    torch: Text
    threads: Count
    commit: Text | None = None
    warm_up: Count = 0
    rows: Annotated[int, Field(ge=1, le=2**20)] = 1
    attention: Text | None = None
    graphs: bool | None = None
    peak_flops: Rate | None = None
    peak_bytes: Rate | None = None


class Timing(_Record):
    """Seconds: to the first generated token, of all steps, and of recording (which is in neither).

    laps: of all steps, of every time this was decoded and timed, in that order; the trace is of the median lap.
    """

    ttft: Amount | None = None
    decode: Amount
    recorder: Amount
    laps: Annotated[list[Amount], FAST, Field(max_length=1000)] = []


class Gate(_Record):
    """What tells whether speed cost the answer anything; `dllm.gate` compares.

    references: answers that the same decoder gives without its approximations: "no_cache" recomputes every position in
    every pass, "one_by_one" also commits one token a pass. log_prob: mean log-probability of an answer's token under
    the AR network, nats. item, right: of the suite whose prompt this is, and whether the answer passes its check.
    """

    references: dict[Literal["no_cache", "one_by_one"], Annotated[list[Id], FAST, Field(max_length=MAX_POSITIONS)]] = {}
    log_prob: Annotated[float, Field(ge=-1e6, le=0)] | None = None
    item: Text | None = None
    right: bool | None = None


class Trace(_Record):
    """One decoding, whole. `output` holds generated ids only, cut after the first stop token.

    pieces: text by id. fragments, "bytes" in JSON: hex by id, of ids whose bytes alone are not whole UTF-8 text (their pieces
    have U+FFFD); older traces have none.

    The constructor trusts a decoder's settings, reasons, output and canvas; `from_json`, fed by strangers, does not.
    """

    schema_: Literal["blockscope.trace/1"] = Field(SCHEMA, alias="schema")
    model: Model
    settings: dict[str, Any]
    environment: Environment
    prompt: Annotated[list[Id], FAST, Field(max_length=MAX_POSITIONS)]
    pieces: Annotated[dict[Id, Text], Field(max_length=MAX_PIECES)] = {}
    fragments: Annotated[dict[Id, Hex] | None, Field(alias="bytes", max_length=MAX_PIECES)] = None
    output: Annotated[list[Id], FAST, Field(max_length=MAX_POSITIONS)]
    stop_reason: Literal["eos", "length", "cancelled"]
    steps: Annotated[list[StepRecord], FAST, Field(max_length=MAX_STEPS)]
    timing: Timing
    gate: Gate | None = None

    @model_validator(mode="after")
    def _replayable(self) -> "Trace":
        written: set[int] = set()
        for n, step in enumerate(self.steps):
            if step.index != n:
                raise ValueError(f"steps[{n}].index is {step.index}, not {n}")
            if again := [p for p in step.committed if p < len(self.prompt) or p in written]:
                raise ValueError(f"steps[{n}] commits position {again[0]}, which is already written")
            written |= set(step.committed)
            if strange := set(step.remasked) - written - set(step.positions[: len(step.tested or ())]):
                raise ValueError(f"steps[{n}] remasks position {min(strange)}, which is not written")
            written -= set(step.withdrawn)
        return self

    @classmethod
    def from_json(cls, data: str | bytes) -> "Trace":
        """Read and check a trace (JSON, gzip accepted); its settings get the form of `Settings.as_json`.

        Raises:
            TraceError: what is wrong and where, for the first few faults; below 2,000 characters.
        """
        try:
            raw = data.encode() if isinstance(data, str) else data
            if raw[:2] == b"\x1f\x8b":
                raw = zlib.decompressobj(31).decompress(raw, MAX_BYTES + 1)  # a few kilobytes may hold gigabytes
            if len(raw) > MAX_BYTES:
                raise TraceError(f"it has {len(raw)} bytes; allowed: {MAX_BYTES}")
            trace = cls.model_validate(TypeAdapter(Any).validate_json(raw))  # in one go, every fault copies its input
            settings = resolved(trace.settings)
            check(trace, settings)
            return trace.model_copy(update={"settings": settings.as_json()})
        except ValidationError as error:
            raise TraceError(f"not a valid trace: {faults(error)}") from None
        except (zlib.error, ValueError) as error:
            raise TraceError(f"not a valid trace: {short(str(error))}") from None

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Read a trace file (.json or .json.gz)."""
        return cls.from_json(Path(path).read_bytes())

    def text(self, ids: Iterable[int]) -> str:
        """The text of ids, decoded as a whole, so that characters spread over several tokens are right."""
        return text(ids, self.pieces, self.fragments or {})

    def to_json(self) -> str:
        """The JSON text, without fields that were not recorded."""
        return self.model_dump_json(by_alias=True, exclude_none=True)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def save(self, path: str | Path) -> None:
        """Write the trace, whole or not at all; gzip when the name ends in .gz."""
        text = self.to_json().encode()
        write_file(path, gzip.compress(text, mtime=0) if str(path).endswith(".gz") else text)


def spans(positions: Iterable[int]) -> list[Span]:
    """Ascending positions as half-open ranges."""
    if isinstance(positions, range) and positions.step == 1:
        return [(positions.start, positions.stop)] if positions else []
    listed = list(positions)
    gaps = [i for i in range(1, len(listed)) if listed[i] != listed[i - 1] + 1]
    return [(listed[a], listed[b - 1] + 1) for a, b in pairwise([0, *gaps, len(listed)] if listed else [])]


def record(step: Step, *, rollout: bool = False, flops: int = 0, bytes: int = 0) -> StepRecord:
    """A step as the trace keeps it, with the rollout if wanted. Numbers from float32 are rounded to 6 digits."""
    plan, readout, rows = step.plan, step.readout, step.readout.alternatives
    masks = sum(len(case.tokens) for case in step.cases or ())  # they stand last, in entries that nobody keeps
    return StepRecord(
        index=step.index,
        kind=plan.kind,
        block=step.block,
        window=step.window,
        queries=spans(plan.queries[: len(plan.queries) - masks]),
        visible=plan.visible - masks,
        positions=list(readout.positions),
        tokens=list(readout.tokens),
        confidence=[round(c, 6) for c in readout.confidence],
        alternatives=None if rows is None else [[(i, round(p, 6)) for i, p in row] for row in rows],
        committed=list(step.committed),
        remasked=list(step.remasked),
        reasons=None if plan.reasons is None else {k: list(v) for k, v in plan.reasons.items()},
        rollout=None if readout.rollout is None or not rollout else [round(v, 6) for v in readout.rollout],
        seconds=step.seconds,
        flops=flops,
        bytes=bytes,
        tested=None if step.tested is None else list(step.tested),
        cases=None if step.cases is None else [_case(case) for case in step.cases],
    )


def _case(case: Case) -> CaseRecord:
    sure = [round(c, 6) for c in case.confidence]
    return CaseRecord(right=case.right, position=case.position, tokens=list(case.tokens), confidence=sure)
