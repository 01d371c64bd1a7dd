"""The cache ledger: which entries each step reused, which it recomputed and why, and how old they are."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dllm.metrics import ABSENT, RECOMPUTED, STATES, ages, states
from dllm.trace import Trace
from visualize.figure import CLEAR, by_step, frame, scale, sheet
from visualize.score import heat, outlines, shades, width

K = 4  # a cell is drawn as K × K pixels
MAX_DRAWN = 40_000  # cells; above this one is about a pixel on the page, and a pattern could not be seen


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is drawn: its name, its hue with a pale ground, and one pattern in three vocabularies.

    bitmap: K rows of K; "#" is the hue. symbol: of a plotly marker. shape: of a plotly bar's pattern.
    """

    name: str
    hue: str
    ground: str
    bitmap: str
    symbol: str
    shape: str


SOLID = "#### #### #### ####"
LOOKS = (
    Look("absent", CLEAR, CLEAR, SOLID, "square", ""),
    Look("reused", "rgba(128,138,150,.22)", CLEAR, SOLID, "square", ""),
    Look("recomputed", "#0072b2", CLEAR, SOLID, "square", ""),
    Look(
        "recomputed: certainty density", "#d98c00", "rgba(217,140,0,.3)", ".... .#.. .... ...#", "square-open-dot", "."
    ),
    Look(
        "recomputed: just committed", "#009e73", "rgba(0,158,115,.3)", "##.. ##.. ..## ..##", "square-cross-open", "+"
    ),
    Look("recomputed: attention rollout", "#8a63d2", "rgba(138,99,210,.3)", "...# ..#. .#.. #...", "line-ne-open", "/"),
    Look("recomputed: inflated gap", "#a6761d", "rgba(166,118,29,.3)", "#### .... #### ....", "line-ew-open", "-"),
    Look("recomputed: to fill a multiple", "#c2527f", "rgba(194,82,127,.3)", "#..# .##. .##. #..#", "x-open", "x"),
)
# masks that share positions and leave no entry, so that no cell of the ledger is theirs
GUESSES = Look("masks that guess, kept by nobody", "#d55e00", "rgba(213,94,0,.3)", SOLID, "square", "\\")


def ledger(trace: Trace) -> go.Figure:
    """What the cache did with every position in every step: a hue and a pattern for each of `dllm.metrics.STATES`.

    z: uint8 (k · steps, k · positions), a state's code where its hue is, its code + 8 where its ground is; k is 4, or
    1 above MAX_DRAWN cells. x and y stay positions and steps.
    """
    done = states(trace)
    k = K if done.size <= MAX_DRAWN else 1
    cells = go.Heatmap(
        z=patterned(done, k),
        x0=-0.5 + 0.5 / k,
        dx=1 / k,
        y0=0.5 + 0.5 / k,
        dy=1 / k,
        zmin=-0.5,
        zmax=2 * len(LOOKS) - 0.5,
        colorscale=scale([*(look.hue for look in LOOKS), *(look.ground for look in LOOKS)]),
        showscale=False,
        hoverinfo="none",
    )
    return sheet(cells, *_legend(done), *outlines(trace), steps=len(trace.steps), positions=width(trace))


def entry_age(trace: Trace) -> go.Figure:
    """Steps since every cache entry was computed, after every step; clear where there is none."""
    age = ages(trace)
    top = max(1, int(age.max(initial=0)))
    cells = heat(shades(np.where(age < 0, np.nan, age), top), label="steps since computed", ticks=("0", str(top)))
    return sheet(cells, *outlines(trace), steps=len(trace.steps), positions=width(trace))


def queries_by_reason(trace: Trace) -> go.Figure:
    """How many positions each step recomputed, stacked by reason; masks whose entries nobody keeps are one more."""
    done = states(trace)
    step = np.arange(1, len(done) + 1, dtype=np.int32)
    bars = [(LOOKS[code], (done == code).sum(axis=1, dtype=np.int32)) for code in _present(done, RECOMPUTED)]
    if any(guessed := [record.guessing for record in trace.steps]):
        bars.append((GUESSES, np.array(guessed, dtype=np.int32)))
    figure = frame(
        *(
            go.Bar(
                x=step,
                y=counts,
                name=look.name,
                marker={"color": look.hue, "pattern": {"shape": look.shape, "bgcolor": look.ground}},
                hovertemplate=f"step %{{x}}: %{{y}} {look.name}<extra></extra>",
            )
            for look, counts in bars
        ),
        barmode="stack",
        bargap=0,
        showlegend=True,
        meta={"step": "x"},
    )
    return by_step(figure, len(done)).update_yaxes(title_text="positions recomputed", rangemode="tozero")


def patterned(done: np.ndarray, k: int) -> np.ndarray:
    """States (steps, positions) as bitmaps (k · steps, k · positions); with k = 1 every state is its plain hue."""
    tiles = np.array([[list(row) for row in look.bitmap.split()] for look in LOOKS]) == "."  # (states, K, K)
    codes = np.arange(len(LOOKS), dtype=np.uint8)[:, None, None] + len(LOOKS) * tiles.astype(np.uint8)
    if k == 1:
        return done
    steps, positions = done.shape
    return codes[done].transpose(0, 2, 1, 3).reshape(K * steps, K * positions)


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
            name=look.name,
            marker={"symbol": look.symbol, "size": 11, "color": look.hue, "line": {"width": 2, "color": look.hue}},
            hoverinfo="skip",
        )
        for look in (LOOKS[code] for code in _present(done, ABSENT + 1))
    ]
