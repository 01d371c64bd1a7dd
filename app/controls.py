"""Controls made from dataclass fields: a new setting, cache policy or unmasking rule appears on the page by itself."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from typing import Any

import gradio as gr

from app.limits import MAPS_BYTES, MAXIMA
from dllm.cache import CACHES
from dllm.settings import Settings, SettingsError
from dllm.unmask import UNMASKS

AUTO = "auto"
_RECORDED = ("rollout", "attention")  # what a visitor may have recorded besides the alternatives
_DEFAULT_RULE = (
    "Which guesses become tokens. Default: verified decoding, where the model has hybrid attention (the default model "
    "has) and no other setting rules it out; else a threshold."
)
# what the page adds to the help of a setting
_EXTRA_HELP = {
    "block_size": "Verified decoding does not use it.",
    "sub_block_size": "Verified decoding does not use it.",
}
_SLIDER_STOPS = 5000  # a slider with more stops is too fine to set by hand


@dataclass(frozen=True, slots=True)
class Controls:
    """The components in handler order, and the request path of each: ("seed",) or ("cache", "d2", "k")."""

    paths: tuple[tuple[str, ...], ...]
    components: tuple[Any, ...]

    def request(self, values: Sequence[Any]) -> dict[str, Any]:
        """A request's fields (the form `Settings.from_json` takes) from the components' values.

        Raises:
            SettingsError: what is to be recorded is not a list of what the page offers.
        """
        given = dict(zip(self.paths, values, strict=True))
        request = {path[0]: None if value == AUTO else value for path, value in given.items() if len(path) == 1}
        record = request.get("record")
        if not isinstance(record, list) or not all(name in _RECORDED for name in record):
            raise SettingsError(f"record is {record!r:.80}; allowed: a list of {', '.join(_RECORDED)}")
        for what, classes in (("cache", CACHES), ("unmask", UNMASKS)):
            name = request.get(what)
            if name is None:
                request.pop(what, None)
            elif isinstance(name, str) and name in classes:
                options = {path[2]: value for path, value in given.items() if path[:2] == (what, name)}
                request[what] = {"name": name, **options}
        return request

    def values(self, request: Mapping[str, Any]) -> list[Any]:
        """The components' values for a request's fields; what it does not name gets its default."""
        return [_value(path, part, request) for path, part in zip(self.paths, self.components, strict=True)]


def settings_controls() -> Controls:
    """Build all of them where the layout stands: plain settings first, then cache and unmasking rule."""
    built: dict[tuple[str, ...], Any] = {}
    with gr.Row():
        for field in knobs(Settings):
            built[(field.name,)] = control(field)
    with gr.Row():
        with gr.Column(min_width=280):
            built |= _choice("cache", "Cache", "Which positions a pass recomputes.", CACHES)
        with gr.Column(min_width=280):
            built |= _choice("unmask", "Unmasking rule", _DEFAULT_RULE, UNMASKS)
    built[("record",)] = gr.CheckboxGroup(
        list(_RECORDED),
        label="Record for the inspector",
        info="Both make attention slower: for looking, not for racing. With either, the default rule is a threshold. "
        f"Attention maps are kept up to {MAPS_BYTES >> 20} MiB a lane.",
    )
    return Controls(tuple(built), tuple(built.values()))


def _value(path: tuple[str, ...], component: Any, request: Mapping[str, Any]) -> Any:
    wanted = request.get(path[0])
    options: Mapping[str, Any] = wanted if isinstance(wanted, Mapping) else {"name": wanted}
    name, option = options["name"], options.get(path[-1])
    found = name if len(path) == 1 else option if name == path[1] else None
    return component.value if found is None else found


def knobs(cls: type) -> list[Field[Any]]:
    """The fields of a dataclass that carry a control's metadata."""
    return [f for f in fields(cls) if f.init and "label" in f.metadata]


def control(field: Field[Any]) -> Any:
    """One component for one field: a dropdown for choices, else a slider, or a number box where it would be too fine.

    A number that may be left to the model becomes a choice of round values: an empty number box would read as 0.
    """
    meta: Mapping[str, Any] = field.metadata
    info = " ".join(filter(None, [meta["help"], _EXTRA_HELP.get(field.name)]))
    words = {"label": meta["label"], "info": info, "min_width": 250}
    default: Any = field.default
    if "choices" in meta:
        return _dropdown([(c.replace("_", " "), c) for c in meta["choices"]], default, **words)
    low, high, step = meta["bounds"]
    high = min(high, MAXIMA.get(field.name, high))
    if default is None:
        return _dropdown([(str(v), v) for v in round_values(low, high, step)], default, **words)
    bounds = {"minimum": low, "maximum": high, "step": step}
    if (high - low) / step > _SLIDER_STOPS:
        return gr.Number(default, **bounds, **words)  # without precision: gradio would round 1.5 silently
    return gr.Slider(value=default, **bounds, **words)


def round_values(low: float, high: float, step: float) -> list[float]:
    """Values to choose from: powers of two for integers, tenths of the range for others."""
    if isinstance(step, int):
        return [2**e for e in range(31) if low <= 2**e <= high]
    return [round(low + (high - low) * tenth / 10, 6) for tenth in range(1, 11)]


def _dropdown(choices: Sequence[tuple[str, Any]], default: Any, **words: Any) -> gr.Dropdown:
    """A dropdown; without a default the model chooses unless the visitor does."""
    if default is None:
        return gr.Dropdown([("Default", AUTO), *choices], value=AUTO, **words)
    return gr.Dropdown(list(choices), value=default, **words)


def _choice(what: str, label: str, info: str, classes: Mapping[str, type]) -> dict[tuple[str, ...], Any]:
    """A dropdown of named classes, and per class its own controls, shown only while it is chosen."""
    picker = _dropdown([(name.replace("_", " "), name) for name in classes], None, label=label, info=info)
    built: dict[tuple[str, ...], Any] = {(what,): picker}
    groups = []
    for name, cls in classes.items():
        with gr.Column(visible=False) as group:
            gr.Markdown(first_sentence(cls), elem_classes="bs-rule")
            built |= {(what, name, f.name): control(f) for f in knobs(cls)}
        groups.append(group)
    picker.change(
        lambda chosen: [gr.Column(visible=name == chosen) for name in classes], picker, groups,
        queue=False, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    return built


def first_sentence(cls: type) -> str:
    """Of a docstring, without the module that it points its readers to."""
    return re.sub(r"; see `[^`]*`", "", (cls.__doc__ or "").strip().split("\n\n")[0])
