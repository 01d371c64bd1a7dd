"""A run as a table: one line a step."""

import csv
import io
from typing import Any

from dllm.trace import StepRecord, Trace
from dllm.trace.canvases import canvases
from dllm.trace.validate import REASONS


def steps_csv(trace: Trace) -> str:
    """CSV with a header, of numbers and the kind of pass only; a cell is empty where nothing was recorded.

    Steps count from 1; blocks and windows are half-open ranges of positions. queries: positions recomputed, guesses
    included. visible: entries of the text they attended to, of which reused were computed before. asked, committed,
    remasked: tokens of this step. written: tokens on the canvas after it. tested, confirmed: drafts of verified
    decoding, of which remasked were struck out; guesses: masks that guessed the next ones. reason_…: queries that
    d²Cache chose for this reason. seconds, flops and bytes are of this step.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record, cells in zip(trace.steps, canvases(trace.steps), strict=True):
        writer.writerow(_row(record) | {"written": len(cells)})
    return text.getvalue()


def _row(record: StepRecord) -> dict[str, Any]:
    confidence = dict(zip(record.positions, record.confidence, strict=True))
    sure = [confidence[p] for p in record.committed]
    reasons = record.reasons or {}
    return {
        "step": record.index + 1,
        "kind": record.kind,
        "block_start": record.block[0],
        "block_end": record.block[1],
        "window_start": record.window[0],
        "window_end": record.window[1],
        "queries": record.query_count,
        "visible": record.visible,
        "reused": record.visible - (record.query_count - record.guessing),
        "asked": len(record.positions),
        "committed": len(record.committed),
        "remasked": len(record.remasked),
        **_drafts(record),
        "confidence_mean_committed": round(sum(sure) / len(sure), 6) if sure else None,
        "confidence_min_committed": min(sure, default=None),
        **{f"reason_{name}": len(reasons[name]) for name in REASONS if name in reasons},
        "seconds": record.seconds,
        "flops": record.flops,
        "bytes": record.bytes,
    }


def _drafts(record: StepRecord) -> dict[str, int]:
    if record.tested is None:
        return {}
    confirmed = len(record.tested) - len(record.remasked)
    return {"tested": len(record.tested), "confirmed": confirmed, "guesses": record.guessing}


_CSV_COLUMNS = (
    *("step", "kind", "block_start", "block_end", "window_start", "window_end", "queries", "visible", "reused"),
    *("asked", "committed", "remasked", "written", "tested", "confirmed", "guesses"),
    *("confidence_mean_committed", "confidence_min_committed"),
    *(f"reason_{name}" for name in REASONS),
    *("seconds", "flops", "bytes"),
)
