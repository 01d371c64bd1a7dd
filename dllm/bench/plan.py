"""The plan of a benchmark: which prompts are decoded in which ways, how often, and how long answers may be."""

from collections.abc import Sequence
from dataclasses import dataclass

from dllm.bench.suite import Item

_MAX_BATCH = 256
CHECKED_LENGTH = 48  # tokens of an answer that is checked, and of an open one
OPEN_LENGTH = 64


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What is measured.

    Attributes:
        only: words that the names of ways must contain, see `dllm.bench.ways.select`.
        batches: how many prompts are decoded together, each size once.
        rounds: how often everything is decoded and timed; 0: decoded once, not timed.
        limit: at most this many prompts of each kind.
        traces: whether the trace of a sample prompt is kept for each way; of timed runs at batch 1.
    """

    only: str = ""
    batches: tuple[int, ...] = (1,)
    rounds: int = 3
    limit: int | None = None
    traces: bool = False

    def __post_init__(self) -> None:
        wrong = [b for b in self.batches if not 1 <= b <= _MAX_BATCH]
        if wrong or not self.batches or len(set(self.batches)) < len(self.batches):
            raise ValueError(f"batches are {list(self.batches)}; allowed: numbers from 1 to {_MAX_BATCH}, each once")
        if not 0 <= self.rounds <= 1000:
            raise ValueError(f"rounds is {self.rounds}; allowed: 0 to 1000")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is {self.limit}; allowed: 1 or more")


def first_of_each_kind(items: Sequence[Item], limit: int | None) -> list[Item]:
    """At most `limit` items of each kind, in their order; all of them if it is None."""
    kinds = [item.kind for item in items]
    return [item for n, item in enumerate(items) if limit is None or kinds[:n].count(item.kind) < limit]


def length(item: Item) -> int:
    """Most tokens of an item's answer."""
    return OPEN_LENGTH if item.check is None else CHECKED_LENGTH
