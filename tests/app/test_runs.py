import gc
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.runs import Runs, Saved
from tests.visualize.runs import recorded
from visualize.replay import Replay
from visualize.view import QuestionError


@dataclass(frozen=True)
class Heavy:
    """A run of a given size."""

    size: int = 1
    shared: bool = False

    def replay(self) -> Replay:
        return recorded()

    def bytes(self) -> int:
        return self.size


def kept(runs: Runs, *ids: str) -> list[bool]:
    found = []
    for run in ids:
        try:
            found.append(bool(runs.get(run)))
        except QuestionError:
            found.append(False)
    return found


def test_the_run_not_asked_about_for_longest_goes_first(tmp_path: Path) -> None:
    runs, folder = Runs(most=2), tmp_path / "run"
    folder.mkdir()
    first, second = runs.open(Heavy()), runs.open(Heavy(), folder=folder)
    runs.get(first)
    third = runs.open(Heavy())
    assert kept(runs, first, second, third) == [True, False, True]
    gc.collect()
    assert not folder.exists()


def test_what_is_not_kept_says_what_to_do() -> None:
    for run in ("x", None, [], 3):
        with pytest.raises(QuestionError, match="no longer kept on the server: decode again, or open a saved trace"):
            Runs().get(run)


def test_one_visitor_cannot_evict_the_runs_of_others() -> None:
    runs = Runs(most=4, each=3)
    yours = runs.open(Heavy(), "you")
    mine = [runs.open(Heavy(), "me") for _ in range(10)]
    assert kept(runs, yours) == [True]
    assert kept(runs, *mine) == [False] * 7 + [True] * 3


def test_the_visitor_with_most_runs_gives_way() -> None:
    runs = Runs(most=4, each=3)
    mine = [runs.open(Heavy(), "me") for _ in range(3)]
    theirs = [runs.open(Heavy(), name) for name in ("a", "b")]
    assert kept(runs, *mine) == [False, True, True]
    assert kept(runs, *theirs) == [True, True]


def test_memory_is_counted_in_bytes() -> None:
    runs = Runs(memory=100)
    small = [runs.open(Heavy(10), "you") for _ in range(3)]
    large = [runs.open(Heavy(40), "me") for _ in range(2)]
    assert kept(runs, *small) == [True] * 3
    assert kept(runs, *large) == [False, True]
    alone = runs.open(Heavy(1000), "me")
    assert kept(runs, alone) == [True]  # what has just come stays, whatever it takes


def test_the_runs_of_a_closed_tab_are_the_first_to_go(tmp_path: Path) -> None:
    """Until room is needed, whoever has their link can open them: a tab that is reloaded was closed, too."""
    runs, folder = Runs(most=4), tmp_path / "run"
    folder.mkdir()
    yours = [runs.open(Heavy(), "you") for _ in range(2)]
    mine = runs.open(Heavy(), "me", folder=folder)
    runs.leave("me")
    yours.append(runs.open(Heavy(), "you"))
    assert kept(runs, mine, *yours) == [True] * 4
    yours.append(runs.open(Heavy(), "you"))
    assert kept(runs, mine, *yours) == [False, *[True] * 4]
    gc.collect()
    assert not folder.exists()


def test_a_saved_run_is_as_large_as_its_traces() -> None:
    replay = recorded()
    assert Saved(replay).bytes() == sum(trace.nbytes for trace in replay.traces.values()) > 0
