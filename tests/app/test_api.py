"""The endpoint `/decode`, as a program calls it."""

import json
import re
from typing import Any

import gradio as gr
import pytest

from app.api import decoder
from app.engines import Engines
from app.presets import PRESETS
from dllm.trace import Trace


def test_the_answer_comes_with_its_whole_trace(engines: Engines) -> None:
    found = decoder(engines)("What is the capital of France?", "fast", {"gen_length": 16})
    trace = Trace.from_json(json.dumps(found["trace"]))
    assert found["answer"] == trace.text(i for i in trace.output if i not in trace.settings["stop_ids"])
    assert "Paris" in found["answer"]
    assert (trace.settings["gen_length"], trace.settings["unmask"]["threshold"]) == (16, 0.9)
    assert trace.stop_reason in ("eos", "length")


def test_verified_decoding_is_what_a_program_gets_unasked(engines: Engines) -> None:
    found = decoder(engines)("Name three fruits.", settings={"gen_length": 8})
    assert found["trace"]["settings"]["unmask"]["name"] == "verify"
    assert not engines.visits  # the device is free again


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt": " "}, "The prompt is empty"),
        ({"preset": "quick"}, f"Preset is 'quick'; allowed: {', '.join(PRESETS)}"),
        ({"settings": {"gen_length": 1000}}, "Answer length is 1000; allowed on this page: up to 256"),
        ({"settings": {"record": ["attention"]}}, "Record holds 'attention'; allowed here: alternatives, rollout"),
        ({"settings": {"record": 5}}, "Record is 5; allowed: a list of alternatives, rollout, attention"),
        ({"settings": []}, "Settings is []; allowed: an object of settings"),
        ({"settings": [1]}, "Settings is [1]; allowed: an object of settings"),
        ({"settings": {"blocks": 3}}, "Unknown field 'blocks'"),
        ({"model": "gpt"}, "gpt"),
    ],
)
def test_a_bad_request_is_refused_in_a_sentence(engines: Engines, given: dict[str, Any], message: str) -> None:
    with pytest.raises(gr.Error, match=re.escape(message).replace("'", "(&#x27;|')")):
        decoder(engines)(**{"prompt": "Hi", **given})
