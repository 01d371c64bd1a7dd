"""Text that attacks the page, and visitors who leave: on an engine that plays a script."""

from playwright.sync_api import Page, expect

from tests.app.conftest import Server
from tests.app.scripted import HOSTILE, SCRIPTS

SCRIPT_LENGTH = len(SCRIPTS["gated"])
# the server's streams, without the events that end a run
WITHOUT_END = """() => {
  const real = window.fetch;
  window.fetch = async (...given) => {
    const answer = await real(...given);
    if (!String(given[0].url ?? given[0]).includes("queue/data")) return answer;
    let text = "";
    const kept = new TransformStream({
      transform(chunk, out) {
        const events = (text + chunk).split("\\n\\n");
        text = events.pop();
        const last = (event) => event.includes('"process_completed"') && event.includes("blockscope.view");
        for (const event of events) if (!last(event)) out.enqueue(event + "\\n\\n");
      },
    });
    const body = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(kept);
    return new Response(body.pipeThrough(new TextEncoderStream()), answer);
  };
}"""


def decode(page: Page, server: Server, script: str) -> None:
    server.forget()
    page.goto(server.url)
    page.get_by_role("textbox", name="Prompt").fill(script)
    page.get_by_role("button", name="Decode", exact=True).click()


def freed(server: Server) -> int:
    """Let the run go on, a second a pass, until it is freed; after how many passes that was."""
    for _ in range(SCRIPT_LENGTH):
        server.say("go")
        line = server.next_line(1)
        while line and not line.startswith("freed after "):
            line = server.next_line(1)
        if line:
            return int(line.removeprefix("freed after "))
    raise AssertionError("the run was never freed")


def test_model_text_is_shown_and_never_run(page: Page, scripted: Server) -> None:
    decode(page, scripted, "hostile")
    expect(page.locator(".bs")).to_have_attribute("data-state", "done")
    cells = page.locator("[data-lane=diffusion] .bs-strip .bs-cell")
    shown = cells.all_text_contents()
    assert shown[: len(HOSTILE)] == [
        "<img·src=x·onerror=alert(1)>", "<script>alert(2)</script>", "${alert(3)}", "{{value}}", "`", "\\", "@children",
        "·javascript:alert(4)", "U+202EevilU+202C", "U+200B", "␀", "␛[31m", "↵", "⇥", "·", "∅", "\ufffd", "e\u0301",
        "◌\u0301", "</div>", '"·onload="alert(5)', "&lt;b&gt;", "\U0001f9e9", "\u05d0\u05d1",
    ]  # fmt: skip
    assert shown[len(HOSTILE)] == "EOS"
    for index in (0, 1, 8):  # the card shows pieces too
        cells.nth(index).hover()
        expect(page.locator(".bs-card-title")).to_have_text(shown[index])
    assert page.locator(".bs img, .bs script, .bs b:not(.bs-value)").count() == 0
    region = page.get_by_role("region", name="Canvas as text").text_content() or ""
    assert "<img src=x onerror=alert(1)>" in region
    assert "\u202e" not in region
    left = [box["x"] for cell in cells.all()[:3] if (box := cell.bounding_box())]
    assert left == sorted(left)


def test_stop_acts_within_a_step(page: Page, scripted: Server) -> None:
    decode(page, scripted, "gated")
    scripted.expect("begun")
    for number in (1, 2, 3):
        scripted.say("go")
        scripted.expect(f"pass {number}")
    expect(page.locator(".bs")).to_have_attribute("data-passes", "3")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".bs-status")).to_have_text("Stopped.")
    assert freed(scripted) <= 4  # the fourth pass was under way
    assert page.locator(".bs").get_attribute("data-passes") in ("3", "4")


def test_decode_is_off_while_it_goes_on_and_a_refusal_costs_nothing(page: Page, scripted: Server) -> None:
    decode(page, scripted, "gated")
    button, stop = (page.get_by_role("button", name=name, exact=True) for name in ("Decode", "Stop"))
    scripted.expect("begun")
    expect(button).to_be_disabled()
    stop.click()
    expect(button).to_be_enabled()
    expect(stop).to_be_disabled()
    scripted.say("go")
    page.get_by_role("textbox", name="Prompt").fill("hostile")
    button.click()
    expect(page.locator(".bs")).to_have_attribute("data-state", "done")
    expect(stop).to_be_disabled()
    run = page.locator(".bs").get_attribute("data-run")
    page.get_by_role("textbox", name="Prompt").fill("")
    button.click()
    expect(page.get_by_text("The prompt is empty; allowed: 1 to 4000 characters")).to_be_visible()
    expect(button).to_be_enabled()
    assert page.locator(".bs").get_attribute("data-run") == run
    expect(page.locator(".bs")).to_have_attribute("data-state", "done")


def test_the_buttons_follow_the_viewer_even_if_the_end_of_the_stream_never_comes(page: Page, scripted: Server) -> None:
    page.add_init_script(f"({WITHOUT_END})()")
    decode(page, scripted, "hostile")
    expect(page.locator(".bs")).to_have_attribute("data-state", "done")
    button, stop = (page.get_by_role("button", name=name, exact=True) for name in ("Decode", "Stop"))
    expect(stop).to_be_disabled()
    expect(button).to_be_enabled()
    run = page.locator(".bs").get_attribute("data-run") or ""
    button.click()
    expect(page.locator(".bs")).not_to_have_attribute("data-run", run)
    expect(page.locator(".bs")).to_have_attribute("data-state", "done")
    expect(stop).to_be_disabled()


def test_a_closed_tab_frees_its_run(page: Page, scripted: Server) -> None:
    decode(page, scripted, "gated")
    scripted.expect("begun")
    scripted.say("go")
    scripted.expect("pass 1")
    expect(page.locator(".bs")).to_have_attribute("data-passes", "1")
    page.close()
    assert freed(scripted) < SCRIPT_LENGTH // 2


def test_the_next_visitor_waits_for_the_pass_that_is_being_made_and_goes_on(page: Page, scripted: Server) -> None:
    decode(page, scripted, "gated")
    scripted.expect("begun")
    scripted.say("go")
    scripted.expect("pass 1")
    other = page.context.new_page()
    decode(other, scripted, "hostile")
    expect(other.locator(".bs-status")).to_have_text("Preparing…")
    page.get_by_role("button", name="Stop", exact=True).click()
    assert freed(scripted) < SCRIPT_LENGTH // 2  # what the other wrote comes after that
    expect(other.locator(".bs")).to_have_attribute("data-state", "done")
    other.close()
