"""A run as an animation for slides: one frame a step, in light colours."""

import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from dllm.trace import Trace
from visualize.facts import decoder_words
from visualize.figure import VIRIDIS
from visualize.lane import head
from visualize.tally import Counter

MAX_FRAMES, MAX_CELLS, MAX_LINES, MAX_CHARS = 240, 1024, 32, 24
HELD = 2000  # milliseconds of the last frame
INK, QUIET, STRIPE, RULE, PAPER = "#1f2937", "#6b7280", "#b6c0cd", "#d9dee5", "#ffffff"
ACCENT, LILAC = "#4338ca", "#a5a0e4"
SHADES = 16  # of confidence: so few that all of them and the edges of letters share one palette
WASH = 0.3  # how much of its colour stands behind a token
MARGIN, TOP, BOTTOM = 26, 82, 44  # pixels around the cells
CELL, LINE, GAP, TRAY, PAD = 30, 44, 3, 6, 6  # height, line distance, between cells, around a block, inside a cell
SEEN = {" ": "·", "\n": "\\n", "\t": "\\t", "\r": "\\r"}  # with what the font has

Box = tuple[int, int, int, int]
Run = tuple[str, bool]  # text, and whether it stands for something that has no ink of its own


def gif(trace: Trace, *, width: int = 900, milliseconds: int = 200) -> bytes:
    """An animated GIF: the canvas before the first step and after every step, the last one for two seconds.

    A cell is as wide as the widest token that ever stands in it, so that nothing moves. A longer run than MAX_FRAMES
    skips steps evenly, and its foot says which is shown; cells beyond MAX_CELLS or MAX_LINES are only counted.

    Raises:
        ValueError: names the value and what is allowed.
    """
    for name, value, low, high in (("width", width, 480, 1920), ("milliseconds", milliseconds, 20, 10_000)):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; allowed: {low} to {high}")
    steps = len(trace.steps)
    shown = np.unique(np.linspace(0, steps, min(steps + 1, MAX_FRAMES)).round().astype(int)).tolist()
    frames, out = _Film(trace, width).frames(shown), io.BytesIO()
    durations = [*[milliseconds] * (len(shown) - 1), HELD]
    next(frames).save(out, "GIF", save_all=True, append_images=frames, duration=durations, loop=0, optimize=False)
    return out.getvalue()


def runs(piece: str) -> list[Run]:
    """A token's text as it is drawn, cut after MAX_CHARS characters.

    Blanks and line breaks become visible and what has no ink becomes its code point, as in the viewer. What else the
    font lacks is left to it: an empty box.
    """
    out: list[Run] = []
    for char in piece:
        if sum(len(text) for text, _ in out) >= MAX_CHARS:
            return [*out, ("…", True)]
        blank = unicodedata.category(char)[0] in "CZ"
        out.append((SEEN.get(char, f"U+{ord(char):04X}"), True) if blank else (char, False))
    return out or [("empty", True)]


@dataclass(frozen=True, slots=True)
class _Look:
    """All that is drawn of a cell. shade: of its confidence; None: a mask, a draft, or beyond the stop token."""

    runs: tuple[Run, ...] = ()
    shade: int | None = None
    new: bool = False
    beyond: bool = False
    window: bool = False
    draft: bool = False


