"""Presets: settings that belong together, chosen with one click, and the sentence that says what they show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dllm.settings import SettingsError


@dataclass(frozen=True, slots=True)
class SettingsPreset:
    """Its name on the page, what it shows, and the request fields that differ from the defaults."""

    title: str
    about: str
    request: Mapping[str, Any] = field(default_factory=dict)


FIRST = "verified"
_BLOCKS = {"block_size": 8, "cache": "sub_block"}
PRESETS: dict[str, SettingsPreset] = {
    "verified": SettingsPreset(
        "Verified",
        "Guesses several tokens ahead and keeps only those that AR predicts too: AR's words in fewer passes.",
    ),
    "safe": SettingsPreset(
        "Safe",
        "Keeps one guess a pass, the surest: as many passes as AR, and nothing is decided in haste.",
        {**_BLOCKS, "unmask": {"name": "threshold", "threshold": 1.0}},
    ),
    "fast": SettingsPreset(
        "Fast",
        "Keeps every guess above 90 %: several tokens in a pass where the model is sure, now and then another word.",
        {**_BLOCKS, "unmask": {"name": "threshold", "threshold": 0.9}},
    ),
    "too-fast": SettingsPreset(
        "Too fast",
        "Keeps every guess above 20 %: tokens kept in the same pass do not know of each other, so words double or "
        "clash.",
        {**_BLOCKS, "sub_block_size": 8, "unmask": {"name": "threshold", "threshold": 0.2}},
    ),
    "no-cache": SettingsPreset(
        "No cache",
        "Recomputes every position in every pass: slow, and what caches are measured against.",
        {**_BLOCKS, "cache": "none", "unmask": {"name": "threshold", "threshold": 0.9}},
    ),
    "d2": SettingsPreset(
        "d²Cache",
        "All positions see each other; a pass recomputes unsure masks near decided tokens, and what the others attend "
        "to most. The default model has learnt little of this: watch the cache, not the answer.",
        {"cache": "d2", "unmask": {"name": "threshold", "threshold": 0.9}},
    ),
}


def preset_named(name: str) -> SettingsPreset:
    """A preset by the name that addresses and programs use.

    Raises:
        SettingsError: there is none; says which there are.
    """
    if name not in PRESETS:
        raise SettingsError(f"preset is {name!r:.80}; allowed: {', '.join(PRESETS)}")
    return PRESETS[name]
