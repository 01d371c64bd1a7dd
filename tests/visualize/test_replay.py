import base64
import gzip
import json
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from dllm.trace import Trace, TraceError
from dllm.trace.schema import Gate
from tests.dllm.traces import canvas_at
from tests.visualize.runs import WAYS, recorded, saved
from visualize.export.formats import EXPORTS
from visualize.export.heading import prompt_text
from visualize.export.html import PLOTLY, answers, key_of, page, questions
from visualize.replay import Replay, lane_of
from visualize.stage import dumps
from visualize.view import QuestionError
from visualize.views import QUESTIONS, VIEWS

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=WAYS)
def replay(request: pytest.FixtureRequest) -> Replay:
    return recorded(request.param)


def canvas_of(message: dict[str, Any], lane: str, last: int) -> list[int | None]:
    """The canvas after a pass, from the frames of a message: as the viewer puts it together."""
    (part,) = [part for part in message["lanes"] if part["name"] == lane]
    canvas: list[int | None] = [*part["head"]["prompt"]]
    canvas += [None] * (part["head"]["end"] - len(canvas))
    for frame in part["frames"][: last + 1]:
        for position, token in zip(frame["at"], frame["tokens"], strict=True):
            if position in frame["new"] and position < len(canvas):
                canvas[position] = token
        for position in frame.get("remasked", ()):
            canvas[position] = None
    return canvas


def test_a_message_replays_the_canvas_of_every_step(replay: Replay) -> None:
    message = json.loads(replay.message("run"))
    for lane, trace in replay.traces.items():
        for last in range(len(trace.steps)):
            shown = canvas_of(message, lane, last)
            assert shown == canvas_at(trace, last)[: len(shown)]


def test_a_message_says_that_it_was_recorded_and_how(replay: Replay) -> None:
    message = json.loads(replay.message("run", at=2))
    assert message["facts"].startswith("Recorded, not computed here: tiny (")
    assert message["at"] == 2
    assert message["done"] is True
    assert "link" not in message
    assert json.loads(replace(replay, link="x").message("run"))["link"] == "trace=x"
    assert json.loads(replace(replay, live=True).message("run"))["facts"].startswith("Measured live: ")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_answers_with_figures_and_their_names(replay: Replay, view: str) -> None:
    ((lane, trace),) = replay.traces.items()
    gate = Gate(references={"no_cache": trace.output, "one_by_one": [5]}, log_prob=-0.5)
    held = replace(replay, traces={lane: trace.model_copy(update={"gate": gate})})
    answer = held.ask({"lane": lane, "view": view})
    assert len(answer["figures"]) == len(answer["captions"]) > 0
    assert all(figure["data"] for figure in answer["figures"])


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_says_what_to_look_for_and_what_is_missing(view: str) -> None:
    assert re.fullmatch(r"Look for .+\.", VIEWS[view].look_for)
    assert VIEWS[view].empty.endswith(".")
    bare = Replay({"diffusion": recorded().traces["diffusion"].model_copy(update={"steps": [], "output": []})})
    assert bare.ask({"lane": "diffusion", "view": view}) == {"empty": VIEWS[view].empty}


@pytest.mark.parametrize("view", ["attention", "rollout", "drift"])
def test_what_was_not_recorded_is_said(view: str) -> None:
    trace = recorded("sub_block").traces["diffusion"]
    steps = [step.model_copy(update={"rollout": None}) for step in trace.steps]
    bare = Replay({"diffusion": trace.model_copy(update={"steps": steps})})
    assert bare.ask({"lane": "diffusion", "view": view}) == {"empty": VIEWS[view].empty}


