"""The viewer's script alone: messages in, picture out. No server, so any message can be sent, lost or late."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from dllm.trace import Trace
from dllm.trace.throughput import DEFINITIONS
from tests.visualize.records import PROMPT, SETTINGS, step
from tests.visualize.runs import verified
from tests.visualize.test_stage import trace
from visualize.charts.figure import VIRIDIS
from visualize.export.html import viewer_script, viewer_template, viewer_texts
from visualize.stage import Stage, stopped, waiting

MOUNT = """([source, words]) => {
  window.feed = { value: null };
  window.asked = [];
  const options = {
    ...words,
    read: () => feed.value,
    listen: (receive) => (feed.receive = receive),
    ask: async (question) => (asked.push(question), { empty: "Nothing is answered here." }),
    plotly: async () => window.Plotly,
  };
  new Function("root", "options", source + "; viewer.mount(root, options);")(document.querySelector(".bs"), options);
}"""
Send = Callable[[str], None]


def piece(token: int) -> str:
    return {2: "<end>", 5: " alpha", 6: " beta"}.get(token, f" t{token}")


@pytest.fixture
def send(page: Page) -> Send:
    """A viewer on an empty page, and what delivers messages to it."""
    page.set_content(f"<body>{viewer_template()}</body>")
    page.evaluate(MOUNT, [viewer_script(), viewer_texts()])
    return lambda message: page.evaluate("(text) => { feed.value = text; feed.receive(); }", message)


NUMBERS = ("seconds", "tpf", "tps", "nfe", "recomputed", "ttft")
AR = {**SETTINGS, "block_size": 1, "sub_block_size": 1, "attention": "block_causal"}
ALTERNATIVES = [[(6, 0.9), (5, 0.06), (7, 0.02), (8, 0.01), (9, 0.01)]] * 4


def run(lanes: tuple[str, ...] = ("diffusion",)) -> list[str]:
    """Four passes: " beta" at 5, nothing, " alpha" at 4, and the end token at 6."""
    stage = Stage("run", lanes, piece)
    sent = [stage.note("Preparing…")]
    for name in lanes:
        block = AR if name == "ar" else SETTINGS
        sent.append(stage.open(name, PROMPT, block))
        passes = [
            step(0, {5: 6}, alternatives=ALTERNATIVES),
            step(1, {}, queries=[(4, 6)], seconds=0.5),
            step(2, {4: 5}, asked={4: 5, 6: 9, 7: 9}, confidence=[0.8, 0.3, 0.2]),
            step(3, {6: 2}, asked={6: 2, 7: 9}, confidence=[0.95, 0.2]),
        ]
        sent += [stage.step(name, record) for record in passes]
        sent.append(stage.close(name, trace("eos", passes, output=[5, 6, 2], settings=block)))
    return [*sent, stage.finish()]


def canvas(page: Page) -> str:
    return page.get_by_role("region", name="Canvas as text").text_content() or ""


def state(page: Page, name: str) -> str | None:
    return page.locator(".bs").get_attribute(f"data-{name}")


def number(page: Page, name: str, lane: str = "diffusion") -> str:
    return page.locator(f"[data-lane={lane}] [data-number={name}] .bs-value").inner_text()


def test_the_canvas_is_always_there_as_text(page: Page, send: Send) -> None:
    texts = []
    for message in run():
        send(message)
        page.wait_for_timeout(50)
        texts.append(canvas(page))
    assert texts == [
        "",
        "░░░░",
        "░ beta░░",
        "░ beta░░",
        " alpha beta░░",
        " alpha beta⏹",
        " alpha beta⏹",
        " alpha beta⏹",
    ]


def test_the_numbers_follow_the_cursor(page: Page, send: Send) -> None:
    for message in run():
        send(message)
    expect(page.locator(".bs-where")).to_have_text("step 4 of 4")
    assert [number(page, n) for n in NUMBERS] == ["1.25 s", "0.75", "2.4", "4", "44 %", "250 ms"]
    page.keyboard.press("Home")
    expect(page.locator(".bs-where")).to_have_text("step 1 of 4")
    assert [number(page, n) for n in NUMBERS] == ["0.250 s", "1.00", "4.0", "1", "50 %", "250 ms"]


def test_the_first_token_has_a_time_once_it_is_there(page: Page, send: Send) -> None:
    stage = Stage("run", ["diffusion"], piece)
    send(stage.open("diffusion", PROMPT, SETTINGS))
    send(stage.step("diffusion", step(0, {}, seconds=0.125)))
    expect(page.locator("[data-number=nfe] .bs-value")).to_have_text("1")
    assert number(page, "ttft") == "–"
    send(stage.step("diffusion", step(1, {4: 5}, asked={4: 5}, seconds=0.5)))
    send(stage.step("diffusion", step(2, {5: 6}, asked={5: 6}, seconds=0.5)))
    expect(page.locator("[data-number=ttft] .bs-value")).to_have_text("625 ms")


@pytest.mark.parametrize("lost", [range(1), range(4), range(2, 4), range(3, 6)])
def test_lost_messages_are_healed(page: Page, send: Send, lost: range) -> None:
    for index, message in enumerate(run()):
        if index not in lost:
            send(message)
    expect(page.locator(".bs")).to_have_attribute("data-state", "done")
    assert (state(page, "passes"), state(page, "gaps")) == ("4", "0")
    page.keyboard.press("Home")
    expect(page.get_by_role("region", name="Canvas as text")).to_have_text("░ beta░░")


def test_a_gap_is_counted_until_it_is_healed(page: Page, send: Send) -> None:
    stage = Stage("run", ["diffusion"], piece)
    opened = stage.open("diffusion", PROMPT, SETTINGS)
    passes = [stage.step("diffusion", step(i, {})) for i in range(6)]
    for message in [opened, passes[0], passes[4]]:
        send(message)
    expect(page.locator(".bs")).to_have_attribute("data-gaps", "3")
    send(stage.finish())
    expect(page.locator(".bs")).to_have_attribute("data-gaps", "0")


def test_a_message_that_came_before_the_viewer_is_shown(page: Page) -> None:
    page.set_content(f"<body>{viewer_template()}</body>")
    early = MOUNT.replace("value: null", f"value: {json.dumps(run()[-1])}")
    page.evaluate(early, [viewer_script(), viewer_texts()])
    expect(page.get_by_role("region", name="Canvas as text")).to_have_text(" alpha beta⏹", use_inner_text=False)


def test_a_new_run_clears_the_stage(page: Page, send: Send) -> None:
    for message in run(("diffusion", "ar")):
        send(message)
    expect(page.locator(".bs-verdict")).to_contain_text("tokens per second")
    send(Stage("next", ["diffusion"], piece).note("Loading the model…"))
    expect(page.locator(".bs-status")).to_have_text("Loading the model…")
    expect(page.locator(".bs-verdict")).to_be_hidden()
    expect(page.locator("[data-lane=ar]")).to_be_hidden()
    assert canvas(page) == ""
    assert number(page, "tps") == "–"


def test_blocks_sub_blocks_and_the_prompt_are_drawn(page: Page, send: Send) -> None:
    stage = Stage("run", ["diffusion"], piece)
    send(stage.open("diffusion", [*PROMPT, 5, 6], {**SETTINGS, "gen_length": 9, "attention": "block_causal"}))
    blocks = page.locator("[data-lane=diffusion] .bs-block")
    expect(blocks).to_have_count(3)
    assert [block.get_attribute("data-label") for block in blocks.all()] == [
        "positions 4–7", "positions 8–11", "positions 12–14",
    ]  # fmt: skip
    assert page.locator(".bs-prompt summary").first.inner_text() == "Prompt, 6 tokens with the chat template"
    assert page.locator(".bs-prompt .bs-cells .bs-cell").count() == 4
    assert blocks.nth(0).locator(".prompt").count() == 2
    assert [block.locator(".bs-tick").count() for block in blocks.all()] == [1, 1, 1]
    send(stage.step("diffusion", step(0, {}, asked={8: 9, 9: 9}, block=(8, 12), window=(8, 10))))
    expect(blocks.nth(1)).to_have_class("bs-block active")
    assert page.locator(".window").count() == 2


def test_cells_distinguish_new_from_old_masked_from_written_and_what_lies_beyond(page: Page, send: Send) -> None:
    for message in run():
        send(message)
    cells = page.locator("[data-lane=diffusion] .bs-strip .bs-cell")
    expect(cells.nth(2)).to_have_class("bs-cell eos new")
    looks = [cell.get_attribute("class") for cell in cells.all()]
    assert looks == ["bs-cell ", "bs-cell ", "bs-cell eos new", "bs-cell mask beyond window"]
    assert [cells.nth(i).evaluate("c => c.style.getPropertyValue('--share')") for i in range(4)] == [
        "80.0%", "50.0%", "95.0%", "20.0%",
    ]  # fmt: skip


def test_a_remasked_token_is_a_mask_again(page: Page, send: Send) -> None:
    stage = Stage("run", ["diffusion"], piece)
    send(stage.open("diffusion", PROMPT, SETTINGS))
    send(stage.step("diffusion", step(0, {4: 5, 5: 6})))
    send(stage.step("diffusion", step(1, {}, asked={6: 9}, remasked=[5])))
    expect(page.get_by_role("region", name="Canvas as text")).to_have_text(" alpha░░░", use_inner_text=False)


def test_keys_move_the_cursor_and_space_plays(page: Page, send: Send) -> None:
    for message in run():
        send(message)
    where = page.locator(".bs-where")
    expect(where).to_have_text("step 4 of 4")
    for key, text in [
        ("ArrowLeft", "3"),
        ("ArrowLeft", "2"),
        ("ArrowRight", "3"),
        ("Home", "1"),
        ("ArrowLeft", "1"),
        ("End", "4"),
    ]:
        page.keyboard.press(key)
        expect(where).to_have_text(f"step {text} of 4")
    page.get_by_label("Replay speed").select_option("25")
    page.get_by_role("region", name="Canvas as text").evaluate("() => document.activeElement.blur()")
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(where).to_have_text("step 4 of 4")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_play_can_be_paused(page: Page, send: Send) -> None:
    for message in run():
        send(message)
    page.get_by_label("Replay speed").select_option("2")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert page.locator(".bs-where").inner_text() in ("step 1 of 4", "step 2 of 4")


def test_keys_typed_into_a_field_are_left_alone(page: Page, send: Send) -> None:
    for message in run():
        send(message)
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").press("ArrowLeft")
    page.locator("textarea").press("Space")
    assert page.locator("textarea").input_value() == " "
    assert page.locator(".bs-where").inner_text() == "step 4 of 4"


def test_following_stops_when_someone_looks_back_and_goes_on_at_the_end(page: Page, send: Send) -> None:
    messages = run()
    for message in messages[:4]:
        send(message)
    where = page.locator(".bs-where")
    expect(where).to_have_text("step 2 of 2, live")
    page.keyboard.press("ArrowLeft")
    send(messages[4])
    expect(where).to_have_text("step 1 of 3")
    page.keyboard.press("End")
    send(messages[5])
    expect(where).to_have_text("step 4 of 4, live")


def test_the_card_shows_confidence_alternatives_and_step(page: Page, send: Send) -> None:
    for message in run():
        send(message)
    page.keyboard.press("Home")
    card = page.get_by_role("tooltip").last
    page.locator(".bs-strip .bs-cell").nth(1).hover()
    expect(card).to_contain_text("position 5 · committed at step 1")
    expect(card).to_contain_text("confidence 50.0 %")
    rows = card.get_by_role("listitem")
    assert [row.inner_text().split("\n") for row in rows.all()][:2] == [["·beta", "90.0 %"], ["·alpha", "6.0 %"]]
    assert rows.count() == 5
    expect(rows.nth(0)).to_have_class("chosen")
    page.locator(".bs-strip .bs-cell").nth(0).hover()
    expect(card).to_contain_text("not written yet")
    page.mouse.move(0, 0)
    expect(card).to_be_hidden()


def test_a_token_is_reached_by_keyboard(page: Page, send: Send) -> None:
    for message in run():
        send(message)
    cells = page.locator(".bs-strip .bs-cell")
    expect(cells.nth(0)).to_have_attribute("tabindex", "0")
    page.locator("[data-number=ttft]").first.focus()
    page.keyboard.press("Tab")
    expect(page.locator(".bs-prompt summary").first).to_be_focused()
    page.keyboard.press("Tab")
    expect(cells.nth(0)).to_be_focused()
    card = page.locator(".bs-card")
    expect(card).to_contain_text("committed at step 3")
    page.keyboard.press("ArrowDown")
    expect(cells.nth(1)).to_be_focused()
    expect(card).to_contain_text("committed at step 1")
    expect(cells.nth(1)).to_have_attribute("aria-describedby", "bs-card")
    page.keyboard.press("ArrowLeft")  # still moves the cursor
    expect(page.locator(".bs-where")).to_have_text("step 3 of 4")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()


@pytest.mark.parametrize("name", ["tps", "tpf", "nfe", "recomputed", "ttft"])
def test_every_number_says_what_it_means(page: Page, send: Send, name: str) -> None:
    box = page.locator(f"[data-lane=diffusion] [data-number={name}]")
    definition = box.locator(".bs-definition")
    expect(definition).to_be_hidden()
    box.focus()
    expect(definition).to_have_text(DEFINITIONS[name])
    expect(definition).to_be_visible()
    box.blur()
    box.hover()
    expect(definition).to_be_visible()
    assert box.get_attribute("aria-describedby") == definition.get_attribute("id")


def test_stop_is_shown_and_the_lane_keeps_what_it_has(page: Page, send: Send) -> None:
    for message in run()[:4]:
        send(message)
    send(stopped("now"))
    expect(page.locator(".bs-status")).to_have_text("Stopped.")
    expect(page.locator("[data-lane=diffusion] .bs-state")).to_have_text("stopped")
    assert canvas(page) == "░ beta░░"


def test_under_ar_what_is_not_written_is_not_there(page: Page, send: Send) -> None:
    stage = Stage("run", ["diffusion", "ar"], piece)
    send(stage.open("ar", PROMPT, AR))
    send(stage.step("ar", step(0, {4: 5}, kind="ar", asked={4: 5})))
    region = page.get_by_role("region", name="AR answer as text")
    expect(region).to_have_text(" alpha", use_inner_text=False)
    assert page.locator("[data-lane=ar] .mask").count() == 0


def test_one_token_a_pass_from_all_around_is_not_ar(page: Page, send: Send) -> None:
    stage = Stage("run", ["diffusion"], piece)
    send(stage.open("diffusion", PROMPT, {**SETTINGS, "block_size": 1, "sub_block_size": 1}))
    send(stage.step("diffusion", step(0, {4: 5}, asked={4: 5})))
    expect(page.get_by_role("region", name="Canvas as text")).to_have_text(" alpha░░░", use_inner_text=False)
    assert page.locator("[data-lane=diffusion] .mask").count() == 3
    assert page.locator("[data-lane=diffusion] .ahead").count() == 0


def test_motion_is_left_out_for_those_who_ask(page: Page, send: Send) -> None:
    page.emulate_media(reduced_motion="no-preference")
    for message in run():
        send(message)
    new = page.locator(".bs-strip .new")
    animation = "c => getComputedStyle(c).animationName"
    assert new.evaluate(animation) == "bs-arrive"
    page.emulate_media(reduced_motion="reduce")
    assert new.evaluate(animation) == "none"
    assert page.evaluate(
        "Array.from(document.querySelectorAll('.bs-cell')).every(c => getComputedStyle(c).transitionDuration === '0s')"
    )


LENGTH = 24


def drafts(page: Page, send: Send, run: str = "run") -> Trace:
    """A whole run of verified decoding, of more passes than lie between two kept canvases."""
    ran = verified(LENGTH)
    stage = Stage(run, ["diffusion"], lambda i: ran.pieces[i])
    send(stage.open("diffusion", ran.prompt, ran.settings))
    send(stage.step("diffusion", *ran.steps))
    send(stage.close("diffusion", ran))
    send(stage.finish())
    expect(page.locator(".bs-where")).to_have_text(f"step {len(ran.steps)} of {len(ran.steps)}")
    return ran


def drawn(page: Page) -> list[dict[str, Any]]:
    """Of every cell what stands there, which draft was struck out beside it, and its looks."""
    return page.locator(".bs-strip .bs-cell").evaluate_all("""(cells) => cells.map((cell) => {
      const struck = cell.querySelector("s");
      const text = cell.textContent.slice(struck?.textContent.length ?? 0);
      return { text: text === "░" ? null : text, struck: struck?.textContent ?? null, look: cell.className.split(" ") };
    })""")


def expected(ran: Trace, last: int) -> list[dict[str, Any]]:
    """The same from the definition: AR's tokens are written; a draft of the pass before is kept or struck out."""
    start, record = len(ran.prompt), ran.steps[last]
    written = {p: t for s in ran.steps[: last + 1] for p, t in zip(s.positions, s.tokens, strict=True)
               if p in s.committed}  # fmt: skip
    kept = {p for s in ran.steps[: last + 1] for p in s.positions[: len(s.tested or ())] if p not in s.remasked}
    struck = {p: t for p, t in zip(record.positions, record.tested or (), strict=False) if p in record.remasked}
    out = []
    for p in range(start, start + LENGTH):
        token = written.get(p, record.drafted[p][0] if p in record.drafted else None)
        look = {"new": p in record.committed, "draft": p not in written and p in record.drafted, "struck": p in struck,
                "confirmed": p in kept, "mask": token is None}  # fmt: skip
        out.append(
            {
                "text": None if token is None else shown(ran.pieces[token]),
                "struck": shown(ran.pieces[struck[p]]) if p in struck else None,
                "look": {name for name, there in look.items() if there},
            }
        )
    return out


