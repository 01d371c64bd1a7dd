"""Throughput: every number of a run, each defined once, and whether runs may be compared by them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dllm.trace.canvases import Cells, write
from dllm.trace.errors import short
from dllm.trace.records import StepRecord
from dllm.trace.schema import Environment, Trace

# what the page shows beside each number of `Throughput`; "recorder" is `Trace.timing.recorder`
DEFINITIONS = {
    "seconds": "Seconds of all passes so far: how long the answer took. Recording and drawing are not in it.",
    "tps": "Tokens per second: tokens of the answer ÷ seconds of all its steps. Recording and drawing are not in it.",
    "tpf": "Tokens per forward: tokens of the answer ÷ forward passes. AR is about 1.",
    "nfe": "Forward passes (number of function evaluations), prefill and commit passes included.",
    "recomputed": "Positions pushed through the network ÷ positions visible to it, over all passes. No cache is 100 %.",
    "ttft": "Time to the first token of the answer: seconds of all steps up to the one that committed it.",
    "recorder": "Seconds spent on recording alternatives and the like; not part of any other number.",
}
# what each choice of the counting rule counts
RULES = {
    "eos": "The stop token at the end of an answer is counted.",
    "no_eos": "The stop token at the end of an answer is not counted.",
    "end_to_end": "Counted are all passes, the prompt's own included, and all tokens of the answer.",
    "decode_only": (
        "Counted is what comes after the first token: the passes after the one that wrote it, and the tokens of the "
        "answer that this pass did not write. TPS is (N - n1) ÷ (T - TTFT), n1 tokens being written by that pass."
    ),
    "cut": "Tokens after the first stop token and beyond the cap are never counted.",
    "repeats": "Low and high are the slowest and the fastest time that the same answer was decoded again.",
}


@dataclass(frozen=True, slots=True)
class Throughput:
    """The numbers of a run, up to one of its passes. Ratios of nothing are 0; see DEFINITIONS.

    tokens: generated tokens on the canvas, up to the first stop token (which counts) and the cap.
    seconds: sum over the passes. nfe: forward passes.
    computed: positions that went through the network. attended: positions that those passes attended to.
    ttft: seconds up to the end of the first pass that committed a token that counts; None without one.
    """

    tokens: int = 0
    seconds: float = 0.0
    nfe: int = 0
    computed: int = 0
    attended: int = 0
    ttft: float | None = None

    @property
    def tps(self) -> float:
        """Tokens per second."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def tpf(self) -> float:
        """Tokens per forward pass."""
        return self.tokens / self.nfe if self.nfe else 0.0

    @property
    def recomputed(self) -> float:
        """Share of the attended positions that were computed anew instead of read from a cache, 0 to 1."""
        return self.computed / self.attended if self.attended else 0.0

    def as_json(self) -> dict[str, Any]:
        """All numbers by name, ratios included."""
        return asdict(self) | {"tps": self.tps, "tpf": self.tpf, "recomputed": self.recomputed}


class Meter:
    """Measures a run pass by pass. A later stop token before earlier commits takes them out of all numbers."""

    def __init__(
        self, start: int, end: int, stop_ids: Collection[int] = (), *, leave_out: Collection[int] = ()
    ) -> None:
        """start: the first generated position. end: the cap. leave_out: positions whose tokens do not count."""
        self.start, self.last = start, end - 1  # the first and last position that counts
        self.total = Throughput()
        self._end, self._stop_ids, self._leave_out = end, frozenset(stop_ids), frozenset(leave_out)
        self._cells: Cells = {}
        self.stops: set[int] = set()  # positions of stop tokens
        self._standing: set[int] = set()  # positions of tokens that count
        self._committed: dict[int, float] = {}  # position → seconds when it was first committed

    def add(self, step: StepRecord) -> Throughput:
        """The numbers up to and including this pass."""
        before, seconds = self.total, self.total.seconds + step.seconds
        write(self._cells, step)
        for position in step.committed:
            self._committed.setdefault(position, seconds)
        ttft = self._recount() if self._moved(step) else self._count(step, seconds)
        self.total = Throughput(
            tokens=len(self._standing),
            seconds=seconds,
            nfe=before.nfe + 1,
            computed=before.computed + step.query_count,
            attended=before.attended + step.attended,
            ttft=ttft,
        )
        return self.total

    @property
    def written(self) -> Collection[int]:
        """The positions of all tokens that stand on the canvas, whether or not they count."""
        return self._cells.keys()

    def measure(self, steps: Iterable[StepRecord]) -> Throughput:
        """The numbers after all of these passes."""
        for step in steps:
            self.add(step)
        return self.total

    def _counts(self, position: int) -> bool:
        return self.start <= position <= self.last and position not in self._leave_out

    def _moved(self, step: StepRecord) -> bool:
        """Whether the step changed which position is the last that counts."""
        stops = {p for p in step.committed if p in self._cells and self._cells[p].token in self._stop_ids}
        if not stops and self.stops.isdisjoint(step.withdrawn):
            return False
        self.stops = (self.stops | stops) - set(step.withdrawn)
        before, self.last = self.last, min([*self.stops, self._end - 1])
        return before != self.last

    def _count(self, step: StepRecord, seconds: float) -> float | None:
        fresh = [p for p in step.committed if self._counts(p)]
        self._standing.update(fresh)
        self._standing.difference_update(step.withdrawn)
        return seconds if fresh and self.total.ttft is None else self.total.ttft

    def _recount(self) -> float | None:
        self._standing = {p for p in self._cells if self._counts(p)}
        return min((seconds for p, seconds in self._committed.items() if self._counts(p)), default=None)


