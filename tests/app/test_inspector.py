"""The inspector in a real browser, on recorded runs of a tiny network. No server: its questions are answered here."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from dllm.trace import Trace
from tests.dllm.traces import canvas_at
from tests.visualize.runs import recorded, verified
from visualize.charts.drift import NO_DRIFT
from visualize.export.html import PLOTLY, VIEWER_FOLDER, viewer_script, viewer_template, viewer_texts
from visualize.export.html import page as saved_page
from visualize.replay import Replay
from visualize.stage import Stage, notice
from visualize.views import VIEWS

MOUNT = """([source, words]) => {
  window.feed = { value: null };
  const options = {
    ...words,
    exports: { csv: "One line a step" },
    read: () => feed.value,
    listen: (receive) => (feed.receive = receive),
    ask: (question) => answer(question),
    measure: (run) => measure(run),
    plotly: async () => window.Plotly,
  };
  new Function("root", "options", source + "; viewer.mount(root, options);")(document.querySelector(".bs"), options);
}"""


class Stand:
    """A viewer on an empty page with a run on show. `asked` are the questions that came, `measured` the requests."""

    def __init__(self, page: Page, replay: Replay) -> None:
        self.page, self.replay = page, replay
        self.asked: list[dict[str, Any]] = []
        self.measured: list[dict[str, Any]] = []
        page.expose_function("answer", self.answer)
        page.expose_function("measure", self.measure)
        page.set_content(
            f"<style>{(VIEWER_FOLDER / 'standalone.css').read_text()}</style><main>{viewer_template()}</main>"
        )
        page.add_script_tag(path=PLOTLY)
        page.evaluate(MOUNT, [viewer_script(), viewer_texts()])

    def answer(self, question: dict[str, Any]) -> Any:
        self.asked.append(question)
        if question["view"] == "export":
            return {"name": "run.csv", "media": "text/csv", "data": "c3RlcAo="}
        return self.replay.ask(question)

    def measure(self, run: dict[str, Any]) -> None:
        self.measured.append(run)

    def send(self, message: str) -> None:
        self.page.evaluate("(text) => { feed.value = text; feed.receive(); }", message)

    def show(self, view: str | None = None) -> "Stand":
        self.send(self.replay.message("run"))
        if view:
            self.page.get_by_role("tab", name=VIEWS[view].title).click()
        self.page.locator(".bs-inspector").scroll_into_view_if_needed()
        self.ready()
        return self

    def ready(self) -> None:
        expect(self.page.locator(".bs-panel")).not_to_have_attribute("aria-busy", "true")
        expect(self.page.locator(".bs-extra")).not_to_have_attribute("aria-busy", "true")

    def point(self, figure: Locator, x: float, y: float) -> tuple[float, float]:
        """Where data coordinates of a chart lie in the window."""
        figure.scroll_into_view_if_needed()
        return tuple(
            figure.evaluate(
                """(plot, [x, y]) => {
                  const box = plot.getBoundingClientRect(), { xaxis, yaxis } = plot._fullLayout;
                  return [box.left + xaxis._offset + xaxis.d2p(x), box.top + yaxis._offset + yaxis.d2p(y)];
                }""",
                [x, y],
            )
        )

    @property
    def plots(self) -> Locator:
        return self.page.locator(".bs-plot")

    @property
    def where(self) -> Locator:
        return self.page.locator(".bs-where")


@pytest.fixture
def stand(page: Page) -> Stand:
    return Stand(page, recorded())


def marks(stand: Stand) -> list[float]:
    """At which step each visible mark of the charts of steps stands, read back from where it is drawn."""
    return stand.page.evaluate("""Array.from(document.querySelectorAll(".bs-plot"), (plot) => {
      const mark = plot.querySelector(".bs-cursor"), step = plot.layout.meta?.step;
      if (!step || mark.hidden) return null;
      const box = mark.getBoundingClientRect(), outer = plot.getBoundingClientRect();
      const axis = plot._fullLayout[step + "axis"];
      const middle = step === "x" ? box.left + box.width / 2 - outer.left : box.top + box.height / 2 - outer.top;
      return Math.round(axis.p2d(middle - axis._offset));
    }).filter((step) => step !== null)""")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws_says_what_to_look_for_and_follows_the_cursor(stand: Stand, view: str) -> None:
    stand.show(view)
    sentence = VIEWS[view].look_for.removeprefix("Look for ")
    expect(stand.page.locator(".bs-look")).to_have_text(f"What to look for: {sentence}")
    assert stand.plots.count() >= len(VIEWS[view].charts)
    for plot in stand.plots.all():
        assert plot.locator("svg").count() > 0
        assert plot.get_attribute("aria-label")
    last = len(stand.replay.traces["diffusion"].steps)
    assert set(marks(stand)) <= {last}
    stand.page.keyboard.press("Home")
    expect(stand.where).to_have_text(f"step 1 of {last}")
    assert set(marks(stand)) <= {1}
    assert marks(stand) or view in ("attention", "gate")
    stand.page.keyboard.press("ArrowRight")
    expect(stand.where).to_have_text(f"step 2 of {last}")
    assert set(marks(stand)) <= {2}


def test_a_click_on_a_cell_seeks_to_its_step(stand: Stand) -> None:
    stand.show("score")
    x, y = stand.point(stand.plots.first, 10, 4)
    stand.page.mouse.click(x, y)
    expect(stand.where).to_have_text(re.compile(r"^step 4 of"))
    assert marks(stand) == [4]


def test_a_cell_shows_its_guesses_also_where_none_was_kept(stand: Stand) -> None:
    stand.show("score")
    trace = stand.replay.traces["diffusion"]
    step = next(s for s in trace.steps if set(s.positions) - set(s.committed))
    position = min(set(step.positions) - set(step.committed))
    stand.page.mouse.move(*stand.point(stand.plots.first, position, step.index + 1))
    card = stand.page.locator(".bs-card")
    expect(card).to_contain_text(f"position {position} · step {step.index + 1} · predicted, not kept")
    row = (step.alternatives or [])[step.positions.index(position)]
    shares = [f"{100 * p:.1f} %" for _, p in row]
    assert card.locator(".bs-card-share").all_inner_texts() == shares
    assert len(shares) == 5
    x, y = stand.point(stand.plots.first, step.committed[0], step.index + 1)
    stand.page.mouse.move(x, y + 1)
    expect(card).to_contain_text(f"position {step.committed[0]} · step {step.index + 1} · committed here")


def test_names_of_tokens_are_shown_and_never_run(stand: Stand) -> None:
    stand.show("attention")
    stand.page.keyboard.press("Home")
    expect(stand.page.locator(".bs-unlock").first).to_be_visible()
    for view in VIEWS:
        stand.page.get_by_role("tab", name=VIEWS[view].title).click()
        stand.ready()
    assert stand.page.locator(".bs img, .bs script").count() == 0  # a dialog or an error would fail the page too


def test_a_chart_is_read_by_keyboard(stand: Stand) -> None:
    stand.show("score")
    stand.plots.first.focus()
    card = stand.page.locator(".bs-card")
    stand.page.keyboard.press("ArrowDown")
    expect(card).to_contain_text(re.compile(r"position \d+ · step"))
    first = int(re.findall(r"position (\d+)", card.inner_text())[0])
    stand.page.keyboard.press("ArrowDown")
    expect(card).to_contain_text(f"position {first + 1} · step")
    stand.page.keyboard.press("ArrowLeft")
    last = len(stand.replay.traces["diffusion"].steps)
    expect(stand.where).to_have_text(f"step {last - 1} of {last}")
    expect(card).to_contain_text(f"position {first + 1} · step {last - 1}")
    stand.page.keyboard.press("Tab")
    expect(card).to_be_hidden()


def test_tabs_are_walked_by_arrows_without_moving_the_cursor(stand: Stand) -> None:
    stand.show()
    before = stand.where.inner_text()
    stand.page.get_by_role("tab", name="Score sheet").focus()
    for title in [view.title for view in VIEWS.values()][1:4]:
        stand.page.keyboard.press("ArrowRight")
        expect(stand.page.get_by_role("tab", name=title)).to_be_focused()
        expect(stand.page.get_by_role("tab", name=title)).to_have_attribute("aria-selected", "true")
    stand.page.keyboard.press("End")
    stand.page.keyboard.press("ArrowRight")
    expect(stand.page.get_by_role("tab", name="Score sheet")).to_be_focused()
    assert stand.where.inner_text() == before


def test_nothing_is_asked_before_the_run_has_ended(stand: Stand) -> None:
    empty = stand.page.locator(".bs-empty")
    stand.page.locator(".bs-inspector").scroll_into_view_if_needed()
    expect(empty).to_have_text(re.compile("^Nothing to inspect yet"))
    trace = stand.replay.traces["diffusion"]
    stage = Stage("run", ["diffusion"], lambda i: f" t{i}")
    stand.send(stage.open("diffusion", trace.prompt, trace.settings))
    stand.send(stage.step("diffusion", trace.steps[0]))
    expect(empty).to_have_text(re.compile("^Drawn when the run has ended"))
    assert stand.asked == []
    stand.show()
    assert [q["view"] for q in stand.asked] == ["score"]
    expect(empty).to_have_text("")


def test_a_drift_that_cannot_be_is_not_offered_to_be_measured(page: Page) -> None:
    Stand(page, Replay({"diffusion": verified()})).show("drift")
    expect(page.locator(".bs-empty")).to_have_text(NO_DRIFT)
    expect(page.get_by_role("button", name="Measure the drift")).to_be_hidden()


def test_what_is_missing_is_named_with_how_to_get_it(page: Page) -> None:
    bare = Replay({"diffusion": recorded().traces["diffusion"]})
    stand = Stand(page, bare).show("attention")
    expect(page.locator(".bs-empty")).to_have_text(VIEWS["attention"].empty)
    expect(page.get_by_role("button", name="Measure the drift")).to_be_hidden()
    page.get_by_role("tab", name="Drift").click()
    expect(page.locator(".bs-empty")).to_have_text(VIEWS["drift"].empty)
    page.get_by_role("button", name="Measure the drift").click()
    expect(page.get_by_role("button", name="Measure the drift")).to_be_visible()
    assert stand.measured == [{"run": "run", "lane": "diffusion"}]
    stand.send(notice("run", "Measuring the drift: step 3 of 9…"))
    expect(page.locator(".bs-status")).to_have_text("Measuring the drift: step 3 of 9…")
    expect(page.get_by_role("button", name="Measure the drift")).to_be_hidden()
    stand.replay = recorded()
    stand.send(notice("run", "", measured=True))
    expect(stand.plots).to_have_count(4)
    expect(page.locator(".bs-status")).to_contain_text("Done.")


def test_options_of_a_view_are_asked_for(stand: Stand) -> None:
    stand.show("drift")
    stand.page.get_by_label("What", exact=True).select_option("values")
    stand.ready()
    stand.page.get_by_label("Layer", exact=True).select_option("layer 2")
    stand.ready()
    asked = [q for q in stand.asked if q["view"] == "drift"]
    assert [(q["what"], q.get("layer")) for q in asked] == [("keys", None), ("values", None), ("values", 1)]
    assert [q for q in stand.asked if q["view"] == "trajectory"][-1]["layer"] == 1


def test_layers_and_heads_of_attention_are_fetched_when_looked_at(stand: Stand) -> None:
    stand.show("attention")
    last = len(stand.replay.traces["diffusion"].steps) - 1
    assert [q for q in stand.asked if q["view"] == "maps"] == []
    caption = stand.page.locator("figcaption", has_text="at step")
    expect(caption).to_contain_text(f"Rollout at step {last + 1}, without the identity term")
    stand.page.get_by_label("Map", exact=True).select_option("layer 1")
    expect(caption).to_contain_text(f"Attention of layer 1 at step {last + 1}, head mean")
    stand.page.get_by_label("Plane", exact=True).select_option("head 3")
    expect(caption).to_contain_text(f"Attention of layer 1 at step {last + 1}, head 3")
    (asked,) = [q for q in stand.asked if q["view"] == "maps"]
    assert (asked["layer"], asked["step"]) == (0, last)
    drawn = stand.plots.last.evaluate("plot => plot.data[0].z.map((row) => row.reduce((a, b) => a + b, 0))")
    assert len(drawn) == stand.replay.traces["diffusion"].steps[last].query_count
    assert all(abs(total - 1) < 0.05 for total in drawn)


def test_another_lane_can_be_looked_at(page: Page) -> None:
    both = Replay({**recorded("sub_block").traces, **recorded("ar").traces})
    stand = Stand(page, both).show()
    page.get_by_label("Lane on show").select_option("Autoregressive")
    stand.ready()
    assert [(q["lane"], q["view"]) for q in stand.asked] == [("diffusion", "score"), ("ar", "score")]


def test_a_run_and_a_chart_can_be_saved(stand: Stand, tmp_path: Path) -> None:
    stand.show()
    with stand.page.expect_download() as csv:
        stand.page.get_by_role("button", name="Save as CSV").click()
    assert csv.value.suggested_filename == "run.csv"
    assert csv.value.path().read_text() == "step\n"
    with stand.page.expect_download() as png:
        stand.page.get_by_role("button", name="Save this chart as PNG").click()
    assert png.value.suggested_filename.endswith(".png")
    assert png.value.path().read_bytes().startswith(b"\x89PNG")


def test_a_message_about_a_run_that_is_gone_changes_nothing(stand: Stand) -> None:
    stand.show()
    stand.send(notice("another", "Measuring…"))
    expect(stand.page.locator(".bs-status")).to_contain_text("Done.")
    expect(stand.page.locator(".bs")).to_have_attribute("data-run", "run")


def test_answers_that_come_after_the_next_run_began_are_dropped(stand: Stand) -> None:
    for view in ("attention", "drift"):
        stand.show(view)
        for key in ("Home", "End", "ArrowLeft"):
            stand.page.keyboard.press(key)
        stand.send(Stage(view, ["diffusion"], lambda i: f" t{i}").note("Preparing…"))
        expect(stand.page.locator(".bs-empty")).to_have_text(re.compile("^Drawn when the run has ended"))
        stand.page.wait_for_timeout(300)
        expect(stand.plots).to_have_count(0)
        expect(stand.page.locator(".bs-unlock")).to_have_count(0)


def test_a_link_stands_at_its_step(stand: Stand) -> None:
    stand.send(stand.replay.message("run", at=2))
    expect(stand.where).to_have_text(re.compile("^step 3 of"))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_view_fits_the_screen(stand: Stand, dark: bool, width: int) -> None:
    stand.page.set_viewport_size({"width": width, "height": 844})
    stand.page.evaluate("(dark) => document.body.classList.toggle('dark', dark)", dark)
    stand.show()
    for view in VIEWS.values():
        stand.page.get_by_role("tab", name=view.title).click()
        stand.ready()
        assert stand.page.evaluate("document.documentElement.scrollWidth") <= width
        ink = stand.plots.first.evaluate("plot => plot.layout.font.color")
        assert ink == ("#f1f5f9" if dark else "#1f2937")


def test_charts_change_with_the_theme(stand: Stand) -> None:
    stand.show("score")
    stand.page.evaluate("document.body.classList.add('dark')")
    stand.page.wait_for_function("document.querySelector('.bs-plot').layout.font.color === '#f1f5f9'")


def text_at(trace: Trace, step: int, mask: str) -> str:
    """The answer after a step by the definition; what follows a stop token is left out once all before it stands."""
    start = len(trace.prompt)
    cells = canvas_at(trace, step)[start : start + trace.settings["gen_length"]]
    stops = [i for i, token in enumerate(cells) if token in trace.settings["stop_ids"]]
    if stops and None not in cells[: stops[0]]:
        cells = cells[: stops[0] + 1]
    names = {None: mask, **trace.pieces, **dict.fromkeys(trace.settings["stop_ids"], "⏹")}
    return "".join(names[token] for token in cells)


@pytest.mark.parametrize("way", ["d2", "sub_block", "ar"])
def test_a_saved_page_plays_from_a_file_without_network(page: Page, tmp_path: Path, way: str) -> None:
    path = tmp_path / "run.html"
    path.write_text(saved_page(recorded(way)), encoding="utf-8")
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.goto(path.as_uri())
    (trace,) = recorded(way).traces.values()
    expect(page.locator(".bs")).to_have_attribute("data-passes", str(len(trace.steps)))
    page.keyboard.press("Home")
    for step in range(len(trace.steps)):
        expect(page.locator(".bs-where")).to_have_text(f"step {step + 1} of {len(trace.steps)}")
        shown = page.locator(".bs-lane:not([hidden]) .bs-text").text_content()
        assert shown == text_at(trace, step, mask="" if way == "ar" else "░")
        page.keyboard.press("ArrowRight")
    page.locator(".bs-inspector").scroll_into_view_if_needed()
    for view in VIEWS.values():
        page.get_by_role("tab", name=view.title).click()
        expect(page.locator(".bs-plot svg").first).to_be_visible()
        expect(page.locator(".bs-empty")).to_have_text("")
    outside = [url for url in seen if not url.startswith((path.as_uri(), "data:", "blob:"))]
    assert outside == []
