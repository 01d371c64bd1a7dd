"""The page: its layout, and which handler serves which event."""

from typing import Any

import gradio as gr

from app.bench import board, opened, opener
from app.controls import settings_controls
from app.decode import handler, stopper
from app.drift import measurer
from app.engines import Engines
from app.gallery import Gallery
from app.lanes import lane_controls
from app.limits import QUEUE
from app.questions import answerer
from app.race import racer
from app.runs import Runs
from app.serving import Page
from app.viewer import viewer
from dllm.engine.registry import offered_models

_INTRO = """# Blockscope

Watch a diffusion language model write. Masks guess several tokens ahead at once; the next step tests the guesses
against the model's own answer, keeps those that it confirms and strikes out the rest. Next to it the same model writes
one token at a time. The settings also offer block diffusion, which keeps every confident guess without a test.
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
        prompt = gr.Textbox(EXAMPLES[0], label="Prompt", lines=1, max_lines=6, placeholder="Ask something short")
        with gr.Tabs():
            with gr.Tab("Single run"):
                with gr.Row(elem_classes="bs-go"):
                    decode = gr.Button("Decode", variant="primary", min_width=120, scale=0)
                    halt = gr.Button("Stop", min_width=90, scale=0, interactive=False)
                    ar = gr.Checkbox(True, label="Then decode with AR as well", container=False, min_width=240)
                _examples(EXAMPLES, prompt, "Examples")
                picker, upload = _recorded(recorded)
                with gr.Accordion("Model and decoder settings", open=False):
                    names = [(f"{name}: {card.title}", name) for name, card in offered_models().items()]
                    model = gr.Dropdown(names, value=names[0][1], label="Model")
                    controls = settings_controls()
            with gr.Tab("Race"):
                gr.Markdown(RACE, elem_classes="bs-intro")
                with gr.Row(elem_classes="bs-go"):
                    start = gr.Button("Race", variant="primary", min_width=120, scale=0)
                    stop = gr.Button("Stop", min_width=90, scale=0, interactive=False)
                lanes = lane_controls()
                _examples(DEPENDENT, prompt, "Prompts whose tokens depend on each other: here parallel decoding breaks")
            with gr.Tab("Benchmark"):
                gr.Markdown(BENCHMARK, elem_classes="bs-intro")
                chart = board()
        stage = viewer(answerer(runs, engines.device))
        asked = [decode.click, prompt.submit]
        # first, because what comes after waits for the run
        gr.on([*asked, start.click], None, js=ASKED, queue=False)
        stage.busy(None, None, [decode, halt, start, stop], js=BUTTONS, queue=False)  # type: ignore[attr-defined]
        values = [prompt, model, ar, *controls.components]
        run = gr.on(asked, handler(engines, controls, runs), values, stage, **RUN, api_name="decode")
        race = start.click(racer(engines, runs), [prompt, model, *lanes], stage, **RUN, api_name="race")
        # who opens the page will decode soon: the default model loads while they read
        demo.load(engines.preload, queue=False, **QUIET)
        measuring = stage.measure(  # type: ignore[attr-defined]
            measurer(engines, runs), None, stage, **LINE, **QUIET
        )
        working = [run, race, measuring]
        gr.on([halt.click, stop.click], stopper(engines), None, stage, cancels=working, queue=False, **QUIET)
        demo.load(recorded.follow, None, [stage, prompt, picker], **QUIET)
        demo.load(opened, None, chart, **QUIET)
        shown = [
            picker.input(recorded.show, picker, [stage, prompt], cancels=working, **QUIET),
            upload.upload(recorded.upload, upload, stage, cancels=working, **QUIET),
            chart.open(opener(runs), None, stage, cancels=working, **QUIET),  # type: ignore[attr-defined]
        ]
        for event in (run, race, *shown):
            event.failure(None, js=REFUSED, queue=False)

        def leave(request: gr.Request) -> None:
            """A closed tab: end what the visitor runs, and free what they have decoded."""
            engines.halt(request.session_hash)
            runs.leave(request.session_hash)

        demo.unload(leave)
    demo.queue(max_size=QUEUE, api_open=False)
    return demo


def _examples(texts: list[str], prompt: gr.Textbox, label: str) -> None:
    gr.Examples([[text] for text in texts], [prompt], label=label, api_visibility="private")


def _recorded(recorded: Gallery) -> tuple[gr.Dropdown, gr.UploadButton]:
    """The choice of recorded runs, and the button for a visitor's own traces."""
    with gr.Row(equal_height=False):
        picker = gr.Dropdown(
            [(run.title, name) for name, run in recorded.runs.items()],
            value=None,
            label="Recorded runs",
            info="Played from a file; no model is needed.",
            scale=5,
            min_width=280,
        )
        upload = gr.UploadButton(
            "Open a trace…", file_types=[".json", ".gz", ".npz"], file_count="multiple", scale=1, min_width=240
        )
    return picker, upload
