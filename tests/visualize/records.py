"""Hand-made steps, small enough to check every number by hand."""

from typing import Any

from dllm.trace import StepRecord


def step(index: int, committed: dict[int, int], **given: Any) -> StepRecord:
    """A denoising pass over positions [4, 8) of a prompt of 4 that commits `committed` (position → token)."""
    asked = given.pop("asked", {**dict.fromkeys(range(4, 8), 9), **committed})
    fields = {
        "kind": "denoise",
        "block": (4, 8),
        "window": (4, 8),
        "queries": [(4, 8)],
        "visible": 8,
        "positions": sorted(asked),
        "tokens": [asked[p] for p in sorted(asked)],
        "confidence": [0.5] * len(asked),
        "committed": sorted(committed),
        "seconds": 0.25,
    }
    return StepRecord(index=index, **{**fields, **given})


SETTINGS = {
    "gen_length": 4,
    "block_size": 4,
    "sub_block_size": 2,
    "attention": "bidirectional",
    "cache": {"name": "none"},
    "unmask": {"name": "threshold", "threshold": 0.9},
    "stop_ids": [2],
}
PROMPT = [5, 6, 7, 8]
