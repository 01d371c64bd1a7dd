"""An answer beside reference answers: edit distance, first difference, and the edits in between."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

from dllm.trace.schema import Trace

EditKind = Literal["same", "gone", "new"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A run of tokens: in both ("same"), in the reference only ("gone"), or in the answer only ("new")."""

    kind: EditKind
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An answer beside a reference.

    Attributes:
        same: whether the two are equal.
        departs: index of the first token that differs, from 0; None if they are equal.
        distance: fewest tokens to insert, delete or replace (Levenshtein 1966).
        length: tokens of the longer one; the distance is never above it.
    """

    same: bool
    departs: int | None
    distance: int
    length: int


def compare_references(trace: Trace) -> dict[str, Comparison]:
    """The answer of a trace beside each of its references, by their names; empty if it has none."""
    return {} if trace.gate is None else {n: compare(trace.output, ids) for n, ids in trace.gate.references.items()}


def compare(ids: Sequence[int], reference: Sequence[int]) -> Comparison:
    """Compare an answer with a reference, both as token ids."""
    departs = departure(ids, reference)
    return Comparison(departs is None, departs, distance(ids, reference), max(len(ids), len(reference)))


def departure(ids: Sequence[int], reference: Sequence[int]) -> int | None:
    """Index of the first token that differs; the end of the shorter one if it begins the other; None if equal."""
    shorter = min(len(ids), len(reference))
    found = next((i for i in range(shorter) if ids[i] != reference[i]), shorter)
    return None if found == max(len(ids), len(reference)) else found


def distance(ids: Sequence[int], reference: Sequence[int]) -> int:
    """Fewest tokens to insert, delete or replace to turn one into the other (Levenshtein 1966)."""
    return Levenshtein.distance(ids, reference)


def align(ids: Sequence[int], reference: Sequence[int]) -> list[Edit]:
    """How the reference becomes the answer in the fewest edits, as runs in the order of the text.

    A replacement is "gone" followed by "new"; between two runs that are the same, "gone" stands first.
    """
    edits: list[Edit] = []
    gone: list[int] = []
    new: list[int] = []
    for code in Levenshtein.opcodes(reference, ids):
        if code.tag == "equal":
            edits += [*_changed(gone, new), Edit("same", tuple(ids[code.dest_start : code.dest_end]))]
            gone, new = [], []
        else:
            gone += reference[code.src_start : code.src_end]
            new += ids[code.dest_start : code.dest_end]
    return edits + _changed(gone, new)


def _changed(gone: Sequence[int], new: Sequence[int]) -> list[Edit]:
    kinds: tuple[tuple[EditKind, Sequence[int]], ...] = (("gone", gone), ("new", new))
    return [Edit(kind, tuple(ids)) for kind, ids in kinds if ids]
