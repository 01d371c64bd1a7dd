"""Whether speed cost an answer anything: the answer beside those of the exact decoders, edit by edit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from dllm.report import departure
from dllm.trace import Trace

Kind = Literal["same", "gone", "new"]
MAX_CELLS = 2**24  # of the table of distances; what differs is told as replaced whole above it


@dataclass(frozen=True, slots=True)
class Edit:
    """A run of tokens: in both ("same"), in the reference only ("gone"), or in the answer only ("new")."""

    kind: Kind
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An answer beside a reference.

    departs: the first place where they differ, counted from 0; None where they do not. distance: tokens to insert,
    delete or replace (Levenshtein 1966). length: tokens of the longer one.
    """

    same: bool
    departs: int | None
    distance: int
    length: int


def gated(trace: Trace) -> dict[str, Comparison]:
    """The answer of a trace beside each of its references, by their names; none where it was not held against any."""
    return {} if trace.gate is None else {n: compare(trace.output, ids) for n, ids in trace.gate.references.items()}


def compare(ids: Sequence[int], reference: Sequence[int]) -> Comparison:
    """What differs between an answer and a reference."""
    departs = departure(ids, reference)
    return Comparison(departs is None, departs, distance(ids, reference), max(len(ids), len(reference)))


def distance(ids: Sequence[int], reference: Sequence[int]) -> int:
    """The least number of tokens to insert, delete or replace; above MAX_CELLS an upper bound, as `align` tells it."""
    head, tail = _shared(ids, reference)
    inner, other = ids[head : len(ids) - tail], reference[head : len(reference) - tail]
    return max(len(inner), len(other)) if _large(inner, other) else int(_distances(inner, other)[-1, -1])


def align(ids: Sequence[int], reference: Sequence[int]) -> list[Edit]:
    """How the reference becomes the answer, in the fewest edits, as runs in the order of the text.

    A replacement is gone + new. Of equal ways it is always the same one.
    """
    head, tail = _shared(ids, reference)
    inner, other = ids[head : len(ids) - tail], reference[head : len(reference) - tail]
    middle = [*_whole(inner, other)] if _large(inner, other) else [*_walk(inner, other)]
    same: list[tuple[Kind, int]] = [("same", i) for i in ids]
    return _runs([*same[:head], *middle, *same[len(ids) - tail :]])


def _shared(ids: Sequence[int], reference: Sequence[int]) -> tuple[int, int]:
    """How many tokens both begin with, and how many of the rest both end with."""
    head = departure(ids, reference)
    head = len(ids) if head is None else head
    rest = min(len(ids), len(reference)) - head
    return head, next((n for n in range(rest) if ids[-1 - n] != reference[-1 - n]), rest)


def _large(ids: Sequence[int], reference: Sequence[int]) -> bool:
    return (len(ids) + 1) * (len(reference) + 1) > MAX_CELLS


def _distances(ids: Sequence[int], reference: Sequence[int]) -> np.ndarray:
    """Edit distance of every start of one to every start of the other: int32 (len(ids) + 1, len(reference) + 1)."""
    along, other = np.arange(len(reference) + 1, dtype=np.int32), np.asarray(reference, dtype=np.int64)
    out = np.empty((len(ids) + 1, len(along)), dtype=np.int32)
    out[0] = along
    for n, token in enumerate(ids):
        row = out[n] + 1  # one token more in the answer
        row[1:] = np.minimum(row[1:], out[n, :-1] + (other != token))
        out[n + 1] = np.minimum.accumulate(row - along) + along  # or any number fewer
    return out


def _walk(ids: Sequence[int], reference: Sequence[int]) -> Iterator[tuple[Kind, int]]:
    """One token at a time, the cheapest way: found from the end, it would rather keep than replace than delete."""
    table = _distances(ids, reference)
    i, j = len(ids), len(reference)
    back: list[tuple[Kind, int]] = []
    while i or j:
        here = table[i, j]
        if i and j and ids[i - 1] == reference[j - 1]:
            i, j = i - 1, j - 1
            back.append(("same", ids[i]))
        elif i and j and here == table[i - 1, j - 1] + 1:
            i, j = i - 1, j - 1
            back.append(("new", ids[i]))
            back.append(("gone", reference[j]))
        elif j and here == table[i, j - 1] + 1:
            j -= 1
            back.append(("gone", reference[j]))
        else:
            i -= 1
            back.append(("new", ids[i]))
    return reversed(back)


def _whole(ids: Sequence[int], reference: Sequence[int]) -> Iterator[tuple[Kind, int]]:
    for i in reference:
        yield "gone", i
    for i in ids:
        yield "new", i


def _runs(tokens: Sequence[tuple[Kind, int]]) -> list[Edit]:
    """Tokens as runs; between two that are the same, what is gone stands before what is new."""
    out: list[Edit] = []
    for kept, group in groupby(tokens, lambda token: token[0] == "same"):
        part = list(group)
        kinds: tuple[Kind, ...] = ("same",) if kept else ("gone", "new")
        runs = (Edit(kind, tuple(i for k, i in part if k == kind)) for kind in kinds)
        out += [run for run in runs if run.ids]
    return out
