"""The race: times lanes lap by lap, holds their answers against exact decoders, then shows all on one clock."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from html import escape
from time import monotonic
from typing import Any

import gradio as gr

from app.decode import WORD, Passed, Said, checked, facts, told
from app.engines import TOLD, Engines, LoadError
from app.lanes import Grid
from app.limits import SECONDS, check_prompt, check_tokens
from app.live import Live
from app.shelf import Shelf, new_folder
from dllm.judge import Judge, item_of
from dllm.race import Race, Turn
from dllm.settings import Settings, SettingsError
from visualize.lane import titles_of
from visualize.stage import Stage


def racer(engines: Engines, shelf: Shelf) -> Callable[..., Iterator[str]]:
    """The handler of the Race button. Races are kept on the shelf, for the inspector."""

    def race(prompt: str, model: str, request: gr.Request | None, *values: Any) -> Iterator[str]:
        """Race ways of decoding one prompt; yields messages of schema blockscope.view/1, the last holds the race."""
        try:
            text = check_prompt(prompt)
            lanes, laps, watched = Grid.lanes(values)
        except SettingsError as error:  # before anything on show gives way
            raise gr.Error(escape(str(error)), print_exception=False) from error
        live = Live(new_folder())
        run = shelf.open(live.replay, request.session_hash if request else None, folder=live.folder)
        stage = Stage(run, list(lanes), titles=titles_of({name: each.as_json() for name, each in lanes.items()}))
        try:
            yield stage.note("Preparing…")
            for word in engines.loading(model):
                yield stage.note(word)
            with ExitStack() as stack:
                for word in engines.waiting(stack, alone=True):
                    yield stage.note(word)
                said = play(stage, engines.get(model), text, lanes, live, laps=laps, watched=watched)
                yield from told(stage, engines.drive(said, request.session_hash if request else None))
        except (SettingsError, LoadError) as error:
            yield stage.finish("Not raced.")
            raise gr.Error(escape(str(error)), print_exception=False) from error
        except Exception:
            yield stage.finish("Something went wrong; the server's log says what.")
            raise

    return race


def play(
    stage: Stage, engine: Any, text: str, lanes: Mapping[str, Settings], live: Live, *, laps: int, watched: bool
) -> Generator[Said, None, None]:
    """All laps, then what the answers are worth, then the whole race on one clock."""
    contest = Race(engine, text, lanes, laps=laps)
    one = next(iter(contest.runs.values()))
    check_tokens(len(one.prompt))
    stage.piece, stage.facts = one.piece, facts(engine.describe(), lanes=len(lanes), seed=one.settings.seed)
    yield from _laps(stage, contest, live, watched)
    traces, judge, judged = contest.traces(), Judge(engine, item=item_of(text)), {}
    for name, trace in traces.items():
        judged[name] = yield from checked(stage, judge, trace, name)
        live.end(name, judged[name])
    whole = len(traces) == len(lanes) and all(len(trace.timing.laps) == laps for trace in traces.values())
    late = "" if whole else f"Stopped at the time limit, {SECONDS:.0f} s: not every lane has all laps."

    def shown() -> str:
        for name, trace in judged.items():
            stage.replay(name, trace)
        return stage.finish(late, clock=True)

    yield shown


def _laps(stage: Stage, contest: Race, live: Live, watched: bool) -> Iterator[Said]:
    """Words come seldom, because a word costs time; steps only of the warm-up lap, which nobody times.

    Both are told before the lanes go on, so that nothing is drawn while a pass is timed.
    """
    deadline, spoke = monotonic() + SECONDS, 0.0
    for turn in contest:
        if turn.lap == 0:
            live.begin(turn.lane, turn.run)
            if watched:
                yield from _shown(stage, turn)
        if monotonic() - spoke > WORD:
            spoke = monotonic()
            lap = f"lap {turn.lap} of {contest.laps}" if turn.lap else "warm-up lap"
            yield partial(_spoken, stage, turn.lane, lap)
            yield TOLD
        if monotonic() > deadline:
            return


def _spoken(stage: Stage, lane: str, words: str) -> str:
    return stage.note(f"{stage.title(lane)}: {words}…")


def _shown(stage: Stage, turn: Turn) -> Iterator[Said]:
    if len(turn.run.records) == 1:
        yield partial(stage.open, turn.lane, turn.run.prompt, turn.run.settings.as_json())
    yield Passed(turn.lane, turn.run.records[-1])
    if turn.run.canvas.stop_reason:  # the last of its warm-up lap: what comes next may be timed
        yield TOLD