def shown(piece: str) -> str:
    return piece.replace(" ", "·")


@pytest.mark.parametrize("order", ["forward", "backward", "by leaps"])
def test_drafts_stand_lightly_and_are_confirmed_or_struck_out(page: Page, send: Send, order: str) -> None:
    """Every step shows the same state however one comes there."""
    ran = drafts(page, send)
    steps = list(range(len(ran.steps)))
    assert len(steps) > 12
    walk = {"forward": steps, "backward": steps[::-1], "by leaps": [steps[i * 7 % len(steps)] for i in steps]}[order]
    assert sorted(walk) == steps
    looks = {"new", "draft", "struck", "confirmed", "mask"}
    for last in walk:
        page.locator(".bs-scrub").evaluate(
            "(node, at) => { node.value = at; node.dispatchEvent(new Event('input')); }", last
        )
        expect(page.locator(".bs-where")).to_have_text(f"step {last + 1} of {len(steps)}")
        found = [{**cell, "look": looks & set(cell["look"])} for cell in drawn(page)]
        assert found == expected(ran, last)
        masks = "".join("x" if p in {q for s in ran.steps[: last + 1] for q in s.committed} else "░"
                        for p in range(len(ran.prompt), len(ran.prompt) + LENGTH))  # fmt: skip
        assert canvas(page).count("░") == masks.count("░")  # a draft is not written


