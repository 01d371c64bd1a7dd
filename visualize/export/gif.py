"""A run as an animation for slides: one frame a step, in light colours."""

import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dllm.settings import is_autoregressive
from dllm.trace import Trace
from dllm.trace.canvases import Cells, canvases
from dllm.trace.throughput import meter
from visualize.export.heading import APP, prompt_text
from visualize.export.palette import ACCENT, INK, LILAC, PAPER, QUIET, RULE, SHADES, STRIPE, palette, viridis, wash
from visualize.facts import decoder_words, short_words
from visualize.lane import head

MAX_FRAMES, MAX_CELLS, MAX_LINES, MAX_CHARS = 240, 1024, 32, 24
LENGTH = 12_000  # milliseconds of all steps together, as far as PACE allows
PACE = (50, 700)  # milliseconds of a step: the shortest, the longest
BEGIN, HELD = 1500, 4000  # milliseconds of the first and of the last frame
MARGIN, TOP, BOTTOM = 26, 112, 44  # pixels around the cells
CELL, LINE, GAP, TRAY, PAD = 30, 44, 3, 6, 6  # height, line distance, between cells, around a block, inside a cell
_SEEN = {" ": "·", "\n": "\\n", "\t": "\\t", "\r": "\\r"}  # with what the font has

Box = tuple[int, int, int, int]
Glyphs = tuple[str, bool]  # text, and whether it replaces a character that cannot be seen


