"""Lanes that race on one clock: what every moment shows, the flags, playing, and the gate beside the numbers."""

import json
import re
from collections.abc import Callable
from itertools import accumulate

import pytest
from playwright.sync_api import Page, expect

from dllm.trace.schema import Gate, Timing
from tests.app.test_script import MOUNT, NUMBERS, Send, piece, run
from tests.visualize.records import PROMPT, SETTINGS, step
from tests.visualize.test_stage import trace
from visualize.export.html import viewer_script, viewer_template, viewer_texts
from visualize.lane import Title
from visualize.stage import Stage, stopped

# seconds of the passes of each lane, exact in binary: the totals are 1.5, 2, 1.5 and 3 seconds
LANES = {
    "ar": [0.5, 0.25, 0.25, 0.5],
    "fast.1": [1.0, 1.0],
    "constructor": [0.75, 0.75],
    "slow": [0.25, 2.75],
}
RANKS = {"ar": "1st · 1.50 s", "fast.1": "3rd · 2.00 s", "constructor": "1st · 1.50 s", "slow": "4th · 3.00 s"}
ENDS = sorted({end for seconds in LANES.values() for end in accumulate(seconds)})
TITLES = {name: Title(f"<b>{name}</b>", "How it decodes.", f"{name} as text") for name in LANES}
Finish = Callable[[Stage], str]


@pytest.fixture
def send(page: Page) -> Send:
    page.set_content(f"<body>{viewer_template()}</body>")
    page.evaluate(MOUNT, [viewer_script(), viewer_texts()])
    return lambda message: page.evaluate("(text) => { feed.value = text; feed.receive(); }", message)


def race(*, clock: bool = False, ends: str = "length", lanes: int = 4) -> str:
    """The last message of a race: every pass of a lane writes the next position."""
    names = list(LANES)[:lanes]
    stage = Stage("run", names, piece, TITLES)
    for name in names:
        passes = [step(i, {4 + i: 5}, asked={4 + i: 5}, seconds=s) for i, s in enumerate(LANES[name])]
        stage.replay(name, trace(ends if name == "ar" else "length", passes, output=[5] * len(passes)))
    return stage.finish(clock=clock)


def freeze(page: Page) -> None:
    """From now on no time passes but by `page.clock.run_for`."""
    page.clock.install(time=0)
    page.clock.pause_at(1)


def on_clock(page: Page, send: Send, message: str) -> None:
    send(message)
    page.locator(".bs-by").select_option("clock")
    expect(page.locator(".bs-where")).to_have_text(re.compile(r"[0-9] s$"))


def seek(page: Page, seconds: float) -> None:
    page.locator(".bs-scrub").evaluate(
        "(node, ms) => { node.value = ms; node.dispatchEvent(new Event('input')); }", 1000 * seconds
    )
    expect(page.locator(".bs-where")).to_have_text(f"{seconds:.2f} of 3.00 s")


def written(page: Page) -> dict[str, int]:
    """Tokens on show in every lane."""
    texts = {name: page.get_by_role("region", name=f"{name} as text").text_content() or "" for name in LANES}
    return {name: text.count(" alpha") for name, text in texts.items()}


def flags(page: Page) -> dict[str, str]:
    shown = page.locator(".bs-flag:not([hidden])")
    return {flag.evaluate("(node) => node.closest('.bs-lane').dataset.lane"): flag.inner_text() for flag in shown.all()}


def test_a_run_has_the_lanes_that_it_names(page: Page, send: Send) -> None:
    assert page.locator(".bs-lane").count() == 2  # before any run, the two usual ones
    send(race())
    expect(page.locator(".bs-lane")).to_have_count(4)
    shown = page.locator(".bs-lane").evaluate_all("(nodes) => nodes.map((node) => node.dataset.lane)")
    assert shown == list(LANES)
    assert page.locator(".bs-lane .bs-title").all_inner_texts() == [title.title for title in TITLES.values()]
    assert page.locator(".bs-lane-choice option").all_text_contents() == [title.title for title in TITLES.values()]
    for title in TITLES.values():
        expect(page.locator(".bs-status")).to_contain_text(f"{title.title}: ")
    send(Stage("next", ["diffusion"], piece).note("Loading…"))
    expect(page.locator(".bs-lane .bs-title")).to_have_text(["Diffusion"])


