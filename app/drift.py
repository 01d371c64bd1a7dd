"""The handler behind “Measure the drift”: beside every step of a run on show, a pass that recomputes everything."""

from collections.abc import Callable, Iterator

import gradio as gr

from app.engines import Engines, LoadError
from app.refusals import refusal
from app.runs import Runs, session_of
from dllm.engine.drift import DriftReplay
from dllm.settings import SettingsError
from visualize.stage import notice
from visualize.view import QuestionError


def measurer(engines: Engines, runs: Runs) -> Callable[[gr.EventData, gr.Request], Iterator[str]]:
    """The handler of the viewer's `measure` event, whose data are {"run", "lane"}."""

    def measure(event: gr.EventData, request: gr.Request) -> Iterator[str]:
        """Yields how far it is; the last message lets the viewer ask again."""
        asked = event._data if isinstance(event._data, dict) else {}
        run, lane = str(asked.get("run")), str(asked.get("lane"))
        try:
            kept = runs.get(run)
            traces = kept.replay().traces
            if lane not in traces:
                raise QuestionError(f"lane is {lane!r}; allowed: {', '.join(traces)}")
            trace = traces[lane]
            name = trace.model.id.partition("@")[0]  # what a model of the hub is called, without its commit
            with engines.visit(session_of(request)) as visit:
                for text in visit.ready(name):
                    yield notice(run, text)
                if visit.engine is None:
                    return
                replay = DriftReplay(visit.engine, trace)
                for done in visit.drive(iter(replay)):
                    yield notice(run, f"Measuring the drift: step {done[-1]} of {len(trace.steps)}…")
                if visit.halted.is_set():
                    return
            kept.drifts[lane] = replay.drift
            yield notice(run, "", measured=True)
        except (QuestionError, SettingsError, LoadError) as error:
            yield notice(run, "")
            raise refusal(error) from error

    return measure