def test_the_stage_says_what_became_of_the_guesses(page: Page, send: Send) -> None:
    ran = drafts(page, send)
    state = page.locator("[data-lane=diffusion] .bs-state")
    page.keyboard.press("Home")
    for record in ran.steps[:-1]:
        tested = len(record.tested or ())
        kept = len(record.committed) - 1
        said = f"kept {kept} of {tested} guess{'es' * (tested != 1)}" if tested else "writes; no guess to test"
        expect(state).to_have_text(said)
        page.keyboard.press("ArrowRight")
    expect(page.locator(".bs-title").first).to_have_text("Verified decoding")
    assert page.locator(".bs-strip .bs-block").count() == 1


def test_the_legend_of_drafts_is_there_where_drafts_are(page: Page, send: Send) -> None:
    for message in run():
        send(message)
    legend = page.get_by_role("group", name="Legend")
    expect(legend.get_by_text("guess that AR confirmed")).to_be_hidden()
    send(Stage("next", ["diffusion"], piece).note("Loading…"))
    drafts(page, send, "drafts")
    expect(legend.get_by_text("guess that AR confirmed")).to_be_visible()


def percents(card: Locator) -> list[float]:
    return [float(share) for share in re.findall(r"([\d.]+) %", card.text_content() or "")]


def test_the_card_shows_what_was_guessed_and_why_it_stayed_or_went(page: Page, send: Send) -> None:
    ran = drafts(page, send)
    card = page.locator(".bs-card")
    for last, record in enumerate(ran.steps):
        page.locator(".bs-scrub").evaluate(
            "(node, at) => { node.value = at; node.dispatchEvent(new Event('input')); }", last
        )
        guessed = ran.steps[last - 1].drafted if last else {}
        said = dict(zip(record.positions, record.tokens, strict=True))
        for p in [*record.positions, *record.drafted]:
            cell = page.locator(f".bs-strip [data-position='{p}']")
            if not cell.count():
                continue
            page.keyboard.press("Escape")
            cell.focus()
            if p in record.drafted and p not in record.committed:
                expect(card).to_contain_text("a guess, not written yet")
                assert percents(card)[0] == pytest.approx(100 * record.drafted[p][1], abs=0.06)
            if p in record.positions[: len(record.tested or ())]:
                token, sure = guessed[p]
                expect(card).to_contain_text(f"The guess that stood here before: {shown(ran.pieces[token])}, ")
                assert any(share == pytest.approx(100 * sure, abs=0.06) for share in percents(card))
                if p not in record.remasked:
                    expect(card).to_contain_text("Confirmed: AR predicts the same token.")
                elif p in record.committed:
                    expect(card).to_contain_text(f"Struck out: AR predicts {shown(ran.pieces[said[p]])}.")
                else:
                    expect(card).to_contain_text("Struck out: a guess before it was wrong.")
            elif p in record.committed:
                expect(card).to_contain_text("AR's own token: no draft reached here.")
            cell.evaluate("(node) => node.blur()")


