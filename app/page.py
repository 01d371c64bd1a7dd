"""The page: its layout, and which handler serves which event."""

from typing import Any, NamedTuple

import gradio as gr
from gradio.events import api

from app.address import WELCOME, follower
from app.api import decoder
from app.bench import board, opened, opener
from app.choices import settings_events
from app.controls import Controls, settings_controls
from app.decode import checker, handler, stopper
from app.drift import measurer
from app.engines import Engines
from app.gallery import Gallery
from app.lanes import lane_controls
from app.lessons import LearnTab, judge, learn, live_run
from app.limits import QUEUE
from app.presets import FIRST, PRESETS
from app.questions import answerer
from app.race import racer
from app.runs import Runs
from app.serving import Page
from app.viewer import viewer
from dllm.engine.registry import offered_models

_INTRO = """# Blockscope
Watch a diffusion language model write: it guesses several tokens at once, and checks them.
"""
# what the default model does well, from short to long, with no token near a tie; its card says what it does badly
EXAMPLES = [
    "What is the capital of France?",
    "Repeat after me: The sun is bright.",
    "What is the opposite of hot?",
    "Name three fruits.",
    "Write a Python function that returns the larger of two numbers.",
    "Why is the sky blue?",
]
RACE = """Two to four ways of decoding the same prompt with the same weights, timed in turn, several times each, so
that none slows another. Then all are replayed on one clock, from their recorded times, with what their speed cost the
answer.
"""
# after ParallelBench (arXiv 2510.04767): tokens committed together do not know of each other
DEPENDENT = [
    "Name two different colours.",
    "Pick two different numbers from 1 to 9.",
    "Name a city and the country it is in.",
]
BENCHMARK = """Many prompts instead of one: tokens per second against right answers, for every cache, sub-block size,
threshold and batch size, with confidence intervals. Click a dot to open its trace below.
"""
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# All are handled at once and wait in the device's line, which shows each their place, unlike gradio's own queue
LINE: dict[str, Any] = {"concurrency_limit": QUEUE, "concurrency_id": "line"}
# "multiple", because after Stop gradio still counts the ended run for a moment, and would ignore the next click
RUN: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "multiple", **LINE}
ASKED, REFUSED = (
    f"() => {{ document.dispatchEvent(new CustomEvent('blockscope:{name}')); }}" for name in ("asked", "refused")
)
PRESS = "() => { document.getElementById('decode').click(); }"
# Decode and Race are off while the viewer has a run that has not ended, and only then each Stop is on
BUTTONS = """() => {
  const busy = document.querySelector('#viewer .bs').dataset.busy === 'true';
  return [!busy, busy, !busy, busy].map((interactive) => ({__type__: 'update', interactive}));
}"""


def build(engines: Engines | None = None) -> Page:
    """The app. `engines` loads models: the default one when the page is opened, others when they are asked for."""
    engines, runs = engines or Engines(), Runs()
    recorded = Gallery(runs, engines.device)
    with Page(title="Blockscope", analytics_enabled=False, delete_cache=(3600, 3600)) as demo:
        gr.Markdown(_INTRO, elem_classes="bs-intro")
        with gr.Tabs() as tabs:
            with gr.Tab("Watch", id="watch"):
                watch = _watch(recorded)
            with gr.Tab("Learn"):
                lessons = learn()
            with gr.Tab("Race"):
                race = _race()
            with gr.Tab("Benchmark"):
                gr.Markdown(BENCHMARK, elem_classes="bs-intro")
                chart = board()
        stage = viewer(answerer(runs, engines.device))
        prompt, controls = watch.prompt, watch.controls
        values = [prompt, watch.model, watch.ar, *controls.components]
        runners = [watch.decode.click, prompt.submit]
        # first, because what comes after waits for the run
        gr.on([*runners, race.start.click], None, js=ASKED, queue=False)
        stage.busy(None, None, [watch.decode, watch.stop, race.start, race.stop], js=BUTTONS, queue=False)  # type: ignore[attr-defined]
        check, why = checker(controls)
        # in the queue, because gradio answers a plain call that fails with an error of the server
        checked = gr.on(runners, check, values, None, concurrency_limit=None, **QUIET)
        checked.failure(None, js=REFUSED, queue=False)
        checked.failure(why, values, watch.refused, queue=False, **QUIET)
        checked.success(lambda: "", None, watch.refused, queue=False, **QUIET)
        run = checked.success(handler(engines, controls, runs), values, stage, **RUN, api_name="page_decode")
        raced = race.start.click(
            racer(engines, runs), [race.prompt, watch.model, *race.lanes], stage, **RUN, api_name="page_race"
        )
        api(decoder(engines), api_name="decode", **LINE)
        # who opens the page will decode soon: the default model loads while they read
        demo.load(engines.preload, queue=False, **QUIET)
        measuring = stage.measure(  # type: ignore[attr-defined]
            measurer(engines, runs), None, stage, **LINE, **QUIET
        )
        working = [run, raced, measuring]
        gr.on([watch.stop.click, race.stop.click], stopper(engines), None, stage, cancels=working, queue=False, **QUIET)
        demo.load(
            follower(recorded, runs, controls), None, [stage, prompt, watch.preset, *controls.components], **QUIET
        )
        demo.load(opened, None, chart, **QUIET)
        shown = [
            watch.recorded.input(recorded.show, watch.recorded, [stage, prompt], cancels=working, **QUIET),
            watch.upload.upload(recorded.upload, watch.upload, stage, cancels=working, **QUIET),
            chart.open(opener(runs), None, stage, cancels=working, **QUIET),  # type: ignore[attr-defined]
            lessons.choice.input(
                judge(recorded),
                [lessons.lesson, lessons.choice],
                [lessons.reveal, stage],
                cancels=working,
                **QUIET,
            ),
        ]
        for event in (run, raced, *shown):
            event.failure(None, js=REFUSED, queue=False)
        settings_events(watch.preset, watch.about, watch.model, controls, engines, watch.settings.expand)
        _live(lessons, tabs, watch)

        def leave(request: gr.Request) -> None:
            """A closed tab: end what the visitor runs."""
            engines.halt(request.session_hash)
            runs.leave(request.session_hash)

        demo.unload(leave)
    demo.queue(max_size=QUEUE, api_open=False)
    return demo


