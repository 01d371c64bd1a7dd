import base64
from types import SimpleNamespace
from typing import Any

import pytest

from app.shelf import Shelf
from tests.visualize.runs import recorded
from visualize.export import EXPORTS
from visualize.views import QuestionError


def test_a_run_is_asked_about_by_its_id() -> None:
    shelf = Shelf()
    run = shelf.open(recorded)
    assert shelf.ask({"run": run, "lane": "diffusion", "view": "score"})["figures"]
    assert shelf.ask({"run": run, "lane": "ar", "view": "score"}) == {"error": "lane is 'ar'; allowed: diffusion"}


@pytest.mark.parametrize("question", [None, "x", 3, [], {}, {"run": "x"}, {"run": []}, {"run": None, "view": "export"}])
def test_what_is_no_question_is_answered_with_an_error(question: Any) -> None:
    assert list(Shelf().ask(question)) == ["error"]


@pytest.mark.parametrize("name", EXPORTS)
def test_a_lane_is_saved_as_a_file(name: str) -> None:
    shelf = Shelf()
    file = shelf.ask({"run": shelf.open(recorded), "lane": "diffusion", "view": "export", "format": name})
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
def test_a_file_that_there_is_not_is_refused(given: dict[str, Any], message: str) -> None:
    shelf = Shelf()
    run = shelf.open(recorded)
    assert shelf.ask({"run": run, "lane": "diffusion", "view": "export", **given}) == {"error": message}


def test_the_run_not_asked_about_for_longest_goes_first() -> None:
    shelf = Shelf(capacity=2)
    first, second = shelf.open(recorded), shelf.open(recorded)
    folder = shelf.get(second).path
    shelf.get(first)
    third = shelf.open(recorded)
    assert shelf.get(first)
    assert shelf.get(third)
    with pytest.raises(QuestionError, match="no longer kept"):
        shelf.get(second)
    assert not folder.exists()


def test_a_closed_tab_frees_its_runs_and_no_others() -> None:
    shelf = Shelf()
    mine, yours = shelf.open(recorded, "me"), shelf.open(recorded, "you")
    folder = shelf.get(mine).path
    shelf.leave(SimpleNamespace(session_hash="me"))  # type: ignore[arg-type]
    with pytest.raises(QuestionError):
        shelf.get(mine)
    assert not folder.exists()
    assert shelf.get(yours)
