"""What all charts share: one scale of colours in Python and in the script, styles told apart without colour, ticks."""

import re
from pathlib import Path

import pytest
from PIL import ImageColor

from visualize.figure import FEW_TICKS, STYLES, VIRIDIS, base_figure, by_step
from visualize.palette import SHADES, viridis

VIEWER = Path(__file__).parents[2] / "assets/viewer/src"


def test_the_script_has_the_same_scale_of_confidence() -> None:
    source = (VIEWER / "colour.js").read_text(encoding="utf-8")
    stops = re.findall(r"\[(\d+), (\d+), (\d+)\]", source[source.index("VIRIDIS") :])
    assert [tuple(map(int, stop)) for stop in stops] == [ImageColor.getrgb(colour) for colour in VIRIDIS]


def test_the_animation_has_the_same_scale() -> None:
    shades = [viridis(shade) for shade in range(SHADES)]
    ends = [ImageColor.getrgb(colour) for colour in (VIRIDIS[0], VIRIDIS[-1])]
    assert [shades[0], shades[-1]] == ends
    lightness = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in shades]
    assert lightness == sorted(lightness)


def test_styles_differ_in_everything() -> None:
    for part in ("colour", "dash", "symbol", "pattern"):
        assert len({getattr(style, part) for style in STYLES}) == len(STYLES)


@pytest.mark.parametrize("steps", range(1, 2 * FEW_TICKS))
def test_steps_have_no_halves(steps: int) -> None:
    """Plotly draws up to FEW_TICKS ticks: with fewer steps than that it must be told to draw whole ones."""
    axis = by_step(base_figure(), steps).layout.xaxis
    assert (axis.dtick == 1) == (steps <= FEW_TICKS)
