"""The lanes of a race: ways of decoding, and the controls that choose two to four of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.limits import check_request, integer, number
from dllm.engine.race import LANE_COUNTS
from dllm.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """A way of decoding that can race: its title, and the request fields that make it."""

    title: str
    request: dict[str, Any]


NO_LANE = "empty"  # the value of a lane that does not race
WAYS: dict[str, LaneSettings] = {
    "ar": LaneSettings("AR", {"block_size": 1}),
    "verified": LaneSettings("Verified (AR's words)", {"unmask": "verify"}),
    "none": LaneSettings("Block diffusion, no cache", {"cache": "none"}),  # under the attention that the model prefers
    "block": LaneSettings("Block diffusion, block cache", {"cache": "block"}),
    "sub-block": LaneSettings("Block diffusion, sub-block cache", {"cache": "sub_block"}),
    "full": LaneSettings("Full attention, no cache", {"attention": "bidirectional", "cache": "none"}),
    "prefix": LaneSettings("Full attention, PrefixCache", {"attention": "bidirectional", "cache": "prefix"}),
    "dual": LaneSettings("Full attention, DualCache", {"attention": "bidirectional", "cache": "dual"}),
    "d2": LaneSettings("Full attention, d²Cache", {"attention": "bidirectional", "cache": "d2"}),
}
_WITHOUT_THRESHOLD = ("ar", "verified", NO_LANE)
START = (("ar", 0.9), ("verified", 0.9), ("sub-block", 0.9), (NO_LANE, 0.9))


def race_settings(values: Sequence[Any]) -> tuple[dict[str, Settings], int, bool]:
    """Settings by lane, repeats, and whether to show the warm-up live, from the values of `lane_controls`.

    Raises:
        SettingsError: names the value and what is allowed.
    """
    names = ("gen_length", "block_size", "sub_block_size")
    shared = {name: integer(name, value) for name, value in zip(names, values, strict=False)}
    (repeats, live), rest = values[3:5], values[5:]
    check_request(shared)
    found: dict[str, Settings] = {}
    for way, threshold in zip(rest[::2], rest[1::2], strict=True):
        if way == NO_LANE:
            continue
        if not isinstance(way, str) or way not in WAYS:
            raise SettingsError(f"lane is {way!r:.80}; allowed: {', '.join([*WAYS, NO_LANE])}")
        name = way if way in _WITHOUT_THRESHOLD else f"{way}-{number('threshold', threshold):g}"
        if name in found:
            raise SettingsError(f"two lanes are {name}; allowed: ways that differ")
        found[name] = Settings.from_json({**shared, **_request(way, threshold, shared), "record": ["alternatives"]})
    return found, integer("repeats", repeats), bool(live)


def lane_controls() -> list[Any]:
    """Build the controls where the layout stands: the shared ones, then way and threshold of each lane."""
    with gr.Row():
        length = gr.Slider(8, 128, 48, step=1, label="Answer length", info="Most tokens to write.", min_width=200)
        block = gr.Dropdown(
            [8, 16, 32], value=8, label="Block size", info="Applies to all lanes except AR and verified.", min_width=160
        )
        sub = gr.Dropdown([2, 4, 8], value=2, label="Sub-block size", info="Applies to block diffusion.", min_width=160)
        repeats = gr.Slider(1, 9, 3, step=1, label="Repeats", info="How often each lane is timed.", min_width=200)
        live = gr.Checkbox(False, label="Show the warm-up live", info="The warm-up is not timed.", min_width=200)
    built: list[Any] = [length, block, sub, repeats, live]
    with gr.Row():
        for number, (way, threshold) in enumerate(START, 1):
            with gr.Column(min_width=240):
                choices = [(each.title, name) for name, each in WAYS.items()]
                if number > LANE_COUNTS[0]:
                    choices.append(("(none)", NO_LANE))
                picked = gr.Dropdown(choices, value=way, label=f"Lane {number}")
                label, visible = f"Threshold of lane {number}", way not in _WITHOUT_THRESHOLD
                slider = gr.Slider(0.1, 1.0, threshold, step=0.05, label=label, visible=visible)
                picked.change(
                    lambda chosen: gr.Slider(visible=chosen not in _WITHOUT_THRESHOLD), picked, slider,
                    queue=False, show_progress="hidden", api_visibility="private",
                )  # fmt: skip
                built += [picked, slider]
    return built


def _request(way: str, threshold: Any, shared: dict[str, int]) -> dict[str, Any]:
    """The request fields of a lane. Full attention has no sub-blocks smaller than a block."""
    if way == "ar":
        return {**WAYS[way].request, "sub_block_size": None, "unmask": "top_k"}
    request = {"unmask": {"name": "threshold", "threshold": threshold}, **WAYS[way].request}
    full = request.get("attention") == "bidirectional"
    return {**request, "sub_block_size": shared["block_size"]} if full else request
