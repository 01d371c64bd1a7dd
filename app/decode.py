"""The handler behind Decode: a generator of viewer messages, as the network goes on in its own thread."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from time import monotonic
from typing import Any
from uuid import uuid4

import gradio as gr

from app.controls import Controls
from app.engines import Engines, check_model
from app.events import Closed, Event, Finished, Note, Opened, Passed, Quiet, bundled, message
from app.folders import new_folder
from app.limits import JUDGING, SECONDS, check_prompt, check_request, check_tokens
from app.live import Live
from app.refusals import refusals
from app.runs import Runs, session_of
from dllm.bench.references import References, autoregressive, item_of
from dllm.engine import Engine
from dllm.engine.registry import MODELS
from dllm.engine.run import Run
from dllm.settings import RECORDS, Settings
from dllm.step import Step
from dllm.trace import Trace
from visualize.facts import provenance
from visualize.stage import Stage, slowed, stopped, waiting

Handler = Callable[..., Iterator[str]]
NOTE_EVERY = 0.5  # seconds between two sentences about what goes on
_SPLIT = "\u200b"  # what the tokenizer puts into a special token that was typed, so that it is read as text
TYPED = " The prompt names a special token of the model; it was read as plain text, with an invisible space in it."
FAULT = "Something went wrong; the server's log says what."


def handler(engines: Engines, controls: Controls, runs: Runs) -> Handler:
    """The Decode handler of a page with these controls. Its runs are kept for the inspector."""

    def decode(
        prompt: str, model: str, autoregressive: bool, request: gr.Request | None, *values: Any
    ) -> Iterator[str]:
        """Decode a prompt; yields JSON messages of schema blockscope.view/1, the last one holds the whole run.

        What is on show stays until everything was checked: a refusal costs the visitor nothing.
        """
        with refusals():
            text, settings = check_prompt(prompt), _settings(controls, values)
            check_model(model)
            with engines.visit(session_of(request)) as visit:
                yield from map(waiting, visit.ready(model))
                if visit.engine is None:
                    return
                lanes = _lanes(visit.engine, text, settings, ar=autoregressive)
                live, run = kept_live(runs, request)
                stage = stage_of(visit.engine, text, lanes, run)
                yield from messages(stage, visit.drive(decode_events(visit.engine, text, lanes, live)))

    return decode


def kept_live(runs: Runs, request: gr.Request | None) -> tuple[Live, str]:
    """A run that begins, and the id by which it is kept for the inspector."""
    live = Live(new_folder())
    return live, runs.open(live, session_of(request), folder=live.folder)


def stage_of(engine: Engine, text: str, lanes: Mapping[str, Run], run: str) -> Stage:
    """The stage of a run of these lanes, kept as `run`."""
    first = next(iter(lanes.values()))
    stage = Stage(run, list(lanes), first.piece, fragment=first.fragment)
    stage.facts = provenance_line(engine.describe(), lanes=len(lanes), seed=first.settings.seed) + _typed(
        engine, text, first
    )
    return stage


def messages(stage: Stage, bundles: Generator[list[Event], None, None]) -> Iterator[str]:
    """The viewer's messages for events as they come. Closing it closes `bundles`; a fault ends the run on the page."""
    with closing(bundles):
        try:
            yield stage.note("Preparing…")
            for events in bundles:
                for event in bundled(events):
                    yield message(stage, event)
        except Exception:
            yield stage.finish(FAULT)
            raise


def decode_events(
    engine: Engine, text: str, lanes: Mapping[str, Run], live: Live | None = None
) -> Generator[Event, None, None]:
    """All lanes one after another, so that none slows another, then the whole run."""
    live = live or Live()
    try:
        traces, late = yield from _played(engine, lanes, live)
        rows = max(trace.environment.rows for trace in traces.values())
        observed = any(slowed(run.settings.as_json()) for run in lanes.values())
        if len(lanes) > 1 and rows == 1 and not late and not observed:  # the verdict says what speed cost
            yield from _compared(engine, text, traces, live)
        first = next(iter(lanes.values()))
        about = provenance_line({**engine.describe(), "rows": rows}, lanes=len(lanes), seed=first.settings.seed)
        yield Finished(late, about + _typed(engine, text, first))
    finally:
        live.settle()


