"""The handler behind Decode: a generator of viewer messages, one per forward pass."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from html import escape
from time import monotonic
from typing import Any
from uuid import uuid4

import gradio as gr

from app.controls import Controls
from app.engines import Engines, LoadError
from app.limits import JUDGING, SECONDS, check_prompt, check_request, check_tokens
from app.live import Live
from app.shelf import Shelf, new_folder
from dllm.engine import MODELS
from dllm.judge import Judge, item_of
from dllm.settings import RECORDS, Choice, Settings, SettingsError
from dllm.trace import Trace
from visualize.facts import facts as words
from visualize.stage import Stage, stopped

Handler = Callable[..., Iterator[str]]
WORD = 0.5  # seconds between two words about what is being waited for


def handler(engines: Engines, controls: Controls, shelf: Shelf) -> Handler:
    """The Decode handler of a page with these controls. Runs are kept on the shelf, for the inspector."""

    def decode(
        prompt: str, model: str, autoregressive: bool, request: gr.Request | None, *values: Any
    ) -> Iterator[str]:
        """Decode a prompt; yields JSON messages of schema blockscope.view/1, the last one holds the whole run."""
        live = Live(new_folder())
        run = shelf.open(live.replay, request.session_hash if request else None, folder=live.folder)
        stage = Stage(run, ["diffusion", "ar"] if autoregressive else ["diffusion"])
        try:
            yield stage.note("Preparing…")
            settings = _settings(controls, values)
            text = check_prompt(prompt)
            for word in engines.loading(model):
                yield stage.note(word)
            with ExitStack() as stack:
                for word in engines.waiting(stack):
                    yield stage.note(word)
                yield from engines.drive(play(stage, engines.get(model), text, settings, live))
        except (SettingsError, LoadError) as error:
            yield stage.finish("Not decoded.")
            raise gr.Error(escape(str(error)), print_exception=False) from error
        except Exception:
            yield stage.finish("Something went wrong; the server's log says what.")
            raise

    return decode


def play(
    stage: Stage, engine: Any, text: str, settings: Settings, live: Live | None = None
) -> Generator[str, None, None]:
    """Both lanes one after another, so that neither slows the other, then the whole run."""
    live = live or Live()
    runs = {"diffusion": engine.run(text, settings)}
    if "ar" in stage.planned:
        runs["ar"] = engine.run(text, autoregressive(settings))
    check_tokens(len(runs["diffusion"].prompt))
    stage.facts = facts(engine.describe(), lanes=len(runs), seed=settings.seed)
    stage.piece = runs["diffusion"].piece
    late = ""
    for name, run in runs.items():
        live.begin(name, run)
        yield stage.open(name, run.prompt, run.settings.as_json())
        yield from follow(stage, name, run, engine.steps(run), live)
        trace = run.trace()
        late = late or (f"Stopped at the time limit, {SECONDS:.0f} s." if trace.stop_reason == "cancelled" else "")
        live.end(name, trace)
        yield stage.close(name, trace)
    stage.facts = facts(_about(engine, stage), lanes=len(runs), seed=settings.seed)
    alone = all(trace.environment.rows == 1 for trace in stage.traces.values())
    if len(runs) > 1 and alone and not late and not stage.observed:  # the verdict says what speed cost
        judge = Judge(engine, item=item_of(text))
        judged = yield from checked(stage, judge, stage.traces["diffusion"], "diffusion")
        for name, trace in (("diffusion", judged), ("ar", judge.judged(stage.traces["ar"]))):
            live.end(name, trace)
            yield stage.close(name, trace)
    yield stage.finish(late)


def checked(stage: Stage, judge: Judge, trace: Trace, name: str) -> Generator[str, None, Trace]:
    """Hold an answer against the exact decoders; returns its trace with what was found in time."""
    deadline, spoke = monotonic() + JUDGING, 0.0
    for _ in judge.judge(trace):
        if monotonic() > deadline:
            break
        if monotonic() - spoke > WORD:
            spoke = monotonic()
            yield stage.note(f"{stage.title(name)}: holding the answer against the exact decoders…")
    return judge.judged(trace)


def follow(stage: Stage, name: str, run: Any, steps: Generator[Any, None, None], live: Live) -> Iterator[str]:
    """One message per step. The run is freed when this generator is closed, wherever it stands."""
    deadline = monotonic() + SECONDS
    with ExitStack() as stack:
        stack.callback(steps.close)
        maps = live.observer(name, stack) if "attention" in run.settings.record else None
        for step in steps:
            if maps:
                maps.add(step.index, step.readout.attention)
            yield stage.step(name, run.records[-1])
            if monotonic() > deadline:
                return


def _about(engine: Any, stage: Stage) -> dict[str, Any]:
    """The model and the machine, and how many runs shared a pass at most."""
    return {**engine.describe(), "rows": max(trace.environment.rows for trace in stage.traces.values())}


def autoregressive(settings: Settings) -> Settings:
    """The same request decoded one token at a time."""
    return replace(
        settings, block_size=1, sub_block_size=None, cache=None, attention=None, unmask=Choice("top_k")
    )  # fmt: skip


def stop() -> str:
    """What Stop tells the viewer; cancelling the run is the event's business."""
    return stopped(uuid4().hex[:12])


def facts(about: dict[str, Any], *, lanes: int, seed: int) -> str:
    """Where the numbers come from, in one line."""
    card = MODELS.get(about["id"])
    order = " The lanes were measured one after another." if lanes > 1 else ""
    return f"{words(about, title=card.title if card else None, seed=seed)}{order}{' ' + card.about if card else ''}"


def _settings(controls: Controls, values: Sequence[Any]) -> Settings:
    request = controls.request(values)
    check_request(request)
    wanted = {"alternatives", *request.pop("record", ())}
    if (request.get("cache") or {}) and request["cache"]["name"] == "d2":
        wanted.add("rollout")  # it is computed anyway
    return Settings.from_json({**request, "record": [name for name in RECORDS if name in wanted]})
