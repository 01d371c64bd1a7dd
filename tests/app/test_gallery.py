import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.device import Device, Use
from app.gallery import FOLDER, Gallery
from app.questions import ask
from app.runs import Runs, Saved
from dllm.trace import Trace
from tests.visualize.runs import recorded, saved
from visualize.charts.drift import NO_DRIFT
from visualize.replay import Replay
from visualize.views import VIEWS

RUNS = json.loads((FOLDER / "gallery.json").read_text())
ME: Any = SimpleNamespace(session_hash="me")


def requests() -> list[str]:
    return [line for path in sorted(FOLDER.glob("requests*.jsonl")) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return Gallery(Runs(), Device())


@pytest.mark.parametrize("name", RUNS)
def test_every_recorded_run_plays_and_every_view_answers(gallery: Gallery, name: str) -> None:
    text, prompt = gallery.show(name, ME)
    message = json.loads(text)
    assert prompt == RUNS[name]["prompt"]
    assert message["facts"].endswith(RUNS[name]["about"])
    assert message["link"] == f"trace={name}"
    assert message["facts"].startswith("Recorded, not computed here: default (135 M parameters")
    for lane in message["planned"]:
        for view in VIEWS:
            answer = ask(gallery.kept, {"run": message["run"], "lane": lane, "view": view})
            assert answer.get("figures") or answer["empty"] in (VIEWS[view].empty, NO_DRIFT)


def test_every_file_of_the_gallery_is_in_a_run() -> None:
    listed = {file.removesuffix(".json.gz") for run in RUNS.values() for file in run["traces"]}
    assert {path.name.split(".")[0] for path in FOLDER.glob("*.gz")} == listed
    assert {path.name.split(".")[0] for path in FOLDER.glob("*.npz")} <= listed
    asked = [json.loads(line)["id"] for line in requests()]
    assert set(asked) == listed


def test_the_gallery_shows_every_cache_policy_and_ar() -> None:
    shown = [Trace.load(FOLDER / file).settings for run in RUNS.values() for file in run["traces"]]
    assert {s["cache"]["name"] for s in shown} == {"none", "prefix", "dual", "block", "sub_block", "d2"}
    assert 1 in {s["block_size"] for s in shown}


def test_a_recorded_prompt_is_what_was_asked() -> None:
    asked = [json.loads(line) for line in requests()]
    prompts = {request["id"]: request["prompt"] for request in asked}
    for run in RUNS.values():
        assert {prompts[file.removesuffix(".json.gz")] for file in run["traces"]} == {run["prompt"]}


def test_recorded_exact_caches_gave_the_answer_of_no_cache() -> None:
    block, none = (Trace.load(FOLDER / f"sky-{name}.json.gz") for name in ("block", "none"))
    assert block.prompt == none.prompt
    assert block.output == none.output


def test_a_visitor_opens_a_trace_with_its_side_files(gallery: Gallery, tmp_path: Path) -> None:
    paths = []
    for path in saved(recorded(), tmp_path):  # gradio puts each uploaded file into a folder of its own
        (tmp_path / path.suffix[1:]).mkdir()
        paths.append(path.rename(tmp_path / path.suffix[1:] / path.name))
    message = json.loads(gallery.upload(list(map(str, paths)), ME))
    assert "link" not in message
    folder = gallery.kept.get(message["run"]).path
    assert folder
    assert {path.name for path in folder.iterdir()} == {path.name for path in paths}
    assert ask(gallery.kept, {"run": message["run"], "lane": "diffusion", "view": "drift"})["figures"]


def test_visitors_who_open_the_same_file_both_see_it(gallery: Gallery, tmp_path: Path) -> None:
    """Gradio keeps one upload for all who send the same bytes."""
    paths = list(map(str, saved(recorded(), tmp_path)))
    first, second = (json.loads(gallery.upload(paths, ME)) for _ in range(2))
    assert first["run"] != second["run"]
    assert first["lanes"] == second["lanes"]


def test_no_file_is_read_while_a_race_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.gallery.DRAWING", 0.0)
    busy = Device()
    busy.place(Use.RACE)
    with pytest.raises(gr.Error, match="A race is being timed"):
        Gallery(Runs(), busy).upload(list(map(str, saved(recorded(), tmp_path))), ME)
    assert not busy.line


def test_two_files_of_one_name_are_refused_with_a_sentence(gallery: Gallery, tmp_path: Path) -> None:
    paths = [tmp_path / folder / "a.json" for folder in "xy"]
    for path in paths:
        path.parent.mkdir()
        recorded().traces["diffusion"].save(path)
    with pytest.raises(gr.Error, match=r"Two files are called &#x27;a\.json&#x27;; allowed: a name for each"):
        gallery.upload(list(map(str, paths)), ME)


def test_views_of_the_gallery_take_no_memory_and_evict_no_run(gallery: Gallery) -> None:
    kept = Runs(most=2)
    mine = kept.open(Saved(recorded()), "me")
    viewers = Gallery(kept, Device())
    for number in range(20):
        viewers.show("fact", SimpleNamespace(session_hash=f"{number}"))  # type: ignore[arg-type]
    assert kept.get(mine)
    assert len(kept) == 21
    text, _ = viewers.show("fact", ME)
    assert kept.get(json.loads(text)["run"]).source.bytes() == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Not a valid trace"),
        (b"{}", "Not a valid trace"),
        (b'{"schema": "<img src=x onerror=alert(1)>"}', "Not a valid trace"),
        (b"\x1f\x8bnonsense", "Not a valid trace"),
    ],
)
def test_a_bad_file_is_refused_and_nothing_else_happens(
    gallery: Gallery, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(gr.Error, match=message) as error:
        gallery.upload([str(tmp_path / "bad.json")], ME)
    assert "<" not in error.value.message
    assert gallery.upload(None, ME) == gr.skip()


def test_gallery_files_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8 * 2**20


def test_a_recorded_run_keeps_to_its_own_lane() -> None:
    for run in RUNS.values():
        assert len(Replay.load(*(FOLDER / file for file in run["traces"])).traces) == len(run["traces"])
