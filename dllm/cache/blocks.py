"""Fast-dLLM v2's caches (arXiv 2509.26328): blocks exactly, sub-blocks approximately. AR is a block of one.

Under hybrid attention a known token's entry never depends on masks, so what is known without a gap is final as soon as
it was computed: no commit pass, and a block's first token is predicted in the pass that denoises the block.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from dllm.cache.plans import denoise, encode, hybrid_pass, predicts_block_start
from dllm.canvas import Canvas
from dllm.step import Plan, Span, Step


@dataclass
class Block:
    """Finished blocks are encoded once, by a commit pass; block-causal attention makes that exact.

    The commit pass also predicts the next block's first token. With block size 1 it is the ordinary AR step.
    """

    exact: ClassVar[bool] = True
    needs_rollout: ClassVar[bool] = False
    attentions: ClassVar[tuple[str, ...]] = ("block_causal", "hybrid")
    encoded: int = field(default=0, init=False)  # entries [0, encoded) are final

    def plan(self, canvas: Canvas, block: Span, window: Span, asked: list[int]) -> Plan:
        """Whatever precedes the block and is not encoded yet, else the block; under hybrid attention both at once."""
        if canvas.hybrid:
            inside = self.within(canvas, block, window)
            # the last known token predicts the first mask, whether its own entry is final or not
            queries = range(min(self.encoded, canvas.written - 1), inside.stop - canvas.shift)
            return hybrid_pass(canvas, queries, asked, visible=block[1] - canvas.shift)
        if self.encoded < block[0]:
            wanted = asked if predicts_block_start(canvas, block, asked) else ()
            return encode(canvas, range(self.encoded, block[0]), wanted)
        return denoise(canvas, self.within(canvas, block, window), asked, visible=block[1])

    def within(self, canvas: Canvas, block: Span, window: Span) -> range:
        """The part of the block to denoise."""
        return range(*block)

    def update(self, step: Step, canvas: Canvas) -> None:
        """Entries of decided positions are final; under hybrid attention, of what was known without a gap."""
        if canvas.hybrid:
            self.encoded = min((*step.committed, canvas.written))
        elif step.plan.kind != "denoise":
            self.encoded = step.plan.visible


@dataclass
class SubBlock(Block):
    """Inside a block, only the sub-block is recomputed once its first token is decided; the rest is frozen.

    Until then whole-block passes go on, because that token is predicted by the query before the sub-block.
    """

    exact: ClassVar[bool] = False
    begun: int | None = field(default=None, init=False)  # start of the block that has had a whole pass

    def within(self, canvas: Canvas, block: Span, window: Span) -> range:
        """The sub-block when the block's other entries are there and are enough, else the block."""
        reachable = canvas.hybrid or not (canvas.shift and canvas.masked[window[0]])
        return range(*window) if self.begun == block[0] and reachable else range(*block)

    def update(self, step: Step, canvas: Canvas) -> None:
        """Remember which block has entries."""
        super().update(step, canvas)
        if step.plan.kind == "denoise":
            self.begun = step.block[0]