CONTRAST = """(dark) => {
  if (dark) document.body.style.cssText = "--background-fill-primary:#0b0f19;--body-text-color:#f1f5f9";
  document.body.classList.toggle("dark", dark);
  const cell = document.createElement("span");
  cell.className = "bs-cell";
  document.querySelector(".bs-strip").append(cell);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paper = getComputedStyle(document.querySelector(".bs")).getPropertyValue("--paper");
  const painted = (...colours) => {
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return Array.from(canvas.getImageData(0, 0, 1, 1).data).slice(0, 3);
  };
  const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => 0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2]);
  const out = [];
  for (const sure of ["rgb(68 1 84)", "rgb(59 81 139)", "rgb(33 144 141)", "rgb(92 200 99)", "rgb(253 231 37)"]) {
    cell.style.setProperty("--sure", sure);
    const style = getComputedStyle(cell);
    const [ink, ground] = [light(painted(paper, style.color)), light(painted(paper, style.backgroundColor))];
    out.push((Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05));
  }
  return out;
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_tokens_are_legible_on_every_shade(page: Page, send: Send, dark: bool) -> None:
    ratios: list[float] = page.evaluate(CONTRAST, dark)
    assert len(ratios) == 5
    assert min(ratios) >= 4.5


EMOJI, ARABIC, KOREAN = (
    "\U0001f600\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\u0645\u0627 \u0647\u064a",
    "\uc548\ub155!",
)


def tokens_of(text: str, size: int) -> dict[int, bytes]:
    """The text as tokens of `size` bytes each, by id."""
    whole = text.encode()
    return {10 + i: whole[i * size : (i + 1) * size] for i in range(-(-len(whole) // size))}


def whole(part: bytes) -> bool:
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


def spelled(text: str, size: int) -> list[str]:
    """What the cells show, by definition: a character where its last byte is, the bytes of one that ends later."""
    shown = [""] * -(-len(text.encode()) // size)
    glyphs = {" ": "\u00b7", "\u200d": "U+200D"}
    at = 0
    for char in text:
        owners: dict[int, list[int]] = {}
        for byte in char.encode():
            owners.setdefault(at // size, []).append(byte)
            at += 1
        last = max(owners)
        for owner, part in owners.items():
            shown[owner] += glyphs.get(char, char) if owner == last else " ".join(f"{byte:02X}" for byte in part)
    return shown


def many_bytes(tokens: dict[int, bytes], order: list[int]) -> list[str]:
    """The messages of a run that writes one token a pass, in an order of indices."""
    length = len(tokens) + 1
    settings = {**SETTINGS, "gen_length": length, "block_size": length, "sub_block_size": length}
    pieces = {2: "<end>", **{i: part.decode(errors="replace") for i, part in tokens.items()}}
    parts = {i: part for i, part in tokens.items() if not whole(part)}
    stage = Stage("run", ["diffusion"], lambda i: pieces.get(i, "?"), fragment=parts.get)
    passes = [{4 + i: 10 + i} for i in order] + [{4 + len(tokens): 2}]
    return [
        stage.open("diffusion", PROMPT, settings),
        *(stage.step("diffusion", step(n, made, asked=made)) for n, made in enumerate(passes)),
        stage.finish(),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 5])  # of 3 bytes each, every letter of Korean is whole
@pytest.mark.parametrize("text", [EMOJI, ARABIC, KOREAN])
def test_characters_spread_over_tokens_are_complete_in_the_text_and_in_the_cell_that_ends_them(
    page: Page, send: Send, text: str, size: int
) -> None:
    tokens = tokens_of(text, size)
    for message in many_bytes(tokens, list(range(len(tokens)))[::-1]):
        send(message)
    expect(page.locator(".bs")).to_have_attribute("data-state", "done")
    expect(page.get_by_role("region", name="Canvas as text")).to_have_text(text + "⏹", use_inner_text=False)
    cells = page.locator(".bs-strip .bs-cell")
    assert cells.all_text_contents() == [*spelled(text, size), "EOS"]


def test_bytes_of_a_character_are_shown_until_it_is_complete(page: Page, send: Send) -> None:
    tokens = tokens_of("\U0001f600", 2)
    opened, first, *rest = many_bytes(tokens, [1, 0])
    send(opened)
    send(first)
    cells = page.locator(".bs-strip .bs-cell")
    expect(cells.nth(1)).to_have_text("98 80")
    assert cells.nth(1).locator(".bs-glyph").inner_text() == "98 80"
    card = page.locator(".bs-card")
    cells.nth(1).hover()
    expect(card).to_contain_text("98 80: no UTF-8 character together with its neighbouring tokens.")
    for message in rest:
        send(message)
    expect(card).to_contain_text("98 80: bytes 3 to 4 of the 4 of \U0001f600.")
    expect(cells).to_have_text(["F0 9F", "\U0001f600", "EOS"])
    cells.nth(0).hover()
    expect(card).to_contain_text("F0 9F: bytes 1 to 2 of the 4 of \U0001f600.")
    page.keyboard.press("Home")
    expect(cells.nth(0)).to_have_text("░")


def test_a_character_that_lacks_its_end_is_not_called_wrong(page: Page, send: Send) -> None:
    opened, first, *_ = many_bytes(tokens_of("\U0001f600", 3), [0, 1])
    send(opened)
    send(first)
    cells = page.locator(".bs-strip .bs-cell")
    expect(cells.nth(0)).to_have_text("F0 9F 98")
    cells.nth(0).hover()
    expect(page.locator(".bs-card")).to_contain_text("F0 9F 98: bytes of a character that is not complete yet.")


def test_bytes_that_are_no_text_are_shown_as_they_are(page: Page, send: Send) -> None:
    for message in many_bytes({10: b"a\xff\xfe", 11: b"\xc3", 12: b"b"}, [0, 1, 2]):
        send(message)
    cells = page.locator(".bs-strip .bs-cell")
    expect(cells).to_have_text(["aFF FE", "C3", "b", "EOS"])
    expect(page.get_by_role("region", name="Canvas as text")).to_have_text("a���b⏹", use_inner_text=False)


def test_a_mark_stands_on_the_letter_of_its_own_token(page: Page, send: Send) -> None:
    for message in many_bytes({10: b"\xf0\x9f", 11: b"\x98\x80e\xcc\x81\xc3", 12: b"\xa9"}, [0, 1, 2]):
        send(message)
    expect(page.locator(".bs-strip .bs-cell")).to_have_text(["F0 9F", "\U0001f600e\u0301C3", "\xe9", "EOS"])


def test_copied_tokens_are_their_text(page: Page, send: Send) -> None:
    text = "a \U0001f600"
    for message in many_bytes(tokens_of(text, 3), [0, 1]):
        send(message)
    expect(page.locator(".bs")).to_have_attribute("data-state", "done")
    copied = page.evaluate("""() => {
      const strip = document.querySelector(".bs-strip .bs-block");
      document.getSelection().selectAllChildren(strip);
      const data = new DataTransfer();
      strip.dispatchEvent(new ClipboardEvent("copy", { clipboardData: data, bubbles: true, cancelable: true }));
      return data.getData("text/plain");
    }""")
    assert copied == text + "⏹"


def test_a_run_that_was_replaced_is_never_shown_again(page: Page, send: Send) -> None:
    """Its late messages neither bring it back nor change the newer one."""
    first = run()
    for message in first[:4]:
        send(message)
    expect(page.locator(".bs")).to_have_attribute("data-passes", "2")
    newer = Stage("newer", ["diffusion"], piece)
    send(newer.open("diffusion", PROMPT, SETTINGS))
    send(newer.step("diffusion", step(0, {4: 5})))
    for message in first[4:]:
        send(message)
        page.wait_for_timeout(50)
        assert state(page, "run") == "newer"
        assert state(page, "state") == "running"
        assert canvas(page) == " alpha░░░"


def test_after_stop_nothing_is_called_live(page: Page, send: Send) -> None:
    for message in run()[:4]:
        send(message)
    where = page.locator(".bs-where")
    expect(where).to_have_text("step 2 of 2, live")
    send(stopped("now"))
    expect(where).to_have_text("step 2 of 2")


def test_a_viewer_that_is_mounted_again_leaves_no_listener_behind(page: Page, send: Send) -> None:
    """Were the first viewer still listening, one key would move two cursors that share one page."""
    page.evaluate(MOUNT, [viewer_script(), viewer_texts()])
    for message in run():
        send(message)
    expect(page.locator(".bs-where")).to_have_text("step 4 of 4")
    page.evaluate("""() => {
      window.heard = 0;
      const seek = document.querySelector(".bs-where");
      new MutationObserver((changes) => (heard += changes.length)).observe(seek, { childList: true });
    }""")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".bs-where")).to_have_text("step 3 of 4")
    page.keyboard.press("Space")  # twice would play and pause
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_a_viewer_that_is_gone_listens_to_nothing(page: Page) -> None:
    page.set_content("<body></body>")
    page.evaluate("""() => {
      window.listening = new Set();
      const add = document.addEventListener.bind(document);
      document.addEventListener = (type, act, options) => {
        listening.add(type);
        options.signal.addEventListener("abort", () => listening.delete(type));
        add(type, act, options);
      };
    }""")
    page.evaluate("(html) => document.body.insertAdjacentHTML('beforeend', html)", viewer_template())
    page.evaluate(MOUNT, [viewer_script(), viewer_texts()])
    assert page.evaluate("Array.from(listening).sort()") == [
        "blockscope:asked", "blockscope:refused", "fullscreenchange", "keydown",
    ]  # fmt: skip
    page.evaluate("document.querySelector('.bs').remove()")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("listening.size") == 0


def rgb(colour: str) -> str:
    return f"rgb({' '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_confidence_has_the_same_colours_as_in_charts(page: Page, send: Send) -> None:
    length = len(VIRIDIS)
    settings = {**SETTINGS, "gen_length": length, "block_size": length, "sub_block_size": length}
    stage = Stage("run", ["diffusion"], piece)
    send(stage.open("diffusion", PROMPT, settings))
    at = {4 + i: 5 for i in range(length)}
    send(stage.step("diffusion", step(0, at, asked=at, confidence=[i / (length - 1) for i in range(length)])))
    cells = page.locator(".bs-strip .bs-cell")
    expect(cells).to_have_count(length)
    expect(cells.last).to_have_text("·alpha")
    shades = cells.evaluate_all("(cells) => cells.map((cell) => cell.style.getPropertyValue('--sure'))")
    assert shades == [rgb(colour) for colour in VIRIDIS]
    ramp = page.locator(".bs-ramp").evaluate("(node) => node.style.background")
    assert re.findall(r"[0-9]+, [0-9]+, [0-9]+", ramp) == [shade[4:-1].replace(" ", ", ") for shade in shades]


def test_shading_grows_lighter_with_confidence() -> None:
    luminance = [
        sum(w * int(v) for w, v in zip((0.2126, 0.7152, 0.0722), rgb(c)[4:-1].split(), strict=True)) for c in VIRIDIS
    ]
    assert luminance == sorted(luminance)


def test_a_run_is_busy_from_the_click_until_it_ends_is_stopped_or_refused(page: Page, send: Send) -> None:
    def tell(name: str) -> None:
        page.evaluate("(name) => document.dispatchEvent(new Event(name))", f"blockscope:{name}")

    def busy() -> str | None:
        return page.locator(".bs").get_attribute("data-busy")

    assert busy() is None
    tell("asked")
    assert busy() == "true"
    tell("refused")
    assert busy() == "false"
    tell("asked")
    send(waiting("Loading the model…"))
    expect(page.locator(".bs-status")).to_have_text("Loading the model…")
    send(stopped("a"))
    assert busy() == "false"
    for late in (waiting("Warming up…"), run()[0]):  # were on their way when Stop was pressed
        send(late)
        assert busy() == "false"
    tell("asked")
    for message in run():
        assert busy() == "true"
        send(message)
    assert busy() == "false"
    tell("refused")
    expect(page.locator(".bs")).to_have_attribute("data-state", "done")


def test_a_run_that_fails_without_a_last_message_is_not_busy(page: Page, send: Send) -> None:
    page.evaluate("document.dispatchEvent(new Event('blockscope:asked'))")
    send(run()[1])
    page.evaluate("document.dispatchEvent(new Event('blockscope:refused'))")
    assert page.locator(".bs").get_attribute("data-busy") == "false"
    expect(page.locator(".bs")).to_have_attribute("data-state", "stopped")
