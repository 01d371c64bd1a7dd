"""The records of a trace's passes: one a step, and what masks guessed in it."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from dllm.step import Case, Step

MAX_POSITIONS = 65_536

# A list stops at its first fault, because millions of faults would take gigabytes.
FAST = Field(fail_fast=True)
Id = Annotated[int, Field(ge=0, lt=2**31)]
Edge = Annotated[int, Field(ge=0, le=MAX_POSITIONS)]
Count = Annotated[int, Field(ge=0, le=2**53)]  # a number that JavaScript holds exactly
Amount = Annotated[float, Field(ge=0, le=1e9)]  # seconds or influence: a sum of many stays finite
Probability = Annotated[float, Field(ge=0, le=1.0001)]
Span = tuple[Edge, Edge]
Alternatives = Annotated[list[Annotated[list[tuple[Id, Probability]], FAST]], FAST]


def _ascending(values: list[int]) -> list[int]:
    for a, b in pairwise(values):
        if a >= b:
            raise ValueError(f"{b} stands after {a}; allowed: ascending, each position once")
    return values


Positions = Annotated[list[Annotated[int, Field(ge=0, lt=MAX_POSITIONS)]], FAST, AfterValidator(_ascending)]


STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)  # what all parts of a trace are held to


class _Record(BaseModel):
    model_config = STRICT


class CaseRecord(_Record):
    """Guesses for the case that just the first `right` drafts of the pass are right; `position`: of the first guess."""

    right: Count
    position: Edge
    tokens: Annotated[list[Id], FAST, Field(min_length=1)]
    confidence: Annotated[list[Probability], FAST]

    @model_validator(mode="after")
    def _consistent(self) -> "CaseRecord":
        if len(self.tokens) != len(self.confidence):
            raise ValueError(f"a case has {len(self.tokens)} tokens and {len(self.confidence)} confidences")
        return self


class StepRecord(_Record):
    """One forward pass; `queries` as half-open ranges, `reasons` as d²Cache gives them.

    In verified decoding `tested` are the drafts that stood at the first of `positions`, one fewer than those: queries
    before them are known tokens, and for each of `cases` there is a group of masks, which share positions with others
    and whose entries are not counted in `visible`. `remasked` are the drafts that AR did not say.
    """

    index: Count
    kind: Literal["prefill", "denoise", "commit", "ar"]
    block: Span
    window: Span
    queries: Annotated[list[Span], FAST]
    visible: Edge
    positions: Positions
    tokens: Annotated[list[Id], FAST]
    confidence: Annotated[list[Probability], FAST]
    alternatives: Alternatives | None = None
    committed: Positions
    remasked: Positions = []
    reasons: dict[str, Positions] | None = None
    rollout: Annotated[list[Amount], FAST] | None = None
    seconds: Amount
    flops: Count = 0
    bytes: Count = 0
    tested: Annotated[list[Id], FAST] | None = None
    cases: Annotated[list[CaseRecord], FAST] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "StepRecord":
        if self.block[0] > self.block[1] or self.window[0] > self.window[1]:
            raise ValueError(f"block is {self.block} and window {self.window}; allowed: a start up to its end")
        rows = (self.tokens, self.confidence, self.positions if self.alternatives is None else self.alternatives)
        if any(len(row) != len(self.positions) for row in rows):
            raise ValueError("positions, tokens, confidence and alternatives must have one entry each per position")
        if strange := set(self.committed) - set(self.positions):
            raise ValueError(f"position {min(strange)} is committed but was not asked")
        ends = [0, *(edge for span in self.queries for edge in span)]
        if ends != sorted(ends) or ends[-1] > self.visible:
            raise ValueError("queries must be ascending half-open ranges inside [0, visible)")
        if self.rollout is not None and len(self.rollout) != self.visible:
            raise ValueError(f"rollout has {len(self.rollout)} values; allowed: {self.visible}, one a visible position")
        if (self.tested is None) != (self.cases is None):
            raise ValueError("tested and cases belong together: both or none")
        if self.tested is not None and len(self.tested) + 1 != len(self.positions):
            raise ValueError(f"{len(self.tested)} drafts for {len(self.positions)} positions; allowed: one fewer")
        return self

    @property
    def query_count(self) -> int:
        """How many queries went through the network."""
        return sum(end - start for start, end in self.queries) + self.guessing

    @property
    def guessing(self) -> int:
        """How many of the queries were masks in scratch entries."""
        return sum(len(case.tokens) for case in self.cases or ())

    @property
    def attended(self) -> int:
        """How many entries the queries attended to, scratch included: without a cache as many as there were queries."""
        return self.visible + self.guessing

    @property
    def withdrawn(self) -> list[int]:
        """Positions whose committed tokens were masked again: `remasked`, but drafts were never committed."""
        return [] if self.tested is not None else self.remasked

    @property
    def drafted(self) -> dict[int, tuple[int, float]]:
        """The guesses that the committed tokens made likely, by position: (token, probability).

        The next pass tests as many of them as it finds worth it.
        """
        right = len(self.committed) - 1
        case = next((case for case in self.cases or () if case.right == right), None)
        return {} if case is None else dict(enumerate(zip(case.tokens, case.confidence, strict=True), case.position))


def position_spans(positions: Iterable[int]) -> list[Span]:
    """Ascending positions as half-open ranges."""
    if isinstance(positions, range) and positions.step == 1:
        return [(positions.start, positions.stop)] if positions else []
    listed = list(positions)
    gaps = [i for i in range(1, len(listed)) if listed[i] != listed[i - 1] + 1]
    return [(listed[a], listed[b - 1] + 1) for a, b in pairwise([0, *gaps, len(listed)] if listed else [])]


def record(step: Step, *, rollout: bool = False, flops: int = 0, bytes: int = 0) -> StepRecord:
    """A step as the trace keeps it, with the rollout if wanted. Numbers from float32 are rounded to 6 digits."""
    plan, readout, rows = step.plan, step.readout, step.readout.alternatives
    masks = sum(len(case.tokens) for case in step.cases or ())  # they stand last, in entries that are not kept
    return StepRecord(
        index=step.index,
        kind=plan.kind,
        block=step.block,
        window=step.window,
        queries=position_spans(plan.queries[: len(plan.queries) - masks]),
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
