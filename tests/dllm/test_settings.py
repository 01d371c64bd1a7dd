"""Settings: checked at the door, the same after a round trip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.decode import ModelTraits, resolve
from dllm.settings import ATTENTIONS, Choice, Settings, SettingsError, is_autoregressive, is_verified

REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "gen_length": st.integers(1, 4096),
        "block_size": st.sampled_from([1, 4, 8, 32]),
        "sub_block_size": st.sampled_from([None, 1]),
        "cache": st.sampled_from([None, "none", "dual", {"name": "d2", "k": 5, "p": 0.2}]),
        "unmask": st.sampled_from(
            [None, "top_k", {"name": "verify", "drafts": 3}, {"name": "threshold", "threshold": 0.5}]
        ),
        "temperature": st.floats(0, 5),
        "top_p": st.none() | st.floats(0.01, 1),
        "seed": st.integers(0, 2**63 - 1),
        "stop_ids": st.none() | st.lists(st.integers(0, 10)),
        "record": st.lists(st.sampled_from(["alternatives", "rollout", "attention"])),
        "attention": st.sampled_from([None, "block_causal", "hybrid", "bidirectional"]),
    },
)


@given(REQUEST)
def test_round_trip(request: dict) -> None:
    settings = Settings.from_json(request)
    assert Settings.from_json(settings.as_json()) == settings


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"gen_lenght": 3}, "unknown field 'gen_lenght'; allowed: attention, block_size"),
        ({"gen_length": 0}, "gen_length is 0; allowed: 1 to 4096"),
        ({"gen_length": 10**400}, "gen_length is 1000"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"gen_length": None}, "gen_length is None"),
        ({"gen_length": True}, "gen_length is True; allowed: an integer"),
        ({"block_size": 2.0}, "block_size is 2.0; allowed: an integer"),
        ({"block_size": 32, "sub_block_size": 12}, "sub_block_size is 12; allowed: a divisor of block_size 32"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": -1}, "temperature is -1; allowed: 0.0 to 5.0"),
        ({"temperature": "hot"}, "temperature is 'hot'; allowed: a number"),
        ({"top_p": 0}, "top_p is 0; allowed: above 0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"seed": -1}, "seed is -1"),
        ({"cache": 7}, "cache is 7; allowed: a name"),
        ({"unmask": {"k": 1}}, "unmask is .* allowed: a name"),
        ({"stop_ids": "2"}, "stop_ids is '2'; allowed: a list of token ids"),
        ({"stop_ids": [-1]}, "stop_ids is"),
        ({"record": "rollout"}, "record is 'rollout'; allowed: a list"),
        ({"record": ["logits"]}, "record holds 'logits'; allowed: alternatives, rollout, attention"),
        ({"attention": "sparse"}, "attention is 'sparse'; allowed: block_causal, hybrid, bidirectional"),
    ],
)
def test_bad_requests_are_named(request_: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_json(request_)


def test_a_choice_in_every_form() -> None:
    assert Choice.of("d2", "cache") == Choice.of({"name": "d2"}, "cache") == Choice("d2")
    assert Choice("d2", {"k": 3}).as_json() == {"name": "d2", "k": 3}


HYBRID, BLOCKWISE, WHOLE, AR = ("hybrid", "bidirectional"), ("block_causal",), ("bidirectional",), ("block_causal",)


@pytest.mark.parametrize(
    ("attentions", "changes", "rule"),
    [
        (HYBRID, {}, "verify"),
        (HYBRID, {"attention": "hybrid"}, "verify"),
        (HYBRID, {"cache": Choice("none")}, "verify"),
        (HYBRID, {"cache": Choice("block")}, "verify"),
        (HYBRID, {"block_size": 2}, "verify"),
        (HYBRID, {"record": ("alternatives",)}, "verify"),
        (HYBRID, {"temperature": 1.0}, "verify"),
        (HYBRID, {"block_size": 1}, "threshold"),
        (HYBRID, {"attention": "bidirectional"}, "threshold"),
        (HYBRID, {"cache": Choice("sub_block")}, "threshold"),
        (HYBRID, {"cache": Choice("dual")}, "threshold"),
        (HYBRID, {"cache": Choice("d2")}, "threshold"),
        (HYBRID, {"record": ("rollout",)}, "threshold"),
        (HYBRID, {"record": ("alternatives", "attention")}, "threshold"),
        (HYBRID, {"unmask": Choice("top_k")}, "top_k"),
        (BLOCKWISE, {}, "threshold"),
        (BLOCKWISE, {"unmask": Choice("factor")}, "factor"),
        (WHOLE, {}, "threshold"),
        (("bidirectional", "hybrid"), {}, "threshold"),
    ],
)
def test_a_rule_left_open_is_verified_decoding_where_that_can_be(
    attentions: tuple[str, ...], changes: dict, rule: str
) -> None:
    traits = ModelTraits("made", 40, 512, 1, attentions, 39, (38,))
    found = resolve(Settings(**changes), traits)
    assert found.unmask is not None
    assert found.rule.name == found.unmask.name == rule
    assert None not in (found.attention, found.cache, found.sub_block_size, found.stop_ids)
    assert resolve(found, traits) == found  # what is resolved stays as it is
    if rule == "verify":
        assert (found.attention, found.block_size, found.sub_block_size) == ("hybrid", 3, 3)
        assert found.cache == changes.get("cache", Choice("block"))
        assert not found.autoregressive
    else:
        assert found.block_size == changes.get("block_size", 32)


def test_an_ar_model_takes_one_token_a_step() -> None:
    found = resolve(Settings(block_size=1), ModelTraits("made", 40, 512, 1, AR, None, (38,)))
    assert (found.rule.name, found.cache, found.autoregressive) == ("threshold", Choice("block"), True)
    with pytest.raises(SettingsError, match="block_size is 32; allowed: 1, because made is autoregressive"):
        resolve(Settings(), ModelTraits("made", 40, 512, 1, AR, None, (38,)))


def test_a_block_of_one_under_hybrid_attention_is_autoregressive() -> None:
    traits = ModelTraits("made", 40, 512, 1, HYBRID, 39, (38,))
    assert resolve(Settings(block_size=1), traits).autoregressive
    assert not resolve(Settings(block_size=1, attention="bidirectional"), traits).autoregressive
    # the drafts say how long a block is, whatever was asked for
    verified = resolve(Settings(block_size=1, unmask=Choice("verify", {"drafts": 4})), traits)
    assert (verified.block_size, verified.autoregressive) == (5, False)


@pytest.mark.parametrize("attention", [*ATTENTIONS, None])
@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("rule", [None, "threshold", "verify"])
def test_a_trace_and_its_settings_agree_on_what_is_autoregressive(
    attention: str | None, block: int, rule: str | None
) -> None:
    settings = Settings(block_size=block, attention=attention, unmask=None if rule is None else Choice(rule))
    wanted = block == 1 and attention in ("block_causal", "hybrid") and rule != "verify"
    assert settings.autoregressive == is_autoregressive(settings.as_json()) == wanted
    assert is_verified(settings.as_json()) == (rule == "verify")
