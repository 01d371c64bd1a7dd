"""What the settings do to each other: presets set them, and what the others rule out is not offered."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gradio as gr

from app.controls import AUTO, Controls
from app.engines import Engines
from app.presets import PRESETS
from dllm.decode import ModelTraits, resolve
from dllm.settings import Choice, Settings, SettingsError

COMBINED = ("sub_block_size", "attention", "cache", "unmask")  # what they may be depends on the other settings
_PLAIN: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def settings_events(
    preset: gr.Radio,
    about: gr.Markdown,
    model: gr.Dropdown,
    controls: Controls,
    engines: Engines,
    opened: Callable[..., Any],
) -> None:
    """A preset sets all controls and says what it shows; a control that is changed narrows the others down.

    opened: the event of settings that come into view.
    """

    def chosen(name: str) -> list[Any]:
        return [PRESETS[name].about, *controls.values(PRESETS[name].request)]

    def narrow(name: str, *values: Any, changed: str | None = None) -> list[Any]:
        traits = engines.traits(name)
        return [gr.skip() for _ in narrowed] if traits is None else offered(controls, values, changed, traits)

    narrowed = [controls.components[controls.paths.index((name,))] for name in COMBINED]
    everything = [model, *controls.components]
    preset.input(chosen, preset, [about, *controls.components], **_PLAIN).then(narrow, everything, narrowed, **_PLAIN)
    opened(narrow, everything, narrowed, **_PLAIN)
    gr.on(
        [part.input for part in controls.components],
        lambda: (None, "Your own settings."),
        None,
        [preset, about],
        **_PLAIN,
    )
    for path, component in zip(controls.paths, controls.components, strict=True):
        if len(path) == 1:  # the options of a cache or a rule rule nothing out
            component.input(partial(narrow, changed=path[0]), everything, narrowed, **_PLAIN)


def offered(controls: Controls, values: Sequence[Any], changed: str | None, traits: ModelTraits) -> list[Any]:
    """Updates of the components of `COMBINED`: the choices that go with all other settings, and what is chosen.

    The setting that was changed last counts; where another does not go with it, the model chooses that one. What the
    model would choose is named.
    """
    given = list(values)
    places = {name: controls.paths.index((name,)) for name in COMBINED}
    for name, at in places.items():
        if name != changed and _resolved(controls, given, traits) is None:
            given[at] = AUTO
    updates = []
    for name, at in places.items():
        own = _resolved(controls, [*given[:at], AUTO, *given[at + 1 :]], traits)
        choices = []
        for label, value in controls.components[at].choices:
            if value == AUTO:
                choices.append((label if own is None else f"Default: {_words(own, name)}", value))
            elif value == given[at] or _resolved(controls, [*given[:at], value, *given[at + 1 :]], traits):
                choices.append((label, value))
        updates.append(gr.Dropdown(choices=choices, value=given[at]))
    return updates


def _resolved(controls: Controls, values: Sequence[Any], traits: ModelTraits) -> Settings | None:
    """The settings with the model's choices; None where they do not go together."""
    try:
        return resolve(Settings.from_json(controls.request(values)), traits)
    except SettingsError:
        return None


def _words(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    return str(value.name if isinstance(value, Choice) else value).replace("_", " ")
