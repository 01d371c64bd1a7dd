from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
import pytest

from app.controls import AUTO, Controls, control, first_sentence, knobs, round_values
from app.limits import check_request
from dllm.cache import CACHES
from dllm.decode import ModelTraits, resolve
from dllm.engine.registry import MODELS
from dllm.settings import Settings, SettingsError, knob
from dllm.unmask import UNMASKS


@dataclass
class Sample:
    share: float = knob(0.5, "Share", "Some of it.", bounds=(0.0, 1.0, 0.01))
    size: int | None = knob(None, "Size", "How big.", bounds=(1, 64, 1))
    seed: int = knob(7, "Seed", "Which chance.", bounds=(0, 2**63 - 1, 1))
    kind: str = knob("one_way", "Kind", "Which.", choices=("one_way", "other"))
    mode: str | None = knob(None, "Mode", "Which.", choices=("a", "b"))
    hidden: int = 3


def made(name: str) -> Any:
    return control(next(f for f in fields(Sample) if f.name == name))


def test_a_bounded_number_becomes_a_slider() -> None:
    slider = made("share")
    assert isinstance(slider, gr.Slider)
    assert (slider.minimum, slider.maximum, slider.step, slider.value) == (0.0, 1.0, 0.01, 0.5)
    assert (slider.label, slider.info) == ("Share", "Some of it.")


def test_a_number_without_a_near_end_becomes_a_box() -> None:
    assert isinstance(made("seed"), gr.Number)
    assert (made("seed").value, made("seed").maximum) == (7, 2**32 - 1)


def test_a_box_does_not_round_silently() -> None:
    assert made("seed").preprocess(1.5) == 1.5  # which the settings refuse
    with pytest.raises(SettingsError, match=r"seed is 1\.5; allowed: an integer"):
        check_request({"seed": made("seed").preprocess(1.5)})
    assert made("seed").preprocess(7) == 7


def test_a_number_that_may_be_left_to_the_model_becomes_a_choice() -> None:
    assert made("size").value == AUTO
    assert [value for _, value in made("size").choices] == [AUTO, 1, 2, 4, 8, 16, 32, 64]
    assert round_values(0.0, 1.0, 0.01) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_choices_become_a_dropdown() -> None:
    assert made("kind").choices == [("one way", "one_way"), ("other", "other")]
    assert made("kind").value == "one_way"
    assert made("mode").value == AUTO


def test_only_fields_with_a_label_are_shown() -> None:
    assert [f.name for f in knobs(Sample)] == ["share", "size", "seed", "kind", "mode"]


def test_every_option_of_every_policy_and_rule_has_a_control(controls: Controls) -> None:
    wanted = {(f.name,) for f in knobs(Settings)} | {("cache",), ("unmask",), ("record",)}
    wanted |= {("cache", name, f.name) for name, cls in CACHES.items() for f in knobs(cls)}
    wanted |= {("unmask", name, f.name) for name, cls in UNMASKS.items() for f in knobs(cls)}
    assert set(controls.paths) == wanted
    assert ("unmask", "threshold", "threshold") in wanted


def test_untouched_controls_are_the_default_settings(controls: Controls) -> None:
    settings = Settings.from_json(controls.request([c.value for c in controls.components]))
    assert settings == Settings()


def test_untouched_controls_are_verified_decoding_on_the_default_model(controls: Controls) -> None:
    settings = Settings.from_json(controls.request([c.value for c in controls.components]))
    spec = MODELS["default"].spec
    traits = ModelTraits("llama", 100, 100, 1, spec.attentions, spec.mask_id, ())
    assert resolve(settings, traits).rule.name == "verify"
    for name in ("Default", "verified decoding", "threshold"):
        assert name in rule(controls).info
    assert rule(controls).choices[0] == ("Default", AUTO)
    for path in (("block_size",), ("sub_block_size",)):
        assert controls.components[controls.paths.index(path)].info.endswith("Verified decoding does not use it.")


def rule(controls: Controls) -> Any:
    return controls.components[controls.paths.index(("unmask",))]


@pytest.mark.parametrize("cls", [*UNMASKS.values(), *CACHES.values()])
def test_a_rule_is_described_without_code(cls: type) -> None:
    assert "`dllm" not in first_sentence(cls)
    assert first_sentence(cls).endswith(".")


def changed(controls: Controls, **values: Any) -> dict[str, Any]:
    defaults = {path: component.value for path, component in zip(controls.paths, controls.components, strict=True)}
    given = {**defaults, **{tuple(name.split("__")): value for name, value in values.items()}}
    return controls.request(list(given.values()))


def test_only_the_chosen_policy_takes_its_options(controls: Controls) -> None:
    request = changed(controls, cache="d2", cache__d2__k=16, unmask="top_k", unmask__top_k__k=2)
    assert request["cache"]["name"] == "d2"
    assert request["cache"]["k"] == 16
    assert request["unmask"] == {"name": "top_k", "k": 2, "score": "confidence"}
    assert changed(controls, cache__d2__k=16).get("cache") is None
    Settings.from_json(request)


def test_what_no_control_offers_is_refused_by_the_settings(controls: Controls) -> None:
    settings = Settings.from_json(changed(controls, unmask="sideways"))
    with pytest.raises(SettingsError, match="unmask is 'sideways'; allowed: threshold"):
        settings.rule.build(UNMASKS, "unmask")
