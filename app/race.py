"""The race: times lanes in turn, compares their answers with exact decoders, then shows all on one clock."""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from time import monotonic
from typing import Any

import gradio as gr

from app.decode import NOTE_EVERY, Prepared, compared, play
from app.engines import Engines
from app.events import Event, Passed, Quiet, note
from app.lanes import race_settings
from app.limits import SECONDS, check_prompt
from app.live import Live
from app.refusals import refusals
from app.runs import Runs
from dllm.bench.references import References, item_of
from dllm.engine import Engine
from dllm.engine.race import Race
from dllm.trace import Trace
from visualize.lane import titles_of
from visualize.stage import Stage


def racer(engines: Engines, runs: Runs) -> Callable[..., Iterator[str]]:
    """The handler of the Race button. Races are kept for the inspector."""

    def race(prompt: str, model: str, request: gr.Request | None, *values: Any) -> Iterator[str]:
        """Race ways of decoding one prompt; yields messages of schema blockscope.view/1, the last holds the race."""
        with refusals():
            text, (lanes, repeats, watched) = check_prompt(prompt), race_settings(values)

            def prepare(engine: Engine) -> Prepared:
                contest = Race(engine, text, lanes, repeats=repeats)
                titles = titles_of({name: each.as_json() for name, each in lanes.items()})
                return contest.runs, titles, partial(race_events, engine, text, contest, watched=watched)

            yield from play(engines, runs, request, model=model, text=text, prepare=prepare, alone=True)

    return race


def race_events(engine: Engine, text: str, contest: Race, live: Live, *, watched: bool) -> Generator[Event, None, None]:
    """All repeats, then what the answers are worth, then all lanes on one clock. watched: the warm-ups are shown."""
    try:
        yield from _repeats(contest, live, watched)
        traces, references, judged = contest.traces(), References(engine, item=item_of(text)), {}
        for name, trace in traces.items():
            judged[name] = yield from compared(references, trace, name)
            live.end(name, judged[name])
        ended = [trace for trace in traces.values() if len(trace.timing.laps) == contest.repeats]
        late = f"Stopped at the time limit, {SECONDS:.0f} s: not every lane has all repeats."
        yield partial(_finish, judged=judged, note="" if len(ended) == len(contest.runs) else late)
    finally:
        live.settle()


def _finish(stage: Stage, judged: dict[str, Trace], note: str) -> str:
    for name, trace in judged.items():
        stage.replay(name, trace)
    return stage.finish(note, clock=bool(judged))


def _repeats(contest: Race, live: Live, watched: bool) -> Iterator[Event]:
    """Notes come seldom, because each costs time; passes only of the warm-up, which is not timed.

    Both are sent before the lanes go on, so that nothing is drawn while a pass is timed.
    """
    deadline, noted = monotonic() + SECONDS, 0.0
    for turn in contest:
        lane, run = turn.lane, turn.run
        if turn.repeat == 0:
            live.begin(lane, run)
            if watched and len(run.records) == 1:
                yield partial(Stage.open, name=lane, prompt=run.prompt, settings=run.settings.as_json())
            if watched:
                yield Passed(lane, (run.records[-1],))
            if watched and run.canvas.stop_reason:  # the last of its warm-up: what comes next may be timed
                yield Quiet()
        if monotonic() - noted > NOTE_EVERY:
            noted = monotonic()
            yield note(lane, f"repeat {turn.repeat} of {contest.repeats}…" if turn.repeat else "warm-up…")
            yield Quiet()
        if monotonic() > deadline:
            return
