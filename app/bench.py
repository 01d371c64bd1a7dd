"""The benchmark on the page: its charts and its table, beside published numbers; a row's trace opens on the stage."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.refusals import refusals
from app.runs import Runs, Saved
from app.viewer import PLOTLY_LOADER, PLOTLY_URL
from dllm.bench.document import AR, Benchmark, BenchmarkError, Row
from dllm.bench.hardware import Hardware, Measured
from dllm.bench.published import Published
from dllm.bench.summary import BRACKETS, cell, columns
from dllm.bench.targets import Target, description, notes, place, targets
from visualize.charts.bench import Drawn, benchmark_charts
from visualize.charts.figure import spec
from visualize.charts.hardware import hardware_charts
from visualize.export.html import VIEWER_FOLDER
from visualize.replay import Replay
from visualize.stage import dumps

ASSETS = Path(__file__).resolve().parent.parent / "assets/bench"
PUBLISHED = ASSETS / "published.json"
_STYLES = ((VIEWER_FOLDER, "tokens.css"), (ASSETS, "bench.css"))
NO_FILES = (
    "There is no benchmark here yet. Run python -m dllm bench --out assets/bench/NAME.json, and it is shown when this "
    "page is opened again."
)
NOTE = (
    "Published numbers are of other models, on other machines and other tasks, and were measured by their authors: a "
    "ratio to a baseline measured beside it is all that can be compared, and not exactly."
)
COLUMNS = {  # columns of a hardware document's table
    "ratio": "What has a target on this device.",
    "network": "The model, or the shape of one with random weights.",
    "measured": "The ratio in this run.",
    "target": "What it should reach (≥) or not exceed (≤).",
    "met": "Whether it does.",
}
_MOUNT = f"""
bench.mount(element.querySelector('.bs-bench'), {{
  read: () => props.value,
  listen: (receive) => watch('value', receive),
  ask: (question) => server.answer(question),
  open: (row) => trigger('open', row),
  plotly: {PLOTLY_LOADER},
}});
"""


def board(folder: Path = ASSETS, **kwargs: Any) -> gr.HTML:
    """The component. Its value comes from `opened` when the page is opened; the script asks for other benchmarks."""

    def answer(question: Any) -> dict[str, Any]:
        """What the script calls as `server.answer`."""
        return replied(question, folder)

    return gr.HTML(
        html_template=template(),
        js_on_load=script() + _MOUNT,
        apply_default_css=False,
        server_functions=[answer],
        plotly=PLOTLY_URL,
        **kwargs,
    )


def opened(folder: Path = ASSETS) -> str:
    """The board's value: the first of the benchmarks that there are now."""
    return dumps(replied({"file": next(iter(benchmarks(folder)), None)}, folder))


def template() -> str:
    """The static page of the board with its style sheets."""
    styles = ((folder / name).read_text(encoding="utf-8") for folder, name in _STYLES)
    body = (ASSETS / "bench.html").read_text(encoding="utf-8")
    return "\n".join([*(f"<style>{style}</style>" for style in styles), body])


def script() -> str:
    """The board's script, as `make bundle` makes it. It defines `bench`, with `mount`."""
    return (ASSETS / "bench.js").read_text(encoding="utf-8")


def benchmarks(folder: Path = ASSETS) -> dict[str, Path]:
    """The benchmark files by name."""
    return {
        path.stem: path
        for path in sorted(folder.glob("*.json"), key=lambda path: path.stem)
        if path.name != PUBLISHED.name
    }


def replied(question: Any, folder: Path = ASSETS) -> dict[str, Any]:
    """The answer to {"file"}: what is shown of it, or {"error"}, or that there is nothing to show."""
    if not benchmarks(folder):
        return {"files": [], "empty": NO_FILES}
    try:
        return shown(question.get("file") if isinstance(question, dict) else None, folder)
    except BenchmarkError as error:
        return {"error": str(error)}


def shown(name: Any, folder: Path = ASSETS) -> dict[str, Any]:
    """A benchmark as the script draws it.

    Raises:
        BenchmarkError: no such benchmark, or its file is wrong.
    """
    found, published = _load(name, folder), Published.load(PUBLISHED)
    said = _hardware(found, published) if isinstance(found, Hardware) else _benchmark(found, published)
    return {"files": list(benchmarks(folder)), "file": name, **said}


def _benchmark(bench: Benchmark, published: Published) -> dict[str, Any]:
    shown = columns(bench.rows)
    return {
        "facts": benchmark_provenance(bench),
        "figures": _figures(benchmark_charts(bench, published)),
        "columns": [
            {"title": "decoding", "about": "How it was decoded: block and sub-block size, cache, threshold."},
            {"title": "batch", "about": "Prompts decoded together."},
            *({"title": column.title, "about": column.meaning} for column in shown.values()),
        ],
        "rows": [_row(row, list(shown)) for row in bench.rows],
        "note": f"{BRACKETS} {NOTE}",
    }