def test_no_figure_holds_a_token_text(replay: Replay) -> None:
    for question in questions(replay):
        assert "alert" not in json.dumps(replay.ask(question))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (None, "lane is None; allowed: diffusion"),
        ({"lane": "x"}, "lane is 'x'; allowed: diffusion"),
        ({"lane": []}, r"lane is \[\]; allowed: diffusion"),
        ({"lane": "diffusion", "view": {}}, r"view is \{\}; allowed: score, order"),
        ({"lane": "diffusion", "view": "maps"}, "step is None; allowed: 0 to"),
        ({"lane": "diffusion", "view": "maps", "step": 1e9, "layer": 0}, "step is 1000000000.0; allowed: 0 to"),
        ({"lane": "diffusion", "view": "maps", "step": 0, "layer": 2}, "layer is 2; allowed: 0 to 1"),
        ({"lane": "diffusion", "view": "maps", "step": 0, "layer": True}, "layer is True; allowed: 0 to 1"),
        (
            {"lane": "diffusion", "view": "rollout", "identity term": "x"},
            "identity term is 'x'; allowed: left out, kept",
        ),
        ({"lane": "diffusion", "view": "drift", "what": [1]}, r"what is \[1\]; allowed: keys, values"),
        ({"lane": "diffusion", "view": "trajectory", "layer": 0, "position": -1}, "position is -1; allowed: 0 to 20"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_what_does(question: Any, message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        recorded().ask(question)


def test_what_was_not_recorded_cannot_be_asked_for_step_by_step() -> None:
    bare = Replay({"diffusion": recorded().traces["diffusion"]})
    for view in ("maps", "rollout_at", "drift_at", "trajectory"):
        with pytest.raises(QuestionError, match="not"):
            bare.ask({"lane": "diffusion", "view": view, "step": 0, "layer": 0, "position": 0})


def test_a_page_carries_the_answers_to_every_kind_of_question(replay: Replay) -> None:
    asked = list(questions(replay))
    assert {question["view"] for question in asked} == set(QUESTIONS)
    carried = answers(replay)
    assert list(carried) == [key_of(question) for question in asked]
    assert len(answers(replay, budget=30_000)) < len(carried)


def test_options_are_asked_for_as_the_page_asks() -> None:
    views = [q for q in questions(recorded()) if q["view"] == "rollout"]
    assert [q["identity term"] for q in views] == list(VIEWS["rollout"].choices["identity term"])
    assert key_of({"view": "drift", "lane": "ar", "layer": None, "what": "keys"}) == "lane=ar&view=drift&what=keys"


def test_the_saved_page_asks_nobody_for_anything(replay: Replay) -> None:
    html = page(replay)
    head, _, rest = html.partition("</head>")
    assert "default-src 'none'" in head
    assert not re.search(r"<(script|link|img|iframe)[^>]*\b(src|href)=", html)
    data = re.search(r'<script type="application/json" id="bs-data">(.*?)</script>', rest, re.DOTALL)
    assert data
    assert "<" not in data[1]  # hostile pieces cannot end the script
    assert json.loads(data[1])["message"] == replay.message("saved")


def test_the_saved_page_of_a_short_run_can_be_mailed() -> None:
    """Its pictures and the library that draws them are compressed, and come back as they were."""
    html = page(Replay.load(*(ROOT / f"assets/traces/fact-{lane}.json.gz" for lane in ("sub-block", "ar"))))
    assert len(html.encode()) < 4 * 10**6  # 7.3 MB, were they not
    assert unpacked(html, "bs-plotly") == PLOTLY.read_bytes()


def test_the_saved_page_carries_the_answers(replay: Replay) -> None:
    assert unpacked(page(replay), "bs-answers").decode() == dumps(answers(replay))


def unpacked(html: str, name: str) -> bytes:
    found = re.search(f'<script type="application/gzip" id="{name}">(.*?)</script>', html)
    assert found
    return gzip.decompress(base64.b64decode(found[1]))


def test_the_saved_page_names_the_app_and_the_prompt(replay: Replay) -> None:
    html = page(replay)
    (trace,) = replay.traces.values()
    assert "<h1>Blockscope</h1>" in html
    data = re.search(r'<script type="application/json" id="bs-data">(.*?)</script>', html, re.DOTALL)
    assert data
    assert json.loads(data[1])["prompt"] == prompt_text(trace)
    assert prompt_text(trace) not in html  # a stranger's text comes as data and is written by `textContent`


def test_the_saved_page_sends_nothing(replay: Replay) -> None:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page(replay))
    assert found
    rules = dict(rule.strip().split(" ", 1) for rule in found[1].split(";"))
    assert rules["default-src"] == rules["form-action"] == rules["base-uri"] == "'none'"
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "form-action", "base-uri"}
    assert not re.search("https?:", found[1])


def test_a_notebook_shows_the_same_page_in_a_frame(replay: Replay) -> None:
    shown = replay._repr_html_()
    source = re.fullmatch(
        r'<iframe sandbox="allow-scripts allow-downloads" style="[^"]+" srcdoc="([^"]*)"></iframe>', shown
    )
    assert source
    assert unescape(source[1]) == page(replay)


def test_files_come_back_as_they_were_saved(replay: Replay, tmp_path: Path) -> None:
    paths = saved(replay, tmp_path)
    (lane,) = replay.traces
    for given in (paths, paths[:1]):  # what lies beside a trace is found
        again = Replay.load(*given)
        assert again.traces == replay.traces
        question = {"lane": lane, "view": "drift"}
        assert again.ask(question) == replay.ask(question)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    saved(recorded("d2"), tmp_path, "a")
    saved(recorded("ar"), tmp_path, "b")
    (tmp_path / "b.drift.npz").replace(tmp_path / "a.drift.npz")
    with pytest.raises(TraceError, match=r"a\.drift\.npz: "):
        Replay.load(tmp_path / "a.json.gz")
    saved(recorded("d2"), tmp_path, "a")
    other = recorded("d2").traces["diffusion"]
    other.model_copy(update={"prompt": [*other.prompt[:-1], 6]}).save(tmp_path / "c.json")
    with pytest.raises(TraceError, match=r"c\.json is of another prompt than the rest; allowed: traces of one prompt"):
        Replay.load(tmp_path / "a.json.gz", tmp_path / "c.json")
    with pytest.raises(TraceError, match=r"there is no trace among a\.drift\.npz"):
        Replay.load(tmp_path / "a.drift.npz")


