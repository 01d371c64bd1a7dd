"""The canvas: the prompt and the positions being written, and which of them are still masked."""

from collections.abc import Collection, Sequence
from typing import Literal

from dllm.step import Span


def canvas_length(end: int, block_size: int, attention: str) -> int:
    """Positions of a canvas whose answer ends at `end`: under block-causal attention up to the end of a block."""
    return -(-end // block_size) * block_size if attention == "block_causal" else end


class Canvas:
    """Ids and masks of one sequence, laid out in blocks.

    Under block-causal attention blocks start at multiples of `block_size` and the canvas ends with the last whole
    block, as published; else blocks start at the end of the prompt and the canvas ends at `end`. A mask is a state, not
    an id: a prompt that contains the mask token keeps it.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        gen_length: int,
        *,
        block_size: int,
        mask_id: int,
        shift: int,
        attention: str,
        stop_ids: Collection[int] = (),
    ) -> None:
        self.prompt_length = len(prompt)
        self.end = len(prompt) + gen_length  # the hard cap
        self.block_size = block_size
        self.shift = shift
        self.attention = attention
        self.block_causal = attention == "block_causal"
        self.hybrid = attention == "hybrid"
        self.length = canvas_length(self.end, block_size, attention)
        fresh = self.length - len(prompt)
        self.ids = [*prompt, *[mask_id] * fresh]
        self.masked = bytearray(len(prompt)) + bytearray(b"\x01" * fresh)
        self.stop_ids = frozenset(stop_ids)
        self.stop_at: int | None = None  # lowest committed stop token

    def commit(self, position: int, token: int) -> None:
        """Write `token` at a masked position."""
        if not self.masked[position]:
            raise ValueError(f"position {position} is already written")
        self.ids[position] = token
        self.masked[position] = 0
        if token in self.stop_ids and (self.stop_at is None or position < self.stop_at):
            self.stop_at = position

    def mask(self, position: int, mask_id: int) -> None:
        """Mask a committed position again."""
        self.ids[position] = mask_id
        self.masked[position] = 1
        if self.stop_at == position:
            rest = range(position + 1, self.length)
            self.stop_at = next((p for p in rest if not self.masked[p] and self.ids[p] in self.stop_ids), None)

    @property
    def written(self) -> int:
        """The lowest masked position, or the canvas's length."""
        first = self.masked.find(1)
        return self.length if first < 0 else first

    def masked_in(self, start: int, end: int) -> list[int]:
        """The masked positions of [start, end), ascending."""
        return [p for p in range(start, end) if self.masked[p]]

    def block_at(self, position: int) -> Span:
        """The block that holds a position."""
        origin = 0 if self.block_causal else self.prompt_length
        start = origin + (position - origin) // self.block_size * self.block_size
        return start, min(start + self.block_size, self.length)

    @property
    def stop_reason(self) -> Literal["eos", "length"] | None:
        """Why the answer is complete: nothing before a stop token is masked, or the cap is reached. None: it is not."""
        if self.stop_at is not None and self.stop_at < min(self.written, self.end):
            return "eos"
        return "length" if self.written >= self.end else None

    @property
    def output(self) -> list[int]:
        """The generated ids up to the first masked position, cut after the first stop token and at the cap."""
        cut = self.end if self.stop_at is None else min(self.end, self.stop_at + 1)
        return self.ids[self.prompt_length : min(cut, self.written)]
