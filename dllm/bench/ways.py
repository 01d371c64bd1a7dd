"""Ways of decoding a model, by name: what a benchmark compares."""

from collections.abc import Mapping

from dllm.bench.document import AR
from dllm.decode import ModelTraits
from dllm.settings import VERIFY, Choice, Settings

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
DRAFTS = (1, 2, 3, 4)
BLOCKS = ((32, 8), (8, 8), (4, 4), (8, 2))  # block, sub-block


def ways(traits: ModelTraits) -> dict[str, Settings]:
    """All ways of decoding that suit a model, by name; AR first if the model has it.

    The cache "none" is left out: "block" gives the same answer by construction, which tests check.
    """
    found: dict[str, Settings] = {}
    if traits.causal:
        found[AR] = Settings(block_size=1)
    if traits.mask_id is None:
        return found
    if "hybrid" in traits.attentions:
        found |= {
            f"verified, {n} draft{'s' * (n != 1)}": Settings(unmask=Choice(VERIFY, {"drafts": n})) for n in DRAFTS
        }
    if traits.causal:
        found |= _blocks()
    if "bidirectional" in traits.attentions:
        found |= {
            f"full attention, d2 cache, {t}": Settings(cache=Choice("d2"), unmask=_threshold(t)) for t in THRESHOLDS
        }
    return found


def select(known: Mapping[str, Settings], only: str) -> set[str]:
    """The names that contain one of the words in `only`, which are separated by |.

    Raises:
        ValueError: no name does; says which names there are.
    """
    words = [word.strip() for word in only.split("|")]
    found = {name for name in known if any(word in name for word in words)}
    if not found:
        raise ValueError(f"only is {only!r}; allowed: part of {'; '.join(known)}")
    return found


def _blocks() -> dict[str, Settings]:
    """Block diffusion by block, sub-block, cache and threshold."""
    return {
        f"block {block}/{sub}, {cache} cache, {t}": Settings(
            block_size=block, sub_block_size=sub, cache=Choice(cache), unmask=_threshold(t)
        )
        for block, sub in BLOCKS
        # a sub-block that is the whole block leaves the sub-block cache nothing to freeze
        for cache in (("block",) if sub == block else ("block", "sub_block"))
        for t in THRESHOLDS
    }


def _threshold(value: float) -> Choice:
    return Choice("threshold", {"threshold": value})
