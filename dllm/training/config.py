"""Everything a conversion depends on, read from a JSON or TOML file."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

FULL = "full"
BLOCKS: Mapping[str, float] = {"4": 0.25, "8": 0.35, "16": 0.15, "32": 0.1, FULL: 0.15}
_GROUPS: Mapping[str, float] = {"2": 0.4, "4": 0.4, "8": 0.2}

Objective = Literal["blocks", "ar", "drafts"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)


def _size(text: str) -> str:
    if not (text.isdecimal() and int(text) > 0):
        raise ValueError("whole numbers above 0")
    return text


def _size_or_full(text: str) -> str:
    if text != FULL and not (text.isdecimal() and int(text) > 0):
        raise ValueError(f"whole numbers above 0, {FULL!r}")
    return text


def _drawn(weights: dict[str, float]) -> dict[str, float]:
    if not sum(weights.values()) > 0:
        raise ValueError("at least one weight above 0")
    return weights


Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[str, AfterValidator(_size)]
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
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

    Raises:
        ValueError: a value of another type, or out of range; `load` says so in one sentence.
    """

    data: Annotated[Names, Field(min_length=1)]
    work: str
    out: str
    base: str | None = None
    twin: str | None = None
    start: str | None = None
    objective: Objective = "blocks"
    rank: Count = 16
    scale: Positive = 2.0
    mask_id: int = 16
    blocks: Annotated[dict[Annotated[str, AfterValidator(_size_or_full)], Amount], AfterValidator(_drawn)] = field(
        default_factory=lambda: dict(BLOCKS)
    )
    groups: Annotated[dict[Size, Amount], AfterValidator(_drawn)] = field(default_factory=lambda: dict(_GROUPS))
    places: Count = 12
    first_layer: Index = 0
    steps: Count = 1000
    warm_up: Index = 30
    learning_rate: Positive = 1e-3
    final_share: Share = 0.05
    clip: Positive = 1.0
    complementary: bool = True
    tails: Share = 0.0
    sharpen: Amount = 0.0
    sharpen_from: Index = 0
    rows: Count = 4
    packs: Count = 2
    longest: Count = 256
    exclude: Names = ("default", "tasks")
    compile: bool = False
    held_out: Count = 16
    measure_every: Count = 100
    save_every: Count = 25
    seed: int = 0
    workers: Count = 1
    device: str | None = None
    dtype: str | None = None

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
            return TypeAdapter(cls).validate_python(parse(path.read_text()))
        except ValidationError as error:
            raise ValueError(f"{path}: {_sentence(error.errors(include_url=False)[0])}") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _sentence(fault: Any) -> str:
    """The first fault that pydantic found: the value, and what is allowed."""
    *folders, name = map(str, fault["loc"] or ("it",))
    match fault["type"]:
        case "missing":
            return f"it has no {name!r}"
        case "unexpected_keyword_argument":
            return f"it has {name!r}; allowed: {', '.join(sorted(f.name for f in fields(Config)))}"
    where = ".".join([*folders, name]) if name != "[key]" else f"a name in {folders[0]}"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{where} is {fault['input']!r}; allowed: {message}"
