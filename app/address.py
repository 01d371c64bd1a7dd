"""The page's address: which run it opens with, and what stands in the prompt and the settings."""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from app.controls import Controls
from app.gallery import Gallery
from app.limits import check_prompt
from app.presets import preset_named
from app.refusals import refusals
from app.runs import Runs
from dllm.settings import SettingsError

WELCOME = "verified"  # the recorded run that the page opens with


def follower(recorded: Gallery, runs: Runs, controls: Controls) -> Callable[[gr.Request], list[Any]]:
    """The handler of an opened page: `?trace=NAME`, `?run=ID` (both with `&step=N`, from 1), `?prompt=…&preset=…`.

    It gives the stage's message, the prompt, the preset, and the values of the controls.
    """

    def follow(request: gr.Request) -> list[Any]:
        """Bad values are refused in a sentence."""
        asked = dict(request.query_params)
        with refusals():
            message, prompt = _run(asked, request)
            settings = [gr.skip() for _ in controls.components]
            preset: Any = gr.skip()
            if "prompt" in asked:
                prompt = check_prompt(asked["prompt"])
            if "preset" in asked:
                preset = asked["preset"]
                settings = controls.values(preset_named(preset).request)
            return [message, prompt, preset, *settings]

    def _run(asked: Mapping[str, str], request: gr.Request) -> tuple[str, Any]:
        at = _step(asked.get("step", ""))
        if "trace" in asked:
            return recorded.show(asked["trace"], request, at=at)
        if "run" in asked:
            replay = runs.get(asked["run"]).replay()
            return replay.message(asked["run"], at=at), gr.skip()
        message, _ = recorded.show(WELCOME, request, welcome=True)
        return message, gr.skip()  # its prompt stands there already: the visitor may have typed meanwhile

    return follow


def _step(text: str) -> int | None:
    """A step of an address, from 0.

    Raises:
        SettingsError: it is not a whole number from 1.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise SettingsError(f"step is {text!r:.80}; allowed: a whole number from 1")
    return int(text[:9]) - 1
