"""The settings of one decoding, checked on entry. Field metadata feeds the page's controls."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

RECORDS = ("alternatives", "rollout", "attention")
ATTENTIONS = ("block_causal", "hybrid", "bidirectional")
CAUSAL = ("block_causal", "hybrid")  # where a block of one is autoregressive
VERIFY = "verify"  # the unmasking rule of verified decoding
SCORES = ("confidence", "margin", "entropy")


class SettingsError(ValueError):
    """A value that is not allowed; the message names the value and what is."""


def knob(default: Any, label: str, help: str, **limits: Any) -> Any:
    """A dataclass field with metadata for its control and check. limits: bounds=(minimum, maximum, step) or choices."""
    return field(default=default, metadata={"label": label, "help": help, **limits})


def check_knobs(settings: Any) -> None:
    """Check every field of a dataclass against its own metadata.

    Raises:
        SettingsError: names the field, the value and what is allowed.
    """
    for f in fields(settings):
        value, meta = getattr(settings, f.name), f.metadata
        if not meta or (value is None and f.default is None):
            continue
        if "choices" in meta and value not in meta["choices"]:
            raise SettingsError(f"{f.name} is {value!r}; allowed: {', '.join(map(str, meta['choices']))}")
        if "bounds" in meta:
            low, high, step = meta["bounds"]
            whole = isinstance(step, int)
            kinds = (int,) if whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise SettingsError(f"{f.name} is {value!r}; allowed: {'an integer' if whole else 'a number'}")
            if not low <= value <= high:  # NaN is not
                raise SettingsError(f"{f.name} is {value!r}; allowed: {low} to {high}")


@dataclass(frozen=True, slots=True)
class Choice:
    """A named cache policy or unmasking rule and its options, as they came from outside."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: "str | Mapping[str, Any] | Choice", what: str) -> "Choice":
        """Accept `"dual"`, `{"name": "d2", "k": 32}` or a Choice."""
        if isinstance(value, Choice):
            return value
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            return cls(value["name"], {k: v for k, v in value.items() if k != "name"})
        raise SettingsError(f'{what} is {value!r}; allowed: a name, or an object with "name" and its options')

    def build(self, classes: Mapping[str, type], what: str) -> Any:
        """The object this choice names, from a dict of dataclasses.

        Raises:
            SettingsError: unknown name, unknown option, or an option out of bounds.
        """
        if self.name not in classes:
            raise SettingsError(f"{what} is {self.name!r}; allowed: {', '.join(classes)}")
        known = [f.name for f in fields(classes[self.name]) if f.init]
        if unknown := sorted(set(self.options) - set(known)):
            allowed = ", ".join(known) or "none"
            raise SettingsError(f"{what} {self.name!r} has no option {unknown[0]!r}; allowed: {allowed}")
        return classes[self.name](**self.options)

    def as_json(self) -> dict[str, Any]:
        """The form requests and traces use."""
        return {"name": self.name, **self.options}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides a decoding besides the model and the prompt. `None` means: as the model prefers."""

    gen_length: int = knob(64, "Answer length", "Most tokens to write; a hard cap.", bounds=(1, 4096, 1))
    block_size: int = knob(32, "Block size", "Tokens denoised together; 1 is autoregressive.", bounds=(1, 4096, 1))
    sub_block_size: int | None = knob(
        None, "Sub-block size", "Part of a block filled at a time; must divide it.", bounds=(1, 4096, 1)
    )
    attention: str | None = knob(
        None,
        "Attention",
        "Block-causal: blocks see earlier blocks. Hybrid: known tokens as in AR, masks see them and each other. "
        "Bidirectional: all see all.",
        choices=ATTENTIONS,
    )
    cache: Choice | None = None
    unmask: Choice | None = None
    temperature: float = knob(
        0.0, "Temperature", "0 takes the likeliest token; above 0 samples.", bounds=(0.0, 5.0, 0.05)
    )
    top_p: float | None = knob(
        None, "Nucleus (top-p)", "Keep the likeliest tokens up to this mass.", bounds=(0.0, 1.0, 0.01)
    )
    seed: int = knob(0, "Seed", "Same seed, same answer.", bounds=(0, 2**63 - 1, 1))
    stop_ids: tuple[int, ...] | None = None
    record: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_knobs(self)
        if self.sub_block_size and self.block_size % self.sub_block_size:
            raise SettingsError(
                f"sub_block_size is {self.sub_block_size}; allowed: a divisor of block_size {self.block_size}"
            )
        if self.top_p is not None and self.top_p <= 0:
            raise SettingsError(f"top_p is {self.top_p}; allowed: above 0 up to 1")
        if unknown := [r for r in self.record if r not in RECORDS]:
            raise SettingsError(f"record holds {unknown[0]!r}; allowed: {', '.join(RECORDS)}")

    @property
    def rule(self) -> Choice:
        """The unmasking rule of resolved settings; of others, that of a model without hybrid attention."""
        return self.unmask or Choice("threshold")

    @property
    def autoregressive(self) -> bool:
        """Whether resolved settings write one token at a time, each from those before it."""
        return is_autoregressive(self.as_json())

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Settings":
        """Settings from a request's fields (the prompt and the id left out).

        Raises:
            SettingsError: an unknown field, or a value that is not allowed.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise SettingsError(f"unknown field {unknown[0]!r}; allowed: {', '.join(sorted(known))}")
        values = dict(data)
        for name in ("cache", "unmask"):
            if values.get(name) is not None:
                values[name] = Choice.of(values[name], name)
        if values.get("stop_ids") is not None:
            values["stop_ids"] = _ids(values["stop_ids"], "stop_ids")
        if "record" in values:
            if not isinstance(values["record"], (list, tuple)):
                raise SettingsError(f"record is {values['record']!r}; allowed: a list of {', '.join(RECORDS)}")
            values["record"] = tuple(values["record"])
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """The request form; `from_json` of it gives the same settings."""
        out: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        out["cache"] = self.cache.as_json() if self.cache else None
        out["unmask"] = self.unmask.as_json() if self.unmask else None
        out["stop_ids"] = None if self.stop_ids is None else list(self.stop_ids)
        out["record"] = list(self.record)
        return out


def is_autoregressive(settings: Mapping[str, Any]) -> bool:
    """Whether resolved settings, in the form of a trace, write one token at a time, each from those before it."""
    causal = settings.get("attention") in CAUSAL
    return settings["block_size"] == 1 and causal and not is_verified(settings)


def is_verified(settings: Mapping[str, Any]) -> bool:
    """Whether settings in the form of a trace are those of verified decoding: AR's tokens, several tested in a pass."""
    return (settings.get("unmask") or {}).get("name") == VERIFY


def _ids(value: Any, what: str) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not all(type(v) is int and v >= 0 for v in value):
        raise SettingsError(f"{what} is {value!r}; allowed: a list of token ids")
    return tuple(value)
