"""The tab "Learn": eight lessons. Each asks for a prediction, then shows the recorded run that decides it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app.controls import Controls
from app.gallery import Gallery
from app.presets import preset_named
from app.refusals import refusal

_FILE = Path(__file__).resolve().parent.parent / "assets/lessons.json"
_PREDICT = "Predict first: the answer opens below."


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson: what to know, a question with its choices, and what shows the answer.

    answer: index of the right choice. run: of the gallery, opened at `step` (from 1; None: at its end, and a race is
    played). preset, prompt: what "Try it live" decodes; None where nothing of one run would show it.
    """

    title: str
    text: str
    question: str
    choices: list[str]
    answer: int
    reveal: str
    run: str
    step: int | None
    preset: str | None
    prompt: str | None


LESSONS = [Lesson(**entry) for entry in json.loads(_FILE.read_text())]


class LearnTab(NamedTuple):
    """The components of the tab that other parts of the page listen to."""

    lesson: gr.Radio
    choice: gr.Radio
    reveal: gr.Markdown
    live: gr.Button


def learn() -> LearnTab:
    """Lay the tab out, with the first lesson open."""
    first = LESSONS[0]
    titles = [(f"{n + 1}. {lesson.title}", n) for n, lesson in enumerate(LESSONS)]
    lesson = gr.Radio(titles, value=0, label="Lesson", show_label=False, container=False, elem_classes="bs-presets")
    text = gr.Markdown(first.text, elem_classes="bs-intro")
    choice = gr.Radio(_choices(first), value=None, label=first.question, elem_classes="bs-question")
    reveal = gr.Markdown(_PREDICT, elem_classes="bs-reveal")
    live = gr.Button("Try it live", size="sm", scale=0, visible=first.preset is not None, min_width=140)

    def opened(number: int) -> list[Any]:
        chosen = _lesson(number)
        question = gr.Radio(_choices(chosen), value=None, label=chosen.question)
        shown = gr.Button(visible=chosen.preset is not None)
        return [chosen.text, question, _PREDICT, shown]

    parts = [text, choice, reveal, live]
    lesson.input(opened, lesson, parts, queue=False, show_progress="hidden", api_visibility="private")
    return LearnTab(lesson, choice, reveal, live)


def judge(recorded: Gallery) -> Callable[..., tuple[str, str]]:
    """Handler: what a prediction was worth, in words, and the run that shows it, as a message to the viewer.

    The words stand over the lanes, too: on a phone the tab is out of view there, and a screen reader speaks them.
    """

    def judged(number: int, choice: int, request: gr.Request) -> tuple[str, str]:
        lesson = _lesson(number)
        if choice not in range(len(lesson.choices)):
            raise refusal(f"choice is {choice!r:.80}; allowed: 0 to {len(lesson.choices) - 1}")
        word = "Yes." if choice == lesson.answer else "Not so."
        at = None if lesson.step is None else lesson.step - 1
        message, _ = recorded.show(lesson.run, request, f"{word} {lesson.reveal}", at=at)
        return f"**{word}** {lesson.reveal}", message

    return judged


def live_run(controls: Controls) -> Callable[[int], list[Any]]:
    """Handler: the first tab, and a lesson's prompt, preset and settings in it."""

    def filled(number: int) -> list[Any]:
        lesson = _lesson(number)
        if lesson.preset is None:
            raise refusal(f"lesson {number + 1} has no live run")
        preset = preset_named(lesson.preset)
        settings = controls.values(preset.request)
        return [gr.Tabs(selected="watch"), lesson.prompt, lesson.preset, preset.about, *settings]

    return filled


def _choices(lesson: Lesson) -> list[tuple[str, int]]:
    return [(text, n) for n, text in enumerate(lesson.choices)]


def _lesson(number: int) -> Lesson:
    if number not in range(len(LESSONS)):
        raise refusal(f"lesson is {number!r:.80}; allowed: 0 to {len(LESSONS) - 1}")
    return LESSONS[number]
