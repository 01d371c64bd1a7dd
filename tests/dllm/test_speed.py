"""`bench --suite cpu` on a tiny network: what it counts, not how fast it is."""

import pytest

from dllm.engine import Engine
from dllm.models.families import LLADA, LLAMA, Shape
from dllm.models.loader import Model, tiny
from dllm.settings import SettingsError
from dllm.speed import AR, THEIRS, Aim, measure, table, ways
from tests.dllm.nets import MASK, STOP, engine_of


class Prompted(Engine):
    """Takes text for the ids of a fixed prompt: a tiny network has no tokenizer."""

    def _ids(self, prompt: object) -> list[int]:
        return [1, 2, 3] if isinstance(prompt, str) else list(prompt)  # type: ignore[call-overload]


def engine() -> Engine:
    shape = Shape(40, 16, 2, 4, 2, 4, 24, rope_theta=1e4, norm_eps=1e-6, tied=False, qkv_bias=False, context=512)
    net = tiny(shape, seed=0, mask_id=MASK)
    return Prompted(Model("tiny", LLAMA, net, MASK, (STOP,)))


def test_every_way_is_measured_and_every_ratio_told() -> None:
    said: list[str] = []
    made = engine()
    result = measure(made, rounds=2, report=said.append)
    assert said == ["warm-up round", "round 1 of 2", "round 2 of 2"]
    assert set(result["rates"]) == {THEIRS, *ways(made.traits)}
    for rate in result["rates"].values():
        assert 0 < rate["low"] <= rate["median"] <= rate["high"]
    forced = {name: rate["tpf"] for name, rate in result["rates"].items() if "forced" in name}
    assert len(forced) == 4
    assert all(0 < tpf <= (2 if " 2 tokens" in name else 3) for name, tpf in forced.items())
    assert result["rates"][AR]["tpf"] == 1
    aims = {aim["what"]: aim for aim in result["aims"]}
    ratio = result["rates"][AR]["median"] / result["rates"][THEIRS]["median"]
    assert aims["our AR ÷ transformers' AR"]["value"] == ratio
    assert 0 < aims["host's share of a step"]["value"] < 1
    printed = table(result)
    assert all(name in printed for name in (*result["rates"], *aims))


def test_an_aim_is_a_least_or_a_most() -> None:
    assert Aim("", 1.8, 1.8, True).met
    assert not Aim("", 1.79, 1.8, True).met
    assert Aim("", 0.05, 0.05, False).met
    assert not Aim("", 0.06, 0.05, False).met


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="rounds is 0; allowed: 1 or more"):
        measure(engine(), rounds=0, report=print)
    with pytest.raises((ValueError, SettingsError), match="allowed"):
        measure(engine_of(LLADA), rounds=1, report=print)