def meter(trace: Trace) -> Meter:
    """A meter for the steps of a trace, before the first of them."""
    start = len(trace.prompt)
    return Meter(start, start + trace.settings["gen_length"], trace.settings.get("stop_ids") or ())


def throughput(trace: Trace, *, eos: bool = True, decode_only: bool = False) -> Throughput:
    """The numbers of a whole trace.

    eos: whether a stop token at the end of the answer counts. decode_only: only what comes after the first step that
    committed a token of the answer; `ttft` is still that of the whole.
    """
    passes = _passes(trace, eos=eos, decode_only=decode_only)
    total = passes[-1] if passes else Throughput()
    return replace(total, ttft=throughput(trace, eos=eos).ttft) if decode_only else total


def timeline(trace: Trace, *, eos: bool = True, decode_only: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """After every counted pass, milliseconds so far and tokens standing: two arrays that begin with 0.

    A remasked token is taken off again; a token that the finished answer does not count is never counted.
    """
    passes = [Throughput(), *_passes(trace, eos=eos, decode_only=decode_only)]
    return np.array([1000 * each.seconds for each in passes]), np.array([each.tokens for each in passes])


def first_step(trace: Trace, *, eos: bool = True) -> int | None:
    """The index of the step that committed the first token that counts; None: there is none."""
    start, end = len(trace.prompt), _end(trace, eos=eos)
    return next((step.index for step in trace.steps if any(start <= p < end for p in step.committed)), None)


def repeat_tps(trace: Trace, *, eos: bool = True, decode_only: bool = False) -> list[float]:
    """Tokens per second of every repeat. Repeats are known as a whole, so there are none of decoding only."""
    if decode_only:
        return []
    tokens = throughput(trace, eos=eos).tokens
    return [tokens / seconds for seconds in trace.timing.laps if seconds]


def median_repeat(traces: Sequence[Trace]) -> Trace:
    """Of traces of one answer, one a repeat, that with the median time (the quicker of two), and the seconds of all."""
    middle = sorted(traces, key=lambda trace: trace.timing.decode)[(len(traces) - 1) // 2]
    repeats = [trace.timing.decode for trace in traces]
    return middle.model_copy(update={"timing": middle.timing.model_copy(update={"laps": repeats})})


def comparable(traces: Sequence[Trace]) -> str:
    """Why a race between these is not fair, in a sentence; "" where it is.

    It is fair on one machine and one set of weights, for one prompt, after a warm-up. What is not known is not fair.
    """
    for name in _conditions(traces[0]) if traces else ():
        found = [_conditions(trace)[name] for trace in traces]
        if not all(found):
            return f"The {name} of a lane is not known."
        if other := next((value for value in found if value != found[0]), None):
            both = "" if name == "prompt" else f": {_cut(found[0])} and {_cut(other)}"
            return f"The lanes differ in their {name}{both}."
    if len({_weights(trace, traces) for trace in traces}) > 1:
        return f"The lanes are of different models: {', '.join(dict.fromkeys(_cut(t.model.id) for t in traces))}."
    return _disturbed([trace.environment for trace in traces])


def _disturbed(environments: Sequence[Environment]) -> str:
    """Why the seconds of these lanes are not their decoders' alone, in a sentence; "" where they are."""
    if len({bool(each.graphs) for each in environments}) > 1:
        return "The lanes differ in their way of making passes: CUDA graphs and kernel by kernel."
    if not all(each.warm_up for each in environments):
        return "A lane was not warmed up: its first passes paid for what is done once."
    if any(each.rows > 1 for each in environments):
        return "A lane was decoded together with other runs, so its seconds are theirs too."
    return ""


def _conditions(trace: Trace) -> dict[str, object]:
    """What must be known, and be equal between lanes that are compared."""
    environment, model = trace.environment, trace.model
    return {
        "device": environment.device,
        "torch version": environment.torch,
        "number of CPU threads": environment.threads,
        "dtype": model.dtype,
        "prompt": trace.prompt,
        "number of parameters": model.parameters,
    }


def _cut(value: object) -> str:
    return short(str(value), 80)  # traces come from strangers


def _weights(trace: Trace, traces: Sequence[Trace]) -> str | None:
    """What weights are known by: a sha256 where all have one, because the default's AR lane is its base, or an id."""
    return trace.model.sha256 if all(t.model.sha256 for t in traces) else trace.model.id


def _end(trace: Trace, *, eos: bool) -> int:
    """The position behind the last token of the answer that counts."""
    whole = meter(trace)
    whole.measure(trace.steps)
    stopped = whole.last in whole.stops
    return whole.last + 1 - (stopped and not eos)


def _passes(trace: Trace, *, eos: bool, decode_only: bool) -> list[Throughput]:
    """The numbers after every counted pass, of tokens that the finished answer counts."""
    begin, leave_out = 0, list[int]()
    if decode_only:
        if (first := first_step(trace, eos=eos)) is None:
            return []
        begin, leave_out = first + 1, trace.steps[first].committed
    counted = Meter(len(trace.prompt), _end(trace, eos=eos), leave_out=leave_out)
    return [counted.add(step) for step in trace.steps[begin:]]
