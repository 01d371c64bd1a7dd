"""The viewer as a page of its own: one HTML file with everything in it, which asks no network for anything."""

import base64
import gzip
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import plotly

from dllm.trace.throughput import DEFINITIONS
from visualize.export.heading import APP, prompt_text
from visualize.lane import WAITING
from visualize.replay import Replay
from visualize.stage import dumps
from visualize.views import VIEWS

VIEWER_FOLDER = Path(__file__).resolve().parents[2] / "assets/viewer"
PLOTLY = Path(plotly.__file__).parent / "package_data/plotly.min.js"
_BUDGET = 24 * 2**20  # characters of answers that a saved page carries
# The page loads nothing and sends nothing by fetch, image, form or frame. A script could still navigate away with data
# in the address; what keeps model text from becoming a script is that it is only ever written as text.
_SAVED_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)
_SAVED_MOUNT = """
const unpacked = async (id) => {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};
const once = (work) => { let made; return () => (made ??= work()); };
const answers = once(async () => JSON.parse(await unpacked("bs-answers")));
const plotly = once(async () => {
  const script = document.createElement("script");
  script.textContent = await unpacked("bs-plotly");
  document.head.append(script);
  return window.Plotly;
});
const carried = JSON.parse(document.getElementById("bs-data").textContent);
document.getElementById("bs-asked").textContent = carried.prompt;
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.body.classList.toggle("dark", dark.matches);
dark.addEventListener("change", follow);
follow();
viewer.mount(document.querySelector(".bs"), {
  ...carried.words,
  read: () => carried.message,
  listen: () => {},
  ask: async (question) => (await answers())[viewer.keyOf(question)] ?? { empty: carried.missing },
  plotly,
});
"""
MISSING = "This saved page does not carry that picture; the app draws it from the trace."


def viewer_template() -> str:
    """The static page of the viewer with its style sheets."""
    return "\n".join([_style("tokens.css", "viewer.css"), (VIEWER_FOLDER / "viewer.html").read_text(encoding="utf-8")])


def viewer_script() -> str:
    """The viewer's script, as `make bundle` makes it. It defines `viewer`, with `mount` and `keyOf`."""
    return (VIEWER_FOLDER / "viewer.js").read_text(encoding="utf-8")


def _style(*names: str) -> str:
    return "\n".join(f"<style>{(VIEWER_FOLDER / name).read_text(encoding='utf-8')}</style>" for name in names)


def viewer_texts() -> dict[str, Any]:
    """The texts of the viewer that do not depend on a run."""
    views = {
        name: {"title": v.title, "look_for": v.look_for, "empty": v.empty, "choices": v.choices}
        for name, v in VIEWS.items()
    }
    return {
        "titles": {name: asdict(title) for name, title in WAITING.items()},
        "definitions": DEFINITIONS,
        "views": views,
    }


def page(replay: Replay) -> str:
    """A replay as one HTML file."""
    carried = {
        "words": viewer_texts(),
        "message": replace(replay, link=None).message("saved"),  # a file has no address to share
        "missing": MISSING,
        "prompt": prompt_text(next(iter(replay.traces.values()))),
    }
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f'<meta http-equiv="Content-Security-Policy" content="{_SAVED_POLICY}">',
        f"<title>{APP}: a recorded run</title>",
        f'{_style("standalone.css")}</head><body class="bs-page"><main>',
        f'<header class="bs-saved"><h1>{APP}</h1><p>A recorded run of this prompt:</p><p id="bs-asked"></p></header>',
        viewer_template(),
        "</main>",
        f'<script type="application/json" id="bs-data">{dumps(carried)}</script>',
        _packed("bs-answers", dumps(answers(replay)).encode()),
        _plotly(),
        f"<script>{viewer_script()}{_SAVED_MOUNT}</script>",
        "</body></html>",
    ]
    return "\n".join(parts)


@cache
def _plotly() -> str:
    return _packed("bs-plotly", PLOTLY.read_bytes())


def _packed(name: str, data: bytes) -> str:
    """An element that holds data compressed, for what is large and only needed when a chart is drawn."""
    text = base64.b64encode(gzip.compress(data, mtime=0)).decode()
    return f'<script type="application/gzip" id="{name}">{text}</script>'


def answers(replay: Replay, budget: int = _BUDGET) -> dict[str, Mapping[str, Any]]:
    """The answers to `questions`, in their order, until `budget` characters are used."""
    found: dict[str, Mapping[str, Any]] = {}
    for question in questions(replay):
        answer = replay.ask(question)
        budget -= len(dumps(answer))
        if budget < 0:
            break
        found[key_of(question)] = answer
    return found


def questions(replay: Replay) -> Iterator[dict[str, Any]]:
    """What can be asked of a replay: every view of every lane first, the maps of attention, the most bytes, last.

    The script's `keyOf` names questions alike.
    """
    for lane in replay.traces:
        for name, view in VIEWS.items():
            for values in product(*view.choices.values()):
                yield {"lane": lane, "view": name, **dict(zip(view.choices, values, strict=True))}
    for view in reversed(VIEWS.values()):
        for lane in replay.traces:
            yield from ({"lane": lane, **question} for question in view.saved(replay.lane_data(lane)))


def key_of(question: Mapping[str, Any]) -> str:
    """A question as the key of its answer: its fields in alphabetical order, those that are None left out."""
    return "&".join(f"{name}={question[name]}" for name in sorted(question) if question[name] is not None)
