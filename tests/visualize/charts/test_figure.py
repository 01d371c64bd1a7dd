"""What all charts share: one scale of colours, styles told apart without colour, ticks."""

import pytest
from PIL import ImageColor

from visualize.charts.figure import FEW_TICKS, SERIES_STYLES, VIRIDIS, base_figure, by_step
from visualize.export.palette import SHADES, viridis


def test_the_animation_has_the_same_scale() -> None:
    shades = [viridis(shade) for shade in range(SHADES)]
    ends = [ImageColor.getrgb(colour) for colour in (VIRIDIS[0], VIRIDIS[-1])]
    assert [shades[0], shades[-1]] == ends
    lightness = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in shades]
    assert lightness == sorted(lightness)


def test_styles_differ_in_everything() -> None:
    for part in ("colour", "dash", "symbol", "pattern"):
        assert len({getattr(style, part) for style in SERIES_STYLES}) == len(SERIES_STYLES)


@pytest.mark.parametrize("steps", range(1, 2 * FEW_TICKS))
def test_steps_have_no_halves(steps: int) -> None:
    """Plotly draws up to FEW_TICKS ticks: with fewer steps than that it must be told to draw whole ones."""
    axis = by_step(base_figure(), steps).layout.xaxis
    assert (axis.dtick == 1) == (steps <= FEW_TICKS)
