"""An answer beside its references, and lanes beside each other, in sentences."""

from collections.abc import Mapping

from dllm.settings import is_autoregressive, is_verified
from dllm.trace import Trace
from dllm.trace.compare import Comparison, compare_references
from dllm.trace.errors import short

REFERENCE_NAMES = {"no_cache": "without cache", "one_by_one": "one token at a time"}
# the names of the same references, and their order, where verified decoding is compared
_VERIFIED_NAMES = {"one_by_one": "AR", "no_cache": "without cache"}
_EXACT_CACHES = ("none", "block")  # cache policies whose answer differs from that without cache by rounding only
_LOW_PRECISION = ("bfloat16", "float16")
MAX_ITEM = 60  # characters of a suite item's name


def comparison_sentence(trace: Trace) -> str:
    """What the answer of a trace was compared with and the outcome; "" if it was not compared."""
    if trace.gate is None:
        return ""
    known, names = compare_references(trace), reference_names(trace)
    found = {name: known[name] for name in names if name in known}
    equal = [names[name] for name, each in found.items() if each.same]
    sentences = [f"Same answer as {' and '.join(equal)}."] if equal else []
    sentences += [_departure(names[name], each) for name, each in found.items() if not each.same]
    if _only_rounding(trace, found):
        sentences.append(
            f"Only rounding can make this difference: in {trace.model.dtype} two tokens of nearly equal probability "
            "can change places, and the tokens after them follow."
        )
    quality = trace.gate
    if quality.log_prob is not None:
        sentences.append(f"Mean log-probability {quality.log_prob:.2f} under AR.")
    if quality.item is not None and quality.right is not None:
        sentences.append(f"Suite item {short(quality.item, MAX_ITEM)}: {'right' if quality.right else 'wrong'}.")
    return " ".join(sentences)


def matches_references(trace: Trace) -> bool | None:
    """Whether the answer equals every reference; None if there is none."""
    found = compare_references(trace)
    return all(each.same for each in found.values()) if found else None


def not_a_race(why: str) -> str:
    """A reason of `dllm.trace.throughput.comparable` as a sentence for the page."""
    return f"Not a race: {why[:1].lower()}{why[1:]}"


def reference_names(trace: Trace) -> dict[str, str]:
    """What the references of a lane are called, in the order in which they are listed."""
    return _VERIFIED_NAMES if is_verified(trace.settings) else REFERENCE_NAMES


def _departure(name: str, found: Comparison) -> str:
    assert found.departs is not None
    what = name if name == _VERIFIED_NAMES["one_by_one"] else f"decoding {name}"
    at = f"Departs from {what} at token {found.departs + 1}"
    return f"{at}: {found.distance} of {found.length} tokens differ."


def _only_rounding(trace: Trace, found: Mapping[str, Comparison]) -> bool:
    """Whether rounding alone explains a difference: the cache is exact, and no token was committed untested."""
    cache = (trace.settings.get("cache") or {}).get("name", "none")
    if trace.model.dtype not in _LOW_PRECISION or not (cache in _EXACT_CACHES or is_autoregressive(trace.settings)):
        return False
    single = is_verified(trace.settings) or all(len(step.committed) <= 1 for step in trace.steps)
    return any(not each.same and (single or name == "no_cache") for name, each in found.items())