def test_lanes_get_their_titles_when_they_are_known(page: Page, send: Send) -> None:
    stage = Stage("run", ["constructor"], piece)
    send(stage.note("Preparing…"))
    expect(page.locator(".bs-lane .bs-title")).to_have_text(["constructor"])
    stage.titles = TITLES
    send(stage.note("Preparing…"))
    expect(page.locator(".bs-lane .bs-title")).to_have_text(["<b>constructor</b>"])


@pytest.mark.parametrize("moment", [0, 0.2, *ENDS, *(end - 1 / 64 for end in ENDS)])
def test_at_every_moment_a_lane_shows_its_last_pass_that_has_ended(page: Page, send: Send, moment: float) -> None:
    on_clock(page, send, race())
    seek(page, moment)
    ended = {name: sum(end <= moment for end in accumulate(seconds)) for name, seconds in LANES.items()}
    assert written(page) == ended
    assert flags(page) == {name: RANKS[name] for name, seconds in LANES.items() if sum(seconds) <= moment}
    finished = page.locator(".bs-lane.finished").evaluate_all("(nodes) => nodes.map((node) => node.dataset.lane)")
    assert finished == list(flags(page))
    passes = [page.locator(f"[data-lane='{name}'] [data-number=nfe] .bs-value").inner_text() for name in LANES]
    assert passes == [str(count) if count else "–" for count in ended.values()]


def test_before_its_first_pass_a_lane_is_all_masks(page: Page, send: Send) -> None:
    on_clock(page, send, race())
    page.keyboard.press("Home")
    expect(page.locator(".bs-where")).to_have_text("0.00 of 3.00 s")
    for name in LANES:
        lane = page.locator(f"[data-lane='{name}']")
        assert lane.locator(".bs-strip .mask").count() == 4
        assert [lane.locator(f"[data-number={n}] .bs-value").inner_text() for n in NUMBERS] == ["–"] * 6
        expect(lane.locator(".bs-state")).to_have_text("in its first pass")
    page.keyboard.press("End")
    expect(page.locator(".bs-where")).to_have_text("3.00 of 3.00 s")
    assert flags(page) == RANKS


def test_arrows_walk_the_ends_of_passes_of_all_lanes(page: Page, send: Send) -> None:
    on_clock(page, send, race())
    where = page.locator(".bs-where")
    walk = [f"{end:.2f} of 3.00 s" for end in [0, *ENDS]]
    for text in reversed(walk[:-1]):
        page.keyboard.press("ArrowLeft")
        expect(where).to_have_text(text)
    page.keyboard.press("ArrowLeft")
    expect(where).to_have_text(walk[0])
    for text in [*walk[1:], walk[-1]]:
        page.keyboard.press("ArrowRight")
        expect(where).to_have_text(text)


def test_by_step_there_are_no_flags(page: Page, send: Send) -> None:
    send(race())
    expect(page.locator(".bs-where")).to_have_text("step 4 of 4")
    assert flags(page) == {}
    page.locator(".bs-by").select_option("clock")
    expect(page.locator(".bs-flag:not([hidden])")).to_have_count(4)
    seek(page, 1.0)
    page.locator(".bs-by").select_option("step")
    expect(page.locator(".bs-where")).to_have_text("step 3 of 4")  # as far as the lane that was furthest
    assert flags(page) == {}
    assert page.locator(".bs-speed option").all_inner_texts() == ["2 steps/s", "5 steps/s", "10 steps/s", "25 steps/s"]


def test_a_lane_that_was_stopped_has_no_rank(page: Page, send: Send) -> None:
    on_clock(page, send, race(ends="cancelled"))
    expect(page.locator(".bs-flag:not([hidden])")).to_have_count(3)
    assert flags(page) == {"fast.1": "2nd · 2.00 s", "constructor": "1st · 1.50 s", "slow": "3rd · 3.00 s"}


