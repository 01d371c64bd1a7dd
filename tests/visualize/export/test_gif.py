import io
from time import process_time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from dllm.models.families import FAST_DLLM_V2, LLADA
from dllm.settings import Choice
from dllm.trace import Trace
from tests.dllm.traces import canvas_at, decoded, made
from tests.visualize.records import step
from tests.visualize.runs import verified
from visualize.export import gif as gifs
from visualize.export.gif import gif, runs
from visualize.facts import decoder_words

SETTINGS = {"unmask": {"name": "threshold", "threshold": 0.9}, "cache": {"name": "d2"}}
HOSTILE = [
    "\x00\x1b[31m", "\u202eevil\u202c", "\u200b", "\u2028", "x" * 1000, "W" * 1000, "\t" * 500, "🧩👩‍👩‍👧",
    "", "e\u0301", "\u0301", "你好", "\ufdfa" * 40, "<script>", "%s{0}", "\U0010ffff", "\n", " ",
]  # fmt: skip


def frames(data: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(data)) as image:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


def durations(data: bytes) -> list[int]:
    with Image.open(io.BytesIO(data)) as image:
        return [frame.info["duration"] for frame in ImageSequence.Iterator(image)]


def cells(frame: np.ndarray) -> np.ndarray:
    """Without the line at the foot, which differs in every frame."""
    return frame[: -gifs.BOTTOM]


def small(**changes: Any) -> Trace:
    return made(step(0, {4: 9}), step(1, {}), step(2, {5: 9, 6: 2}), step(3, {7: 9}), **SETTINGS, **changes)


def test_there_is_a_frame_before_the_first_step_and_one_after_each() -> None:
    data = gif(small(), milliseconds=100)
    assert len(frames(data)) == 5
    assert durations(data) == [gifs.BEGIN, 100, 100, 100, gifs.HELD]


