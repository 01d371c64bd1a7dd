"""Settings: checked at the door, the same after a round trip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.settings import Choice, Settings, SettingsError

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