@pytest.mark.parametrize("name", ["", "A", "a b", "<b>", "a/b", "a" * 41, "a\n"])
def test_a_lane_has_a_short_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a lane is called {name!r}; allowed: ")):
        Replay({name: recorded("d2").traces["diffusion"]})


def test_a_run_has_one_to_four_lanes(tmp_path: Path) -> None:
    trace = recorded("d2").traces["diffusion"]
    with pytest.raises(ValueError, match="there are 0 lanes; allowed: 1 to 4"):
        Replay({})
    with pytest.raises(ValueError, match="there are 5 lanes; allowed: 1 to 4"):
        Replay(dict.fromkeys("abcde", trace))
    for name in "abcde":
        trace.save(tmp_path / f"{name}.json")
    with pytest.raises(TraceError, match=r"e\.json is one trace too many; allowed: up to 4"):
        Replay.load(*(tmp_path / f"{name}.json" for name in "abcde"))


RACE = {"diffusion": "sub_block", "ar": "ar", "ar-2": "ar", "diffusion-2": "d2"}


def test_traces_of_one_prompt_race_each_other(tmp_path: Path) -> None:
    paths = []
    for lane, way in RACE.items():  # all files are called alike; what lies beside each is its own
        (tmp_path / lane).mkdir()
        paths.append(saved(recorded(way), tmp_path / lane)[0])
    replay = Replay.load(*paths)
    assert list(replay.traces) == list(replay.drifts) == list(RACE)
    message = json.loads(replay.message("run"))
    titles = [message["titles"][name]["title"] for name in message["planned"]]
    assert titles == ["Sub-block cache", "Autoregressive", "AR", "d²Cache"]
    assert all(f"{title}: " in message["facts"] for title in titles)
    for lane, way in RACE.items():
        alone = recorded(way)
        (name,) = alone.traces
        assert replay.traces[lane] == alone.traces[name]
        assert replay.ask({"lane": lane, "view": "drift"}) == alone.ask({"lane": name, "view": "drift"})


def test_a_view_is_given_every_lane_by_its_title(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("visualize.replay.answer_question", lambda shown, _: seen.append(shown) or {})
    traces = {"fast": recorded("d2").traces["diffusion"], "ar": recorded("ar").traces["ar"]}
    Replay(traces).ask({"lane": "ar", "view": "order"})
    (shown,) = seen
    assert shown.trace is traces["ar"]
    assert list(shown.lanes.values()) == list(traces.values())
    assert list(shown.lanes) == [title.title for title in Replay(traces).titles().values()]


def test_a_lane_is_known_by_its_decoder() -> None:
    assert [lane_of(next(iter(recorded(way).traces.values()))) for way in WAYS] == ["diffusion", "diffusion", "ar"]


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_is_of_its_kind(replay: Replay, name: str) -> None:
    (lane,) = replay.traces
    made = EXPORTS[name].make(replay, lane)
    starts = {"json": b"{", "html": b"<!doctype html>", "gif": b"GIF89a", "csv": b"step,kind"}
    assert made.startswith(starts[name])


def test_an_exported_trace_is_the_trace(replay: Replay) -> None:
    (lane,) = replay.traces
    assert Trace.from_json(EXPORTS["json"].make(replay, lane)) == replay.traces[lane]


def test_replaying_needs_no_torch(tmp_path: Path) -> None:
    paths = saved(recorded(), tmp_path)
    script = f"""
import sys
sys.modules["torch"] = None  # any import of it fails
from visualize.replay import Replay
from visualize.export.formats import EXPORTS
from visualize.export.heading import prompt_text
replay = Replay.load({str(paths[0])!r})
for export in EXPORTS.values():
    assert export.make(replay, "diffusion")
import app.page
app.page.build()
print("played")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["played"], done.stderr


def test_a_strangers_run_is_read_alike_in_a_process_of_its_own(tmp_path: Path) -> None:
    paths = saved(recorded("d2"), tmp_path)
    ours, theirs = Replay.load(*paths), Replay.load(*paths, untrusted=True)
    assert theirs.traces == ours.traces
    assert theirs.message("run") == ours.message("run")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(TraceError, match="not a valid trace: model: Field required"):
        Replay.load(tmp_path / "run.json", untrusted=True)
