"""What an address opens the page with."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.address import WELCOME, follower
from app.controls import Controls
from app.device import Device
from app.gallery import Gallery
from app.presets import PRESETS
from app.runs import Runs, Saved
from tests.visualize.runs import recorded


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return Gallery(Runs(), Device())


def opened(gallery: Gallery, controls: Controls, **query: str) -> tuple[dict[str, Any], Any, Any, list[Any]]:
    request: Any = SimpleNamespace(session_hash="me", query_params=query)
    message, prompt, preset, *values = follower(gallery, gallery.kept, controls)(request)
    return json.loads(message), prompt, preset, values


def test_the_page_opens_with_a_recorded_run_and_leaves_the_rest_alone(gallery: Gallery, controls: Controls) -> None:
    message, prompt, preset, values = opened(gallery, controls)
    assert message["welcome"] is message["done"] is True
    assert "link" not in message  # the address stays as it is
    assert [prompt, preset, *values] == [gr.skip()] * (2 + len(controls.components))
    assert WELCOME in gallery.runs


def test_a_link_names_a_run_and_a_step(gallery: Gallery, controls: Controls) -> None:
    message, prompt, _, _ = opened(gallery, controls, trace="fact", step="3")
    assert (message["link"], message["at"]) == ("trace=fact", 2)
    assert prompt == gallery.runs["fact"].prompt
    assert "at" not in opened(gallery, controls, trace="fact")[0]


def test_a_run_that_is_kept_can_be_opened_by_its_link(gallery: Gallery, controls: Controls) -> None:
    run = gallery.kept.open(Saved(recorded()), "another")
    gallery.kept.leave("another")  # its tab was closed
    message, prompt, _, _ = opened(gallery, controls, run=run, step="1")
    assert (message["run"], message["at"], prompt) == (run, 0, gr.skip())


def test_a_prompt_and_a_preset_can_be_given(gallery: Gallery, controls: Controls) -> None:
    message, prompt, preset, values = opened(gallery, controls, prompt="Hi?", preset="too-fast")
    assert (prompt, preset) == ("Hi?", "too-fast")
    assert values == controls.values(PRESETS["too-fast"].request)
    assert message["welcome"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"trace": "<b>"}, "Trace is &#x27;&lt;b&gt;&#x27;; allowed: verified, fact"),
        ({"trace": "../gallery"}, "Trace is &#x27;../gallery&#x27;; allowed: verified, fact"),
        ({"trace": "fact", "step": "0"}, "Step is &#x27;0&#x27;; allowed: a whole number from 1"),
        ({"trace": "fact", "step": "-1"}, "Step is &#x27;-1&#x27;"),
        ({"trace": "fact", "step": "²"}, "Step is &#x27;²&#x27;"),
        ({"run": "x"}, "no longer kept on the server"),
        ({"prompt": " "}, "The prompt is empty"),
        ({"preset": "quick"}, "Preset is &#x27;quick&#x27;; allowed: verified, safe"),
    ],
)
def test_a_link_that_leads_nowhere_is_refused(
    gallery: Gallery, controls: Controls, query: Mapping[str, str], message: str
) -> None:
    with pytest.raises(gr.Error, match=message):
        opened(gallery, controls, **query)
