"""The app in a real browser, decoding and racing on the default model."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.lanes import NO_LANE, START
from tests.app.conftest import clean

PATIENCE = 180_000  # ms; the first decode loads the model, and the machine may be busy
QUESTION = "What is the capital of France?"
STORY = "Tell me a short story about a lost cat."


def open_at_once(page: Page, url: str, query: str = "") -> None:
    """Go to the page and wait for its first button, nothing else."""
    page.goto(url + query)
    page.get_by_role("button", name="Decode", exact=True).wait_for()


def ask(page: Page, prompt: str, length: int | None = None) -> None:
    """Fill in a prompt and an answer length, and click Decode."""
    page.get_by_role("textbox", name="Prompt").fill(prompt)
    if length:
        page.get_by_role("button", name=re.compile("^Settings")).click()
        set_length(page, length)
    page.get_by_role("button", name="Decode", exact=True).click()


def set_length(page: Page, length: int) -> None:
    """Set the answer length; again, if the accordion was still opening."""
    box, slider = (
        page.get_by_label("number input for Answer length"),
        page.get_by_label("range slider for Answer length"),
    )
    for _ in range(20):
        box.fill(str(length))
        box.press("Tab")
        page.wait_for_timeout(200)
        if slider.input_value() == str(length) == box.input_value():
            return
    raise AssertionError("the answer length cannot be set")


def finished(page: Page) -> None:
    expect(page.locator(".bs")).to_have_attribute("data-state", "done", timeout=PATIENCE)


def canvas(page: Page) -> str:
    return page.get_by_role("region", name="Canvas as text").text_content() or ""


def passes(page: Page) -> int:
    return int(page.locator(".bs").get_attribute("data-passes") or 0)


def test_a_click_at_once_after_loading_loses_no_frame(page: Page, url: str) -> None:
    open_at_once(page, url)
    page.get_by_role("button", name="Decode", exact=True).click()
    finished(page)
    expect(page.locator(".bs")).to_have_attribute("data-gaps", "0")
    told = page.locator(".bs-status").inner_text()
    counts = re.search(r"Verified decoding: \d+ tokens in (\d+) steps. Autoregressive: \d+ tokens in (\d+) steps", told)
    assert counts, told
    assert passes(page) == max(map(int, counts.groups()))
    for lane, count in zip(("diffusion", "ar"), counts.groups(), strict=True):
        assert page.locator(f"[data-lane={lane}] [data-number=nfe] .bs-value").inner_text() == count


def test_masks_turn_into_tokens_and_can_be_scrubbed_back(page: Page, url: str) -> None:
    open_at_once(page, url)
    page.locator(".bs-text").first.wait_for(state="attached")
    page.evaluate("""() => {
      window.seen = [];
      const own = () => ["running", "done"].includes(document.querySelector(".bs").dataset.state);
      const note = () => own() && seen.push(document.querySelector(".bs-text").textContent);
      const lanes = document.querySelector(".bs-lanes");
      new MutationObserver(note).observe(lanes, { childList: true, characterData: true, subtree: true });
    }""")
    ask(page, STORY, length=64)  # long enough that a slow browser, too, sees it grow
    finished(page)
    live = page.evaluate("seen.filter((text) => text.length)")
    assert live[0].count("░") > 32
    masks = [text.count("░") for text in live]
    assert masks == sorted(masks, reverse=True)
    assert len(set(masks)) > 2  # it grew before one's eyes
    last = canvas(page)
    assert "░" not in last
    assert re.search(r"\w", last)
    page.keyboard.press("Home")
    expect(page.locator(".bs-where")).to_have_text(f"step 1 of {passes(page)}")
    assert canvas(page).count("░") >= 60
    for _ in range(passes(page)):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".bs-where")).to_have_text(f"step {passes(page)} of {passes(page)}")
    assert canvas(page) == last


def test_untouched_it_decodes_verified_and_shows_the_drafts(page: Page, url: str) -> None:
    """Wherever a draft stood one step earlier, a token is confirmed, a draft is struck out, or none was tested."""
    open_at_once(page, url)
    ask(page, STORY, length=32)
    finished(page)
    expect(page.locator("[data-lane=diffusion] .bs-title")).to_have_text("Verified decoding")
    lane, seen = page.locator("[data-lane=diffusion] .bs-strip"), {"draft": 0, "confirmed": 0, "struck": 0}
    page.keyboard.press("Home")
    for _ in range(passes(page)):
        for name in seen:
            seen[name] += lane.locator(f".bs-cell.{name}").count()
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(50)
    assert min(seen.values()) > 0
    assert lane.locator(".draft, .struck").count() == 0 or "░" in canvas(page)
    expect(page.locator("[data-lane=diffusion] .bs-gate")).to_contain_text(re.compile("Same answer as AR|Departs from"))


def test_a_token_shows_its_alternatives(page: Page, url: str) -> None:
    open_at_once(page, url)
    ask(page, QUESTION, length=8)
    finished(page)
    for lane in ("diffusion", "ar"):
        token = page.locator(f"[data-lane={lane}] .bs-strip .bs-cell:not(.mask, .prompt, .ahead)").first
        token.hover()
        card = page.locator(".bs-card")
        expect(card).to_be_visible()
        expect(card).to_contain_text(re.compile(r"position \d+ · committed at step \d+"))
        expect(card).to_contain_text(re.compile(r"confidence \d+\.\d %"))
        shares = [float(text.removesuffix(" %")) for text in card.locator(".bs-card-share").all_inner_texts()]
        assert len(shares) == 5
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 100.3


def test_the_numbers_and_the_verdict_are_shown(page: Page, url: str) -> None:
    open_at_once(page, url)
    ask(page, QUESTION, length=8)
    finished(page)
    for lane in ("diffusion", "ar"):
        values = page.locator(f"[data-lane={lane}] .bs-value").all_inner_texts()
        assert len(values) == 6
        assert all(re.fullmatch(r"[\d.]+( %| ms| s)?", value) for value in values)
    expect(page.locator(".bs-sentence")).to_have_text(
        re.compile(r"Verified decoding wrote .+ in \d+ passes? instead of \d+, and took .+ instead of .+\.")
    )
    expect(page.locator(".bs-facts")).to_contain_text(
        re.compile(r"SmolLM2.+(float32|bfloat16).+thread.+warm-up.+one after another")
    )
    expect(page.locator(".bs-facts")).to_contain_text("outside these numbers")


def test_stop_ends_a_run_and_the_next_one_starts(page: Page, url: str) -> None:
    open_at_once(page, url)
    ask(page, "Write a long story about a lighthouse and its keeper.", length=256)
    page.locator(".bs[data-state=running]").wait_for(timeout=PATIENCE)
    page.wait_for_function("Number(document.querySelector('.bs').dataset.passes) >= 3", timeout=PATIENCE)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".bs-status")).to_have_text("Stopped.")
    stopped_at = passes(page)
    assert "░" in canvas(page)
    set_length(page, 8)
    page.get_by_role("button", name="Decode", exact=True).click()
    finished(page)
    assert passes(page) < stopped_at or passes(page) <= 12
    expect(page.locator(".bs")).to_have_attribute("data-gaps", "0")


def test_ar_can_be_switched_off(page: Page, url: str) -> None:
    open_at_once(page, url)
    page.get_by_role("button", name=re.compile("^Settings")).click()
    page.get_by_role("checkbox", name="AR").uncheck()
    ask(page, QUESTION)
    finished(page)
    expect(page.locator("[data-lane=ar]")).to_be_hidden()
    expect(page.locator(".bs-verdict")).to_be_hidden()


def test_the_first_view_is_simple_and_settings_open_on_demand(page: Page, url: str) -> None:
    open_at_once(page, url)
    expect(page.get_by_label("Unmasking rule")).to_be_hidden()
    page.get_by_role("button", name=re.compile("^Settings")).click()
    expect(page.get_by_label("Unmasking rule")).to_be_visible()
    expect(page.get_by_text("Default: verified decoding").first).to_be_visible()
    for name in ("Drafts", "Threshold", "Factor"):
        expect(page.get_by_label(f"number input for {name}", exact=True)).to_be_hidden()
    page.get_by_label("Unmasking rule").click()
    page.get_by_role("option", name="verify", exact=True).click()
    expect(page.get_by_label("number input for Drafts")).to_be_visible()
    page.get_by_label("Unmasking rule").click()
    page.get_by_role("option", name="factor", exact=True).click()
    expect(page.get_by_label("number input for Factor")).to_be_visible()
    expect(page.get_by_label("number input for Drafts")).to_be_hidden()


def test_what_is_not_allowed_is_named(page: Page, url: str) -> None:
    open_at_once(page, url)
    page.get_by_role("textbox", name="Prompt").fill("<img src=x onerror=alert(1)>" * 200)
    page.get_by_role("button", name="Decode", exact=True).click()
    expect(page.get_by_text("The prompt has 5600 characters; allowed: 1 to 4000")).to_be_visible()
    expect(page.locator(".bs")).to_have_attribute("data-state", "welcome")  # nor does it wait any longer


def test_an_example_fills_the_prompt(page: Page, url: str) -> None:
    open_at_once(page, url)
    page.get_by_role("button", name=re.compile("^Examples")).click()
    page.get_by_role("button", name="Repeat after me: The sun is bright.").click()
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value("Repeat after me: The sun is bright.")


@pytest.mark.parametrize("query", ["", "?__theme=dark"], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen(page: Page, url: str, query: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    open_at_once(page, url, query)
    ask(page, QUESTION, length=8)
    finished(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.body.classList.contains('dark')") is bool(query)
    edges = page.evaluate("""Array.from(document.querySelectorAll('.bs *'))
      .filter((node) => !node.closest('.bs-text, template, [hidden]'))
      .map((node) => node.getBoundingClientRect().right)""")
    assert max(edges) <= width
    page.locator("[data-lane=ar] [data-number=recomputed]").focus()
    bubble = page.locator("[data-lane=ar] [data-number=recomputed] .bs-definition").bounding_box()
    assert bubble
    assert 0 <= bubble["x"] <= bubble["x"] + bubble["width"] <= width


def test_a_lesson_by_keyboard_alone(page: Page, url: str) -> None:
    open_at_once(page, url)
    page.get_by_role("tab", name="Learn").focus()
    page.keyboard.press("Enter")
    page.get_by_role("radio", name="2. Block size").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("How many if all 24 places are one block?")).to_be_visible()
    for _ in range(8):  # past the lessons: gradio's radio buttons are a stop each
        page.keyboard.press("Tab")
        if page.get_by_role("radio", name="3 passes").evaluate("(node) => node === document.activeElement"):
            break
    page.keyboard.press("Space")
    expect(page.locator(".bs-reveal").first).to_contain_text("3 passes. The model is sure of this answer")
    expect(page.locator(".bs-status")).to_contain_text("3 passes. The model is sure of this answer")  # spoken
    expect(page.locator(".bs-where")).to_have_text("step 1 of 3")
    expect(page).to_have_url(re.compile("trace=fact-d2&step=1"))


def test_a_lesson_goes_on_live(page: Page, url: str) -> None:
    open_at_once(page, url)
    page.get_by_role("tab", name="Learn").click()
    page.get_by_role("button", name="Try it live").click()
    expect(page.locator(".bs")).to_have_attribute("data-state", "done", timeout=PATIENCE)
    expect(page.get_by_role("radio", name="Fast", exact=True)).to_be_checked()
    expect(page.locator("[data-lane=diffusion] .bs-about")).to_contain_text("threshold 0.9")
    page.get_by_role("tab", name="Learn").click()
    page.get_by_role("radio", name="8. What a benchmark may claim").click()
    expect(page.get_by_role("button", name="Try it live")).to_be_hidden()


def test_on_a_small_screen_decode_brings_the_lanes_into_view(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    page.emulate_media(reduced_motion="reduce")
    open_at_once(page, url)
    page.get_by_role("button", name=re.compile("^Settings")).click()  # which pushes the lanes down
    expect(page.locator(".bs-lanes")).not_to_be_in_viewport()
    ask(page, QUESTION)
    expect(page.locator("[data-lane=diffusion] .bs-strip")).to_be_in_viewport()
    page.get_by_role("button", name="Stop", exact=True).click()


def test_it_can_be_used_by_keyboard_alone(page: Page, url: str) -> None:
    open_at_once(page, url)
    page.get_by_role("textbox", name="Prompt").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("Hello")
    page.keyboard.press("Enter")
    finished(page)
    page.keyboard.press("Tab")
    for _ in range(40):
        if page.evaluate("document.activeElement.matches('.bs-play')"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Step", exact=True)).to_be_focused()
    page.keyboard.press("Home")
    expect(page.locator(".bs-where")).to_have_text(f"step 1 of {passes(page)}")


def inspect(page: Page, view: str) -> None:
    """Look at a view of the inspector and wait for its charts."""
    page.get_by_role("tab", name=view).click()
    page.locator(".bs-inspector").scroll_into_view_if_needed()
    expect(page.locator(".bs-panel .bs-plot svg").first).to_be_visible()
    expect(page.locator(".bs-panel")).not_to_have_attribute("aria-busy", "true")


def test_a_run_with_everything_recorded_can_be_inspected_measured_saved_and_opened_again(
    page: Page, url: str, tmp_path: Path
) -> None:
    open_at_once(page, url)
    page.get_by_role("button", name=re.compile("^Settings")).click()
    set_length(page, 8)
    page.get_by_role("checkbox", name="attention").check()
    page.get_by_role("button", name="Decode", exact=True).click()
    finished(page)
    expect(page.locator(".bs-verdict")).to_contain_text("for looking, not for racing")
    inspect(page, "Score sheet")
    inspect(page, "Attention")
    expect(page.locator(".bs-unlocks")).to_be_attached()
    page.get_by_role("tab", name="Drift").click()
    page.get_by_role("button", name="Measure the drift").click()
    expect(page.locator(".bs-panel .bs-plot svg").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".bs-status")).to_contain_text("Done.")
    for name in ("JSON", "HTML"):
        with page.expect_download(timeout=PATIENCE) as saved:
            page.get_by_role("button", name=f"Save as {name}").click()
        saved.value.save_as(tmp_path / f"run.{name.lower()}")
    written = canvas(page)
    run = page.locator(".bs").get_attribute("data-run")
    page.get_by_role("button", name=re.compile("^Recorded runs")).click()
    page.locator("input[type=file]").set_input_files(tmp_path / "run.json")
    expect(page.locator(".bs")).not_to_have_attribute("data-run", run or "")
    expect(page.locator(".bs-facts")).to_contain_text("Recorded, not computed here")
    assert canvas(page) == written
    inspect(page, "Cache ledger")
    page.goto((tmp_path / "run.html").as_uri())
    assert canvas(page) == written


def test_a_bad_trace_is_refused_and_the_run_on_show_stays(page: Page, url: str, tmp_path: Path) -> None:
    open_at_once(page, url, "?trace=fact&step=2")
    finished(page)
    run, written = page.locator(".bs").get_attribute("data-run"), canvas(page)
    (tmp_path / "bad.json").write_text('{"schema": "<img src=x onerror=alert(1)>"}')
    page.get_by_role("button", name=re.compile("^Recorded runs")).click()
    page.locator("input[type=file]").set_input_files(tmp_path / "bad.json")
    expect(page.get_by_text("Not a valid trace")).to_be_visible()
    expect(page.locator(".bs")).to_have_attribute("data-run", run or "")
    assert canvas(page) == written


def test_a_link_opens_a_recorded_run_at_its_step_and_the_address_follows(page: Page, url: str) -> None:
    open_at_once(page, url, "?trace=sky-d2&step=7")
    finished(page)
    expect(page.locator(".bs-where")).to_have_text(re.compile("^step 7 of"))
    inspect(page, "Cache ledger")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"trace=sky-d2&step=8"))
    page.get_by_role("button", name=re.compile("^Recorded runs")).click()
    page.get_by_role("radio", name=re.compile("with DualCache")).click()
    page.wait_for_url(re.compile(r"trace=sky-dual"))
    expect(page.locator(".bs-panel .bs-plot svg").first).to_be_visible()


def test_a_stopped_run_can_be_inspected(page: Page, url: str) -> None:
    open_at_once(page, url)
    ask(page, "Write a long story about a lighthouse and its keeper.", length=128)
    page.locator(".bs[data-state=running]").wait_for(timeout=PATIENCE)
    page.wait_for_function("Number(document.querySelector('.bs').dataset.passes) >= 3", timeout=PATIENCE)
    expect(page.locator(".bs-empty")).to_have_text(re.compile("^Drawn when the run has ended"))
    page.get_by_role("button", name="Stop", exact=True).click()
    inspect(page, "Score sheet")


def test_visitors_who_decode_at_once_share_passes_and_are_informed(page: Page, url: str) -> None:
    open_at_once(page, url)
    other = page.context.new_page()
    open_at_once(other, url)
    for each in (page, other):
        each.get_by_role("button", name=re.compile("^Settings")).click()
        each.get_by_label("Then decode with AR as well").uncheck()
        set_length(each, 256 if each is page else 128)
    ask(page, "Write a long story about a lighthouse and its keeper.")
    ask(other, QUESTION)
    for each in (page, other):
        finished(each)
        expect(each.locator(".bs")).to_have_attribute("data-gaps", "0")
    assert "up to 2 runs in a pass" in page.locator(".bs-facts").inner_text()
    other.close()


@pytest.fixture(scope="module")
def raced(browser: Browser, url: str) -> Iterator[Page]:
    """A page on which a race has ended; raced once for all that look at it."""
    with clean(browser.new_page()) as page:
        race(page, url)
        yield page
        page.context.close()


def race(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("tab", name="Race", exact=True).first.click()
    page.get_by_label("number input for Answer length").last.fill("8")
    page.get_by_label("number input for Repeats").fill("2")
    page.get_by_role("button", name="Race", exact=True).click()
    expect(page.locator(".bs")).to_have_attribute("data-state", "done", timeout=PATIENCE)


def test_a_race_in_the_browser(raced: Page) -> None:
    page = raced
    lanes = page.locator(".bs-lane:visible")
    expect(lanes).to_have_count(len([way for way, _ in START if way != NO_LANE]))
    expect(page.locator("select.bs-by")).to_have_value("clock")
    expect(page.locator(".bs-lane.finished")).to_have_count(lanes.count(), timeout=60_000)  # it played by itself
    for flag in page.locator(".bs-flag:visible").all_inner_texts():
        assert re.fullmatch(r"(1st|2nd|3rd) · [\d.]+ s", flag)
    expect(page.locator(".bs-gate:visible")).to_have_count(lanes.count())
    expect(page.locator(".bs-verdict")).to_contain_text("tokens per second")
    expect(page.locator(".bs-facts")).to_contain_text(re.compile(r"threads?, torch .+, seed 0, .+warm-up"))
    page.locator("#bs-tab-race").click()
    expect(page.locator(".bs-plot .main-svg").first).to_be_visible()
    assert page.locator(".bs-figure:visible").count() == 3
    page.locator("#bs-tab-gate").click()
    expect(page.locator(".bs-held").first).to_be_visible()


def test_the_race_is_there_to_be_scrubbed(raced: Page) -> None:
    page = raced
    expect(page.locator(".bs-lane.finished")).to_have_count(3, timeout=60_000)
    page.locator(".bs-scrub").focus()
    page.keyboard.press("Home")
    expect(page.locator(".bs-lane.finished")).to_have_count(0)
    assert not any(text.strip("░") for text in page.locator(".bs-lane:visible .bs-text").all_inner_texts())
    page.keyboard.press("End")
    expect(page.locator(".bs-lane.finished")).to_have_count(3)