def _played(
    engine: Engine, lanes: Mapping[str, Run], live: Live
) -> Generator[Event, None, tuple[dict[str, Trace], str]]:
    """Returns the traces, and a sentence where time ran out."""
    late, traces = "", {}
    for name, run in lanes.items():
        live.begin(name, run)
        yield Opened(name, tuple(run.prompt), run.settings.as_json())
        yield from follow(name, run, engine.steps(run), live)
        trace = traces[name] = run.trace()
        late = late or (f"Stopped at the time limit, {SECONDS:.0f} s." if trace.stop_reason == "cancelled" else "")
        live.end(name, trace)
        yield Closed(name, trace)
        yield Quiet()  # the whole lane is much to draw, and the next one is timed
    return traces, late


def _compared(engine: Engine, text: str, traces: dict[str, Trace], live: Live) -> Iterator[Event]:
    references = References(engine, item=item_of(text))
    judged = yield from checked(references, traces["diffusion"], "diffusion")
    for name, trace in (("diffusion", judged), ("ar", references.compared(traces["ar"]))):
        live.end(name, trace)
        yield Closed(name, trace)


def checked(references: References, trace: Trace, name: str) -> Generator[Event, None, Trace]:
    """Compare an answer with the exact decoders'; returns its trace with what was found in time."""
    deadline, noted = monotonic() + JUDGING, 0.0
    for _ in references.decode(trace):
        if monotonic() > deadline:
            break
        if monotonic() - noted > NOTE_EVERY:
            noted = monotonic()
            yield Note("comparing the answer with the exact decoders'…", name)
    return references.compared(trace)


def follow(name: str, run: Run, steps: Iterator[Step], live: Live) -> Iterator[Passed]:
    """Every pass. The run is freed when this generator is closed, wherever it stands."""
    deadline = monotonic() + SECONDS
    with ExitStack() as stack:
        if isinstance(steps, Generator):
            stack.callback(steps.close)
        maps = live.observer(name, stack) if "attention" in run.settings.record else None
        for step in steps:
            if maps:
                attention: Any = step.readout.attention
                maps.add(step.index, attention)
            yield Passed(name, (run.records[-1],))
            if monotonic() > deadline:
                return


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
    order = " The lanes were measured one after another." if lanes > 1 else ""
    return (
        f"{provenance(about, title=card.title if card else None, seed=seed)}{order}{' ' + card.about if card else ''}"
    )


def _typed(engine: Engine, text: str, run: Run) -> str:
    """A sentence where the prompt that was decoded is not the one that was typed."""
    if engine.tokenizer is None or _SPLIT in text or _SPLIT not in engine.tokenizer.decode(run.prompt):
        return ""
    return TYPED


def _lanes(engine: Engine, text: str, settings: Settings, *, ar: bool) -> dict[str, Run]:
    """What is to be decoded.

    Raises:
        SettingsError: the model does not take the settings, or the prompt is too long for it or for this page.
    """
    lanes = {"diffusion": engine.run(text, _recording(settings))}
    if ar:
        lanes["ar"] = engine.run(text, autoregressive(settings))
    check_tokens(len(lanes["diffusion"].prompt))
    return lanes


def _settings(controls: Controls, values: Sequence[Any]) -> Settings:
    request = controls.request(values)
    check_request(request)
    wanted = {"alternatives", *request.pop("record", ())}
    return Settings.from_json({**request, "record": [name for name in RECORDS if name in wanted]})


def _recording(settings: Settings) -> Settings:
    """The same, and what d²Cache computes anyway is kept; of AR beside it only what was asked for, which costs time."""
    kept = {*settings.record, *(["rollout"] if settings.cache and settings.cache.name == "d2" else [])}
    return replace(settings, record=tuple(name for name in RECORDS if name in kept))
