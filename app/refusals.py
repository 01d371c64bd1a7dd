"""Refusals: the sentence that a visitor sees when something cannot be done. What is on show stays."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from html import escape

import gradio as gr

from app.engines import LoadError
from dllm.bench.document import BenchmarkError
from dllm.settings import Settings, SettingsError
from dllm.trace import TraceError
from visualize.view import QuestionError

_REFUSED = (BenchmarkError, LoadError, QuestionError, SettingsError, TraceError)
_LABELS = {f.name: f.metadata["label"] for f in fields(Settings) if "label" in f.metadata}
_LABELS |= {"cache": "Cache", "unmask": "Unmasking rule"}
_NAMES = re.compile(rf"\b({'|'.join(_LABELS)})\b")


def page_words(why: object) -> str:
    """A message in which settings are called what the page calls them; what it names first keeps its own letters."""
    text = _NAMES.sub(lambda name: _LABELS[name[0]].lower(), str(why))
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.replace("-", "").isalpha() else text


def refusal(why: object) -> gr.Error:
    """An error that the page shows as plain text, until it is closed; raise it."""
    return gr.Error(escape(page_words(why)), duration=None, print_exception=False)


@contextmanager
def refusals() -> Iterator[None]:
    """Show the errors that name what is wrong, and what is allowed."""
    try:
        yield
    except _REFUSED as error:
        raise refusal(error) from error