def test_a_single_lane_has_no_clock(page: Page, send: Send) -> None:
    send(race(lanes=1, clock=True))
    expect(page.locator(".bs-where")).to_have_text("step 4 of 4")
    expect(page.locator(".bs-by")).to_be_hidden()
    assert page.locator(".bs-speed").input_value() == "5"


def test_a_race_plays_once_when_it_has_ended(page: Page, send: Send) -> None:
    page.emulate_media(reduced_motion="no-preference")
    freeze(page)
    send(race(clock=True))
    page.clock.run_for(100)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert page.locator(".bs-speed").input_value() == "1"
    page.clock.run_for(1500)
    at = float(page.locator(".bs-where").inner_text().split()[0])
    assert 1.4 <= at <= 1.7
    assert set(flags(page)) <= {"ar", "constructor"}
    page.clock.run_for(1600)
    expect(page.locator(".bs-where")).to_have_text("3.00 of 3.00 s")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert flags(page) == RANKS
    send(race(clock=True))  # said again, it is not played again
    page.clock.run_for(100)
    assert page.locator(".bs-where").inner_text() == "3.00 of 3.00 s"


def test_the_run_that_the_page_opens_with_plays_once_and_slowly(page: Page, send: Send) -> None:
    page.emulate_media(reduced_motion="no-preference")
    freeze(page)
    welcome = {**json.loads(run()[-1]), "run": "first", "welcome": True}
    send(json.dumps(welcome))
    page.clock.run_for(100)
    expect(page.locator(".bs-where")).to_have_text("step 1 of 4")
    expect(page.locator(".bs-status")).to_contain_text("A recorded run, played slowly.")
    page.clock.run_for(1100)
    expect(page.locator(".bs-where")).to_have_text("step 3 of 4")  # two steps a second
    page.clock.run_for(2000)
    expect(page.locator(".bs-where")).to_have_text("step 4 of 4")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    send(json.dumps({**welcome, "run": "late"}))  # it never takes the place of another run
    expect(page.locator(".bs")).to_have_attribute("data-run", "first")


def test_a_short_run_is_played_again_slower_unless_someone_looks_elsewhere(page: Page, send: Send) -> None:
    page.emulate_media(reduced_motion="no-preference")
    freeze(page)
    for message in run():
        send(message)
    page.clock.run_for(100)
    expect(page.locator(".bs-status")).to_contain_text("took 1.25 s. Here it is again, slower.")
    expect(page.locator(".bs-where")).to_have_text("step 1 of 4")
    page.keyboard.press("ArrowRight")
    page.clock.run_for(2000)
    expect(page.locator(".bs-where")).to_have_text("step 2 of 4")  # a key ends it


def test_a_race_is_not_played_for_those_who_want_no_motion(page: Page, send: Send) -> None:
    page.emulate_media(reduced_motion="reduce")
    freeze(page)
    send(race(clock=True))
    page.clock.run_for(100)
    assert page.locator(".bs-where").inner_text() == "3.00 of 3.00 s"
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert flags(page) == RANKS


@pytest.mark.parametrize(("speed", "passed"), [("0.25", 0.25), ("4", 3.0)])
def test_it_plays_as_fast_as_is_asked_and_pauses(page: Page, send: Send, speed: str, passed: float) -> None:
    freeze(page)
    send(race())
    page.clock.run_for(50)
    page.locator(".bs-by").select_option("clock")
    page.clock.run_for(50)
    page.locator(".bs-speed").select_option(speed)
    page.locator(".bs-by").evaluate("(node) => node.blur()")
    page.keyboard.press("Space")
    page.clock.run_for(1000)
    at = float(page.locator(".bs-where").inner_text().split()[0])
    assert abs(at - passed) <= 0.05 * float(speed)
    if at < 3:
        page.keyboard.press("Space")
        page.clock.run_for(1000)
        assert abs(float(page.locator(".bs-where").inner_text().split()[0]) - at) <= 0.05 * float(speed)
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_the_inspector_follows_the_clock(page: Page, send: Send) -> None:
    on_clock(page, send, race())
    seek(page, 1.0)
    page.locator(".bs-lane-choice select").select_option("slow")
    told = page.locator("[data-lane=slow] [data-number=nfe] .bs-value")
    expect(told).to_have_text("1")
    expect(page.locator("[data-lane=ar] [data-number=nfe] .bs-value")).to_have_text("3")


