"""Ways of decoding by name: each suits the model it is for."""

from typing import Any

import pytest

from dllm.bench.ways import select, ways
from dllm.models.families import FAST_DLLM_V2, LLADA, LLAMA
from tests.dllm.nets import both_engine, engine_of


@pytest.mark.parametrize("spec", [FAST_DLLM_V2, LLADA, LLAMA])
def test_the_ways_suit_the_model(spec: Any) -> None:
    made = engine_of(spec)
    found = ways(made.traits)
    assert ("AR" in found) == made.traits.causal
    assert (len(found) > 1) == (not made.autoregressive)
    for settings in found.values():
        made.run([1, 2, 3], settings)


def test_the_ways_of_a_model_with_an_adapter_at_its_masks() -> None:
    made = both_engine()
    found = ways(made.traits)
    assert list(found)[:5] == [
        "AR",
        "verified, 1 draft",
        "verified, 2 drafts",
        "verified, 3 drafts",
        "verified, 4 drafts",
    ]
    attentions = {name: made.run([1, 2, 3], settings).settings.attention for name, settings in found.items()}
    assert {name for name, attention in attentions.items() if attention == "bidirectional"} == {
        name for name in found if name.startswith("full attention")
    }
    assert set(attentions.values()) == {"hybrid", "bidirectional"}


def test_only_selects_by_any_of_several_words() -> None:
    known = ways(both_engine().traits)
    assert select(known, "verified, 1 draft | 8/8, block cache, 0.9") == {
        "verified, 1 draft",
        "block 8/8, block cache, 0.9",
    }
    assert select(known, "") == set(known)
    with pytest.raises(ValueError, match="only is 'nothing'; allowed: part of AR; verified, 1 draft"):
        select(known, "nothing")
