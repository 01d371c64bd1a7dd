"""Validation of untrusted traces beyond the schema."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from dllm.canvas import Canvas
from dllm.settings import VERIFY, Settings
from dllm.trace.canvases import canvas_after
from dllm.trace.errors import MAX_TEXT, TraceError, short
from dllm.trace.records import StepRecord

_RESOLVED = ("gen_length", "block_size", "sub_block_size", "attention", "stop_ids")
REASONS = ("density", "committed", "rollout", "inflated", "padded")  # as d²Cache gives them


def resolved(data: Mapping[str, Any]) -> Settings:
    """The settings of a trace, which say what was decided and not only what was asked for.

    Raises:
        TraceError: one is missing or absurd; names it.
    """
    if missing := [name for name in _RESOLVED if data.get(name) is None]:
        raise TraceError(f"settings.{missing[0]} is missing; allowed: the value that the run was decoded with")
    settings = Settings.from_json(data)
    for name, value in [item for c in (settings.cache, settings.unmask) if c for item in c.as_json().items()]:
        if value is not None and not _is_moderate(value):
            raise TraceError(f"option {name} is {value!r} in settings; allowed: up to 1e9 or {MAX_TEXT} characters")
    return replace(settings, unmask=settings.rule)


def _is_moderate(value: object) -> bool:
    """Whether an option is a short text, or a number (not NaN) of moderate size."""
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return isinstance(value, int | float) and abs(value) <= 1e9


def check(steps: Sequence[StepRecord], settings: Settings, *, prompt: list[int], output: list[int], vocab: int) -> None:
    """No step reaches beyond the canvas, every reason is for a query, and the output is what the steps wrote."""
    length, size, stops = settings.gen_length, settings.block_size, settings.stop_ids or ()
    canvas = Canvas(
        prompt, length, block_size=size, mask_id=0, shift=0, attention=str(settings.attention), stop_ids=stops
    )
    for step in steps:
        reached = max(step.visible, step.block[1], step.window[1], *(p + 1 for p in step.positions[-1:]))
        if reached > canvas.length:
            raise TraceError(f"steps[{step.index}] reaches position {reached - 1}; allowed: 0 to {canvas.length - 1}")
        _check_reasons(step)
    _check_verified(steps, canvas, vocab, verified=settings.rule.name == VERIFY)
    for p, cell in canvas_after(steps).items():
        canvas.commit(p, cell.token)
    if output != (wrote := canvas.output):
        raise TraceError(f"output is {short(str(output))}; allowed: what the steps wrote, {short(str(wrote))}")


def _check_verified(steps: Sequence[StepRecord], canvas: Canvas, vocab: int, *, verified: bool) -> None:
    """In verified decoding, and only there, guesses are tested; what follows from them is what the decoder does."""
    known, guessed = canvas.prompt_length, []
    for step in steps:
        where = f"steps[{step.index}]"
        if (step.tested is not None) != verified:
            told = "tests no drafts" if verified else "tests drafts"
            raise TraceError(f"{where} {told}; allowed: drafts in every step where unmask is {VERIFY!r}, else in none")
        if step.tested is None:
            continue
        tested, end = step.tested, known + len(step.tested)
        if tested != guessed[: len(tested)]:
            raise TraceError(f"{where}.tested is {_told(tested)}; allowed: the first of {_told(guessed)}")
        if step.positions != [*range(known, end + 1)]:
            raise TraceError(f"{where}.positions is {_told(step.positions)}; allowed: those from {known} to {end}")
        if [span[1:] for span in step.queries] != [(end,)] or step.queries[0][0] >= known or step.visible != end:
            raise TraceError(f"{where}.queries is {_told(step.queries)}; allowed: one run from before {known} to {end}")
        right = next((n for n, draft in enumerate(tested) if draft != step.tokens[n]), len(tested))
        for name, first, last in (("committed", known, known + right + 1), ("remasked", known + right, end)):
            if (found := getattr(step, name)) != [*range(first, last)]:
                raise TraceError(f"{where}.{name} is {_told(found)}; allowed: {_told(range(first, last))}")
        _check_cases(step, known, canvas.length, vocab)
        known, guessed = known + right + 1, [token for token, _ in step.drafted.values()]


def _check_cases(step: StepRecord, known: int, length: int, vocab: int) -> None:
    """Each case once, in order, its guesses behind what it holds for known and inside the canvas."""
    before = -1
    for number, case in enumerate(step.cases or ()):
        where = f"steps[{step.index}].cases[{number}]"
        if not before < case.right <= len(step.tested or ()):
            raise TraceError(f"{where}.right is {case.right}; allowed: each number of right drafts once, ascending")
        if case.position != known + case.right + 1 or case.position + len(case.tokens) > length:
            last = case.position + len(case.tokens) - 1
            allowed = f"from {known + case.right + 1} on, up to {length - 1}"
            raise TraceError(f"{where} guesses positions {case.position} to {last}; allowed: {allowed}")
        if wrong := [token for token in case.tokens if token >= vocab]:
            raise TraceError(f"{where} guesses token {wrong[0]}; allowed: ids below {vocab}")
        before = case.right


def _told(values: Iterable[object]) -> str:
    return short(str(list(values)), 100)


def _check_reasons(step: StepRecord) -> None:
    reasons, where = step.reasons or {}, f"steps[{step.index}].reasons"
    if strange := sorted(set(reasons) - set(REASONS)):
        raise TraceError(f"{where} holds {strange[0]!r}; allowed: {', '.join(REASONS)}")
    edges = [edge for span in step.queries for edge in span]
    for before, p in pairwise([-1, *sorted(p for listed in reasons.values() for p in listed)]):
        if p == before or bisect_right(edges, p) % 2 == 0:  # a query has an odd number of edges up to it
            raise TraceError(f"{where} lists position {p}; allowed: each query once")