def test_stopping_leaves_no_lane_in_the_race(page: Page, send: Send) -> None:
    stage = Stage("run", ["ar", "slow"], piece, TITLES)
    send(stage.open("ar", PROMPT, SETTINGS))
    send(stage.step("ar", step(0, {4: 5})))
    page.locator(".bs-by").select_option("clock")
    send(stopped("now"))
    expect(page.locator("[data-lane=ar] .bs-state")).to_have_text("stopped")
    assert flags(page) == {}


def held(same: bool | None) -> str:
    passes = [step(0, {4: 5})]
    stage = Stage("run", ["diffusion"], piece)
    known = {"output": [5], "timing": Timing(decode=0.25, recorder=0, laps=[0.25, 0.5])}
    gate = None if same is None else Gate(references={"no_cache": [5 if same else 6]})
    stage.replay("diffusion", trace("length", passes, gate=gate, **known))
    return stage.finish()


@pytest.mark.parametrize(("same", "glyph"), [(True, '"="'), (False, '"≠"'), (None, None)])
def test_the_gate_stands_under_the_numbers(page: Page, send: Send, same: bool | None, glyph: str | None) -> None:
    message = held(same)
    send(message)
    expect(page.locator("[data-number=nfe] .bs-value")).to_have_text("1")
    gate = page.locator(".bs-gate")
    if same is None:
        expect(gate).to_be_hidden()
        return
    expect(gate).to_have_text(json.loads(message)["lanes"][0]["gate"])
    expect(gate).to_have_class(f"bs-gate {'kept' if same else 'changed'}")
    assert gate.evaluate("(node) => getComputedStyle(node, '::before').content") == glyph


def test_the_range_of_the_repeats_stands_next_to_the_speed_of_the_full_answer(page: Page, send: Send) -> None:
    send(held(None).replace('"run":"run"', '"run":"laps"'))
    expect(page.locator("[data-number=tps] .bs-spread")).to_have_text("2.0 to 4.0 in 2 repeats")
    send(race())
    expect(page.locator(".bs-lane")).to_have_count(4)
    assert page.locator(".bs-spread:not([hidden])").count() == 0


@pytest.mark.parametrize(("width", "columns"), [(1240, 2), (390, 1)])
def test_four_lanes_fit_the_screen(page: Page, send: Send, width: int, columns: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    on_clock(page, send, race())
    lefts = page.locator(".bs-lane").evaluate_all("(nodes) => nodes.map((node) => node.getBoundingClientRect().left)")
    assert len(set(lefts)) == columns
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in NUMBERS:
        number = page.locator(f"[data-lane='fast.1'] [data-number={name}]")
        number.focus()
        bubble = number.locator(".bs-definition").bounding_box()
        assert bubble
        assert 0 <= bubble["x"] <= bubble["x"] + bubble["width"] <= width


@pytest.mark.parametrize("moment", [0, *ENDS])
def test_the_track_shows_at_a_glance_how_far_every_lane_is(page: Page, send: Send, moment: float) -> None:
    on_clock(page, send, race())
    seek(page, moment)
    rows = page.locator(".bs-track-row")
    assert rows.locator(".bs-track-title").all_inner_texts() == [title.title for title in TITLES.values()]
    told, shares = rows.locator(".bs-track-count").all_inner_texts(), []
    for (name, seconds), text in zip(LANES.items(), told, strict=True):
        ended = sum(end <= moment for end in accumulate(seconds))
        shares.append(ended / len(seconds))
        assert text == (RANKS[name].replace(" · ", ", ") if ended == len(seconds) else f"{ended} of {len(seconds)}")
    drawn = rows.evaluate_all(
        "(nodes) => nodes.map((node) => parseFloat(node.style.getPropertyValue('--share')) / 100)"
    )
    assert drawn == pytest.approx(shares)
    page.locator(".bs-by").select_option("step")
    expect(page.locator(".bs-track")).to_be_hidden()
