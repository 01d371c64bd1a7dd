"""Charts of a benchmark: speed and score, beside AR and beside published numbers, and speed by batch size."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

import plotly.graph_objects as go

from dllm.bench.document import AR, Benchmark, Number, Row
from dllm.bench.published import Published, Series
from visualize.charts.figure import INK, QUIET, RULE, base_figure

# of families in the order of their rows: hue and shape tell them apart, and both are seen on light and dark paper
MARKS = (
    ("#0072b2", "circle"), ("#e69f00", "square"), ("#009e73", "diamond"), ("#d55e00", "triangle-up"),
    ("#cc79a7", "cross"), ("#56b4e9", "x"), ("#8c6bb1", "pentagon"), ("#a6761d", "hexagon"),
)  # fmt: skip
HOLLOW = ("circle-open", "square-open", "triangle-up-open", "diamond-open", "cross-open", "x-open")
_USUAL = 0.9  # the threshold at which families are drawn by batch size, as published
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart, its title, and what to look for in it."""

    title: str
    look_for: str
    figure: go.Figure


def benchmark_charts(bench: Benchmark, published: Published) -> list[Drawn]:
    """All charts of a benchmark; none if nothing was timed."""
    if not any(row.tps for row in bench.rows):
        return []
    return [
        Drawn(
            "Speed and score",
            "Each dot is one way of decoding, every prompt alone; bars are 95 % intervals, and a line joins the "
            "thresholds of one family. No dot is both faster and better than one on the dotted line. Click a dot to "
            "open its trace.",
            pareto(bench),
        ),
        Drawn(
            "Beside AR, and beside what others published",
            "Filled: these rows beside AR on this machine. Hollow: published numbers beside the baseline of their own "
            "paper, on other models, machines and tasks. Only such ratios can stand side by side.",
            relative(bench, published),
        ),
        Drawn(
            "Speed by batch size",
            f"All prompts in batches of each size, at threshold {_USUAL} or the highest below it. Bars reach from "
            "the slowest to the fastest round.",
            speed_by_batch(bench),
        ),
        Drawn(
            "Times AR by batch size",
            "The lead over AR at the same batch size: does it last when AR too has many prompts to fill the machine "
            "with? Hollow: published, on other models and machines.",
            speedup(bench, published),
        ),
    ]


def pareto(bench: Benchmark) -> go.Figure:
    """Tokens per second against score, each row decoded alone a dot; customdata are its index and its trace."""
    rows = [(n, row) for n, row in enumerate(bench.rows) if row.batch == 1 and row.tps and row.score]
    figure = base_figure(
        height=480, xaxis_title="tokens per second", yaxis_title="right answers, %", hovermode="closest"
    )
    points = [(row.tps.value, _PERCENT * row.score.value) for _, row in rows if row.tps and row.score]
    best = [points[n] for n in front(points)]
    figure.add_scatter(
        x=[x for x, _ in best],
        y=[y for _, y in best],
        mode="lines",
        line={"dash": "dot", "color": QUIET, "shape": "vh"},
        name="nothing is faster and better",
        hoverinfo="skip",
    )
    for family, members, style in _families(rows):
        speeds = [row.tps for _, row in members if row.tps]
        scores = [row.score for _, row in members if row.score]
        figure.add_scatter(
            x=[speed.value for speed in speeds],
            y=[_PERCENT * score.value for score in scores],
            error_x=bars(speeds, 1, style["marker"]["color"]),
            error_y=bars(scores, _PERCENT, style["marker"]["color"]),
            name=family,
            **_dots(members),
            **style,
        )
    return figure.update_layout(showlegend=True)


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other one beats: none is as good in both and better in one. By rising x."""
    best: list[int] = []
    high: tuple[float, float] | None = None  # the best y so far, and the x where it was reached
    for n in sorted(range(len(points)), key=lambda n: points[n], reverse=True):
        x, y = points[n]
        if high is None or y > high[0] or (y, x) == high:
            best.append(n)
            high = y, x
    return best[::-1]


def relative(bench: Benchmark, published: Published) -> go.Figure:
    """Speed as a multiple of the own baseline's against the difference in score, in points."""
    figure = base_figure(
        height=700,
        xaxis_title="times the baseline's speed (here: AR)",
        yaxis_title="score above the baseline's, points",
        hovermode="closest",
    )
    for n, series in enumerate(published.quality):
        points = [p for p in series.points if p.score is not None and p.base_score is not None]
        figure.add_scatter(
            x=[p.tps / p.base_tps for p in points],
            y=[_PERCENT * (p.score - p.base_score) for p in points if p.score is not None and p.base_score is not None],
            **_hollow(series, n, mode="markers", texts=[p.at for p in points]),
        )
    base = bench.baseline()
    rows = [(n, row) for n, row in enumerate(bench.rows) if row.batch == 1 and row.tps and row.score]
    for family, members, style in _families(rows if base and base.tps and base.score else []):
        assert base is not None
        assert base.tps is not None
        figure.add_scatter(
            x=[row.tps.value / base.tps.value for _, row in members if row.tps],
            y=[_PERCENT * (row.score.value - base.score.value) for _, row in members if row.score and base.score],
            name=family,
            **_dots(members),
            **style,
        )
    figure.add_hline(y=0, line={"color": RULE, "width": 2})
    figure.add_vline(x=1, line={"color": RULE, "width": 2})
    return figure.update_layout(showlegend=True)


