"""The page as a whole, its look, and how it is served."""

import os
from typing import Any

import gradio as gr
from gradio import themes

from app.bench import board, opener
from app.controls import settings_controls
from app.decode import handler, stopper
from app.engines import Engines
from app.gallery import Gallery
from app.lanes import grid
from app.limits import TOGETHER
from app.measure import measurer
from app.race import racer
from app.shelf import Shelf
from app.viewer import viewer
from dllm.cards import offered

THEME = themes.Default(
    primary_hue="indigo",
    neutral_hue="slate",
    font=(
        themes.LocalFont("IBM Plex Sans", weights=(400, 700)),
        "system-ui",
        "sans-serif",
    ),  # comes with gradio, nothing is fetched; 600 is a subset without digits
).set(
    body_text_color_subdued="*neutral_500",  # the default grey is too faint to read
    body_text_color_subdued_dark="*neutral_400",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_500",
)
CSS = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
.gradio-container .bs-intro p { max-width: 92ch; }
.gradio-container .bs-go { align-items: center; flex-wrap: wrap; }
.gradio-container .bs-go > :last-child:not(button) { flex: 1 1 240px; }
#viewer .html-container { padding: 4px 0; }
.bs-rule p { font-size: 13px; color: var(--body-text-color-subdued); }
"""
INTRO = """# Blockscope

Watch a diffusion language model write. Masks guess several tokens ahead at once; the next step tests the guesses
against the model's own answer, keeps what that confirms and strikes out the rest. Beside it the same model writes one
token at a time. The settings also have block diffusion, which keeps every guess it is sure of, untested.
"""
# what the default model does well, from short to long, no word of it near a tie; its card says what it does badly
EXAMPLES = [
    "What is the capital of France?",
    "Repeat after me: The sun is bright.",
    "What is the opposite of hot?",
    "Name three fruits.",
    "Write a Python function that returns the larger of two numbers.",
    "Why is the sky blue?",
]
RACE = """Two to four ways of decoding the same prompt with the same weights, timed one after another, lap by lap, so
that none slows another. Then all run again on one clock, from their own recorded times, beside what their speed cost
the answer.
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
ASKED = "() => document.dispatchEvent(new CustomEvent('blockscope:asked'))"
REFUSED = "() => document.dispatchEvent(new CustomEvent('blockscope:refused'))"


def build(engines: Engines | None = None) -> gr.Blocks:
    """The app. `engines` loads models: the default one when the page is opened, others when they are asked for."""
    engines, shelf = engines or Engines(), Shelf()
    recorded = Gallery(shelf)
    with gr.Blocks(title="Blockscope", analytics_enabled=False, delete_cache=(3600, 3600)) as demo:
        gr.Markdown(INTRO, elem_classes="bs-intro")
        prompt = gr.Textbox(EXAMPLES[0], label="Prompt", lines=1, max_lines=6, placeholder="Ask something short")
        with gr.Tabs():
            with gr.Tab("Decode"):
                with gr.Row(elem_classes="bs-go"):
                    decode = gr.Button("Decode", variant="primary", min_width=120, scale=0)
                    halt = gr.Button("Stop", min_width=90, scale=0)
                    ar = gr.Checkbox(True, label="Then decode with AR as well", container=False, min_width=240)
                _examples(EXAMPLES, prompt, "Examples")
                picker, upload = _recorded(recorded)
                with gr.Accordion("Model and decoder settings", open=False):
                    names = [(f"{name}: {card.title}", name) for name, card in offered().items()]
                    model = gr.Dropdown(names, value=names[0][1], label="Model")
                    controls = settings_controls()
            with gr.Tab("Race"):
                gr.Markdown(RACE, elem_classes="bs-intro")
                with gr.Row(elem_classes="bs-go"):
                    start = gr.Button("Race", variant="primary", min_width=120, scale=0)
                    leave = gr.Button("Stop", min_width=90, scale=0)
                lanes = grid()
                _examples(DEPENDENT, prompt, "Prompts whose tokens depend on each other: here parallel decoding breaks")
            with gr.Tab("Benchmark"):
                gr.Markdown(BENCHMARK, elem_classes="bs-intro")
                chart = board()
        stage = viewer(shelf.ask, elem_id="viewer")
        asked = [decode.click, prompt.submit]
        gr.on(asked, None, None, None, js=ASKED, queue=False)
        run = gr.on(
            asked,
            handler(engines, controls, shelf),
            [prompt, model, ar, *controls.components],
            stage,
            show_progress="hidden",
            concurrency_limit=TOGETHER,
            concurrency_id="decode",
            trigger_mode="once",
            api_name="decode",
        )
        start.click(None, None, None, js=ASKED, queue=False)
        race = start.click(
            racer(engines, shelf),
            [prompt, model, *lanes.components],
            stage,
            show_progress="hidden",
            concurrency_limit=1,
            concurrency_id="device",
            trigger_mode="once",
            api_name="race",
        )
        for asking in (run, race):
            asking.failure(None, None, None, js=REFUSED, queue=False)
        # Whoever opens the page will decode soon: the default model loads while they read
        demo.load(engines.preload, queue=False, **QUIET)
        measuring = stage.measure(  # type: ignore[attr-defined]
            measurer(engines, shelf), None, stage, concurrency_id="device", **QUIET
        )
        working = [run, race, measuring]
        gr.on([halt.click, leave.click], stopper(engines), None, stage, cancels=working, queue=False, **QUIET)
        demo.load(recorded.follow, None, [stage, prompt, picker], **QUIET)
        picker.input(recorded.show, picker, [stage, prompt], cancels=working, **QUIET)
        upload.upload(recorded.upload, upload, stage, cancels=working, **QUIET)
        chart.open(opener(shelf), None, stage, cancels=working, **QUIET)  # type: ignore[attr-defined]
        demo.unload(shelf.leave)
    return demo.queue(max_size=16, api_open=False)


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


def launch_kwargs() -> dict[str, Any]:
    """How the page is served, here and in tests."""
    return {
        "theme": THEME,
        "css": CSS,
        "run_history": False,
        "footer_links": ["api"],
        "enable_monitoring": False,
        "state_session_capacity": 200,
        "max_file_size": "32mb",
        "ssr_mode": False,
        "server_name": os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        "server_port": int(os.environ.get("GRADIO_SERVER_PORT") or os.environ.get("PORT") or 7860),
    }