class _Film:
    """One picture that is patched from frame to frame: only what looks different is drawn again."""

    def __init__(self, trace: Trace, width: int) -> None:
        self.trace, self.width, self.start = trace, width, len(trace.prompt)
        layout = head(trace.prompt, trace.settings)
        self.stop_ids = frozenset(layout["stop_ids"])
        self.block, self.origin = layout["block"], layout["origin"]
        self.counter = Counter(self.start, layout["end"], self.stop_ids)
        self.boxes, self.more = self._layout()
        self.trays = self._trays()
        height = max((box[3] for box in self.boxes), default=TOP) + BOTTOM + TRAY
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.drawn: dict[int, _Look] = {}
        self._head()

    def frames(self, shown: Sequence[int]) -> Iterator[Image.Image]:
        """A frame after each number of steps in `shown`, which starts with 0."""
        palette = _palette()
        written: dict[int, tuple[int, float]] = {}  # position -> token, confidence
        for before, now in pairwise([0, *shown]):
            new: set[int] = set()
            for record in self.trace.steps[before:now]:
                told = dict(zip(record.positions, zip(record.tokens, record.confidence, strict=True), strict=True))
                written |= {p: told[p] for p in record.committed}
                for p in record.withdrawn:
                    del written[p]
                new = (new | set(record.committed)) - set(record.withdrawn)
                self.counter.add(record)
            self._patch(now, written, new)
            yield self.image.quantize(palette=palette, dither=Image.Dither.NONE)

    def _patch(self, now: int, written: Mapping[int, tuple[int, float]], new: set[int]) -> None:
        record = self.trace.steps[now - 1] if now else None
        stop = min((p for p, (token, _) in written.items() if token in self.stop_ids), default=None)
        drafts = record.drafted if record else {}
        for block, tray in self.trays:
            active = record is not None and record.tested is None and self.block > 1 and block == record.block[0]
            self.draw.rounded_rectangle(tray, 8, outline=ACCENT if active else RULE)
        for i, box in enumerate(self.boxes):
            p = self.start + i
            beyond = stop is not None and p > stop
            if p in written:
                token, sure = written[p]
                shade = None if beyond else round(min(sure, 1) * (SHADES - 1))
                look = _Look(self._runs(token), shade, p in new, beyond)
            elif p in drafts and not beyond:
                look = _Look(self._runs(drafts[p][0]), draft=True)
            else:
                look = _Look(beyond=beyond, window=record is not None and record.window[0] <= p < record.window[1])
            if self.drawn.get(p) != look:
                self._cell(box, look)
                self.drawn[p] = look
        self._foot(now)

    def _cell(self, box: Box, look: _Look) -> None:
        x0, y0, x1, y1 = box
        self.draw.rectangle(box, PAPER)
        if not look.runs:
            self._mask(box, look)
            return
        if look.shade is not None:
            self.draw.rounded_rectangle(box, 4, _wash(look.shade))
            self.draw.rectangle((x0 + 2, y1 - 3, x1 - 2, y1), _viridis(look.shade))
        x = x0 + PAD
        for text, blank in look.runs:
            ink = STRIPE if look.beyond or look.draft else QUIET if blank else INK
            self.draw.text((x, (y0 + y1) / 2 - 1), text, ink, _font(16), anchor="lm")
            x += _font(16).getlength(text)
        if look.draft:
            for x in range(x0, x1 - 2, 6):
                self.draw.line((x, y1, x + 3, y1), STRIPE, 2)
        if look.new:
            self.draw.rounded_rectangle(box, 4, outline=ACCENT, width=2)

    def _mask(self, box: Box, look: _Look) -> None:
        """Hatched where a token is to come; under AR nothing stands there yet."""
        x0, y0, x1, y1 = box
        ink = LILAC if look.window and not look.beyond else RULE if look.beyond else STRIPE
        if self.block == 1:
            self.draw.line((x0, y1, x1, y1), RULE, 2)
            return
        tile = Image.new("RGB", (x1 - x0 + 1, y1 - y0 + 1), PAPER)
        pen = ImageDraw.Draw(tile)
        for x in range(-tile.height, tile.width, 6):
            pen.line((x, tile.height, x + tile.height, 0), ink)
        pen.rectangle((0, 0, tile.width - 1, tile.height - 1), outline=ink)
        self.image.paste(tile, (x0, y0))

    def _head(self) -> None:
        room = self.width - 2 * MARGIN
        words = decoder_words(self.trace.settings).replace("²", "2")
        self.draw.text((MARGIN, 20), _cut(self.trace.model.id, 22, room), INK, _font(22))
        self.draw.text((MARGIN, 50), _cut(words, 15, room), QUIET, _font(15))

    def _foot(self, now: int) -> None:
        tally, y = self.counter.tally, self.image.height - 24
        words = f"step {now} of {len(self.trace.steps)}  ·  {tally.tokens} token{'s' * (tally.tokens != 1)}"
        words += f"  ·  {tally.seconds:.2f} seconds" + (f"  ·  + {self.more} more cells" if self.more else "")
        self.draw.rectangle((0, y - 14, self.width, self.image.height), PAPER)
        self.draw.text((MARGIN, y), words, INK, _font(15), anchor="lm")
        right = self.width - MARGIN
        self.draw.text((right - SHADES * 5 - 24, y), "confidence  0", QUIET, _font(13), anchor="rm")
        self.draw.text((right, y), "1", QUIET, _font(13), anchor="rm")
        for shade in range(SHADES):
            x = right - 14 - (SHADES - shade) * 5
            self.draw.rectangle((x, y - 6, x + 4, y + 5), _viridis(shade))

    def _layout(self) -> tuple[list[Box], int]:
        """The cells' boxes, and how many more there are: up to the cap, as far as any step reached."""
        reached = max([self.start, *(p + 1 for s in self.trace.steps for p in (*s.committed, s.visible - 1))])
        count = min(reached, self.counter.end) - self.start
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
        """Pixels that the widest token of each position takes."""
        out: dict[int, int] = {}
        for record in self.trace.steps:
            told = dict(zip(record.positions, record.tokens, strict=True))
            drafted = [(p, token) for p, (token, _) in record.drafted.items()]
            for p, token in [*((p, told[p]) for p in record.committed), *drafted]:
                text = sum(_font(16).getlength(text) for text, _ in self._runs(token))
                out[p] = max(out.get(p, 26), round(text) + 2 * PAD)
        return out

    def _trays(self) -> list[tuple[int, Box]]:
        """Where blocks are framed, line by line: the first position of the block, and the frame."""
        out: dict[tuple[int, int], Box] = {}
        for i, (x0, y0, x1, y1) in enumerate(self.boxes):
            p = self.start + i
            block = p - (p - self.origin) % self.block if self.block > 1 else self.start
            left = out.get((block, y0), (x0 - TRAY,))[0]
            out[block, y0] = (left, y0 - TRAY, x1 + TRAY, y1 + TRAY)
        return [(block, tray) for (block, _), tray in out.items()]

    def _runs(self, token: int) -> tuple[Run, ...]:
        if token in self.stop_ids:
            return (("EOS", True),)
        return tuple(runs(self.trace.pieces.get(token, f"<{token}>")))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow has no FreeType"
    return font


