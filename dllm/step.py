"""The three records of one turn: what is asked of the network, what it answers, what was done with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["prefill", "denoise", "commit", "ar"]
Span = tuple[int, int]  # half-open: [start, end)


@dataclass(frozen=True, slots=True)
class Plan:
    """One forward pass of one sequence. All positions are absolute (0 = first prompt token).

    queries: positions to recompute, ascending; a range where they are contiguous.
    tokens:  the ids standing at the queries now.
    visible: the queries attend to cache entries [0, visible).
    asked:   positions whose token is to be predicted, ascending; position p is read at query p - shift.
    kind:    "prefill" (prompt only) | "denoise" | "commit" (a finished block) | "ar" (block size 1).
    reasons: why each query is recomputed, for policies that choose positions one by one (d²Cache).
    """

    queries: Sequence[int]
    tokens: Sequence[int]
    visible: int
    asked: Sequence[int]
    kind: Kind
    reasons: Mapping[str, Sequence[int]] | None = None


@dataclass(frozen=True, slots=True)
class Readout:
    """What the network says, brought to the host in one sync.

    tokens[i], confidence[i]: the proposed token at positions[i] and its probability.
    margin, entropy: best minus second probability; entropy in nats. Filled when the unmasking rule scores by them.
    alternatives: per position the k most probable (id, probability) pairs.
    rollout: attention-rollout influence per canvas position; sums to `visible`.
    attention: probabilities (layers, heads, queries, visible), an array of the device library, for the side file.
    overhead: seconds spent on what only a recorder asked for; never part of a step's time.
    computed: how many positions of this sequence really went through the network; None where nobody counted.
    """

    positions: Sequence[int]
    tokens: Sequence[int]
    confidence: Sequence[float]
    margin: Sequence[float] | None = None
    entropy: Sequence[float] | None = None
    alternatives: Sequence[Sequence[tuple[int, float]]] | None = None
    rollout: Sequence[float] | None = None
    attention: object | None = None
    overhead: float = 0.0
    computed: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One turn: the plan, the readout, and the positions that were committed (or masked again) because of them.

    seconds: planning + forward pass up to the device sync + unmasking; recording is not in it.
    """

    index: int
    block: Span
    window: Span
    plan: Plan
    readout: Readout
    committed: Sequence[int]
    remasked: Sequence[int]
    seconds: float