@pytest.mark.parametrize(("steps", "pace"), [(1, gifs.PACE[1]), (40, gifs.LENGTH // 41), (300, gifs.PACE[0])])
def test_a_short_run_is_slow_and_a_long_one_is_not(steps: int, pace: int) -> None:
    trace = made(*(step(i, {4: 9} if i == 0 else {}) for i in range(steps)), **SETTINGS)
    begin, *between, held = durations(gif(trace))
    assert begin > pace < held
    assert set(between) <= {pace // 10 * 10}  # GIF counts hundredths of a second


def test_the_head_says_app_lane_prompt_and_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(gifs, "_cut", lambda text, *_: drawn.append(text) or "")
    trace = small().model_copy(update={"pieces": {5: "Why", 6: " is", 7: " it", 8: "?"}})
    gif(trace, title="Block diffusion")
    about = f"{trace.model.id}: {decoder_words(trace.settings)}"
    assert drawn == ["Blockscope: Block diffusion", "Why is it?", about.replace("²", "2")]


@pytest.mark.parametrize("family", [FAST_DLLM_V2, LLADA])
def test_frames_differ_where_the_canvas_does(family: Any) -> None:
    trace = decoded(family, "none", [1, 2, 3], gen_length=8, block_size=8, unmask=Choice("top_k", {"k": 1}))
    pictures = frames(gif(trace))
    assert len(pictures) == len(trace.steps) + 1
    film = gifs.Film(trace, 900, "AR")
    for n in range(1, len(pictures)):
        before, after = (canvas_at(trace, at)[3:] for at in (n - 2, n - 1))
        for i, (x0, y0, x1, y1) in enumerate(film.boxes):
            inside = np.s_[y0 + 4 : y1 - 5, x0 + 4 : x1 - 4]
            same = np.array_equal(pictures[n - 1][inside], pictures[n][inside])
            if before[i] != after[i]:
                assert not same
            elif before[i] is not None and film.stop_ids.isdisjoint(t for t in after if t is not None):
                assert same


def test_a_step_that_commits_nothing_only_takes_the_outlines_away() -> None:
    _, first, second, *_ = frames(gif(small()))
    different = np.argwhere((cells(first) != cells(second)).any(-1))
    (x0, y0, x1, y1) = gifs.Film(small(), 900, "AR").boxes[0]
    assert len(different)
    assert (different.min(0) >= (y0, x0)).all()
    assert (different.max(0) <= (y1, x1)).all()


def test_a_new_token_is_outlined_and_coloured_by_its_confidence() -> None:
    film = gifs.Film(made(step(0, {4: 9, 5: 9}, confidence=[0.0, 1.0, 0.5, 0.5]), **SETTINGS), 900, "AR")
    picture = frames(gif(film.trace))[1]
    for (x0, y0, _, y1), colour in zip(film.boxes[:2], [(68, 1, 84), (253, 231, 37)], strict=True):
        assert tuple(picture[y1 - 2, x0 + 8]) == colour
        assert tuple(picture[y0 + 15, x0]) == (67, 56, 202)
    untouched = film.boxes[2]
    assert (67, 56, 202) not in {tuple(pixel) for pixel in picture[untouched[1] : untouched[3], untouched[0] + 10]}


def test_drafts_are_drawn_until_they_are_tested() -> None:
    """A cell is empty paper where nothing stands; where a draft stands, its letters are drawn in a pale ink."""
    trace = verified()
    pictures, film = frames(gif(trace)), gifs.Film(trace, 900, "AR")
    known = len(trace.prompt)
    for record, picture in zip(trace.steps, pictures[1:], strict=True):
        known += len(record.committed)
        for i, (x0, y0, x1, y1) in enumerate(film.boxes):
            p, inside = film.start + i, picture[y0 + 2 : y1 - 5, x0 + 2 : x1 - 2].reshape(-1, 3)
            darkest = int(inside.sum(-1).min())
            if p in record.drafted:
                token = record.drafted[p][0]
                assert darkest < 3 * 255
                assert film._runs(token)
            if p >= known:
                assert darkest > 3 * 0x1F  # nothing there in the ink of what is written
    assert any(record.drafted for record in trace.steps)
    assert len({tray for _, tray in film.trays}) == len(film.trays)
    assert {block for block, _ in film.trays} == {film.start}  # one block


def test_cells_neither_overlap_nor_leave_the_picture() -> None:
    trace = small().model_copy(update={"pieces": {9: "W" * 1000, 2: "x"}})
    for width in (480, 900, 1920):
        film = gifs.Film(trace, width, "AR")
        taken = np.zeros((film.image.height, width), dtype=int)
        for x0, y0, x1, y1 in film.boxes:
            assert 0 <= x0 < x1 < width
            taken[y0 : y1 + 1, x0 : x1 + 1] += 1
        assert taken.max() == 1


@given(pieces=st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60)), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_hostile_pieces_are_drawn(pieces: list[str]) -> None:
    trace = made(step(0, {4: 9, 5: 10}), step(1, {6: 11}), **SETTINGS)
    named = trace.model_copy(update={"pieces": dict(zip((9, 10, 11), pieces, strict=True))})
    assert len(frames(gif(named, width=480))) == 3


@given(piece=st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60)))
def test_no_piece_hides_or_rearranges_what_is_beside_it(piece: str) -> None:
    text = "".join(part for part, _ in runs(piece))
    assert 0 < len(text) <= gifs.MAX_CHARS + len("U+10FFFF")
    assert text.isprintable()
    assert " " not in text


@pytest.mark.parametrize(
    ("piece", "text"),
    [(" a", "·a"), ("\n", "\\n"), ("\u202e", "U+202E"), ("\x00", "U+0000"), ("", "empty"), ("a" * 99, "a" * 24 + "…")],
)
def test_what_has_no_ink_is_spelled_out(piece: str, text: str) -> None:
    assert "".join(part for part, _ in runs(piece)) == text


def test_stop_tokens_and_unknown_ids_have_names() -> None:
    film = gifs.Film(small(), 900, "AR")
    assert film._runs(2) == (("EOS", True),)
    assert "".join(part for part, _ in film._runs(77)) == "<77>"


def test_a_hostile_name_of_the_model_is_drawn() -> None:
    trace = small()
    for name in HOSTILE:
        gif(trace.model_copy(update={"model": trace.model.model_copy(update={"id": name})}))


def test_a_run_without_steps_is_one_frame() -> None:
    data = gif(made(**SETTINGS))
    assert len(frames(data)) == 1
    with Image.open(io.BytesIO(data)) as image:
        assert image.width == 900


def test_a_long_run_skips_steps_evenly_and_keeps_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr(gifs, "MAX_FRAMES", 5)
    monkeypatch.setattr(gifs.Film, "_foot", lambda self, now: asked[-1].append(now))
    for count in (3, 4, 5, 17):
        asked.append([])
        gif(made(*[step(i, {}) for i in range(count)], **SETTINGS))
    assert asked == [[0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 4, 5], [0, 4, 8, 13, 17]]


def test_too_many_cells_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = made(step(0, {4: 9}, visible=54), gen_length=50, **SETTINGS)
    assert (len(gifs.Film(trace, 900, "AR").boxes), gifs.Film(trace, 900, "AR").more) == (50, 0)
    monkeypatch.setattr(gifs, "MAX_CELLS", 30)
    assert (len(gifs.Film(trace, 900, "AR").boxes), gifs.Film(trace, 900, "AR").more) == (30, 20)
    monkeypatch.setattr(gifs, "MAX_LINES", 1)
    film = gifs.Film(trace, 480, "AR")
    assert {box[1] for box in film.boxes} == {gifs.TOP}
    assert len(film.boxes) + film.more == 50


def test_a_usual_run_is_small_and_quick() -> None:
    settings = {"gen_length": 64, "block_size": 32, "unmask": Choice("top_k", {"k": 1})}
    trace = decoded(LLADA, "none", [1, 2, 3], **settings, stop_ids=())
    began = process_time()
    data = gif(trace.model_copy(update={"pieces": {i: f" word{i}" for i in range(40)}}))
    assert process_time() - began < 2
    assert len(frames(data)) == 65
    assert len(data) < 2**20


@pytest.mark.parametrize(("name", "value"), [("width", 10), ("width", 10**6), ("milliseconds", 0)])
def test_sizes_out_of_bounds_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}; allowed: "):
        gif(small(), **{name: value})