def _cut(text: str, size: int, room: int) -> str:
    """As much of a line as there is room for."""
    text = "".join(char if char.isprintable() else "·" for char in text[:500])
    while _font(size).getlength(text) > room:
        text = text[:-2] + "…"
    return text


def _viridis(shade: int) -> tuple[int, int, int]:
    """The colour of a confidence of shade / (SHADES - 1), as in the viewer."""
    stops = np.array([ImageColor.getrgb(colour) for colour in VIRIDIS])
    at = shade / (SHADES - 1) * (len(stops) - 1)
    low = min(int(at), len(stops) - 2)
    return _mix(stops[low], stops[low + 1], at - low)


def _wash(shade: int) -> tuple[int, int, int]:
    return _mix(ImageColor.getrgb(PAPER), _viridis(shade), WASH)


def _mix(a: Sequence[int], b: Sequence[int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


@cache
def _palette() -> Image.Image:
    """All colours that are drawn, with the edges of letters: one palette for all frames, so that they stay small."""
    paper = ImageColor.getrgb(PAPER)
    colours = [*(ImageColor.getrgb(colour) for colour in (PAPER, RULE, LILAC, ACCENT)), *map(_viridis, range(SHADES))]
    for ink in (INK, QUIET, STRIPE):
        colours += [_mix(paper, ImageColor.getrgb(ink), share / 6) for share in range(2, 7)]
    for shade in range(SHADES):
        colours += [_mix(_wash(shade), ImageColor.getrgb(INK), share / 7) for share in range(7)]
        colours += [_mix(_wash(shade), ImageColor.getrgb(QUIET), share / 3) for share in (1, 2)]
    image = Image.new("P", (1, 1))
    image.putpalette([part for colour in colours for part in colour])
    return image