def _hardware(found: Hardware, published: Published) -> dict[str, Any]:
    places = dict.fromkeys(place(network) for network in found.networks)
    full = [f"{network.title}: {name}" for network in found.networks for name in network.full]
    return {
        "facts": f"{'; '.join(places)}: {', '.join(description(network) for network in found.networks)}.",
        "figures": _figures(hardware_charts(found, published)),
        "columns": [{"title": title, "about": about} for title, about in COLUMNS.items()],
        "rows": [_target(network.title, target) for network in found.networks for target in targets(network)],
        "note": " ".join([notes(found), *([f"Did not fit into memory: {', '.join(full)}."] if full else []), NOTE]),
    }


def _figures(drawn: Sequence[Drawn]) -> list[dict[str, Any]]:
    return [{"title": each.title, "look_for": each.look_for, "spec": spec(each.figure)} for each in drawn]


def benchmark_provenance(bench: Benchmark) -> str:
    """Where its numbers come from, in one line."""
    model, place = bench.model, bench.environment
    device = re.sub(r"^(cpu|cuda): ", "", place.device)
    threads = f", {place.threads} thread{'' if place.threads == 1 else 's'}" if place.device.startswith("cpu") else ""
    rounds = f"median of {bench.rounds} round{'s' * (bench.rounds != 1)}" if bench.rounds else "not timed"
    return (
        f"{model.id} ({model.parameters / 1e6:.0f} M parameters, {model.dtype}) on {device}{threads}, torch "
        f"{place.torch}; {bench.suite.prompts} prompts of the suite “{bench.suite.name}”, {rounds}"
        f"{f'; commit {place.commit}' if place.commit else ''}."
    )


def opener(runs: Runs, folder: Path = ASSETS) -> Callable[[gr.EventData, gr.Request], str]:
    """The handler of the board's `open` event, whose data are {"file", "row"}: the message that shows the trace."""

    def show(event: gr.EventData, request: gr.Request) -> str:
        """The row's trace, and AR's of the same prompt beside it."""
        asked = event._data if isinstance(event._data, dict) else {}
        with refusals():
            bench = _opened(asked.get("file"), folder)
            row = _chosen(bench, asked.get("row"))
            base = bench.baseline()
            named = [row.trace, None if base is None or row.name == AR else base.trace]
            paths = [folder / asked["file"] / name for name in named if name]
            if missing := [path.name for path in paths if not path.is_file()]:
                raise BenchmarkError(f"the trace {missing[0]} is not beside the benchmark; allowed: one that was kept")
            about = f"A sample prompt of the benchmark “{asked['file']}”, timed as one of its repeats."
            replay = Replay.load(*paths, about=about)
            return replay.message(runs.open(Saved(replay), request.session_hash))

    return show


def _load(name: Any, folder: Path) -> Benchmark | Hardware:
    known = benchmarks(folder)
    if not isinstance(name, str) or name not in known:  # a name is looked up, never a part of a path
        raise BenchmarkError(f"the benchmark is {name!r:.80}; allowed: {', '.join(known) or 'none, there is no file'}")
    return Measured.load(known[name])


def _opened(name: Any, folder: Path) -> Benchmark:
    """One that may have traces."""
    found = _load(name, folder)
    if isinstance(found, Hardware):
        raise BenchmarkError(f"{name!r} has no traces; allowed: a benchmark of prompts")
    return found


def _chosen(bench: Benchmark, row: Any) -> Row:
    if type(row) is not int or not 0 <= row < len(bench.rows):
        raise BenchmarkError(f"the row is {row!r:.80}; allowed: 0 to {len(bench.rows) - 1}")
    if bench.rows[row].trace is None:
        raise BenchmarkError(f"row {row} has no trace; allowed: one whose sample prompt was decoded alone and kept")
    return bench.rows[row]


def _row(row: Row, names: Sequence[str]) -> dict[str, Any]:
    """Cells as text, and what they are sorted by; null where there is nothing to sort."""
    numbers = [getattr(row, name) for name in names]
    return {
        "cells": [row.name, str(row.batch), *(cell(row, name) for name in names)],
        "order": [row.name, row.batch, *(n if n is None or isinstance(n, float) else n.value for n in numbers)],
        "trace": row.trace is not None,
    }


def _target(title: str, target: Target) -> dict[str, Any]:
    """The same of a target."""
    return {
        "cells": [target.name, title, *target.cells],
        "order": [target.name, title, target.value, target.bound, target.cells[-1]],
        "trace": False,
    }
