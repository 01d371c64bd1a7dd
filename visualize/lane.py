"""One lane of the stage: how its canvas is laid out, and one frame per forward pass."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dllm.trace import StepRecord
from visualize.facts import decoder_words, short_words
from visualize.tally import Counter


@dataclass(frozen=True, slots=True)
class Title:
    """The words that stand over a lane; `text_label` names its text alternative."""

    title: str
    about: str
    text_label: str


LANES: dict[str, Title] = {
    "diffusion": Title("Block diffusion", "Guesses every mask of a block at once, keeps the surest.", "Canvas as text"),
    "ar": Title("Autoregressive", "The same model, one token per step, left to right.", "AR answer as text"),
}


def title_of(name: str, settings: Mapping[str, Any]) -> Title:
    """The words over a lane: the house's for its two usual lanes, else how it was decoded."""
    if name in LANES:
        return LANES[name]
    title, about = short_words(settings), decoder_words(settings)
    return Title(title, about[:1].upper() + about[1:] + ".", f"{title}: answer as text")


def head(prompt: Sequence[int], settings: Mapping[str, Any]) -> dict[str, Any]:
    """How a canvas is laid out, from its prompt ids and its resolved settings (`Settings.as_json`).

    `origin` is where blocks are counted from: position 0 under block-causal attention, else the end of the prompt.
    """
    return {
        "prompt": list(prompt),
        "end": len(prompt) + settings["gen_length"],
        "block": settings["block_size"],
        "sub_block": settings["sub_block_size"],
        "origin": 0 if settings["attention"] == "block_causal" else len(prompt),
        "stop_ids": list(settings["stop_ids"] or ()),
    }


def frame(record: StepRecord) -> dict[str, Any]:
    """One pass as the viewer draws it; probabilities to four digits, because that is more than an eye can see."""
    drawn = {
        "i": record.index,
        "kind": record.kind,
        "block": record.block,
        "window": record.window,
        "at": record.positions,
        "tokens": record.tokens,
        "confidence": [round(c, 4) for c in record.confidence],
        "new": record.committed,
        "seconds": round(record.seconds, 6),
    }
    if record.remasked:
        drawn["remasked"] = record.remasked
    if record.alternatives is not None:
        drawn["alternatives"] = [[[i, round(p, 4)] for i, p in row] for row in record.alternatives]
    return drawn


class Lane:
    """The frames of one lane so far. `state` is "waiting", "running", or a trace's stop reason."""

    def __init__(self, name: str, layout: dict[str, Any]) -> None:
        self.name, self.head = name, layout
        self.frames: list[dict[str, Any]] = []
        self.state = "running"
        self.recorder: float | None = None  # seconds spent recording, known at the end
        self.counter = Counter(len(layout["prompt"]), layout["end"], layout["stop_ids"])

    def add(self, record: StepRecord) -> dict[str, Any]:
        """Keep one more pass; returns its frame with the running totals."""
        totals = asdict(self.counter.add(record))
        self.frames.append({**frame(record), "totals": totals})
        return self.frames[-1]

    def whole(self) -> dict[str, Any]:
        """Everything about this lane: what a viewer that missed something needs."""
        return {
            "name": self.name,
            "head": self.head,
            "state": self.state,
            "recorder": self.recorder,
            "frames": self.frames,
        }


def ids_in(record: StepRecord) -> set[int]:
    """Every token id that a frame may show."""
    rows = record.alternatives or []
    return {*record.tokens, *(i for row in rows for i, _ in row)}
