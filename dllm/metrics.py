"""What is derived from a trace: pure functions, each number with one definition."""

from collections.abc import Sequence
from dataclasses import dataclass

from dllm.trace import StepRecord, Trace

# what the page shows beside each number
DEFINITIONS = {
    "tps": "Tokens per second: tokens of the answer ÷ seconds of all its steps. Recording and drawing are not in it.",
    "tpf": "Tokens per forward: tokens of the answer ÷ forward passes. AR is about 1.",
    "nfe": "Forward passes (number of function evaluations), prefill and commit passes included.",
    "recomputed": "Positions pushed through the network ÷ positions visible to it, over all passes. No cache is 100 %.",
    "ttft": "Time to the first token of the answer: seconds of all steps up to the one that committed it.",
    "recorder": "Seconds spent on recording alternatives and the like; not part of any other number.",
}


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a run so far; see DEFINITIONS."""

    tokens: int
    nfe: int
    seconds: float
    tps: float
    tpf: float
    recomputed: float
    ttft: float | None
    recorder: float


def canvas_at(trace: Trace, step: int, *, mask: int | None = None) -> list[int | None]:
    """The ids on the canvas after a step (-1: before the first): the prompt, then as far as any step reached."""
    length = max([len(trace.prompt), *(p + 1 for s in trace.steps for p in (*s.committed, s.visible - 1))])
    canvas: list[int | None] = [*trace.prompt, *[mask] * (length - len(trace.prompt))]
    for record in trace.steps[: step + 1]:
        proposed = dict(zip(record.positions, record.tokens, strict=True))
        for p in record.committed:
            canvas[p] = proposed[p]
        for p in record.remasked:
            canvas[p] = mask
    return canvas


def numbers(trace: Trace) -> Numbers:
    """The numbers of a whole trace."""
    steps, tokens = trace.steps, len(trace.output)
    seconds = sum(s.seconds for s in steps)
    queries, visible = sum(s.query_count for s in steps), sum(s.visible for s in steps)
    return Numbers(
        tokens=tokens,
        nfe=len(steps),
        seconds=seconds,
        tps=tokens / seconds if seconds else 0.0,
        tpf=tokens / len(steps) if steps else 0.0,
        recomputed=queries / visible if visible else 0.0,
        ttft=ttft(steps),
        recorder=trace.timing.recorder,
    )


def ttft(steps: Sequence[StepRecord]) -> float | None:
    """Seconds up to the end of the first step that committed a token; None before."""
    total = 0.0
    for s in steps:
        total += s.seconds
        if s.committed:
            return total
    return None


def entry_ages(trace: Trace, step: int) -> list[int | None]:
    """Steps since each position's KV entry was computed, as seen after a step; None: never."""
    length = max([0, *(s.visible for s in trace.steps[: step + 1])])
    ages: list[int | None] = [None] * length
    for record in trace.steps[: step + 1]:
        for start, end in record.queries:
            ages[start:end] = [step - record.index] * (end - start)
    return ages
