"""The handler behind Decode: a generator of viewer messages, as the network goes on in its own thread."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from itertools import groupby
from time import monotonic
from typing import Any
from uuid import uuid4

import gradio as gr

from app.controls import Controls
from app.engines import TOLD, Engines, LoadError
from app.limits import JUDGING, SECONDS, check_prompt, check_request, check_tokens
from app.live import Live
from app.shelf import Shelf, new_folder
from dllm.cards import MODELS
from dllm.judge import Judge, autoregressive, item_of
from dllm.settings import RECORDS, Settings, SettingsError
from dllm.trace import StepRecord, Trace
from visualize.facts import facts as words
from visualize.stage import Stage, slowed, stopped

Handler = Callable[..., Iterator[str]]


@dataclass(frozen=True, slots=True)
class Passed:
    """A pass of a lane."""

    lane: str
    record: StepRecord


# What the network's thread says: a pass, or how a message is made of anything else. Both are drawn in the listener's
# thread, because between two passes a GPU waits.
Said = Passed | Callable[[], str]
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
                said = play(stage, engines.get(model), text, settings, live)
                yield from told(stage, engines.drive(said, request.session_hash if request else None))
        except (SettingsError, LoadError) as error:
            yield stage.finish("Not decoded.")
            raise gr.Error(escape(str(error)), print_exception=False) from error
        except Exception:
            yield stage.finish("Something went wrong; the server's log says what.")
            raise

    return decode


def told(stage: Stage, news: Generator[list[Said], None, None]) -> Iterator[str]:
    """Messages of what was said; passes of a lane that came together are one. Closing it closes `news`."""
    with closing(news):
        for together in news:
            for lane, group in groupby(together, lambda said: said.lane if isinstance(said, Passed) else None):
                if lane is None:
                    yield from (said() for said in group if not isinstance(said, Passed))
                else:
                    yield stage.step(lane, *(said.record for said in group if isinstance(said, Passed)))


def play(
    stage: Stage, engine: Any, text: str, settings: Settings, live: Live | None = None
) -> Generator[Said, None, None]:
    """Both lanes one after another, so that neither slows the other, then the whole run."""
    live = live or Live()
    runs = {"diffusion": engine.run(text, _recording(settings))}
    if "ar" in stage.planned:
        runs["ar"] = engine.run(text, autoregressive(settings))
    check_tokens(len(runs["diffusion"].prompt))
    stage.facts = facts(engine.describe(), lanes=len(runs), seed=settings.seed)
    stage.piece = runs["diffusion"].piece
    late, traces = "", {}
    for name, run in runs.items():
        live.begin(name, run)
        yield partial(stage.open, name, run.prompt, run.settings.as_json())
        yield from follow(name, run, engine.steps(run), live)
        trace = traces[name] = run.trace()
        late = late or (f"Stopped at the time limit, {SECONDS:.0f} s." if trace.stop_reason == "cancelled" else "")
        live.end(name, trace)
        yield partial(stage.close, name, trace)
        yield TOLD  # the whole lane is much to draw, and the next one is timed
    rows = max(trace.environment.rows for trace in traces.values())
    about = facts({**engine.describe(), "rows": rows}, lanes=len(runs), seed=settings.seed)
    observed = any(slowed(run.settings.as_json()) for run in runs.values())
    if len(runs) > 1 and rows == 1 and not late and not observed:  # the verdict says what speed cost
        judge = Judge(engine, item=item_of(text))
        judged = yield from checked(stage, judge, traces["diffusion"], "diffusion")
        for name, trace in (("diffusion", judged), ("ar", judge.judged(traces["ar"]))):
            live.end(name, trace)
            yield partial(stage.close, name, trace)
    yield partial(stage.finish, late, facts=about)


def checked(stage: Stage, judge: Judge, trace: Trace, name: str) -> Generator[Said, None, Trace]:
    """Hold an answer against the exact decoders; returns its trace with what was found in time."""
    deadline, spoke = monotonic() + JUDGING, 0.0
    for _ in judge.judge(trace):
        if monotonic() > deadline:
            break
        if monotonic() - spoke > WORD:
            spoke = monotonic()
            yield lambda: stage.note(f"{stage.title(name)}: holding the answer against the exact decoders…")
    return judge.judged(trace)


def follow(name: str, run: Any, steps: Generator[Any, None, None], live: Live) -> Iterator[Passed]:
    """Every pass. The run is freed when this generator is closed, wherever it stands."""
    deadline = monotonic() + SECONDS
    with ExitStack() as stack:
        stack.callback(steps.close)
        maps = live.observer(name, stack) if "attention" in run.settings.record else None
        for step in steps:
            if maps:
                maps.add(step.index, step.readout.attention)
            yield Passed(name, run.records[-1])
            if monotonic() > deadline:
                return


def stopper(engines: Engines) -> Callable[[gr.Request], str]:
    """The handler of Stop."""

    def stop(request: gr.Request) -> str:
        """What Stop tells the viewer. Cancelling the run is the event's business, which may wait for its next word."""
        engines.halt(str(request.session_hash))
        return stopped(uuid4().hex[:12])

    return stop


def facts(about: dict[str, Any], *, lanes: int, seed: int) -> str:
    """Where the numbers come from, in one line."""
    card = MODELS.get(about["id"].partition("@")[0])
    order = " The lanes were measured one after another." if lanes > 1 else ""
    return f"{words(about, title=card.title if card else None, seed=seed)}{order}{' ' + card.about if card else ''}"


def _settings(controls: Controls, values: Sequence[Any]) -> Settings:
    request = controls.request(values)
    check_request(request)
    wanted = {"alternatives", *request.pop("record", ())}
    return Settings.from_json({**request, "record": [name for name in RECORDS if name in wanted]})


def _recording(settings: Settings) -> Settings:
    """The same, and what d²Cache computes anyway is kept; of AR beside it only what was asked for, which costs time."""
    kept = {*settings.record, *(["rollout"] if settings.cache and settings.cache.name == "d2" else [])}
    return replace(settings, record=tuple(name for name in RECORDS if name in kept))
