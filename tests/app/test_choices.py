"""Presets are what they say, and what cannot be combined is not offered."""

from dataclasses import replace
from itertools import product
from typing import Any

import gradio as gr
import pytest

from app.choices import COMBINED, offered
from app.controls import AUTO, Controls
from app.decode import checker
from app.limits import check_request
from app.presets import FIRST, PRESETS
from dllm.cache import CACHES
from dllm.decode import ModelTraits, resolve
from dllm.settings import Settings, SettingsError
from dllm.unmask import UNMASKS

HYBRID = ModelTraits("tiny", 100, 500, 1, ("hybrid", "bidirectional"), 16, ())


def resolved(controls: Controls, values: list[Any]) -> Settings:
    return resolve(Settings.from_json(controls.request(values)), HYBRID)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_every_control_to_what_it_asks(controls: Controls, name: str) -> None:
    asked = {"record": [], **PRESETS[name].request}
    check_request(asked)
    found = resolved(controls, controls.values(PRESETS[name].request))
    wanted = resolve(Settings.from_json(asked), HYBRID)
    for what, classes in (("cache", CACHES), ("unmask", UNMASKS)):
        assert getattr(found, what).build(classes, what) == getattr(wanted, what).build(classes, what)
    plain = {"cache": None, "unmask": None}
    assert replace(found, **plain) == replace(wanted, **plain)


def test_the_first_preset_is_what_the_controls_begin_with(controls: Controls) -> None:
    assert controls.values(PRESETS[FIRST].request) == [component.value for component in controls.components]
    assert resolved(controls, controls.values({})).rule.name == "verify"


def with_values(controls: Controls, **given: Any) -> list[Any]:
    values = controls.values({})
    for name, value in given.items():
        values[controls.paths.index((name,))] = value
    return values


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({}, None),
        ({"block_size": 12, "sub_block_size": 8}, "block_size"),
        ({"attention": "hybrid", "cache": "d2"}, "attention"),
        ({"attention": "bidirectional", "unmask": "verify"}, "attention"),
        ({"cache": "d2", "unmask": "verify", "attention": "hybrid"}, "cache"),
        ({"record": ["attention"], "unmask": "verify"}, "record"),
        ({"unmask": "verify", "cache": "dual", "attention": "bidirectional"}, "unmask"),
    ],
)
def test_whatever_is_offered_can_be_decoded(controls: Controls, given: dict[str, Any], changed: str | None) -> None:
    values = with_values(controls, **given)
    updates = dict(zip(COMBINED, offered(controls, values, changed, HYBRID), strict=True))
    for name, update in updates.items():
        values[controls.paths.index((name,))] = update.value
    assert changed is None or values[controls.paths.index((changed,))] == given[changed]
    resolved(controls, values)  # no matter what was set before
    for name, update in updates.items():
        for _, value in update.choices:
            at = controls.paths.index((name,))
            resolved(controls, [*values[:at], value, *values[at + 1 :]])


def test_nothing_that_can_be_decoded_is_left_out(controls: Controls) -> None:
    values = with_values(controls, attention="hybrid")
    updates = dict(zip(COMBINED, offered(controls, values, "attention", HYBRID), strict=True))
    for name, at in product(["cache"], [controls.paths.index(("cache",))]):
        for _, value in controls.components[at].choices:
            try:
                resolved(controls, [*values[:at], value, *values[at + 1 :]])
            except SettingsError:
                assert value not in [v for _, v in updates[name].choices]
            else:
                assert value in [v for _, v in updates[name].choices]


def test_what_the_model_chooses_is_named(controls: Controls) -> None:
    updates = dict(zip(COMBINED, offered(controls, with_values(controls), None, HYBRID), strict=True))
    assert updates["unmask"].choices[0] == ("Default: verify", AUTO)
    assert updates["attention"].choices[0] == ("Default: hybrid", AUTO)
    full = offered(controls, with_values(controls, attention="bidirectional"), "attention", HYBRID)
    assert full[COMBINED.index("cache")].choices[0] == ("Default: none", AUTO)


def refused(controls: Controls, prompt: str, **given: Any) -> str:
    check, why = checker(controls)
    values = [prompt, "default", True, *with_values(controls, **given)]
    if text := why(*values):
        with pytest.raises(gr.Error):
            check(*values)
    else:
        check(*values)
    return text


def test_a_bad_value_is_refused_in_the_page_s_words(controls: Controls) -> None:
    assert refused(controls, "Hi") == ""
    assert refused(controls, " ") == "The prompt is empty; allowed: 1 to 4000 characters"
    assert refused(controls, "Hi", seed=1.5) == "Seed is 1.5; allowed: an integer"
    assert refused(controls, "Hi", block_size=10, sub_block_size=8) == (
        "Sub-block size is 8; allowed: a divisor of block size 10"
    )
