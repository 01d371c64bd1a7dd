"""Summary of answers as a benchmark's rows: the numbers, what they mean, and their table."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tabulate import tabulate

from dllm.bench.document import AR, Number, Row
from dllm.bench.statistics import LEVEL, Estimate, distinct_2, mean, ratio
from dllm.trace.compare import compare

BRACKETS = f"In brackets: {LEVEL} % bootstrap intervals over prompts; of a batch, the slowest and the fastest round."


@dataclass(frozen=True, slots=True)
class Column:
    """A number of a row: its title in tables, what it means, and whether it is a share, shown in per cent."""

    title: str
    meaning: str
    share: bool = False


# by the name of the row's field
COLUMNS = {
    "tps": Column(
        "tokens/s",
        "Tokens of all answers ÷ seconds of all: at batch 1 each prompt alone, its median repeat; at a larger batch "
        "the seconds of all passes, each counted once, of the median round.",
    ),
    "tpf": Column("tokens/forward", "Tokens of all answers ÷ forward passes of all, prefill and commit included."),
    "score": Column("score", "Share of the checked prompts whose answer is right.", share=True),
    "log_prob": Column("log-prob", "Mean log-probability of an answer's token under the AR network, in nats."),
    "distinct_2": Column(
        "distinct-2",
        "Distinct pairs of neighbouring tokens ÷ all pairs of an answer, mean over answers; 1: no pair is repeated.",
    ),
    "same_as_ar": Column("same as AR", "Share of answers equal to the AR answer, token by token.", share=True),
    "departs_from_ar": Column(
        "departs from AR at", "First token that differs from the AR answer, median over the answers that differ."
    ),
    "same": Column(
        "same as exact",
        "Share of answers equal to the exact decoder's: the same blocks, no cache, one token a pass. AR is exact: "
        "a share below 100 % is rounding alone.",
        share=True,
    ),
    "distance": Column(
        "distance",
        "Edit distance to the exact decoder's answer ÷ the longer one's length, mean over answers.",
        share=True,
    ),
    "departs": Column(
        "departs at", "First token that differs from the exact decoder's answer, median over the answers that differ."
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one prompt was answered with.

    Attributes:
        ids: the answer's tokens.
        passes: forward passes it took.
        exact: the exact decoder's answer.
        ar: the AR answer; None if the model has no AR.
        kind: of the prompt.
        right: whether the answer passes the prompt's check; None if the prompt is open.
        log_probs: of each token under the AR network, in nats; none if there is no such network.
        seconds: of each time it was decoded alone.
    """

    ids: tuple[int, ...]
    passes: int
    exact: tuple[int, ...]
    ar: tuple[int, ...] | None = None
    kind: str = ""
    right: bool | None = None
    log_probs: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()


def summarize(
    name: str,
    settings: dict[str, Any],
    answers: Sequence[Answer],
    *,
    batch: int = 1,
    rounds: Sequence[float] = (),
    trace: str | None = None,
) -> Row:
    """The row of these answers, at least one. Intervals are over prompts.

    rounds: seconds of every decoding of all answers together, where they were not decoded alone; the interval of the
    speed is then from the slowest to the fastest round, and there is none of a single round.
    """
    tokens, passes = [len(a.ids) for a in answers], [a.passes for a in answers]
    alone = [median(a.seconds) for a in answers if a.seconds]
    exact = [compare(a.ids, a.exact) for a in answers]
    ar = [] if name == AR else [compare(a.ids, a.ar) for a in answers if a.ar is not None]
    likely = all(len(a.log_probs) == len(a.ids) for a in answers)
    return Row(
        name=name,
        settings=settings,
        batch=batch,
        prompts=len(answers),
        tokens=sum(tokens),
        passes=sum(passes),
        seconds=median(rounds) if rounds else sum(alone) or None,
        tps=_of_rounds(sum(tokens), rounds) if rounds else _number(ratio(tokens, alone)) if alone else None,
        tpf=_needed(ratio(tokens, passes)),
        score=_number(mean([float(a.right) for a in answers if a.right is not None])),
        log_prob=_number(ratio([sum(a.log_probs) for a in answers], tokens)) if likely and sum(tokens) else None,
        same=_number(mean([float(each.same) for each in exact])),
        distance=_number(mean([each.distance / max(1, each.length) for each in exact])),
        departs=_median([each.departs for each in exact]),
        trace=trace,
        distinct_2=_number(mean([share for a in answers if (share := distinct_2(a.ids)) is not None])),
        same_as_ar=_number(mean([float(each.same) for each in ar])),
        departs_from_ar=_median([each.departs for each in ar]),
        kinds=_kinds(answers),
    )


def columns(rows: Sequence[Row]) -> dict[str, Column]:
    """The columns in which some row has a number."""
    return {name: column for name, column in COLUMNS.items() if any(getattr(row, name) is not None for row in rows)}


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table, and what its columns mean."""
    shown = columns(rows)
    cells = [[row.name, str(row.batch), *(cell(row, name) for name in shown)] for row in rows]
    titles = ["decoding", "batch", *(column.title for column in shown.values())]
    notes = [f"{column.title}: {column.meaning}" for column in shown.values()]
    return "\n".join([markdown(titles, cells), "", BRACKETS, *notes])


def markdown(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A Markdown table of text."""
    return tabulate(cells, titles, tablefmt="github", disable_numparse=True)


def cell(row: Row, name: str) -> str:
    """A number of a row as tables show it."""
    number, share = getattr(row, name), COLUMNS[name].share
    if number is None:
        return "–"
    if isinstance(number, float):
        return f"{number:g}"
    shown = [
        f"{100 * v:.1f}" if share else f"{v:.{2 if abs(v) < 100 else 0}f}"
        for v in (number.value, number.low, number.high)
        if v is not None
    ]
    return shown[0] + (" %" if share else "") + (f" [{', '.join(shown[1:])}]" if shown[1:] else "")


def _kinds(answers: Sequence[Answer]) -> dict[str, float]:
    """The score of each kind of checked prompt."""
    rights: dict[str, list[bool]] = {}
    for a in answers:
        if a.right is not None:
            rights.setdefault(a.kind, []).append(a.right)
    return {kind: _round(sum(found) / len(found)) for kind, found in rights.items()}


def _median(places: Sequence[int | None]) -> float | None:
    found = [place for place in places if place is not None]
    return float(median(found)) if found else None


def _of_rounds(tokens: int, rounds: Sequence[float]) -> Number:
    value = tokens / median(rounds)
    if len(rounds) == 1:
        return Number(value=_round(value))
    return Number(value=_round(value), low=_round(tokens / max(rounds)), high=_round(tokens / min(rounds)))


def _number(found: Estimate | None) -> Number | None:
    return found and Number(value=_round(found.value), low=_round(found.low), high=_round(found.high))


def _needed(found: Estimate | None) -> Number:
    if (number := _number(found)) is None:
        raise ValueError("there are no answers; allowed: at least one")
    return number


def _round(value: float) -> float:
    return round(float(value), 4)