def speed_by_batch(bench: Benchmark) -> go.Figure:
    """Tokens per second by batch size, a line for each family."""
    figure = _by_batch("tokens per second")
    for members, style in _usual(bench):
        speeds = [row.tps for _, row in members if row.tps]
        figure.add_scatter(
            x=[row.batch for _, row in members],
            y=[speed.value for speed in speeds],
            error_y=bars(speeds, 1, style["marker"]["color"]),
            name=members[0][1].name,
            **_dots(members),
            **style,
        )
    return figure.update_layout(showlegend=True)


def speedup(bench: Benchmark, published: Published) -> go.Figure:
    """Speed as a multiple of AR's at the same batch size, a line for each family."""
    figure = _by_batch("times AR")
    base = {row.batch: row.tps.value for row in bench.rows if row.name == AR and row.tps}
    for members, style in _usual(bench):
        beside = [(n, row) for n, row in members if row.name != AR and row.batch in base]
        if beside:
            x, y = [row.batch for _, row in beside], [row.tps.value / base[row.batch] for _, row in beside if row.tps]
            figure.add_scatter(x=x, y=y, name=beside[0][1].name, **_dots(beside), **style)
    for n, series in enumerate(published.batches):
        figure.add_scatter(
            x=[int(p.at) for p in series.points],
            y=[p.tps / p.base_tps for p in series.points],
            **_hollow(series, n, mode="lines+markers", texts=[f"batch {p.at}" for p in series.points]),
        )
    figure.add_hline(y=1, line={"color": RULE, "width": 2})
    return figure.update_layout(showlegend=True)


Members = list[tuple[int, Row]]


def _families(rows: Members) -> list[tuple[str, Members, dict[str, Any]]]:
    """Rows by family, thresholds rising, and how each is drawn."""
    names = list(dict.fromkeys(row.family for _, row in rows))
    return [
        (
            name,
            sorted((m for m in rows if m[1].family == name), key=lambda m: m[1].threshold or 0),
            _style(n, name),
        )
        for n, name in enumerate(names)
    ]


def _usual(bench: Benchmark) -> list[tuple[Members, dict[str, Any]]]:
    """Of each family the way of the usual threshold, or of the highest below it, or the lowest: by batch size."""
    found = []
    for _, members, style in _families([(n, row) for n, row in enumerate(bench.rows) if row.tps]):
        thresholds = sorted({row.threshold or 0 for _, row in members})
        chosen = max((t for t in thresholds if t <= _USUAL), default=thresholds[0])
        line = sorted((m for m in members if (m[1].threshold or 0) == chosen), key=lambda m: m[1].batch)
        found.append((line, style))
    return found


def _style(n: int, family: str) -> dict[str, Any]:
    colour, symbol = (INK, "star") if family == AR else MARKS[n % len(MARKS)]
    marker = {"color": colour, "symbol": symbol, "size": 12 if family == AR else 9}
    return {"mode": "lines+markers", "marker": marker, "line": {"color": colour, "width": 1}}


def _dots(members: Members) -> dict[str, Any]:
    return {
        "customdata": [[n, row.trace] for n, row in members],
        "text": [f"{row.name}, batch {row.batch}" for _, row in members],
        "hovertemplate": "%{text}<br>%{x:.3g}, %{y:.3g}<extra></extra>",
    }


def _hollow(series: Series, n: int, *, mode: str, texts: Sequence[str]) -> dict[str, Any]:
    return {
        "name": f"published, {series.source.split(', ')[-1]}:<br>{series.label}",
        "mode": mode,
        "marker": {"color": QUIET, "symbol": HOLLOW[n % len(HOLLOW)], "size": 9, "line": {"width": 2}},
        "line": {"color": QUIET, "width": 1, "dash": "dash"},
        "text": list(texts),
        "hovertemplate": "%{text}<br>%{x:.3g}, %{y:.3g}<extra>published</extra>",
    }


def bars(numbers: Sequence[Number], factor: float, colour: str) -> dict[str, Any]:
    """Error bars from values to the bounds of their intervals; none where there is no interval."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [factor * max(0, (n.value if n.high is None else n.high) - n.value) for n in numbers],
        "arrayminus": [factor * max(0, n.value - (n.value if n.low is None else n.low)) for n in numbers],
        "color": colour,
        "thickness": 1,
        "width": 2,
    }


def _by_batch(title: str) -> go.Figure:
    figure = base_figure(height=500, yaxis_title=title, hovermode="closest")
    figure.update_xaxes(type="log", dtick=log10(2), title_text="prompts decoded together")
    return figure.update_yaxes(rangemode="tozero")
