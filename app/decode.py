"""The handler behind Decode: a generator of viewer messages, as the network goes on in its own thread."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from html import escape
from time import monotonic
from typing import Any
from uuid import uuid4

import gradio as gr

from app.controls import Controls
from app.engines import Engines, check_model
from app.events import Event, Passed, Quiet, bundled, note
from app.folders import new_folder
from app.limits import COMPARING, SECONDS, check_prompt, check_request, check_tokens
from app.live import Live
from app.refusals import page_words, refusals
from app.runs import Runs, session_of
from dllm.bench.references import References, autoregressive, item_of
from dllm.engine import Engine
from dllm.engine.registry import MODELS
from dllm.engine.run import Run
from dllm.settings import RECORDS, Settings, SettingsError
from dllm.trace import Trace
from visualize.facts import provenance
from visualize.lane import Title
from visualize.stage import Stage, slowed, stopped, waiting

# the lanes of a run, what is written over them where that is known beforehand, and what happens
Prepared = tuple[Mapping[str, Run], Mapping[str, Title] | None, Callable[[Live], Generator[Event, None, None]]]
NOTE_EVERY = 0.5  # seconds between two sentences about what goes on
_SPLIT = "\u200b"  # what the tokenizer puts into a special token that was typed, so that it is read as text
TYPED = " The prompt names a special token of the model; it was read as plain text, with an invisible space in it."
FAULT = "Something went wrong; the server's log says what."


def handler(engines: Engines, controls: Controls, runs: Runs) -> Callable[..., Iterator[str]]:
    """The Decode handler of a page with these controls. Its runs are kept for the inspector."""

    def decode(
        prompt: str, model: str, autoregressive: bool, request: gr.Request | None, *values: Any
    ) -> Iterator[str]:
        """Decode a prompt; yields JSON messages of schema blockscope.view/1, the last one holds the whole run."""
        with refusals():
            text, settings = check_prompt(prompt), _settings(controls, values)

            def prepare(engine: Engine) -> Prepared:
                lanes = _lanes(engine, text, settings, ar=autoregressive)
                return lanes, None, partial(decode_events, engine, text, lanes)

            yield from play(engines, runs, request, model=model, text=text, prepare=prepare)

    return decode


def play(
    engines: Engines, runs: Runs, request: gr.Request | None, *,
    model: str, text: str, prepare: Callable[[Engine], Prepared], alone: bool = False,
) -> Iterator[str]:  # fmt: skip
    """Wait for the device and the model, then keep a run and yield its messages.

    What is on show stays until everything was checked: a refusal costs the visitor nothing.

    Raises:
        SettingsError: no such model, or what `prepare` or the length of the prompt is refused for.
        LoadError: the model could not be loaded.
    """
    check_model(model)
    with engines.visit(session_of(request), alone=alone) as visit:
        yield from map(waiting, visit.ready(model))
        if visit.engine is None:
            return
        lanes, titles, events = prepare(visit.engine)
        check_tokens(len(next(iter(lanes.values())).prompt))
        live = Live(new_folder())
        run = runs.open(live, session_of(request), folder=live.folder)
        stage = stage_of(visit.engine, text, lanes, run, titles)
        yield from messages(stage, visit.drive(events(live)))


def stage_of(
    engine: Engine, text: str, lanes: Mapping[str, Run], run: str, titles: Mapping[str, Title] | None = None
) -> Stage:
    """The stage of a run of these lanes, kept as `run`."""
    first = next(iter(lanes.values()))
    stage = Stage(run, list(lanes), first.piece, titles, first.fragment)
    stage.facts = _facts(engine, text, lanes)
    stage.link, stage.shift = f"run={run}", first.canvas.shift
    return stage


def messages(stage: Stage, bundles: Generator[list[Any], None, None]) -> Iterator[str]:
    """The viewer's messages for events as they come. Closing it closes `bundles`; a fault ends the run on the page."""
    with closing(bundles):
        try:
            yield stage.note("Preparing…")
            for events in bundles:
                for event in bundled(events):
                    yield event(stage)
        except Exception:
            yield stage.finish(FAULT)
            raise


