"""One decoding step's records: the plan of a forward pass, its readout, and the step made from both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["prefill", "denoise", "commit", "ar"]
Span = tuple[int, int]  # half-open: [start, end)


@dataclass(frozen=True, slots=True)
class Layout:
    """The attention mask and KV slots of a pass, if the kind of attention alone does not determine them.

    sees:   bool (queries, visible), the entries that each query attends to.
    masks:  indices of the queries that are masks, at which a masks-only adapter acts.
    slots:  the entries that hold the queries' keys and values; None: each at its own position. Slots behind the text
            are scratch of this pass.
    rows:   the query that predicts each asked position; None: the one at position - shift.
    guesses: how many of the last asked positions are guesses, which are always greedy.
    """

    sees: "np.ndarray"
    masks: Sequence[int]
    slots: range | None = None
    rows: Sequence[int] | None = None
    guesses: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One forward pass of one sequence. All positions are absolute (0 = first prompt token).

    queries: positions to recompute, ascending but where a layout says otherwise; a range where they are contiguous.
    tokens:  the ids standing at the queries now.
    visible: the queries attend to cache entries [0, visible).
    asked:   positions whose token is to be predicted, ascending; position p is read at query p - shift.
    kind:    "prefill" (prompt only) | "denoise" | "commit" (a finished block) | "ar" (block size 1).
    reasons: why each query is recomputed, for policies that choose positions one by one (d²Cache).
    layout:  None where the kind of attention says who sees what.
    """

    queries: Sequence[int]
    tokens: Sequence[int]
    visible: int
    asked: Sequence[int]
    kind: Kind
    reasons: Mapping[str, Sequence[int]] | None = None
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class Readout:
    """The network's answer to a plan, on the host.

    tokens[i], confidence[i]: the proposed token at positions[i] and its probability.
    margin, entropy: best minus second probability; entropy in nats. Filled when the unmasking rule scores by them.
    alternatives: per position the k most probable (id, probability) pairs.
    rollout: attention-rollout influence per canvas position; sums to `visible`.
    attention: probabilities (layers, heads, queries, visible), an array of the device library, for the side file.
    overhead: seconds of recording; never part of a step's time.
    device: seconds from launching the pass to its answer on the host, without overhead.
    computed: positions of this sequence that went through the network; None if unknown.
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
    device: float = 0.0
    computed: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """The guesses for the case that the first `right` drafts of a pass are right, and the next is not.

    position: of the first guess; the others follow it.
    """

    right: int
    position: int
    tokens: Sequence[int]
    confidence: Sequence[float]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the plan, the readout, and the positions committed (or masked again).

    seconds: planning + forward pass up to the device sync + unmasking; recording is not in it.
    tested: in verified decoding, the drafts that stood at the first of the positions read; cases: the next guesses.
    """

    index: int
    block: Span
    window: Span
    plan: Plan
    readout: Readout
    committed: Sequence[int]
    remasked: Sequence[int]
    seconds: float
    tested: Sequence[int] | None = None
    cases: Sequence[Case] | None = None
