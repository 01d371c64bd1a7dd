"""Everything a conversion depends on, read from a JSON or TOML file."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FULL = "full"
BLOCKS: Mapping[str, float] = {"4": 0.25, "8": 0.35, "16": 0.15, "32": 0.1, FULL: 0.15}

GROUPS: Mapping[str, float] = {"2": 0.4, "4": 0.4, "8": 0.2}
OBJECTIVES = ("blocks", "ar", "drafts")

COUNTS = ("rank", "steps", "rows", "packs", "longest", "held_out", "measure_every", "save_every", "workers", "places")
ALLOWED: Mapping[tuple[str, ...], tuple[Callable[[float], bool], str]] = {
    COUNTS: (lambda value: value >= 1, "1 or more"),
    ("scale", "learning_rate", "clip"): (lambda value: value > 0, "above 0"),
    ("tails", "final_share"): (lambda value: 0 <= value <= 1, "0 to 1"),
    ("sharpen", "sharpen_from", "first_layer"): (lambda value: value >= 0, "0 or more"),
}


@dataclass(frozen=True, slots=True)
class Config:
    """One conversion. A step is `packs` micro-batches of `rows` documents; `workers` threads share the micro-batches.

    data: files of `python -m dllm distill`. work: folder of checkpoint and log. out: the adapter.
    base: a .gguf file or folder; the embedded base where null. twin: an adapter of the objective "ar", merged into the
    base beforehand. start: an adapter of this rank or less whose numbers training starts from.
    objective: "blocks" (Fast-dLLM v2's), "ar" (every token from those before it), or "drafts" (groups of masks behind
    what is known, under hybrid attention). blocks: how often each block size is drawn; "full" is attention over the
    whole canvas. groups: the same for groups of masks; places: of how many a document, at most. first_layer: layers
    below keep the base's weights. learning_rate: the peak, reached after `warm_up` steps and followed by
    a cosine down to `final_share` of it. complementary, tails: what is masked, see `noise.views`. sharpen: see
    `objective.total_loss`, after the first `sharpen_from` steps. longest: documents of more ids are left out.
    exclude: evaluation suites whose prompts are never trained on. compile: let torch fuse what lies between the matrix
    products; takes a C++ compiler and a minute.
    """

    data: tuple[str, ...]
    work: str
    out: str
    base: str | None = None
    twin: str | None = None
    start: str | None = None
    objective: str = "blocks"
    rank: int = 16
    scale: float = 2.0
    mask_id: int = 16
    blocks: Mapping[str, float] = field(default_factory=lambda: dict(BLOCKS))
    groups: Mapping[str, float] = field(default_factory=lambda: dict(GROUPS))
    places: int = 12
    first_layer: int = 0
    steps: int = 1000
    warm_up: int = 30
    learning_rate: float = 1e-3
    final_share: float = 0.05
    clip: float = 1.0
    complementary: bool = True
    tails: float = 0.0
    sharpen: float = 0.0
    sharpen_from: int = 0
    rows: int = 4
    packs: int = 2
    longest: int = 256
    exclude: tuple[str, ...] = ("default", "tasks")
    compile: bool = False
    held_out: int = 16
    measure_every: int = 100
    save_every: int = 25
    seed: int = 0
    workers: int = 1
    device: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        for names, (allowed, words) in ALLOWED.items():
            for name in names:
                if not allowed(getattr(self, name)):  # NaN is not
                    raise ValueError(f"{name} is {getattr(self, name)}; allowed: {words}")
        if not self.data:
            raise ValueError("data names no file; allowed: one or more")
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective is {self.objective!r}; allowed: {', '.join(OBJECTIVES)}")
        _check_weights("blocks", self.blocks, (FULL,))
        _check_weights("groups", self.groups, ())

    @classmethod
    def load(cls, path: Path) -> "Config":
        """Read a .json or .toml file.

        Raises:
            ValueError: not readable as its suffix says, an unknown or missing key, or a value out of range.
        """
        parse = {".json": json.loads, ".toml": tomllib.loads}.get(path.suffix)
        if parse is None:
            raise ValueError(f"config is {path.name}; allowed: a .json or .toml file")
        try:
            values: dict[str, Any] = parse(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{path} has {unknown[0]!r}; allowed: {', '.join(sorted(known))}")
        if missing := sorted({"data", "work", "out"} - set(values)):
            raise ValueError(f"{path} has no {missing[0]!r}")
        lists = {name: tuple(values[name]) for name in ("data", "exclude") if name in values}
        return cls(**{**values, **lists})


def _check_weights(name: str, weights: Mapping[str, float], words: tuple[str, ...]) -> None:
    for size, weight in weights.items():
        if size not in words and not (size.isdecimal() and int(size) > 0):
            raise ValueError(f"{name} has {size!r}; allowed: {', '.join(('whole numbers above 0', *map(repr, words)))}")
        if not weight >= 0:
            raise ValueError(f"{name} gives {size} the weight {weight}; allowed: 0 or more")
    if not sum(weights.values()) > 0:
        raise ValueError(f"{name} draws nothing; allowed: at least one weight above 0")