class WatchTab(NamedTuple):
    """The components of the first tab."""

    prompt: gr.Textbox
    decode: gr.Button
    stop: gr.Button
    refused: gr.Markdown
    preset: gr.Radio
    about: gr.Markdown
    recorded: gr.Radio
    upload: gr.UploadButton
    model: gr.Dropdown
    ar: gr.Checkbox
    controls: Controls
    settings: gr.Accordion


def _watch(recorded: Gallery) -> WatchTab:
    """Prompt, presets, and what a visitor may open: low, so that the stage below is in view."""
    with gr.Row(elem_classes="bs-go"):
        prompt = gr.Textbox(
            recorded.runs[WELCOME].prompt, label="Prompt", show_label=False, container=False, lines=1, max_lines=6,
            placeholder="Ask something short", scale=1, min_width=220,
        )  # fmt: skip
        decode = gr.Button("Decode", variant="primary", min_width=110, scale=0, elem_id="decode")
        stop = gr.Button("Stop", min_width=80, scale=0, interactive=False)
    refused = gr.Markdown(elem_classes="bs-refused")
    with gr.Row(elem_classes="bs-presets"):
        titles = [(preset.title, name) for name, preset in PRESETS.items()]
        preset = gr.Radio(titles, value=FIRST, label="Preset", show_label=False, container=False, scale=0)
        about = gr.Markdown(PRESETS[FIRST].about, elem_classes="bs-rule")
    with gr.Row(elem_classes="bs-more"):
        with gr.Accordion("Examples", open=False):
            _examples(EXAMPLES, prompt, "Prompts that the default model answers well")
        with gr.Accordion("Recorded runs", open=False):
            picker, upload = _recorded(recorded)
        with gr.Accordion("Settings", open=False) as settings:
            names = [(f"{name}: {card.title}", name) for name, card in offered_models().items()]
            model = gr.Dropdown(names, value=names[0][1], label="Model")
            ar = gr.Checkbox(True, label="Then decode with AR as well")
            controls = settings_controls()
    return WatchTab(prompt, decode, stop, refused, preset, about, picker, upload, model, ar, controls, settings)


class RaceTab(NamedTuple):
    """The components of the tab "Race"."""

    prompt: gr.Textbox
    start: gr.Button
    stop: gr.Button
    lanes: list[gr.Dropdown]


def _race() -> RaceTab:
    """Prompt and lanes of a race."""
    gr.Markdown(RACE, elem_classes="bs-intro")
    with gr.Row(elem_classes="bs-go"):
        prompt = gr.Textbox(EXAMPLES[0], label="Prompt", lines=1, max_lines=6, scale=1, min_width=220)
        start = gr.Button("Race", variant="primary", min_width=120, scale=0)
        stop = gr.Button("Stop", min_width=90, scale=0, interactive=False)
    lanes = lane_controls()
    _examples(DEPENDENT, prompt, "Prompts whose tokens depend on each other: here parallel decoding breaks")
    return RaceTab(prompt, start, stop, lanes)


def _live(lessons: LearnTab, tabs: gr.Tabs, watch: WatchTab) -> None:
    """A lesson's live run: the first tab with its prompt and preset, and Decode is pressed."""
    filled = [tabs, watch.prompt, watch.preset, watch.about, *watch.controls.components]
    asked = lessons.live.click(live_run(watch.controls), lessons.lesson, filled, **QUIET)
    asked.success(None, js=PRESS, queue=False)


def _examples(texts: list[str], prompt: gr.Textbox, label: str) -> None:
    gr.Examples([[text] for text in texts], [prompt], label=label, api_visibility="private")


def _recorded(recorded: Gallery) -> tuple[gr.Radio, gr.UploadButton]:
    """The recorded runs with what each shows, and the button for a visitor's own traces."""
    picker = gr.Radio(
        [(f"{run.title} {run.about}", name) for name, run in recorded.runs.items()],
        value=None,
        label="Played from a file; no model is needed",
        elem_classes="bs-recorded",
    )
    upload = gr.UploadButton("Open a trace…", file_types=[".json", ".gz", ".npz"], file_count="multiple")
    return picker, upload
