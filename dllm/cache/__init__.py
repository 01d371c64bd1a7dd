"""Cache policies: a policy is the list of positions that a pass recomputes.

May import: numpy; the ground.
"""

from typing import ClassVar, Protocol

from dllm.cache.blocks import Block, SubBlock
from dllm.cache.d2 import D2
from dllm.cache.whole import Dual, NoCache, Prefix
from dllm.canvas import Canvas
from dllm.step import Plan, Span, Step


class CachePolicy(Protocol):
    """One sequence's policy. Its constructor's fields are its settings and become controls."""

    exact: ClassVar[bool]  # equal to no cache by construction
    needs_rollout: ClassVar[bool]
    attentions: ClassVar[tuple[str, ...]]  # what it makes sense under

    def plan(self, canvas: Canvas, block: Span, window: Span, asked: list[int]) -> Plan:
        """The next forward pass; `asked` are the positions the decoder wants predicted."""
        ...

    def update(self, step: Step, canvas: Canvas) -> None:
        """Learn from a step, after its tokens were committed."""
        ...


CACHES: dict[str, type[CachePolicy]] = {
    "none": NoCache,
    "prefix": Prefix,
    "dual": Dual,
    "block": Block,
    "sub_block": SubBlock,
    "d2": D2,
}
