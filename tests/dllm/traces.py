"""Traces to test with: made by hand, decoded by tiny networks in every way, and a large one."""

from typing import Any

import numpy as np
import pytest

from dllm.cache import CACHES
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, ModelSpec
from dllm.settings import Choice, Settings
from dllm.trace import Trace
from dllm.trace.records import StepRecord, position_spans
from dllm.trace.schema import Environment, ModelRecord, Timing
from tests.dllm.nets import engine_of
from tests.visualize.records import PROMPT, SETTINGS

WAYS = [
    (spec, name)
    for name, policy in CACHES.items()
    for spec in (FAST_DLLM_V2, LLADA, DREAM)
    if spec.attentions[0] in policy.attentions
]
every_way = pytest.mark.parametrize(("spec", "cache"), WAYS, ids=lambda value: getattr(value, "name", value))


def made(*steps: StepRecord, prompt: list[int] = PROMPT, **changes: Any) -> Trace:
    return Trace(
        schema="blockscope.trace/1",
        model=ModelRecord(id="made", family="llada", dtype="float32", parameters=1, layers=1, heads=1),
        settings={**SETTINGS, **changes},
        environment=Environment(device="cpu", torch="2", threads=1),
        prompt=prompt,
        output=[],
        stop_reason="cancelled",
        steps=list(steps),
        timing=Timing(ttft=None, decode=1.0, recorder=0.0),
    )


def decoded(spec: ModelSpec, cache: str | Choice, prompt: list[int], **changes: Any) -> Trace:
    choice = Choice("d2", {"k": 3, "inflate": 2}) if cache == "d2" else Choice.of(cache, "cache")
    chosen = {"gen_length": 13, "block_size": 8, "cache": choice, "unmask": Choice("threshold", {"threshold": 0.1})}
    run = engine_of(spec).run(prompt, Settings(**{**chosen, "record": ("rollout",), **changes}))
    for _ in run:
        pass
    return run.trace()


def canvas_at(trace: Trace, step: int, *, mask: int | None = None) -> list[int | None]:
    """The ids on the canvas after a step (-1: before the first), as far as any step reached."""
    length = max([len(trace.prompt), *(p + 1 for s in trace.steps for p in (*s.committed, s.visible - 1))])
    canvas: list[int | None] = [*trace.prompt, *[mask] * (length - len(trace.prompt))]
    for record in trace.steps[: step + 1]:
        for p in record.committed:
            canvas[p] = record.tokens[record.positions.index(p)]
        for p in record.withdrawn:
            canvas[p] = mask
    return canvas


def large() -> Trace:
    """512 steps × 1024 positions, all recorded."""
    chance, steps = np.random.default_rng(0), []
    for index in range(512):
        queries = np.flatnonzero(chance.random(1024) < 0.4).tolist()
        cut = len(queries) // 2
        asked = range(512 + index, 1024)
        fields = {"kind": "denoise", "block": (512, 1024), "window": (512, 1024), "seconds": 0.1, "visible": 1024}
        steps.append(
            StepRecord(
                **fields,
                index=index,
                queries=position_spans(queries),
                positions=list(asked),
                tokens=[7] * len(asked),
                confidence=chance.random(len(asked)).round(6).tolist(),
                committed=[asked[0]],
                reasons={"density": queries[:cut], "rollout": queries[cut:]},
                rollout=chance.exponential(size=1024).round(6).tolist(),
            )
        )
    return made(*steps, prompt=[1] * 512, gen_length=512, block_size=32, sub_block_size=8)
