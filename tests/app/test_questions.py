import asyncio
import base64
from typing import Any

import pytest

from app.device import Device, Use
from app.limits import RACING
from app.questions import answerer, ask
from app.runs import Runs, Saved
from tests.app.conftest import run_async
from tests.visualize.runs import recorded
from visualize.export.formats import EXPORTS


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def run(runs: Runs) -> str:
    return runs.open(Saved(recorded()))


def test_a_run_is_asked_about_by_its_id(runs: Runs, run: str) -> None:
    assert ask(runs, {"run": run, "lane": "diffusion", "view": "score"})["figures"]
    assert ask(runs, {"run": run, "lane": "ar", "view": "score"}) == {"error": "lane is 'ar'; allowed: diffusion"}


@pytest.mark.parametrize("question", [None, "x", 3, [], {}, {"run": "x"}, {"run": []}, {"run": None, "view": "export"}])
def test_what_is_no_question_is_answered_with_an_error(question: Any, runs: Runs) -> None:
    assert list(ask(runs, question)) == ["error"]


@pytest.mark.parametrize("name", EXPORTS)
def test_a_lane_is_saved_as_a_file(name: str, runs: Runs, run: str) -> None:
    file = ask(runs, {"run": run, "lane": "diffusion", "view": "export", "format": name})
    assert file["name"] == f"blockscope-run-diffusion.{name}"
    assert base64.b64decode(file["data"]) == EXPORTS[name].make(recorded(), "diffusion")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"format": "exe"}, "format is 'exe'; allowed: json, html, gif, csv"),
        ({"format": []}, "format is []; allowed: json, html, gif, csv"),
        ({"format": "csv", "lane": "ar"}, "lane is 'ar'; allowed: diffusion"),
    ],
)
def test_a_file_that_there_is_not_is_refused(given: dict[str, Any], message: str, runs: Runs, run: str) -> None:
    assert ask(runs, {"run": run, "lane": "diffusion", "view": "export", **given}) == {"error": message}


def test_nothing_is_drawn_while_a_race_is_timed(runs: Runs, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device()
    race = device.place(Use.RACE)
    answer = answerer(runs, device)
    question = {"run": run, "lane": "diffusion", "view": "score"}

    async def asked() -> tuple[bool, Any]:
        drawn = asyncio.create_task(answer(question))
        for _ in range(10):
            await asyncio.sleep(0.01)  # others are served meanwhile
        early = drawn.done()
        race.leave()
        return early, await drawn

    early, drawn = run_async(asked())
    assert not early
    assert drawn["figures"]
    assert not device.inside

    device.place(Use.RACE)
    monkeypatch.setattr("app.questions.DRAWING", 0.0)
    assert run_async(answer(question)) == {"error": RACING}
    assert not device.line


def test_a_race_does_not_begin_while_something_is_drawn(runs: Runs, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device()
    seen: list[bool] = []

    def drawing(runs: Runs, question: Any) -> dict[str, Any]:
        seen.append(device.place(Use.RACE).inside)
        return {}

    monkeypatch.setattr("app.questions.ask", drawing)
    run_async(answerer(runs, device)({"run": run}))
    assert seen == [False]
    assert device.racing
