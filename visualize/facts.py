"""Where numbers come from, in one line that stands under them."""

from collections.abc import Mapping
from typing import Any

from dllm.settings import is_autoregressive, is_verified

DRAFTS = 2  # of verified decoding that says no number


def provenance(
    about: Mapping[str, Any], *, title: str | None = None, opening: str = "Measured live", seed: int | None = None
) -> str:
    """Model, device, threads, torch, commit and warm-up of a run, in one line.

    about: the fields of a trace's model and environment. seed: where chance had a part in it.
    """
    passes = about["warm_up"]
    words = [
        f"{title or about['id']} ({about['parameters'] / 1e6:.0f} M parameters, {about['dtype']})",
        f"on {about['device']}, {about['threads']} thread{'s' * (about['threads'] != 1)}",
        *(f"{name} {about[name]}" for name in ("torch", "commit", "attention") if about.get(name)),
        *(["CUDA graphs"] if about.get("graphs") else []),
        *([] if seed is None else [f"seed {seed}"]),
        f"{passes} warm-up pass{'es' * (passes != 1)}" if passes else "no warm-up",
        *([f"up to {about['rows']} runs in a pass"] if about.get("rows", 1) > 1 else []),
    ]
    return f"{opening}: {', '.join(words)}."


def decoder_words(settings: Mapping[str, Any]) -> str:
    """How a lane was decoded, from its resolved settings: cache, block, rule."""
    if is_autoregressive(settings):
        return "one token at a time"
    cache, rule = (settings.get("cache") or {}).get("name", "no"), settings["unmask"]
    if is_verified(settings):
        return f"AR's words, up to {drafts_words(rule)} tested a pass"
    words = [f"{_CACHE_NAMES.get(cache, cache)}", f"block {settings['block_size']}"]
    if settings["sub_block_size"] != settings["block_size"]:
        words.append(f"sub-block {settings['sub_block_size']}")
    if settings["attention"] == "bidirectional":
        words.append("full attention")
    threshold = f" {rule['threshold']}" if "threshold" in rule else ""
    return ", ".join([*words, rule["name"].replace("_", " ") + threshold])


def drafts_words(rule: Mapping[str, Any]) -> str:
    """How many drafts a pass of verified decoding may test; a number, whatever a stranger's trace says."""
    drafts = rule.get("drafts", DRAFTS)
    drafts = drafts if isinstance(drafts, int) else DRAFTS
    return f"{drafts} draft{'s' * (drafts != 1)}"


def short_words(settings: Mapping[str, Any]) -> str:
    """The same in a few words, as the name of a lane.

    It stands in figures, where a trace from a stranger must not bring words of its own.
    """
    if is_autoregressive(settings):
        return "AR"
    if is_verified(settings):
        return "Verified decoding"
    name = _CACHE_NAMES.get((settings.get("cache") or {}).get("name", "none"), "another cache")
    name = name[:1].upper() + name[1:] if name.endswith(" cache") else name
    full = " in full attention" if name == "No cache" and settings["attention"] == "bidirectional" else ""
    threshold = settings["unmask"].get("threshold")
    known = isinstance(threshold, int | float)
    return f"{name}{full}" + (f" · {threshold:g}" if known else "")


_CACHE_NAMES = {
    "none": "no cache",
    "prefix": "PrefixCache",
    "dual": "DualCache",
    "block": "block cache",
    "sub_block": "sub-block cache",
    "d2": "d²Cache",
}
