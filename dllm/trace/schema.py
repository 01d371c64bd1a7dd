"""The trace: schema `blockscope.trace/1`, a JSON record from which every picture and number is derived.

All positions are absolute (0 = first prompt token). Building one needs no model; reading one needs no torch.
"""

import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from dllm.files import write_file
from dllm.trace.cost import Sizes
from dllm.trace.errors import MAX_TEXT, TraceError, faults, short
from dllm.trace.records import FAST, MAX_POSITIONS, STRICT, Amount, Count, Id, StepRecord
from dllm.trace.text import text
from dllm.trace.validate import check, resolved

_SCHEMA = "blockscope.trace/1"
MAX_TRACE_BYTES = 64 * 2**20  # of JSON, unpacked
MAX_STEPS = 16_384
MAX_CELLS = 2**24  # steps × positions: a larger trace is read, but no picture of that size is drawn
_MAX_PIECES = 2**20
_UNSHIFTED = ("llada",)  # families whose query p predicts position p

Text = Annotated[str, Field(max_length=MAX_TEXT)]
_PeakRate = Annotated[float, Field(gt=0, le=1e18)]  # operations or bytes a second


Hex = Annotated[str, Field(max_length=MAX_TEXT, pattern="^(?:[0-9a-f]{2})+$")]


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a trace may be, checked before it is built; bytes of JSON, unpacked, and steps × positions as cells."""

    bytes: int
    steps: int
    cells: int


_OWN = Limits(MAX_TRACE_BYTES, MAX_STEPS, 2**27)
UPLOAD = Limits(8 * 2**20, 2**13, 2**22)
PER_NUMBER, PER_STEP = 36, 2500  # bytes in memory, about


class _Record(BaseModel):
    model_config = STRICT


class ModelRecord(_Record):
    """Which network decoded.

    sizes: price its passes (older traces have none). shift: how many positions before a token the query lies that
    predicts it, 0 or 1; older traces do not say, so it is that of the family.
    """

    id: Text
    family: Text
    sha256: Text | None = None
    dtype: Text
    parameters: Count
    layers: Count
    heads: Count
    sizes: Sizes | None = None
    shift: Annotated[int, Field(ge=0, le=1)] = 1

    @model_validator(mode="before")
    @classmethod
    def _shift_of_family(cls, data: Any) -> Any:
        if isinstance(data, dict) and "shift" not in data:
            return {**data, "shift": 0 if data.get("family") in _UNSHIFTED else 1}
        return data


class Environment(_Record):
    """Where it was timed. `threads` are the CPU threads of the network, `warm_up` the passes run before timing.

    peak_flops, peak_bytes: what this machine was measured to do at most, a second, in the model's dtype.
    rows: most runs that a pass served at once; above 1 the seconds are those of shared passes. attention: how it was
    computed; graphs: whether passes of usual shapes were replayed from CUDA graphs (None: unknown).
    """

    device: Text
    torch: Text
    threads: Count
    commit: Text | None = None
    warm_up: Count = 0
    rows: Annotated[int, Field(ge=1, le=2**20)] = 1
    attention: Text | None = None
    graphs: bool | None = None
    peak_flops: _PeakRate | None = None
    peak_bytes: _PeakRate | None = None


class Timing(_Record):
    """Seconds: to the first generated token, of all steps, and of recording (which is in neither).

    laps: of all steps, of every time this was decoded and timed, in that order; the trace is that of the median.
    """

    ttft: Amount | None = None
    decode: Amount
    recorder: Amount
    laps: Annotated[list[Amount], FAST, Field(max_length=1000)] = []


class Gate(_Record):
    """What tells whether speed cost the answer anything; `dllm.trace.compare` compares.

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

    pieces: text by id. fragments ("bytes" in JSON): hex by id, of ids whose bytes alone are not whole UTF-8 text, so
    that their pieces have U+FFFD; older traces have none.

    The constructor trusts a decoder's settings, reasons, output and canvas; `from_json`, fed by strangers, does not.
    """

    schema_: Literal["blockscope.trace/1"] = Field(_SCHEMA, alias="schema")
    model: ModelRecord
    settings: dict[str, Any]
    environment: Environment
    prompt: Annotated[list[Id], FAST, Field(max_length=MAX_POSITIONS)]
    pieces: Annotated[dict[Id, Text], Field(max_length=_MAX_PIECES)] = {}
    fragments: Annotated[dict[Id, Hex] | None, Field(alias="bytes", max_length=_MAX_PIECES)] = None
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
    def from_json(cls, data: str | bytes, *, limits: Limits = _OWN) -> "Trace":
        """Read and check a trace (JSON, gzip accepted); its settings get the form of `Settings.as_json`.

        Raises:
            TraceError: what is wrong and where, for the first few faults; below 2,000 characters.
        """
        try:
            raw = data.encode() if isinstance(data, str) else data
            if raw[:2] == b"\x1f\x8b":
                raw = zlib.decompressobj(31).decompress(raw, limits.bytes + 1)  # a few kilobytes may hold gigabytes
            if len(raw) > limits.bytes:
                raise TraceError(f"it has more than {limits.bytes} bytes, which is the most allowed")
            plain = TypeAdapter(Any).validate_json(raw)  # apart from the check, because every fault copies its input
            _check_size(plain, limits)
            trace = cls.model_validate(plain)
            settings = resolved(trace.settings)
            vocab = trace.model.sizes.vocab if trace.model.sizes else 2**31
            check(trace.steps, settings, prompt=trace.prompt, output=trace.output, vocab=vocab)
            return trace.model_copy(update={"settings": settings.as_json()})
        except ValidationError as error:
            raise TraceError(f"not a valid trace: {faults(error)}") from None
        except (zlib.error, ValueError) as error:
            raise TraceError(f"not a valid trace: {short(str(error))}") from None

    @classmethod
    def load(cls, path: str | Path, *, limits: Limits = _OWN) -> "Trace":
        """Read a trace file (.json or .json.gz).

        Raises:
            TraceError: it is none, or larger than allowed.
        """
        return cls.from_json(Path(path).read_bytes(), limits=limits)

    def text(self, ids: Iterable[int]) -> str:
        """The text of ids, decoded as a whole, so that characters spread over several tokens are right."""
        return text(ids, self.pieces, self.fragments or {})

    @property
    def nbytes(self) -> int:
        """About how much memory it takes, in bytes: most of it are the numbers of its steps."""
        sizes = [4000 + PER_NUMBER * (len(self.prompt) + len(self.output))]
        sizes += [PER_NUMBER * len(piece) for piece in self.pieces.values()]
        return sum(sizes) + sum(map(_nbytes, self.steps))

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


def _check_size(plain: Any, limits: Limits) -> None:
    """Refuse what would be too large before it is built; what has another form is refused later."""
    if not isinstance(plain, dict) or not isinstance(plain.get("settings"), dict):
        return
    steps, prompt, length = plain.get("steps"), plain.get("prompt"), plain["settings"].get("gen_length")
    if not isinstance(steps, list) or not isinstance(prompt, list) or not isinstance(length, int):
        return
    if len(steps) > limits.steps:
        raise TraceError(f"it has {len(steps)} steps; allowed: {limits.steps}")
    if (cells := len(steps) * (len(prompt) + length)) > limits.cells:
        positions = len(prompt) + length
        raise TraceError(f"{len(steps)} steps of {positions} positions are {cells} cells; allowed: {limits.cells}")


def _nbytes(step: StepRecord) -> int:
    numbers = 3 * len(step.positions) + 2 * len(step.queries) + len(step.committed) + len(step.remasked)
    numbers += len(step.rollout or ()) + sum(map(len, (step.reasons or {}).values())) + 2 * step.guessing
    alternatives = sum(1 + 3 * len(row) for row in step.alternatives or ())
    return PER_STEP + PER_NUMBER * (numbers + alternatives)
