"""Building plans from a canvas: what the policies have in common."""

from collections.abc import Mapping, Sequence

import numpy as np

from dllm.canvas import Canvas
from dllm.step import Kind, Layout, Plan, Span


def predicts_block_start(canvas: Canvas, block: Span, asked: Sequence[int]) -> bool:
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
    layout = hybrid_layout(canvas, queries, visible) if canvas.hybrid else None
    return Plan(queries, _tokens_at(canvas, queries), visible, tuple(asked), "denoise", reasons, layout)


def hybrid_layout(canvas: Canvas, queries: Sequence[int], visible: int) -> Layout | None:
    """Hybrid attention: known tokens see known ones up to their own, masks see all that is visible.

    None where all is known: then it is causal attention, as in AR.
    """
    masked = np.frombuffer(canvas.masked, dtype=bool)[:visible]
    if not masked.any():
        return None
    at = np.asarray(queries)
    sees = masked[at, None] | (~masked & (np.arange(visible) <= at[:, None]))
    return Layout(sees, np.flatnonzero(masked[at]).tolist())


def encode(canvas: Canvas, queries: range, asked: Sequence[int]) -> Plan:
    """A pass over decided positions up to the end of a block: prefill, commit, or an AR step."""
    kind: Kind = "commit" if canvas.block_size > 1 else "ar"
    if queries.stop <= canvas.prompt_length:
        kind = "prefill"
    return Plan(queries, _tokens_at(canvas, queries), queries.stop, tuple(asked), kind)


def hybrid_pass(canvas: Canvas, queries: range, asked: Sequence[int], *, visible: int | None = None) -> Plan:
    """A pass under hybrid attention; where nothing in it is masked it is prefill or a step of AR."""
    if canvas.masked.find(1, queries.start, queries.stop) < 0:
        return encode(canvas, queries, asked)
    return denoise(canvas, queries, asked, visible=queries.stop if visible is None else visible)


def _tokens_at(canvas: Canvas, queries: Sequence[int]) -> Sequence[int]:
    """The ids that stand at some positions now."""
    if isinstance(queries, range):
        return canvas.ids[queries.start : queries.stop]
    return [canvas.ids[p] for p in queries]
