"""Evaluation: a suite's prompts answered in many ways of decoding, judged by its checks and by the AR base."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from dllm import suite as suites
from dllm.batch import decode_together
from dllm.engine import Engine
from dllm.gate import departure
from dllm.report import SCHEMA, Answer, Row, summarize
from dllm.settings import VERIFY, Choice, Settings
from dllm.suite import Item, Suite

CHECKED_LENGTH = 48  # tokens of an answer that is checked, and of an open one
OPEN_LENGTH = 64
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
DRAFTS = (1, 2, 3, 4)
BLOCKS = ((32, 8), (8, 8), (4, 4), (8, 2))  # block, sub-block


def ways(engine: Engine) -> dict[str, Settings]:
    """Every way of decoding that an evaluation compares on a model, by name; AR first where the model can.

    The cache "none" is left out: "block" is equal to it by construction, and tests hold it so.
    """
    found: dict[str, Settings] = {}
    attentions = engine.traits.attentions
    if engine.traits.causal:
        found["AR"] = Settings(block_size=1)
    if engine.autoregressive:
        return found
    if "hybrid" in attentions:
        found |= {f"verified, {_drafts(n)}": Settings(unmask=Choice(VERIFY, {"drafts": n})) for n in DRAFTS}
    if engine.traits.causal:
        for block, sub in BLOCKS:
            # a sub-block that is the block leaves the sub-block cache nothing to freeze
            for cache in ("block",) if sub == block else ("block", "sub_block"):
                found |= {
                    f"block {block}/{sub}, {cache} cache, {t}": Settings(
                        block_size=block, sub_block_size=sub, cache=Choice(cache), unmask=_threshold(t)
                    )
                    for t in THRESHOLDS
                }
    if "bidirectional" in attentions:
        found |= {
            f"full attention, d2 cache, {t}": Settings(cache=Choice("d2"), unmask=_threshold(t)) for t in THRESHOLDS
        }
    return found


def named(known: Mapping[str, Settings], only: str) -> set[str]:
    """The ways whose names hold one of the words in `only`, which are separated by |.

    Raises:
        ValueError: there are none; says which names there are.
    """
    words = [word.strip() for word in only.split("|")]
    found = {name for name in known if any(word in name for word in words)}
    if not found:
        raise ValueError(f"only is {only!r}; allowed: part of {'; '.join(known)}")
    return found


def evaluate(
    engine: Engine, suite: Suite, *, only: str = "", rows: int = 16, limit: int | None = None
) -> Iterator[Row]:
    """A row for each way of decoding that `only` names (see `named`), as soon as it is measured.

    AR is measured in any case: it is what answers depart from. limit: only so many items of each kind.

    Raises:
        ValueError: no way has such a name, or a number out of range.
        dllm.sandbox.SandboxError: answers hold code, and this machine cannot run it safely.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; allowed: 1 or more")
    known = ways(engine)
    wanted = named(known, only)
    chosen = {name: settings for name, settings in known.items() if name in wanted or name == "AR"}
    items = first_of_each_kind(suite.items, limit)
    reference: dict[str, tuple[int, ...]] = {}
    for name, settings in chosen.items():
        began = perf_counter()
        answers = _answers(engine, items, settings, reference, rows=rows)
        seconds = perf_counter() - began
        if name == "AR":
            reference = {answer.item: answer.ids for answer in answers}
        if name in wanted:
            yield summarize(name, settings.as_json(), answers, seconds=seconds, rows=rows)


def document(engine: Engine, suite: Suite, rows: Sequence[Row]) -> dict[str, Any]:
    """An evaluation as it is kept: what was measured, where, and how it came out."""
    about = engine.describe()
    return {
        "schema": SCHEMA,
        "suite": {"name": suite.name, "checked": len(suite.checked), "open": len(suite.open)},
        "model": {key: about[key] for key in ("id", "family", "sha256", "dtype", "parameters")},
        "environment": engine.environment().model_dump(exclude_none=True),
        "rows": [row.as_json() for row in rows],
    }


def _answers(
    engine: Engine, items: Sequence[Item], settings: Settings, reference: dict[str, tuple[int, ...]], *, rows: int
) -> list[Answer]:
    from dllm.models.likelihood import log_probabilities

    lengths = [OPEN_LENGTH if item.check is None else CHECKED_LENGTH for item in items]
    runs = [engine.run(item.prompt, replace(settings, gen_length=n)) for item, n in zip(items, lengths, strict=True)]
    for _ in decode_together(runs, rows=rows):
        pass
    outputs = [tuple(run.canvas.output) for run in runs]
    log_probs: list[list[float]] = [[] for _ in runs]
    if engine.traits.causal:
        pairs = [(run.prompt, ids) for run, ids in zip(runs, outputs, strict=True)]
        log_probs = log_probabilities(engine.model.net, pairs)
    return [
        Answer(
            item=item.id,
            kind=item.kind,
            ids=ids,
            passes=len(run.records),
            right=None if item.check is None else suites.passes(item, run.text),
            log_probs=tuple(logs),
            departs=departure(ids, reference[item.id]) if item.id in reference else None,
        )
        for item, run, ids, logs in zip(items, runs, outputs, log_probs, strict=True)
    ]


def first_of_each_kind(items: Sequence[Item], limit: int | None) -> list[Item]:
    """So many items of each kind, in their order."""
    kinds = [item.kind for item in items]
    return [item for n, item in enumerate(items) if limit is None or kinds[:n].count(item.kind) < limit]


def _drafts(count: int) -> str:
    return f"{count} draft{'s' * (count != 1)}"


def _threshold(value: float) -> Choice:
    return Choice("threshold", {"threshold": value})
