"""The race: times lanes in turn, compares their answers with exact decoders, then shows all on one clock."""

from collections.abc import Callable, Generator, Iterator
from time import monotonic
from typing import Any

import gradio as gr

from app.decode import NOTE_EVERY, checked, kept_live, messages, stage_of
from app.engines import Engines, check_model
from app.events import Event, Finished, Note, Opened, Passed, Quiet
from app.lanes import Grid
from app.limits import SECONDS, check_prompt, check_tokens
from app.live import Live
from app.refusals import refusals
from app.runs import Runs, session_of
from dllm.bench.references import References, item_of
from dllm.engine import Engine
from dllm.engine.race import Race, RacePass
from visualize.lane import titles_of
from visualize.stage import waiting


def racer(engines: Engines, runs: Runs) -> Callable[..., Iterator[str]]:
    """The handler of the Race button. Races are kept for the inspector."""

    def race(prompt: str, model: str, request: gr.Request | None, *values: Any) -> Iterator[str]:
        """Race ways of decoding one prompt; yields messages of schema blockscope.view/1, the last holds the race.

        What is on show stays until everything was checked: a refusal costs the visitor nothing.
        """
        with refusals():
            text, (lanes, repeats, watched) = check_prompt(prompt), Grid.lanes(values)
            check_model(model)
            with engines.visit(session_of(request), alone=True) as visit:
                yield from map(waiting, visit.ready(model))
                if visit.engine is None:
                    return
                contest = Race(visit.engine, text, lanes, repeats=repeats)
                check_tokens(len(next(iter(contest.runs.values())).prompt))
                live, run = kept_live(runs, request)
                stage = stage_of(visit.engine, text, contest.runs, run)
                stage.titles = titles_of({name: each.as_json() for name, each in lanes.items()})
                yield from messages(stage, visit.drive(race_events(visit.engine, text, contest, live, watched=watched)))

    return race


def race_events(engine: Engine, text: str, contest: Race, live: Live, *, watched: bool) -> Generator[Event, None, None]:
    """All repeats, then what the answers are worth, then the whole race on one clock."""
    try:
        yield from _repeats(contest, live, watched)
        traces, references, judged = contest.traces(), References(engine, item=item_of(text)), {}
        for name, trace in traces.items():
            judged[name] = yield from checked(references, trace, name)
            live.end(name, judged[name])
        whole = len(traces) == len(contest.runs) and all(len(t.timing.laps) == contest.repeats for t in traces.values())
        late = "" if whole else f"Stopped at the time limit, {SECONDS:.0f} s: not every lane has all repeats."
        yield Finished(late, race=judged)
    finally:
        live.settle()


def _repeats(contest: Race, live: Live, watched: bool) -> Iterator[Event]:
    """Notes come seldom, because each costs time; passes only of the warm-up, which is not timed.

    Both are sent before the lanes go on, so that nothing is drawn while a pass is timed.
    """
    deadline, noted = monotonic() + SECONDS, 0.0
    for turn in contest:
        if turn.repeat == 0:
            live.begin(turn.lane, turn.run)
            if watched:
                yield from _shown(turn)
        if monotonic() - noted > NOTE_EVERY:
            noted = monotonic()
            repeat = f"repeat {turn.repeat} of {contest.repeats}" if turn.repeat else "warm-up"
            yield Note(f"{repeat}…", turn.lane)
            yield Quiet()
        if monotonic() > deadline:
            return


def _shown(turn: RacePass) -> Iterator[Event]:
    if len(turn.run.records) == 1:
        yield Opened(turn.lane, tuple(turn.run.prompt), turn.run.settings.as_json())
    yield Passed(turn.lane, (turn.run.records[-1],))
    if turn.run.canvas.stop_reason:  # the last of its warm-up: what comes next may be timed
        yield Quiet()
