"""Policies that know only the canvas as a whole: no cache, and Fast-dLLM's PrefixCache and DualCache."""

from dataclasses import dataclass, field
from typing import ClassVar

from dllm.cache.plans import denoise, encode, hybrid_pass, predicts_block_start
from dllm.canvas import Canvas
from dllm.step import Plan, Span, Step


@dataclass
class NoCache:
    """Recompute everything that is visible, every step."""

    exact: ClassVar[bool] = True
    needs_rollout: ClassVar[bool] = False
    attentions: ClassVar[tuple[str, ...]] = ("block_causal", "hybrid", "bidirectional")

    def plan(self, canvas: Canvas, block: Span, window: Span, asked: list[int]) -> Plan:
        """Everything up to the end of the block (block-causal, hybrid) or of the canvas."""
        if predicts_block_start(canvas, block, asked):
            return encode(canvas, range(block[0]), asked)
        if canvas.hybrid:
            return hybrid_pass(canvas, range(block[1] - canvas.shift), asked)
        end = block[1] if canvas.block_causal else canvas.length
        return denoise(canvas, range(end), asked, visible=end)

    def update(self, step: Step, canvas: Canvas) -> None:
        """Nothing is kept."""


@dataclass
class Prefix:
    """Fast-dLLM's PrefixCache (arXiv 2505.22618 §3.2): a full pass as a block begins, then what precedes it is frozen.

    Under a shift the query before the block is recomputed too: it predicts the block's first token.
    """

    exact: ClassVar[bool] = False
    needs_rollout: ClassVar[bool] = False
    attentions: ClassVar[tuple[str, ...]] = ("bidirectional",)
    begun: int | None = field(default=None, init=False)  # start of the block whose full pass was done

    def plan(self, canvas: Canvas, block: Span, window: Span, asked: list[int]) -> Plan:
        """The whole canvas for a block's first step, else from the block to the end."""
        if self.begun != block[0]:
            return denoise(canvas, range(canvas.length), asked)
        return denoise(canvas, range(block[0] - canvas.shift, self._end(canvas, block) - canvas.shift), asked)

    def update(self, step: Step, canvas: Canvas) -> None:
        """Remember that this block's full pass is done."""
        self.begun = step.block[0]

    def _end(self, canvas: Canvas, block: Span) -> int:
        return canvas.length


@dataclass
class Dual(Prefix):
    """Fast-dLLM's DualCache: the masks after the block are frozen as well."""

    def _end(self, canvas: Canvas, block: Span) -> int:
        return block[1]
