"""Building plans from a canvas: what the policies have in common."""

from collections.abc import Mapping, Sequence

from dllm.canvas import Canvas
from dllm.step import Kind, Plan, Span


def seeds(canvas: Canvas, block: Span, asked: Sequence[int]) -> bool:
    """Whether a block's first token is asked for, which the finished block before it predicts."""
    return canvas.block_causal and bool(asked) and asked[0] - canvas.shift < block[0]


def denoise(
    canvas: Canvas,
    queries: Sequence[int],
    asked: Sequence[int],
    *,
    visible: int | None = None,
    reasons: Mapping[str, Sequence[int]] | None = None,
) -> Plan:
    """A pass over some positions of a canvas that predicts `asked`."""
    visible = canvas.length if visible is None else visible
    return Plan(queries, tokens_at(canvas, queries), visible, tuple(asked), "denoise", reasons)


def encode(canvas: Canvas, queries: range, asked: Sequence[int]) -> Plan:
    """A pass over decided positions up to the end of a block: prefill, commit, or an AR step."""
    kind: Kind = "commit" if canvas.block_size > 1 else "ar"
    if queries.stop <= canvas.prompt_length:
        kind = "prefill"
    return Plan(queries, tokens_at(canvas, queries), queries.stop, tuple(asked), kind)


def tokens_at(canvas: Canvas, queries: Sequence[int]) -> Sequence[int]:
    """The ids that stand at some positions now."""
    if isinstance(queries, range):
        return canvas.ids[queries.start : queries.stop]
    return [canvas.ids[p] for p in queries]
