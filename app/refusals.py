"""Refusals: the sentence that a visitor sees when something cannot be done. What is on show stays."""

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import gradio as gr

from app.engines import LoadError
from dllm.bench.document import BenchmarkError
from dllm.settings import SettingsError
from dllm.trace import TraceError
from visualize.view import QuestionError

_REFUSED = (BenchmarkError, LoadError, QuestionError, SettingsError, TraceError)


def refusal(why: object) -> gr.Error:
    """An error that the page shows as plain text; raise it."""
    return gr.Error(escape(str(why)), print_exception=False)


@contextmanager
def refusals() -> Iterator[None]:
    """Show the errors that name what is wrong, and what is allowed."""
    try:
        yield
    except _REFUSED as error:
        raise refusal(error) from error
