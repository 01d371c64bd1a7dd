"""Everything a conversion depends on, read from a JSON or TOML file."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

FULL = "full"
BLOCK_WEIGHTS: Mapping[str, float] = {"4": 0.25, "8": 0.35, "16": 0.15, "32": 0.1, FULL: 0.15}
_GROUP_WEIGHTS: Mapping[str, float] = {"2": 0.4, "4": 0.4, "8": 0.2}


def _size_or(*names: str) -> AfterValidator:
    """Allows whole numbers above 0, written as text, and these names."""

    def check(text: str) -> str:
        if text in names or (text.isdecimal() and int(text) > 0):
            return text
        raise ValueError(", ".join(["whole numbers above 0", *map(repr, names)]))

    return AfterValidator(check)


def _some_weight(weights: dict[str, float]) -> dict[str, float]:
    if not sum(weights.values()) > 0:
        raise ValueError("at least one weight above 0")
    return weights


_Count = Annotated[int, Field(ge=1)]
_Index = Annotated[int, Field(ge=0)]
_Positive = Annotated[float, Field(gt=0)]
_Weight = Annotated[float, Field(ge=0)]
_Fraction = Annotated[float, Field(ge=0, le=1)]
_Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Config:
    """One conversion. A step is `packs` micro-batches of `rows` documents; `workers` threads share the micro-batches.

    blocks, groups: sampling weights of block sizes, and of sizes of groups of masks. places: groups per document, at
    most. complementary, tails: what is masked, see `noise.views`. The learning rate rises linearly over `warm_up`
    steps and falls as a cosine to `final_share` of its peak.

    Raises:
        ValueError: a value of another type, or out of range; `load` says so in one sentence.
    """

    data: Annotated[_Names, Field(min_length=1)]  # files of `python -m dllm distill`
    work: str  # folder of checkpoint and log
    out: str  # the adapter
    base: str | None = None  # a .gguf file or folder; the default model's base where null
    twin: str | None = None  # an adapter of the objective "ar", merged into the base beforehand
    start: str | None = None  # an adapter of this rank or less, from which training starts
    objective: Literal["blocks", "ar", "drafts"] = "blocks"
    rank: _Count = 16
    scale: _Positive = 2.0
    mask_id: int = 16
    blocks: Annotated[dict[Annotated[str, _size_or(FULL)], _Weight], AfterValidator(_some_weight)] = field(
        default_factory=lambda: dict(BLOCK_WEIGHTS)
    )
    groups: Annotated[dict[Annotated[str, _size_or()], _Weight], AfterValidator(_some_weight)] = field(
        default_factory=lambda: dict(_GROUP_WEIGHTS)
    )
    places: _Count = 12
    first_layer: _Index = 0  # layers below keep the base's weights
    steps: _Count = 1000
    warm_up: _Index = 30
    learning_rate: _Positive = 1e-3
    final_share: _Fraction = 0.05
    clip: _Positive = 1.0
    complementary: bool = True
    tails: _Fraction = 0.0
    sharpen: _Weight = 0.0  # see `objective.score`
    sharpen_from: _Index = 0  # the first step that it acts in
    rows: _Count = 4
    packs: _Count = 2
    longest: _Count = 256  # documents of more ids are left out
    exclude: _Names = ("default", "tasks")  # evaluation suites whose prompts are never trained on
    compile: bool = False  # fuse the operations between matrix products; needs a C++ compiler and a minute
    held_out: _Count = 16
    measure_every: _Count = 100
    save_every: _Count = 25
    seed: int = 0
    workers: _Count = 1
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
