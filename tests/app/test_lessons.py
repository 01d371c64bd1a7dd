"""The lessons: whatever they claim about a recorded run is so in its trace."""

import json
import re
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.controls import Controls
from app.device import Device
from app.gallery import FOLDER, Gallery
from app.lessons import LESSONS, judge, live_run
from app.presets import PRESETS
from app.runs import Runs
from dllm.trace import Trace
from dllm.trace.compare import departure

ME: Any = SimpleNamespace(session_hash="me")
NUMBERS = range(len(LESSONS))


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return Gallery(Runs(), Device())


def trace(name: str) -> Trace:
    return Trace.load(FOLDER / f"{name}.json.gz")


def kept(trace: Trace, step: int) -> list[str]:
    """The tokens that a step, from 1, committed, as text."""
    return [trace.text([trace.output[p - len(trace.prompt)]]) for p in sorted(trace.steps[step - 1].committed)]


def computed(name: str) -> list[int]:
    return [sum(end - start for start, end in step.queries) for step in trace(name).steps]


def seconds(name: str) -> float:
    return sum(step.seconds for step in trace(name).steps)


def right(number: int) -> str:
    return LESSONS[number].choices[LESSONS[number].answer]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_prediction_opens_the_run_that_decides_it(gallery: Gallery, number: int) -> None:
    lesson = LESSONS[number]
    for choice in range(len(lesson.choices)):
        words, text = judge(gallery)(number, choice, ME)
        message = json.loads(text)
        assert words.startswith("**Yes.**" if choice == lesson.answer else "**Not so.**")
        assert message["note"] == words.replace("**", "")
        assert message["link"] == f"trace={lesson.run}"
        assert message.get("at") == (None if lesson.step is None else lesson.step - 1)
        assert all(len(lane["frames"]) >= (lesson.step or 1) for lane in message["lanes"][:1])


@pytest.mark.parametrize("number", NUMBERS)
def test_its_live_run_has_a_preset_and_settings(controls: Controls, number: int) -> None:
    lesson = LESSONS[number]
    if lesson.preset is None:
        with pytest.raises(gr.Error, match=f"Lesson {number + 1} has no live run"):
            live_run(controls)(number)
        return
    _, prompt, preset, about, *values = live_run(controls)(number)
    assert (prompt, preset, about) == (gallery_prompt(lesson.run), lesson.preset, PRESETS[lesson.preset].about)
    assert values == controls.values(PRESETS[lesson.preset].request)


def gallery_prompt(run: str) -> str:
    return json.loads((FOLDER / "gallery.json").read_text())[run]["prompt"]


def test_bad_numbers_are_refused(gallery: Gallery) -> None:
    with pytest.raises(gr.Error, match=re.escape("esson is 9; allowed: 0 to 7")):
        judge(gallery)(9, 0, ME)
    with pytest.raises(gr.Error, match=re.escape("hoice is 3; allowed: 0 to 2")):
        judge(gallery)(0, 3, ME)


def test_of_a_mask_the_surer_guess_is_kept_first() -> None:
    run = trace("fact-sub-block")
    first, second = run.steps[0].confidence
    assert (round(first, 2), round(second, 3)) == (0.86, 0.997)
    assert (kept(run, 1), kept(run, 2)) == ([" capital"], ["The"])
    assert right(0) == "A mask, then “capital”"


def test_larger_blocks_took_fewer_passes() -> None:
    names = ("fact-ar", "fact-sub-block", "fact-d2")
    assert [trace(name).settings["block_size"] for name in names] == [1, 8, 24]
    assert len({tuple(trace(name).output) for name in names}) == 1
    assert len(trace("fact-ar").output) == 8
    assert [len(trace(name).steps) for name in names] == [8, 5, 3]
    assert right(1) == "3 passes"


def test_two_sure_guesses_of_one_pass_clashed() -> None:
    run = trace("sky-full-none")
    assert kept(run, 3) == [" because", " because"]
    sure = dict(zip(run.steps[2].positions, run.steps[2].confidence, strict=True))
    assert [round(sure[p], 2) for p in sorted(run.steps[2].committed)] == [1.0, 0.97]
    assert run.text(run.output[:4]) == "The sky is blue"
    assert right(2) == "“because because”"


def test_verified_decoding_took_ars_words_in_fewer_passes() -> None:
    verified, ar = trace("code-verified"), trace("code-ar")
    assert verified.output == ar.output
    assert (len(verified.steps), len(ar.steps)) == (8, 21)
    assert accepted(verified) > 0.5
    assert right(3) == "AR's token"


def accepted(run: Trace) -> float:
    """Share of tested drafts that were kept: a pass writes one token of AR's beside them."""
    steps = [step for step in run.steps if step.tested]
    return sum(len(step.committed) - 1 for step in steps) / sum(len(step.tested or ()) for step in steps)


def test_no_cache_of_full_attention_kept_the_words() -> None:
    whole = trace("sky-full-none").output
    for name in ("sky-prefix", "sky-dual", "sky-d2"):
        assert (departure(trace(name).output, whole) or 0) < len(whole) - 1
    names = ("sky-full-none", "sky-prefix", "sky-dual", "sky-d2")
    assert [sorted(computed(name))[len(computed(name)) // 2] for name in names] == [84, 48, 32, 17]
    assert trace("sky-block").output == trace("sky-none").output  # exact, under hybrid attention
    assert right(4) == "None of them"


def test_d2cache_computed_a_fifth() -> None:
    first, *others = computed("sky-d2")
    assert first == 84
    assert 0.18 < sum(others) / len(others) / 84 < 0.22
    assert right(5) == "17"


def test_ar_was_first_though_it_took_more_passes() -> None:
    ar, verified = trace("sky-ar"), trace("sky-verified")
    assert (len(ar.steps), len(verified.steps)) == (48, 35)
    assert (round(seconds("sky-ar"), 1), round(seconds("sky-verified"), 1)) == (2.6, 3.9)
    assert accepted(verified) == pytest.approx(0.25)
    a_pass = [seconds(name) / len(trace(name).steps) for name in ("sky-ar", "sky-verified")]
    assert 1.8 < a_pass[1] / a_pass[0] < 2.3
    assert right(6) == "AR"


def test_the_race_was_run_once() -> None:
    assert [round(seconds(name), 1) for name in ("sky-sub-block", "sky-block")] == [3.2, 4.1]
    assert not any(trace(name).timing.laps for name in ("sky-sub-block", "sky-block"))
    assert trace("sky-sub-block").output == trace("sky-block").output  # so neither is more exact
    assert right(7) == "It was faster this once"