def decode_events(engine: Engine, text: str, lanes: Mapping[str, Run], live: Live) -> Generator[Event, None, None]:
    """All lanes one after another, so that none slows another, then the whole run."""
    late, traces = "", {}
    try:
        for name, run in lanes.items():
            live.begin(name, run)
            yield partial(Stage.open, name=name, prompt=run.prompt, settings=run.settings.as_json())
            yield from run_passes(engine, name, run, live)
            traces[name] = run.trace()
            if traces[name].stop_reason == "cancelled":
                late = f"Stopped at the time limit, {SECONDS:.0f} s."
            live.end(name, traces[name])
            yield partial(Stage.close, name=name, trace=traces[name])
            yield Quiet()  # a complete lane takes long to draw, and the next one is timed
        rows = max(trace.environment.rows for trace in traces.values())
        observed = any(slowed(run.settings.as_json()) for run in lanes.values())
        if len(lanes) > 1 and rows == 1 and not late and not observed:  # the verdict says what speed cost
            references = References(engine, item=item_of(text))
            judged = yield from compared(references, traces["diffusion"], "diffusion")
            for name, trace in (("diffusion", judged), ("ar", references.compared(traces["ar"]))):
                live.end(name, trace)
                yield partial(Stage.close, name=name, trace=trace)
        yield partial(Stage.finish, note=late, facts=_facts(engine, text, lanes, rows=rows))
    finally:
        live.settle()


def run_passes(engine: Engine, name: str, run: Run, live: Live | None = None) -> Generator[Passed, None, None]:
    """Every pass; `live` keeps attention maps. The run is freed when this generator is closed, wherever it stands."""
    deadline = monotonic() + SECONDS
    with ExitStack() as stack:
        steps = engine.steps(run)
        if isinstance(steps, Generator):
            stack.callback(steps.close)
        maps = live.observer(name, stack) if live and "attention" in run.settings.record else None
        for step in steps:
            if maps:
                attention: Any = step.readout.attention
                maps.add(step.index, attention)
            yield Passed(name, (run.records[-1],))
            if monotonic() > deadline:
                return


def compared(references: References, trace: Trace, name: str) -> Generator[Event, None, Trace]:
    """Compare an answer with the exact decoders'; returns its trace with what was found in time."""
    deadline, noted = monotonic() + COMPARING, 0.0
    for _ in references.decode(trace):
        if monotonic() > deadline:
            break
        if monotonic() - noted > NOTE_EVERY:
            noted = monotonic()
            yield note(name, "comparing the answer with the exact decoders'…")
    return references.compared(trace)


def stopper(engines: Engines) -> Callable[[gr.Request], str]:
    """The handler of Stop."""

    def stop(request: gr.Request) -> str:
        """The message of Stop. Cancelling the run is the event's business, which may wait for its next message."""
        engines.halt(str(request.session_hash))
        return stopped(uuid4().hex[:12])

    return stop


def provenance_line(about: dict[str, Any], *, lanes: int, seed: int) -> str:
    """Where the numbers come from, in one line."""
    card = MODELS.get(about["id"].partition("@")[0])
    line = provenance(about, title=card.title if card else None, seed=seed)
    order = " The lanes were measured one after another." if lanes > 1 else ""
    return f"{line}{order}{' ' + card.about if card else ''}"


def _facts(engine: Engine, text: str, lanes: Mapping[str, Run], *, rows: int = 1) -> str:
    """Where the numbers come from, and whether the prompt that was decoded is the one that was typed."""
    run = next(iter(lanes.values()))
    line = provenance_line({**engine.describe(), "rows": rows}, lanes=len(lanes), seed=run.settings.seed)
    split = engine.tokenizer and _SPLIT not in text and _SPLIT in engine.tokenizer.decode(run.prompt)
    return line + TYPED if split else line


def _lanes(engine: Engine, text: str, settings: Settings, *, ar: bool) -> dict[str, Run]:
    """What is to be decoded. d²Cache computes the rollout anyway, so that it is kept; AR would lose time by it.

    Raises:
        SettingsError: the model does not take the settings.
    """
    rollout = settings.cache and settings.cache.name == "d2" and "rollout" not in settings.record
    recording = replace(settings, record=(*settings.record, "rollout")) if rollout else settings
    lanes = {"diffusion": engine.run(text, recording)}
    if ar:
        lanes["ar"] = engine.run(text, autoregressive(settings))
    return lanes


def checker(controls: Controls) -> tuple[Callable[..., None], Callable[..., str]]:
    """What checks a request before it waits for anything, and what says why it was refused, for a place beside it."""

    def why(prompt: str, _model: str, _ar: bool, *values: Any) -> str:
        """The refusal in the page's words; "" where there is none."""
        try:
            check_prompt(prompt)
            _settings(controls, values)
        except SettingsError as error:
            return page_words(error)
        return ""

    def check(*values: Any) -> None:
        """Fail without a word if the request is refused."""
        if text := why(*values):
            raise gr.Error(escape(text), visible=False, print_exception=False)

    return check, why


def _settings(controls: Controls, values: Sequence[Any]) -> Settings:
    request = controls.request(values)
    check_request(request)
    wanted = {"alternatives", *request.pop("record", ())}
    return Settings.from_json({**request, "record": [name for name in RECORDS if name in wanted]})
