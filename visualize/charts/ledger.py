"""The cache ledger: which KV entries each step reused, which it recomputed and why, and their age."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dllm.trace import Trace
from dllm.trace.metrics import ABSENT, RECOMPUTED, STATES, ages, states
from visualize.charts.figure import CLEAR, base_figure, by_step, discrete_scale
from visualize.charts.sheet import committed_outlines, heatmap, position_count, shades, sheet
from visualize.view import View

K = 4  # a pattern has K × K pixels
MAX_PATTERNED = 40_000  # cells; above this a cell is about a pixel on the page, and a pattern could not be seen
_MAX_REPEATS = 4  # of a pattern along one side of a cell
_PAGE = (400, 1000)  # pixels of a chart on a page of ordinary width: down, across
_PIXEL = 3  # pixels of the page that one pixel of a pattern should take


@dataclass(frozen=True, slots=True)
class StateStyle:
    """How a state of a cache entry is drawn: its name, its hue on a pale ground, and one pattern in three vocabularies.

    Attributes:
        bitmap: K rows of K characters; "#" is the hue, "." the ground.
        symbol: of a Plotly marker.
        pattern: of a Plotly bar.
    """

    name: str
    hue: str
    ground: str
    bitmap: str
    symbol: str
    pattern: str


_SOLID = "#### #### #### ####"
STATE_STYLES = (
    StateStyle("absent", CLEAR, CLEAR, _SOLID, "square", ""),
    StateStyle("reused", "rgba(128,138,150,.22)", CLEAR, _SOLID, "square", ""),
    StateStyle("recomputed", "#0072b2", CLEAR, _SOLID, "square", ""),
    StateStyle(
        "recomputed: certainty density", "#d98c00", "rgba(217,140,0,.3)", ".... .#.. .... ...#", "square-open-dot", "."
    ),
    StateStyle(
        "recomputed: just committed", "#009e73", "rgba(0,158,115,.3)", "##.. ##.. ..## ..##", "square-cross-open", "+"
    ),
    StateStyle(
        "recomputed: attention rollout", "#8a63d2", "rgba(138,99,210,.3)", "...# ..#. .#.. #...", "line-ne-open", "/"
    ),
    StateStyle(
        "recomputed: inflated gap", "#a6761d", "rgba(166,118,29,.3)", "#### .... #### ....", "line-ew-open", "-"
    ),
    StateStyle(
        "recomputed: to fill a multiple", "#c2527f", "rgba(194,82,127,.3)", "#..# .##. .##. #..#", "x-open", "x"
    ),
)
# they share positions and leave no entry, so no cell of the ledger shows them
GUESSES = StateStyle(
    "masks that guess; their entries are not kept", "#d55e00", "rgba(213,94,0,.3)", _SOLID, "square", "\\"
)


def ledger(trace: Trace) -> go.Figure:
    """What the cache did with every position in every step: a hue and a pattern for each of `metrics.STATES`.

    z: uint8, as `patterned`: a state's code where its hue is, its code + 8 where its ground is. x and y stay positions
    and steps.
    """
    done = states(trace)
    down, across = resolution(*done.shape)
    cells = go.Heatmap(
        z=patterned(done, down, across),
        x0=-0.5 + 0.5 / across,
        dx=1 / across,
        y0=0.5 + 0.5 / down,
        dy=1 / down,
        zmin=-0.5,
        zmax=2 * len(STATE_STYLES) - 0.5,
        colorscale=discrete_scale([*(style.hue for style in STATE_STYLES), *(style.ground for style in STATE_STYLES)]),
        showscale=False,
        hoverinfo="none",
    )
    return sheet(
        cells, *_legend(done), *committed_outlines(trace), steps=len(trace.steps), positions=position_count(trace)
    )


def entry_age(trace: Trace) -> go.Figure:
    """Steps since every cache entry was computed, after every step; clear where there is none."""
    age = ages(trace)
    top = max(1, int(age.max(initial=0)))
    cells = heatmap(shades(np.where(age < 0, np.nan, age), top), label="steps since computed", ticks=("0", str(top)))
    return sheet(cells, *committed_outlines(trace), steps=len(trace.steps), positions=position_count(trace))


def queries_by_reason(trace: Trace) -> go.Figure:
    """How many positions each step recomputed, stacked by reason; masks that guess are one more bar."""
    done = states(trace)
    step = np.arange(1, len(done) + 1, dtype=np.int32)
    bars = [(STATE_STYLES[code], (done == code).sum(axis=1, dtype=np.int32)) for code in _present(done, RECOMPUTED)]
    if any(guessed := [record.guessing for record in trace.steps]):
        bars.append((GUESSES, np.array(guessed, dtype=np.int32)))
    figure = base_figure(
        *(
            go.Bar(
                x=step,
                y=counts,
                name=style.name,
                marker={"color": style.hue, "pattern": {"shape": style.pattern, "bgcolor": style.ground}},
                hovertemplate=f"step %{{x}}: %{{y}} {style.name}<extra></extra>",
            )
            for style, counts in bars
        ),
        barmode="stack",
        bargap=0,
        showlegend=True,
        meta={"step": "x"},
    )
    return by_step(figure, len(done)).update_yaxes(title_text="positions recomputed", rangemode="tozero")


def resolution(steps: int, positions: int) -> tuple[int, int]:
    """Pixels of a cell, down and across: multiples of K, larger where cells are large; 1 where there are too many."""
    if steps * positions > MAX_PATTERNED:
        return 1, 1
    sides = (_PAGE[0] // max(1, steps), _PAGE[1] // max(1, positions))
    down, across = (K * max(1, min(_MAX_REPEATS, side // (K * _PIXEL))) for side in sides)
    return down, across


def patterned(done: np.ndarray, down: int, across: int) -> np.ndarray:
    """States (steps, positions) as bitmaps (down · steps, across · positions).

    down, across: pixels of a cell; 1, which draws every state in its plain hue, or multiples of K, which repeat its
    pattern within a cell.
    """
    if (down, across) == (1, 1):
        return done
    tiles = np.array([[list(row) for row in style.bitmap.split()] for style in STATE_STYLES]) == "."  # (states, K, K)
    codes = np.arange(len(STATE_STYLES), dtype=np.uint8)[:, None, None] + len(STATE_STYLES) * tiles.astype(np.uint8)
    tiled = np.tile(codes, (1, down // K, across // K))
    steps, positions = done.shape
    return tiled[done].transpose(0, 2, 1, 3).reshape(down * steps, across * positions)


def _present(done: np.ndarray, first: int) -> list[int]:
    """The states from `first` on that occur, in their order."""
    return [code for code in range(first, len(STATES)) if (done == code).any()]


def _legend(done: np.ndarray) -> list[go.Scatter]:
    """One entry for each state there is; its point is nowhere."""
    return [
        go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=style.name,
            marker={"symbol": style.symbol, "size": 11, "color": style.hue, "line": {"width": 2, "color": style.hue}},
            hoverinfo="skip",
        )
        for style in (STATE_STYLES[code] for code in _present(done, ABSENT + 1))
    ]


VIEW = View(
    title="Cache ledger",
    look_for=(
        "Look for columns that stay reused for many steps: their keys and values are old, computed before every token "
        "that was written since."
    ),
    empty="No pass was made in this lane.",
    charts={
        "What the cache did with every position in every step": lambda lane, _: ledger(lane.trace),
        "Positions recomputed in each step, by reason": lambda lane, _: queries_by_reason(lane.trace),
        "Age of every cache entry, in steps": lambda lane, _: entry_age(lane.trace),
    },
)
