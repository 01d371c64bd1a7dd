"""The handler behind “Measure the drift”: a shadow pass beside every step of a run that is on show."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from html import escape

import gradio as gr

from app.engines import Engines, LoadError
from app.shelf import Shelf
from dllm.settings import SettingsError
from dllm.shadow import Shadow
from visualize.stage import notice
from visualize.views import QuestionError


def measurer(engines: Engines, shelf: Shelf) -> Callable[[gr.EventData], Iterator[str]]:
    """The handler of the viewer's `measure` event, whose data are {"run", "lane"}."""

    def measure(event: gr.EventData) -> Iterator[str]:
        """Yields words about how far it is; the last message tells the viewer to ask again."""
        asked = event._data or {}
        run, lane = str(asked.get("run")), str(asked.get("lane"))
        try:
            kept = shelf.get(run)
            traces = kept.replay().traces
            if lane not in traces:
                raise QuestionError(f"lane is {lane!r}; allowed: {', '.join(traces)}")
            trace = traces[lane]
            name = trace.model.id.partition("@")[0]  # what a model of the hub is called, without its commit
            for word in engines.loading(name):
                yield notice(run, word)
            with ExitStack() as stack:
                for word in engines.waiting(stack):
                    yield notice(run, word)
                shadow = Shadow(engines.get(name), trace)
                for done in engines.drive(iter(shadow)):
                    yield notice(run, f"Measuring the drift: step {done[-1]} of {len(trace.steps)}…")
            kept.drifts[lane] = shadow.drift
            yield notice(run, "", measured=True)
        except (QuestionError, SettingsError, LoadError) as error:
            yield notice(run, "")
            raise gr.Error(escape(str(error)), print_exception=False) from error

    return measure
