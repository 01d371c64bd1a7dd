"""The colours of the animation: few enough that one palette holds them and the edges of letters."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageColor

from visualize.charts.figure import VIRIDIS

INK, QUIET, STRIPE, RULE, PAPER = "#1f2937", "#6b7280", "#b6c0cd", "#d9dee5", "#ffffff"
ACCENT, LILAC = "#4338ca", "#a5a0e4"
SHADES = 16  # of confidence: all of them and the edges of letters must fit in one palette of 256
_WASH = 0.3  # share of the confidence colour in a cell's background

Colour = tuple[int, int, int]


def viridis(shade: int) -> Colour:
    """The colour of the confidence shade / (SHADES - 1), as in the viewer."""
    stops = np.array([ImageColor.getrgb(colour) for colour in VIRIDIS])
    at = shade / (SHADES - 1) * (len(stops) - 1)
    low = min(int(at), len(stops) - 2)
    return _mix(stops[low], stops[low + 1], at - low)


def wash(shade: int) -> Colour:
    """The colour behind a token of that confidence."""
    return _mix(ImageColor.getrgb(PAPER), viridis(shade), _WASH)


def _mix(a: Sequence[int], b: Sequence[int], share: float) -> Colour:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


@cache
def palette() -> Image.Image:
    """All colours that are drawn, with the edges of letters: one palette for all frames, so that they stay small."""
    paper = ImageColor.getrgb(PAPER)
    colours = [*(ImageColor.getrgb(colour) for colour in (PAPER, RULE, LILAC, ACCENT)), *map(viridis, range(SHADES))]
    for ink in (INK, QUIET, STRIPE):
        colours += [_mix(paper, ImageColor.getrgb(ink), share / 6) for share in range(2, 7)]
    for shade in range(SHADES):
        colours += [_mix(wash(shade), ImageColor.getrgb(INK), share / 7) for share in range(7)]
        colours += [_mix(wash(shade), ImageColor.getrgb(QUIET), share / 3) for share in (1, 2)]
    image = Image.new("P", (1, 1))
    image.putpalette([part for colour in colours for part in colour])
    return image
