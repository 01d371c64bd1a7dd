"""How fast an answer was written under a counting rule, and whether answers may be compared by it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dllm.strict import short
from dllm.trace import Trace

# what each choice of the rule counts, in words; `dllm.metrics.DEFINITIONS` says what the numbers are
DEFINITIONS = {
    "eos": "The stop token at the end of an answer is counted.",
    "no_eos": "The stop token at the end of an answer is not counted.",
    "end_to_end": "Counted are all passes, the prompt's own included, and all tokens of the answer.",
    "decode_only": (
        "Counted is what comes after the first token: the passes after the one that wrote it, and the tokens of the "
        "answer that this pass did not write. TPS is (N - n1) ÷ (T - TTFT), n1 tokens being written by that pass."
    ),
    "cut": "Tokens after the first stop token and beyond the cap are never counted.",
    "laps": "Low and high are the slowest and the fastest time that the same answer was decoded again.",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """Tokens, seconds and forward passes that the rule counts, and their ratios; ttft: seconds, None without tokens."""

    tokens: int
    seconds: float
    tps: float
    tpf: float
    nfe: int
    ttft: float | None


def pace(trace: Trace, *, eos: bool = True, decode_only: bool = False) -> Pace:
    """The speed of a trace.

    eos: whether a stop token at the end of the output counts. decode_only: only what comes after the first step that
    committed a token of the answer. Ratios of nothing are 0.
    """
    times, standing = course(trace, eos=eos, decode_only=decode_only)
    first = first_step(trace, eos=eos)
    tokens, seconds, nfe = int(standing[-1]), float(times[-1]) / 1000, len(times) - 1
    return Pace(
        tokens=tokens,
        seconds=seconds,
        tps=tokens / seconds if seconds else 0.0,
        tpf=tokens / nfe if nfe else 0.0,
        nfe=nfe,
        ttft=None if first is None else sum(step.seconds for step in trace.steps[: first + 1]),
    )


def course(trace: Trace, *, eos: bool = True, decode_only: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """After every counted pass, milliseconds so far and counted tokens standing: two arrays that begin with 0.

    A token that is remasked is taken off again. The last entries are those of `pace`.
    """
    counted = _counted(trace, eos=eos)
    first = first_step(trace, eos=eos)
    if not decode_only:
        return _course(trace, 0, counted)
    if first is None:
        return np.zeros(1), np.zeros(1, dtype=int)
    at_once = set(trace.steps[first].committed)
    return _course(trace, first + 1, [p for p in counted if p not in at_once])


def first_step(trace: Trace, *, eos: bool = True) -> int | None:
    """The index of the step that committed the first token that counts; None: there is none."""
    counted = _counted(trace, eos=eos)
    return next((s.index for s in trace.steps if any(p in counted for p in s.committed)), None)


def laps(trace: Trace, *, eos: bool = True, decode_only: bool = False) -> list[float]:
    """Tokens per second of every lap. Laps are known as a whole, so there are none of decoding only."""
    if decode_only:
        return []
    tokens = pace(trace, eos=eos).tokens
    return [tokens / seconds for seconds in trace.timing.laps if seconds]


def median_lap(traces: Sequence[Trace]) -> Trace:
    """Of traces of one answer, each of another lap, that of the median lap (the quicker of two), telling of all."""
    middle = sorted(traces, key=lambda trace: trace.timing.decode)[(len(traces) - 1) // 2]
    laps = [trace.timing.decode for trace in traces]
    return middle.model_copy(update={"timing": middle.timing.model_copy(update={"laps": laps})})


def comparable(traces: Sequence[Trace]) -> str:
    """Why a race between these is not fair, in a sentence; "" where it is.

    It is fair on one machine and one set of weights, for one prompt, after a warm-up. What is not known is not fair.
    """
    for name, value in METADATA.items():
        found = [value(trace) for trace in traces]
        if not all(found):
            return f"The {name} of a lane is not known."
        if other := next((f for f in found if f != found[0]), None):
            told = "" if name == "prompt" else f": {_told(found[0])} and {_told(other)}"
            return f"The lanes differ in their {name}{told}."
    if len({_weights(trace, traces) for trace in traces}) > 1:
        return f"The lanes are of different models: {', '.join(dict.fromkeys(_told(t.model.id) for t in traces))}."
    if not all(trace.environment.warm_up for trace in traces):
        return "A lane was not warmed up: its first passes paid for what is done once."
    if any(trace.environment.rows > 1 for trace in traces):
        return "A lane was decoded together with other runs, so its seconds are theirs too."
    return ""


METADATA: dict[str, Callable[[Trace], Any]] = {
    "device": lambda trace: trace.environment.device,
    "torch version": lambda trace: trace.environment.torch,
    "number of CPU threads": lambda trace: trace.environment.threads,
    "dtype": lambda trace: trace.model.dtype,
    "way of making passes": lambda trace: "CUDA graphs" if trace.environment.graphs else "kernel by kernel",
    "prompt": lambda trace: trace.prompt,
    "number of parameters": lambda trace: trace.model.parameters,
}


def _told(value: object) -> str:
    return short(str(value), 80)  # traces come from strangers


def _weights(trace: Trace, traces: Sequence[Trace]) -> str | None:
    """What weights are known by: a sha256 where all have one, because the default's AR lane is its base, or an id."""
    return trace.model.sha256 if all(t.model.sha256 for t in traces) else trace.model.id


def _counted(trace: Trace, *, eos: bool) -> range:
    """The positions whose tokens count."""
    start, output = len(trace.prompt), trace.output
    stopped = bool(output) and output[-1] in (trace.settings.get("stop_ids") or ())
    return range(start, start + len(output) - (stopped and not eos))


def _course(trace: Trace, begin: int, counted: Collection[int]) -> tuple[np.ndarray, np.ndarray]:
    """`course` over the steps from `begin`, of tokens at these positions."""
    places, written, standing = frozenset(counted), 0, [0]
    for step in trace.steps[begin:]:
        written += len(places.intersection(step.committed)) - len(places.intersection(step.withdrawn))
        standing.append(written)
    times = np.cumsum([0.0, *(1000 * step.seconds for step in trace.steps[begin:])])
    return times, np.array(standing)
