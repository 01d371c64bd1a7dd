"""The benchmark's board: what it shows, what it opens, what it refuses; in a browser without a server."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from app.bench import ASSETS, COLUMNS, NO_FILES, NOTE, benchmarks, opened, opener, replied, script, shown, template
from app.questions import ask
from app.runs import Runs
from dllm.bench.document import Benchmark, BenchmarkError
from dllm.bench.hardware import Hardware, Measured
from dllm.bench.plan import BenchPlan
from dllm.bench.runner import Bench
from dllm.bench.targets import targets
from dllm.models.families import FAST_DLLM_V2
from tests.dllm.bench.test_hardware import BOTH, DOCUMENT, LARGE
from tests.dllm.suites import SUITE, engine
from visualize.export.html import PLOTLY
from visualize.views import VIEWS

ME: Any = SimpleNamespace(session_hash="me")
MOUNT = """([source, value, others]) => {
  window.opened = [];
  window.asked = [];
  const options = {
    read: () => value,
    listen: () => {},
    ask: async (question) => (asked.push(question), others[question.file]),
    open: (row) => opened.push(row),
    plotly: async () => window.Plotly,
  };
  const root = document.querySelector(".bs-bench");
  new Function("root", "options", source + "; bench.mount(root, options);")(root, options);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two benchmarks and their traces, and a file that is none."""
    folder = tmp_path_factory.mktemp("bench")
    for name, only in (("one", "8/8, block cache, 0.9"), ("two", "8/8, block cache")):
        plan = BenchPlan(only=only, batches=(1, 2), rounds=1, traces=True)
        *_, result = Bench(engine(FAST_DLLM_V2), SUITE, plan)
        result.save(folder / f"{name}.json", folder / name)
    (folder / "bad.json").write_text('{"schema": "<b>"}')
    (folder / "published.json").write_text("{}")
    return folder


def event(**data: Any) -> Any:
    return SimpleNamespace(_data=data)


def test_the_files_are_benchmarks_and_not_what_others_published(folder: Path) -> None:
    assert list(benchmarks(folder)) == ["bad", "one", "two"]
    assert "published" not in benchmarks(ASSETS)
    assert list(benchmarks(ASSETS))[:2] == ["cpu", "cpu-passes"]  # by name, whatever the ending sorts like


def test_all_shipped_benchmarks_can_be_shown_and_opened() -> None:
    for name, path in benchmarks(ASSETS).items():
        assert shown(name)["figures"]
        found = Measured.load(path)
        for row in () if isinstance(found, Hardware) else found.rows:
            assert row.trace is None or (ASSETS / name / row.trace).is_file()


def test_what_is_shown_is_what_the_file_says(folder: Path) -> None:
    bench = Benchmark.load(folder / "one.json")
    said = json.loads(json.dumps(shown("one", folder), allow_nan=False))
    assert said["files"] == ["bad", "one", "two"]
    assert "tiny (0 M parameters, float" in said["facts"]
    assert "3 prompts of the suite “small”, median of 1 round" in said["facts"]
    assert said["note"].endswith(NOTE)
    assert [row["cells"][:2] for row in said["rows"]] == [[row.name, str(row.batch)] for row in bench.rows]
    assert [row["order"][2] for row in said["rows"]] == [row.tps.value for row in bench.rows]
    assert [row["trace"] for row in said["rows"]] == [True, True, False, False]
    assert {len(row["cells"]) for row in said["rows"]} == {len(row["order"]) for row in said["rows"]}
    assert len(said["columns"]) == len(said["rows"][0]["cells"])


def test_a_row_opens_its_trace_with_ar_beside_it(folder: Path) -> None:
    runs = Runs()
    message = json.loads(opener(runs, folder)(event(file="one", row=1), ME))
    assert message["planned"] == ["diffusion", "ar"]
    assert "A sample prompt of the benchmark “one”" in message["facts"]
    for lane in message["planned"]:
        assert ask(runs, {"run": message["run"], "lane": lane, "view": next(iter(VIEWS))})["figures"]
    message = json.loads(opener(runs, folder)(event(file="one", row=0), ME))
    assert message["planned"] == ["ar"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"file": "none", "row": 0}, "the benchmark is 'none'; allowed: bad, one, two"),
        ({"file": "../bench/one", "row": 0}, "allowed: bad, one, two"),
        ({"file": "published", "row": 0}, "allowed: bad, one, two"),
        ({"file": ["one"], "row": 0}, "allowed: bad, one, two"),
        ({"row": 0}, "the benchmark is None"),
        ({"file": "<img src=x>", "row": 0}, "&lt;img src=x&gt;"),
        ({"file": "bad", "row": 0}, "bad.json is not a valid benchmark"),
        ({"file": "one", "row": 4}, "the row is 4; allowed: 0 to 3"),
        ({"file": "one", "row": -1}, "the row is -1; allowed: 0 to 3"),
        ({"file": "one", "row": True}, "the row is True; allowed"),
        ({"file": "one", "row": "1"}, "the row is '1'; allowed"),
        ({"file": "one"}, "the row is None; allowed"),
        ({"file": "one", "row": 2}, "row 2 has no trace; allowed: one whose sample"),
    ],
)
def test_what_is_not_there_is_refused(folder: Path, asked: Mapping[str, Any], message: str) -> None:
    with pytest.raises(gr.Error) as error:
        opener(Runs(), folder)(event(**asked), ME)
    assert message in str(error.value).replace("&#x27;", "'").replace("The ", "the ").replace("Row ", "row ")


def test_a_trace_that_is_gone_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text((folder / "one.json").read_text())
    with pytest.raises(gr.Error, match=r"The trace block-8-8-block-cache-0-9\.json\.gz is not beside the benchmark"):
        opener(Runs(), tmp_path)(event(file="one", row=1), ME)
    with pytest.raises(gr.Error, match="The benchmark is None"):
        opener(Runs(), tmp_path)(SimpleNamespace(_data=None), ME)  # type: ignore[arg-type]


def test_a_benchmark_is_shown_as_soon_as_the_page_is_opened_again(folder: Path, tmp_path: Path) -> None:
    assert json.loads(opened(tmp_path)) == {"files": [], "empty": NO_FILES}
    (tmp_path / "one.json").write_text((folder / "one.json").read_text())
    assert json.loads(opened(tmp_path)) == json.loads(json.dumps(shown("one", tmp_path)))


def test_the_script_is_told_what_is_wrong_and_when_there_is_nothing(folder: Path, tmp_path: Path) -> None:
    assert replied({"file": "one"}, tmp_path) == {"files": [], "empty": NO_FILES}
    assert replied({"file": "one"}, folder) == shown("one", folder)
    assert replied({"file": "bad"}, folder)["error"].startswith("bad.json is not a valid benchmark")
    for question in (None, "one", {"file": 1}, {}):
        assert replied(question, folder)["error"].endswith("allowed: bad, one, two")
    with pytest.raises(BenchmarkError, match="allowed: none, there is no file"):
        shown("one", tmp_path)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder with what was measured of a device."""
    (tmp_path / "h100.json").write_text(json.dumps(DOCUMENT))
    return tmp_path


def test_a_device_is_shown_beside_benchmarks(machine: Path, folder: Path) -> None:
    (machine / "one.json").write_text((folder / "one.json").read_text())
    said = json.loads(json.dumps(shown("h100", machine), allow_nan=False))
    assert said["files"] == ["h100", "one"]
    assert said["facts"].startswith("a, torch 2, passes replayed from graphs: Fast_dLLM_v2_7B (7000 M parameters")
    assert said["facts"].count("torch 2") == 1
    found = Hardware.load(machine / "h100.json")
    wanted = [(network.title, target) for network in found.networks for target in targets(network)]
    assert [row["cells"][:2] for row in said["rows"]] == [[target.name, title] for title, target in wanted]
    assert [row["order"][2] for row in said["rows"]] == [target.value for _, target in wanted]
    assert [row["cells"][4] == "yes" for row in said["rows"]] == [target.met for _, target in wanted]
    assert said["rows"][0]["cells"][2:] == ["0.750", "≥ 0.7", "yes"]
    assert said["rows"][3]["cells"][2:] == ["1.125", "≤ 1.15", "yes"]
    assert not any(row["trace"] for row in said["rows"])
    assert len(said["columns"]) == len(said["rows"][0]["cells"]) == len(said["rows"][0]["order"]) == len(COLUMNS)
    assert "Did not fit into memory: Fast_dLLM_v2_7B: AR at batch 64, small: AR at batch 64." in said["note"]
    assert said["note"].endswith(NOTE)
    assert shown("one", machine) == {**shown("one", folder), "files": said["files"]}


def test_a_device_has_no_traces_and_a_wrong_file_is_told(machine: Path) -> None:
    with pytest.raises(gr.Error, match="has no traces; allowed: a benchmark of prompts"):
        opener(Runs(), machine)(event(file="h100", row=0), ME)
    (machine / "h100.json").write_text(json.dumps({**DOCUMENT, "rounds": 0}))
    assert replied({"file": "h100"}, machine)["error"].startswith("h100.json is not a valid benchmark")


def test_only_what_fitted_needs_no_word_of_memory(machine: Path) -> None:
    (machine / "h100.json").write_text(json.dumps({**DOCUMENT, "networks": [{**LARGE, "full": []}, BOTH]}))
    assert "Did not fit" not in shown("h100", machine)["note"]


def test_a_device_is_drawn_and_nothing_stays_of_what_was_drawn_before(page: Page, folder: Path, machine: Path) -> None:
    """Another file is chosen while the first is still being drawn."""
    page.set_content(f"<body>{template()}</body>")
    page.add_script_tag(path=PLOTLY)
    said = shown("h100", machine)
    one = {**shown("one", folder), "files": ["one", "h100"]}
    page.evaluate("() => { window.held = new Promise((done) => { window.go = () => done(window.Plotly); }); }")
    mount = MOUNT.replace("async () => window.Plotly", "() => window.held")
    page.evaluate(mount, [script(), json.dumps(one), {"h100": said}])
    expect(page.locator(".bs-bench .bs-look")).to_have_count(1)  # the first chart waits for Plotly
    page.get_by_label("Benchmark on show").select_option("h100")
    expect(page.locator(".bs-bench figcaption").first).to_contain_text(said["figures"][0]["title"])
    page.evaluate("go()")
    expect(page.locator(".bs-bench .bs-plot svg.main-svg").last).to_be_visible()
    expect(page.locator(".bs-bench .bs-figure")).to_have_count(len(said["figures"]))
    expect(page.locator(".bs-bench .bs-look")).to_have_text([figure["look_for"] for figure in said["figures"]])
    expect(page.locator(".bs-bench tbody tr")).to_have_count(len(said["rows"]))
    expect(page.locator(".bs-bench tbody button")).to_have_count(0)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture
def stand(page: Page, folder: Path) -> Page:
    """The board on an empty page, with Plotly; `one` is on show."""
    page.set_content(f"<body>{template()}</body>")
    page.add_script_tag(path=PLOTLY)
    others = {"two": shown("two", folder), "bad": {"error": "It is <b>bad</b>."}}
    page.evaluate(MOUNT, [script(), json.dumps(shown("one", folder)), others])
    return page


def column(page: Page, n: int) -> list[str]:
    return page.locator(f".bs-bench tbody tr > :nth-child({n})").all_inner_texts()


def test_a_dot_and_a_button_ask_for_the_row_s_trace(stand: Page) -> None:
    expect(stand.locator(".bs-bench .bs-plot svg.main-svg").first).to_be_visible()
    expect(stand.locator(".bs-bench .bs-figure")).to_have_count(4)
    stand.get_by_role("button", name="Open the trace of block 8/8, block cache, 0.9").press("Enter")
    assert stand.evaluate("opened") == [{"file": "one", "row": 1}]
    for data in ([0, "ar.json.gz"], [2, None], None):
        click = "(plot, customdata) => plot.emit('plotly_click', { points: [{ customdata }] })"
        stand.locator(".bs-bench .bs-plot").first.evaluate(click, data)
    assert stand.evaluate("opened") == [{"file": "one", "row": 1}, {"file": "one", "row": 0}]
    expect(stand.locator(".bs-bench tbody button")).to_have_count(2)


def test_the_table_sorts_by_the_keyboard_and_says_so(stand: Page, folder: Path) -> None:
    speeds = [row.tps.value for row in Benchmark.load(folder / "one.json").rows]
    names = [row.name for row in Benchmark.load(folder / "one.json").rows]
    assert column(stand, 1) == names
    heading = stand.get_by_role("button", name="tokens/s")
    heading.press("Enter")
    by_speed = [names[n] for n in sorted(range(4), key=lambda n: -speeds[n])]
    assert column(stand, 1) == by_speed
    cell = stand.get_by_role("columnheader", name="tokens/s")
    expect(cell).to_have_attribute("aria-sort", "descending")
    heading.press("Enter")
    assert column(stand, 1) == by_speed[::-1]
    expect(cell).to_have_attribute("aria-sort", "ascending")
    stand.get_by_role("button", name="decoding").click()
    assert column(stand, 1) == sorted(names)
    expect(stand.locator("[aria-sort]")).to_have_count(1)
    stand.get_by_role("button", name="same as AR").click()  # AR has no such number: it comes last
    assert column(stand, 1) == [name for name in names if name != "AR"] + ["AR"] * 2


def test_another_benchmark_is_shown_when_it_is_chosen(stand: Page, folder: Path) -> None:
    select = stand.get_by_label("Benchmark on show")
    expect(select).to_have_value("one")
    select.select_option("two")
    expect(stand.locator(".bs-bench tbody tr")).to_have_count(len(Benchmark.load(folder / "two.json").rows))
    assert stand.evaluate("asked") == [{"file": "two"}]
    expect(select).to_have_value("two")
    expect(stand.locator(".bs-bench .bs-plot svg.main-svg").first).to_be_visible()
    select.select_option("bad")
    expect(stand.locator(".bs-bench-empty")).to_have_text("It is <b>bad</b>.")


def test_nothing_there_is_told_and_no_table_is_drawn(page: Page) -> None:
    page.set_content(f"<body>{template()}</body>")
    page.evaluate(MOUNT, [script(), json.dumps({"files": [], "empty": NO_FILES}), {}])
    expect(page.locator(".bs-bench-empty")).to_have_text(NO_FILES)
    expect(page.locator(".bs-bench-scroll")).to_be_hidden()
    expect(page.get_by_label("Benchmark on show")).to_be_hidden()


def test_it_fits_a_phone(stand: Page) -> None:
    stand.set_viewport_size({"width": 390, "height": 844})
    expect(stand.locator(".bs-bench .bs-plot svg.main-svg").first).to_be_visible()
    assert stand.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_tab_of_the_page_shows_the_first_benchmark(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("tab", name="Benchmark").click()
    expect(page.get_by_label("Benchmark on show")).to_have_value(next(iter(benchmarks())))
    expect(page.locator(".bs-bench tbody tr").first).to_be_visible()