def gif(trace: Trace, *, title: str | None = None, width: int = 900, milliseconds: int | None = None) -> bytes:
    """An animated GIF: the canvas before the first step and after every step.

    The first and the last frame stand longer. A cell is as wide as the widest token that ever stands in it, so that
    nothing moves. A run longer than MAX_FRAMES skips steps evenly, and its foot says which step is shown; cells beyond
    MAX_CELLS or MAX_LINES are only counted.

    Args:
        trace: of one lane.
        title: of the lane; by default how it was decoded, in a few words.
        width: pixels.
        milliseconds: of a step; by default such that all steps take about LENGTH.

    Raises:
        ValueError: names the value and what is allowed.
    """
    steps = len(trace.steps)
    shown = np.unique(np.linspace(0, steps, min(steps + 1, MAX_FRAMES)).round().astype(int)).tolist()
    pace = max(PACE[0], min(PACE[1], LENGTH // len(shown))) if milliseconds is None else milliseconds
    for name, value, low, high in (("width", width, 480, 1920), ("milliseconds", pace, 20, 10_000)):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; allowed: {low} to {high}")
    film = Film(trace, width, short_words(trace.settings) if title is None else title)
    frames, out = film.frames(shown), io.BytesIO()
    durations = [BEGIN, *[pace] * (len(shown) - 2), HELD] if len(shown) > 1 else [HELD]
    next(frames).save(out, "GIF", save_all=True, append_images=frames, duration=durations, loop=0, optimize=False)
    return out.getvalue()


def runs(piece: str) -> list[Glyphs]:
    """A token's text as it is drawn, cut after MAX_CHARS characters.

    As in the viewer, blanks and line breaks become visible and other characters without ink become their code points.
    For a character that it lacks, the font draws an empty box.
    """
    out: list[Glyphs] = []
    for char in piece:
        if sum(len(text) for text, _ in out) >= MAX_CHARS:
            return [*out, ("…", True)]
        blank = unicodedata.category(char)[0] in "CZ"
        out.append((_SEEN.get(char, f"U+{ord(char):04X}"), True) if blank else (char, False))
    return out or [("empty", True)]


@dataclass(frozen=True, slots=True)
class _CellStyle:
    """How a cell is drawn. shade: of its confidence; None for a mask, a draft, or a token beyond the stop token."""

    runs: tuple[Glyphs, ...] = ()
    shade: int | None = None
    new: bool = False
    beyond: bool = False
    window: bool = False
    draft: bool = False


class Film:
    """One picture, redrawn from frame to frame only where cells change."""

    def __init__(self, trace: Trace, width: int, title: str) -> None:
        self.trace, self.width, self.start = trace, width, len(trace.prompt)
        layout = head(trace.prompt, trace.settings)
        self.stop_ids = frozenset(layout["stop_ids"])
        self.autoregressive = is_autoregressive(trace.settings)
        self.block, self.origin = layout["block"], layout["origin"]
        self.end, self.meter = layout["end"], meter(trace)
        self.boxes, self.more = self._layout()
        self.trays = self._trays()
        height = max((box[3] for box in self.boxes), default=TOP) + BOTTOM + TRAY
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.drawn: dict[int, _CellStyle] = {}
        self._head(title)

    def frames(self, shown: Sequence[int]) -> Iterator[Image.Image]:
        """A frame after each number of steps in `shown`, which starts with 0."""
        colours = palette()
        steps, cells = self.trace.steps, Cells()
        after = canvases(steps)
        for before, now in pairwise([0, *shown]):
            for record in steps[before:now]:
                cells = next(after)
                self.meter.add(record)
            self._patch(before, now, cells)
            yield self.image.quantize(palette=colours, dither=Image.Dither.NONE)

    def _patch(self, before: int, now: int, cells: Cells) -> None:
        record = self.trace.steps[now - 1] if now else None
        stop = min((p for p, cell in cells.items() if cell.token in self.stop_ids), default=None)
        drafts = record.drafted if record else {}
        for block, tray in self.trays:
            active = record is not None and record.tested is None and self.block > 1 and block == record.block[0]
            self.draw.rounded_rectangle(tray, 8, outline=ACCENT if active else RULE)
        for i, box in enumerate(self.boxes):
            p = self.start + i
            beyond = stop is not None and p > stop
            if cell := cells.get(p):
                shade = None if beyond else round(min(cell.confidence, 1) * (SHADES - 1))
                style = _CellStyle(self._runs(cell.token), shade, cell.step >= before, beyond)
            elif p in drafts and not beyond:
                style = _CellStyle(self._runs(drafts[p][0]), draft=True)
            else:
                inside = record is not None and record.window[0] <= p < record.window[1]
                style = _CellStyle(beyond=beyond, window=inside)
            if self.drawn.get(p) != style:
                self._cell(box, style)
                self.drawn[p] = style
        self._foot(now)

    def _cell(self, box: Box, style: _CellStyle) -> None:
        x0, y0, x1, y1 = box
        self.draw.rectangle(box, PAPER)
        if not style.runs:
            self._mask(box, style)
            return
        if style.shade is not None:
            self.draw.rounded_rectangle(box, 4, wash(style.shade))
            self.draw.rectangle((x0 + 2, y1 - 3, x1 - 2, y1), viridis(style.shade))
        x = x0 + PAD
        for text, blank in style.runs:
            ink = STRIPE if style.beyond or style.draft else QUIET if blank else INK
            self.draw.text((x, (y0 + y1) / 2 - 1), text, ink, _font(16), anchor="lm")
            x += _font(16).getlength(text)
        if style.draft:
            for x in range(x0, x1 - 2, 6):
                self.draw.line((x, y1, x + 3, y1), STRIPE, 2)
        if style.new:
            self.draw.rounded_rectangle(box, 4, outline=ACCENT, width=2)

    def _mask(self, box: Box, style: _CellStyle) -> None:
        """Hatched where a token will be; an underline under AR, which has no masks."""
        x0, y0, x1, y1 = box
        ink = LILAC if style.window and not style.beyond else RULE if style.beyond else STRIPE
        if self.autoregressive:
            self.draw.line((x0, y1, x1, y1), RULE, 2)
            return
        tile = Image.new("RGB", (x1 - x0 + 1, y1 - y0 + 1), PAPER)
        pen = ImageDraw.Draw(tile)
        for x in range(-tile.height, tile.width, 6):
            pen.line((x, tile.height, x + tile.height, 0), ink)
        pen.rectangle((0, 0, tile.width - 1, tile.height - 1), outline=ink)
        self.image.paste(tile, (x0, y0))

    def _head(self, title: str) -> None:
        about = f"{self.trace.model.id}: {decoder_words(self.trace.settings)}"
        lines = ((20, 22, INK, f"{APP}: {title}"), (50, 15, INK, prompt_text(self.trace)), (74, 13, QUIET, about))
        for y, size, ink, text in lines:
            # the font has no superscript two
            self.draw.text((MARGIN, y), _cut(text.replace("²", "2"), size, self.width - 2 * MARGIN), ink, _font(size))

    def _foot(self, now: int) -> None:
        numbers, y = self.meter.total, self.image.height - 24
        step = f"step {now}" if now else "before step 1"
        words = f"{step} of {len(self.trace.steps)}  ·  {numbers.tokens} token{'s' * (numbers.tokens != 1)}"
        words += f"  ·  {numbers.seconds:.2f} seconds" + (f"  ·  + {self.more} more cells" if self.more else "")
        self.draw.rectangle((0, y - 14, self.width, self.image.height), PAPER)
        self.draw.text((MARGIN, y), words, INK, _font(15), anchor="lm")
        right = self.width - MARGIN
        self.draw.text((right - SHADES * 5 - 24, y), "confidence  0", QUIET, _font(13), anchor="rm")
        self.draw.text((right, y), "1", QUIET, _font(13), anchor="rm")
        for shade in range(SHADES):
            x = right - 14 - (SHADES - shade) * 5
            self.draw.rectangle((x, y - 6, x + 4, y + 5), viridis(shade))

    def _layout(self) -> tuple[list[Box], int]:
        """The boxes of the cells that any step reached, up to the cap, and the number of cells left out."""
        reached = max([self.start, *(p + 1 for s in self.trace.steps for p in (*s.committed, s.visible - 1))])
        count = min(reached, self.end) - self.start
        widths, boxes = self._widths(), list[Box]()
        x, y = MARGIN + TRAY, TOP
        for i in range(count):
            wide = widths.get(self.start + i, 26)
            if i and self.block > 1 and (self.start + i - self.origin) % self.block == 0:
                x += 2 * TRAY + GAP
            if x + wide > self.width - MARGIN - TRAY and x > MARGIN + TRAY:
                x, y = MARGIN + TRAY, y + LINE
            if i == MAX_CELLS or y >= TOP + MAX_LINES * LINE:
                break
            boxes.append((x, y, x + wide, y + CELL))
            x += wide + GAP
        return boxes, count - len(boxes)

    def _widths(self) -> dict[int, int]:
        """Pixels of the widest token at each position."""
        out: dict[int, int] = {}
        for record in self.trace.steps:
            tokens = dict(zip(record.positions, record.tokens, strict=True))
            drafted = [(p, token) for p, (token, _) in record.drafted.items()]
            for p, token in [*((p, tokens[p]) for p in record.committed), *drafted]:
                text = sum(_font(16).getlength(text) for text, _ in self._runs(token))
                out[p] = max(out.get(p, 26), round(text) + 2 * PAD)
        return out

    def _trays(self) -> list[tuple[int, Box]]:
        """The frames of blocks, one a line: the first position of the block, and the frame."""
        out: dict[tuple[int, int], Box] = {}
        for i, (x0, y0, x1, y1) in enumerate(self.boxes):
            p = self.start + i
            block = p - (p - self.origin) % self.block if self.block > 1 else self.start
            left = out.get((block, y0), (x0 - TRAY,))[0]
            out[block, y0] = (left, y0 - TRAY, x1 + TRAY, y1 + TRAY)
        return [(block, tray) for (block, _), tray in out.items()]

    def _runs(self, token: int) -> tuple[Glyphs, ...]:
        if token in self.stop_ids:
            return (("EOS", True),)
        if part := (self.trace.fragments or {}).get(token):  # a part of a character: its bytes
            return ((part.upper(), True),)
        return tuple(runs(self.trace.pieces.get(token, f"<{token}>")))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow has no FreeType"
    return font


def _cut(text: str, size: int, room: int) -> str:
    """The text, cut to a number of pixels."""
    text = "".join(char if char.isprintable() else "·" for char in text[:500])
    while _font(size).getlength(text) > room:
        text = text[:-2] + "…"
    return text
