"""One lane of the stage: how its canvas is laid out, and one frame per forward pass."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dllm.settings import is_autoregressive, is_verified
from dllm.trace import StepRecord, Trace
from dllm.trace.throughput import Meter, repeat_tps
from visualize.comparison import comparison_sentence, matches_references
from visualize.facts import decoder_words, drafts_words, short_words
from visualize.reasons import commit_reasons, densities


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
VERIFIED = Title("Verified decoding", "Guesses ahead, tests the guesses, keeps what AR says too.", "Canvas as text")
# before there is a run, when nobody knows how it will decode
WAITING = {**LANES, "diffusion": Title("Diffusion", "Guesses several tokens at once.", "Canvas as text")}


def _title_of(name: str, settings: Mapping[str, Any]) -> Title:
    """The words over a lane: its usual title for the two lanes of a single run, and how it was decoded."""
    decoded = _decoded(settings)
    if name not in LANES:
        return decoded
    kind = "ar" if is_autoregressive(settings) else name
    usual = VERIFIED if kind == "diffusion" and is_verified(settings) else LANES[kind]
    return Title(usual.title, decoded.about, usual.text_label)


def titles_of(settings_by_name: Mapping[str, Mapping[str, Any]]) -> dict[str, Title]:
    """The words over the lanes of one run, no two lanes alike. Beside other lanes none is just "Block diffusion"."""
    usual = set(settings_by_name) <= set(LANES)
    found = {n: _title_of(n, s) if usual or n == "ar" else _decoded(s) for n, s in settings_by_name.items()}
    for name in _alike(found):
        settings = settings_by_name[name]
        if is_verified(settings):
            found[name] = _renamed(found[name], f"{found[name].title} · {drafts_words(settings['unmask'])}")
        elif (block := settings["block_size"]) > 1:
            found[name] = _renamed(found[name], f"{found[name].title} · block {block}")
    taken: set[str] = set()
    for name, title in found.items():
        names = (title.title, *(f"{title.title} ({n})" for n in range(2, len(found) + 1)))
        found[name] = _renamed(title, next(free for free in names if free not in taken))
        taken.add(found[name].title)
    return found


def _alike(titles: Mapping[str, Title]) -> list[str]:
    """The lanes whose title another lane has too."""
    count = Counter(title.title for title in titles.values())
    return [name for name, title in titles.items() if count[title.title] > 1]


def _decoded(settings: Mapping[str, Any]) -> Title:
    title, about = short_words(settings), decoder_words(settings)
    return Title(title, about[:1].upper() + about[1:] + ".", f"{title}: answer as text")


def _renamed(title: Title, name: str) -> Title:
    return title if name == title.title else Title(name, title.about, f"{name}: answer as text")


def head(prompt: Sequence[int], settings: Mapping[str, Any]) -> dict[str, Any]:
    """How a canvas is laid out, from its prompt ids and its resolved settings (`Settings.as_json`).

    `origin` is where blocks are counted from: position 0 under block-causal attention, else the end of the prompt.
    Verified decoding goes on from wherever the text ends, so its canvas is one block; `verified` says that it is.
    `autoregressive`: tokens are written one at a time, each from those before it, so no masks wait for theirs.
    """
    verified, length = is_verified(settings), settings["gen_length"]
    return {
        "prompt": list(prompt),
        "end": len(prompt) + length,
        "block": length if verified else settings["block_size"],
        "sub_block": length if verified else settings["sub_block_size"],
        "origin": 0 if settings["attention"] == "block_causal" else len(prompt),
        "stop_ids": list(settings["stop_ids"] or ()),
        "cache": (settings.get("cache") or {}).get("name", "none"),
        **({"verified": True} if verified else {}),
        **({"autoregressive": True} if is_autoregressive(settings) else {}),
    }


def frame(record: StepRecord) -> dict[str, Any]:
    """One pass as the viewer draws it; probabilities to four digits, because that is more than an eye can see.

    In verified decoding "tested" are the drafts that stood when it began, [position, token], and "drafts" those that
    stand when it has ended, [position, token, probability].
    """
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
        "queries": record.queries,
    }
    if record.reasons is not None:
        drawn["reasons"] = record.reasons
        drawn["rollout"] = [round(value, 3) for value in record.rollout or ()]
    if record.withdrawn:
        drawn["remasked"] = record.withdrawn
    if record.tested is not None:
        drawn["tested"] = [list(pair) for pair in zip(record.positions, record.tested, strict=False)]
        drawn["drafts"] = [[p, token, round(sure, 4)] for p, (token, sure) in record.drafted.items()]
    if record.alternatives is not None:
        drawn["alternatives"] = [[[i, round(p, 4)] for i, p in row] for row in record.alternatives]
    return drawn


class Lane:
    """The frames of one lane so far. `state` is "waiting", "running", or a trace's stop reason."""

    def __init__(self, name: str, prompt: Sequence[int], settings: Mapping[str, Any], *, shift: int = 1) -> None:
        """settings: resolved, in request form. shift: of the model, see `dllm.trace.schema.ModelRecord`."""
        self.name, self.settings, self.head = name, settings, head(prompt, settings)
        self._shift = shift
        self.frames: list[dict[str, Any]] = []
        self.state = "running"
        self.known: dict[str, Any] = dict.fromkeys(("recorder", "gate", "same", "spread"))
        self.meter = Meter(len(prompt), self.head["end"], self.head["stop_ids"])

    def add(self, record: StepRecord) -> dict[str, Any]:
        """Keep one more pass; returns its frame with the numbers of the run so far."""
        drawn = {**frame(record), "why": commit_reasons(record, self.settings)}
        if found := densities(record, self.meter, self.settings, shift=self._shift):
            drawn["density"] = found
        self.frames.append({**drawn, "totals": self.meter.add(record).as_json()})
        return self.frames[-1]

    def end(self, trace: Trace) -> None:
        """It has ended; the trace says why, and all that is known only then."""
        self.state = trace.stop_reason
        self.known = {
            "recorder": trace.timing.recorder,
            "gate": comparison_sentence(trace) or None,
            "same": matches_references(trace),
            "spread": spread(trace),
        }

    def whole(self, *, bare: bool = False) -> dict[str, Any]:
        """Everything about this lane: what a viewer that missed something needs. bare: but for alternatives."""
        return {
            "name": self.name,
            "head": self.head,
            "state": self.state,
            **self.known,
            "frames": bared(self.frames) if bare else self.frames,
        }


def bared(frames: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Frames without alternatives, which are most of their bytes."""
    return [{name: value for name, value in frame.items() if name != "alternatives"} for frame in frames]


def spread(trace: Trace) -> dict[str, float] | None:
    """Tokens per second of the slowest and the quickest of all timed repeats; None where there was only one."""
    rates = repeat_tps(trace)
    return {"low": min(rates), "high": max(rates), "repeats": len(rates)} if len(rates) > 1 else None


def ids_in(record: StepRecord, *, bare: bool = False) -> set[int]:
    """Every token id that a frame may show. bare: but for alternatives."""
    drafted = (token for token, _ in record.drafted.values())
    rows = () if bare else record.alternatives or ()
    return {*record.tokens, *(record.tested or ()), *drafted, *(i for row in rows for i, _ in row)}
