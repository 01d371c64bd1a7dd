"""Everything a conversion depends on, read from a JSON or TOML file."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FULL = "full"
BLOCKS: Mapping[str, float] = {"4": 0.25, "8": 0.35, "16": 0.15, "32": 0.1, FULL: 0.15}


@dataclass(frozen=True, slots=True)
class Config:
    """One conversion. A step is `packs` micro-batches of `rows` documents; `workers` threads share the micro-batches.

    data: files of `python -m dllm distill`. work: folder of checkpoint and log. out: the adapter.
    base: a .gguf file or folder; the embedded base where null. blocks: how often each block size is drawn;
    "full" is attention over the whole canvas. learning_rate: the peak, reached after `warm_up` steps and followed by
    a cosine down to `final_share` of it. longest: documents of more ids are left out.
    """

    data: tuple[str, ...]
    work: str
    out: str
    base: str | None = None
    rank: int = 16
    scale: float = 2.0
    mask_id: int = 16
    blocks: Mapping[str, float] = field(default_factory=lambda: dict(BLOCKS))
    steps: int = 1000
    warm_up: int = 30
    learning_rate: float = 1e-3
    final_share: float = 0.05
    clip: float = 1.0
    rows: int = 4
    packs: int = 2
    longest: int = 256
    held_out: int = 16
    measure_every: int = 100
    save_every: int = 25
    seed: int = 0
    workers: int = 1
    device: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        counts = ("rank", "steps", "rows", "packs", "longest", "held_out", "measure_every", "save_every", "workers")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: 1 or more")
        for name in ("scale", "learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: above 0")
        if not self.data:
            raise ValueError("data names no file; allowed: one or more")
        for size, weight in self.blocks.items():
            if size != FULL and not (size.isdecimal() and int(size) > 0):
                raise ValueError(f"blocks has {size!r}; allowed: whole numbers above 0, and {FULL!r}")
            if not weight >= 0:
                raise ValueError(f"blocks gives {size} the weight {weight}; allowed: 0 or more")
        if not sum(self.blocks.values()) > 0:
            raise ValueError("blocks draws nothing; allowed: at least one weight above 0")

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
        return cls(**{**values, "data": tuple(values["data"])})
