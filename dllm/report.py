"""What an evaluation says: numbers of many answers, each with a confidence interval, and their table."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

SCHEMA = "blockscope.evaluation/1"
RESAMPLES = 2000
LEVEL = 95  # per cent
DEFINITIONS = {
    "score": "Share of the checked prompts whose answer is right.",
    "tpf": "Tokens per forward: tokens of all answers ÷ forward passes of all, prefill and commit passes included.",
    "log_prob": "Mean log-probability of an answer's token under the AR base, in nats; over all tokens.",
    "distinct_2": "Distinct pairs of neighbouring tokens ÷ all pairs of an answer, mean over answers: 1 repeats none.",
    "same": "Share of answers that are the AR answer, token by token.",
    "departs": "First place where an answer departs from the AR answer, median over those that do.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one decoding wrote. right: None where the prompt is open. log_probs: per token, under the AR base.

    departs: the first place where it is not the AR answer; None where it is the same to the end, or there is none.
    """

    item: str
    kind: str
    ids: tuple[int, ...]
    passes: int
    right: bool | None = None
    log_probs: tuple[float, ...] = ()
    departs: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and the bounds of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """One way of decoding, measured. Numbers as in DEFINITIONS; None where nothing can be said.

    kinds: the score of each kind of prompt. seconds: wall time of all answers, decoded in batches of `rows`.
    """

    name: str
    settings: dict[str, Any]
    answers: int
    tokens: int
    passes: int
    score: Estimate | None
    tpf: Estimate | None
    log_prob: Estimate | None
    distinct_2: Estimate | None
    same: Estimate | None
    departs: float | None
    kinds: dict[str, float]
    seconds: float
    rows: int

    def as_json(self) -> dict[str, Any]:
        """As plain data, numbers rounded to what they are good for."""
        return _rounded(asdict(self))


def summarize(name: str, settings: dict[str, Any], answers: Sequence[Answer], *, seconds: float, rows: int) -> Row:
    """The row of these answers. Prompts, not tokens, are what is drawn anew for the intervals."""
    checked = [a for a in answers if a.right is not None]
    compared = () if name == "AR" else answers
    tokens = np.array([len(a.ids) for a in answers])
    passes = np.array([a.passes for a in answers])
    log_prob = np.array([sum(a.log_probs) for a in answers])
    departed = [a.departs for a in compared if a.departs is not None]
    judged = all(len(a.log_probs) == len(a.ids) for a in answers)
    return Row(
        name=name,
        settings=settings,
        answers=len(answers),
        tokens=int(tokens.sum()),
        passes=int(passes.sum()),
        score=_mean([float(bool(a.right)) for a in checked]),
        tpf=estimate(len(answers), lambda i: tokens[i].sum(-1) / passes[i].sum(-1)),
        log_prob=estimate(len(answers), lambda i: log_prob[i].sum(-1) / tokens[i].sum(-1)) if judged else None,
        distinct_2=_mean([d for a in answers if (d := distinct_2(a.ids)) is not None]),
        same=_mean([float(a.departs is None) for a in compared]) if judged else None,
        departs=float(np.median(departed)) if departed else None,
        kinds={kind: float(np.mean([bool(a.right) for a in checked if a.kind == kind]))
               for kind in dict.fromkeys(a.kind for a in checked)},
        seconds=seconds,
        rows=rows,
    )  # fmt: skip


def estimate(count: int, statistic: Callable[[np.ndarray], Any]) -> Estimate | None:
    """A statistic of `count` prompts and its percentile bootstrap interval (Efron 1979); None of none.

    statistic: prompt indices (…, count) → a number for each row of them.
    """
    if not count:
        return None
    drawn = statistic(np.random.default_rng(0).integers(count, size=(RESAMPLES, count)))
    low, high = np.percentile(drawn, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Estimate(float(statistic(np.arange(count))), float(low), float(high))


def distinct_2(ids: Sequence[int]) -> float | None:
    """Distinct pairs of neighbours ÷ all pairs (Li et al. 2016, arXiv 1510.03055, within one answer); None of none."""
    pairs = list(pairwise(ids))
    return len(set(pairs)) / len(pairs) if pairs else None


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows in their JSON form as a Markdown table, and what its columns mean."""
    titles = ("decoding", "score", "tokens/forward", "log-prob", "distinct-2", "as AR", "departs at")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in rows:
        cells = [
            row["name"],
            *(_cell(row[name], percent=name in ("score", "same")) for name in DEFINITIONS if name != "departs"),
            "–" if row["departs"] is None else f"{row['departs']:g}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    notes = [f"{title}: {text}" for title, text in zip(titles[1:], DEFINITIONS.values(), strict=True)]
    return "\n".join([*lines, "", f"In brackets: {LEVEL} % bootstrap intervals over prompts.", *notes])


def _mean(numbers: Sequence[float]) -> Estimate | None:
    values = np.array(numbers)
    return estimate(len(values), lambda i: values[i].mean(-1))


def _cell(number: dict[str, float] | None, *, percent: bool = False) -> str:
    if number is None:
        return "–"
    value, low, high = (f"{100 * v:.1f}" if percent else f"{v:.2f}" for v in number.values())
    return f"{value}{' %' if percent else ''} [{low}, {high}]"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return value
