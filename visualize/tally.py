"""The running numbers of one lane, as they stand after each forward pass."""

from collections.abc import Collection
from dataclasses import dataclass

from dllm.trace import StepRecord


@dataclass(frozen=True, slots=True)
class Tally:
    """Totals up to and including one pass; every ratio shown on the page comes from these five.

    tokens:   generated tokens standing on the canvas, up to the first stop token (which counts) and the cap.
    passes:   forward passes of any kind (NFE), the prompt's own included.
    computed: positions that went through the network.
    attended: positions that those passes attended to; with no cache the two are equal.
    seconds:  sum of the steps' seconds; recording and drawing are not in it.
    """

    tokens: int = 0
    passes: int = 0
    computed: int = 0
    attended: int = 0
    seconds: float = 0.0

    @property
    def tokens_per_second(self) -> float:
        """0 before the first pass."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_pass(self) -> float:
        """0 before the first pass."""
        return self.tokens / self.passes if self.passes else 0.0

    @property
    def recomputed(self) -> float:
        """Share of the attended positions that were computed anew instead of read from the cache, 0 to 1."""
        return self.computed / self.attended if self.attended else 0.0


class Counter:
    """Adds up one lane pass by pass. `start` is the first generated position, `end` the cap."""

    def __init__(self, start: int, end: int, stop_ids: Collection[int]) -> None:
        self.start, self.end = start, end
        self.stop_ids = frozenset(stop_ids)
        self.written: dict[int, int] = {}  # position -> token
        self.tally = Tally()

    def add(self, record: StepRecord) -> Tally:
        """The totals after this pass."""
        proposed = dict(zip(record.positions, record.tokens, strict=True))
        for position in record.committed:
            self.written[position] = proposed[position]
        for position in record.withdrawn:
            self.written.pop(position, None)
        before = self.tally
        self.tally = Tally(
            tokens=self._standing(),
            passes=before.passes + 1,
            computed=before.computed + record.query_count,
            attended=before.attended + record.attended,
            seconds=before.seconds + record.seconds,
        )
        return self.tally

    def _standing(self) -> int:
        """Generated tokens that count: a token beyond the first stop token is no part of the answer."""
        stops = [p for p, token in self.written.items() if token in self.stop_ids]
        last = min([*stops, self.end - 1])
        return sum(self.start <= p <= last for p in self.written)
