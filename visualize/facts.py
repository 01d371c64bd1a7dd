"""Where numbers come from, in one line that stands under them."""

from collections.abc import Mapping
from typing import Any


def facts(about: Mapping[str, Any], *, title: str | None = None, opening: str = "Measured live") -> str:
    """Model, device, threads and warm-up of a run. `about` holds the fields of a trace's model and environment."""
    passes = about["warm_up"]
    words = [
        f"{title or about['id']} ({about['parameters'] / 1e6:.0f} M parameters, {about['dtype']})",
        f"on {about['device']}, {about['threads']} thread{'s' * (about['threads'] != 1)}",
        f"{passes} warm-up pass{'es' * (passes != 1)}" if passes else "no warm-up",
    ]
    return f"{opening}: {', '.join(words)}."


def decoder_words(settings: Mapping[str, Any]) -> str:
    """How a lane was decoded, from its resolved settings: cache, block, rule."""
    if settings["block_size"] == 1:
        return "one token at a time"
    cache, rule = (settings.get("cache") or {}).get("name", "no"), settings["unmask"]
    words = [f"{CACHE_NAMES.get(cache, cache)}", f"block {settings['block_size']}"]
    if settings["sub_block_size"] != settings["block_size"]:
        words.append(f"sub-block {settings['sub_block_size']}")
    threshold = f" {rule['threshold']}" if "threshold" in rule else ""
    return ", ".join([*words, rule["name"].replace("_", " ") + threshold])


def short_words(settings: Mapping[str, Any]) -> str:
    """The same in a few words, as the name of a lane."""
    if settings["block_size"] == 1:
        return "AR"
    cache, rule = (settings.get("cache") or {}).get("name", "none"), settings["unmask"]
    name = CACHE_NAMES.get(cache, cache)
    return f"{name[:1].upper()}{name[1:]}" + (f" · {rule['threshold']}" if "threshold" in rule else "")


CACHE_NAMES = {
    "none": "no cache",
    "prefix": "PrefixCache",
    "dual": "DualCache",
    "block": "block cache",
    "sub_block": "sub-block cache",
    "d2": "d²Cache",
}
