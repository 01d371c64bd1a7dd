import asyncio
from collections.abc import Generator
from itertools import count
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest
from anyio import CapacityLimiter
from gradio.utils import SyncToAsyncIterator

from app.engines import Engines, LoadError, Visit
from app.environment import cores, threads
from dllm.engine.registry import MODELS
from dllm.settings import SettingsError
from tests.app.conftest import run_async
from tests.app.test_worker import settle


class Loaded:
    def __init__(self, name: str, *, progress: Any = None) -> None:
        self.name, self.warmed = name, 0

    def warm(self) -> None:
        self.warmed += 1


def engines_of(load: Any = Loaded) -> Engines:
    return Engines(load)


def get(engines: Engines, name: str = "default") -> Any:
    """The loaded engine."""
    return engines.load(name).result(timeout=60)


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> str:
    """Another model that this server offers."""
    monkeypatch.setitem(MODELS, "second", MODELS["default"])
    monkeypatch.setenv("BLOCKSCOPE_MODELS", "second")
    return "second"


def ready(visit: Visit, model: str = "default") -> Any:
    """The visit's engine, once it has it."""
    for _ in visit.ready(model):
        pass
    return visit.engine


def forever() -> Generator[int, None, None]:
    yield from count()


def test_a_load_says_how_far_it_is() -> None:
    go_on, told = Event(), Event()

    def load(name: str, *, progress: Any) -> Loaded:
        progress("Fetching the model", 25_000_000, 100_000_000)
        told.set()
        assert go_on.wait(60)
        return Loaded(name)

    engines = engines_of(load)
    sentences = engines.visit().ready("default")
    engines.load("default")
    assert told.wait(60)
    assert next(sentences) == "Fetching the model: 25 of 100 MB"
    go_on.set()
    assert all(isinstance(sentence, str) for sentence in sentences)
    assert get(engines).warmed == 1


def test_a_model_is_loaded_once() -> None:
    loads: list[str] = []

    def load(name: str, *, progress: Any) -> Loaded:
        loads.append(name)
        return Loaded(name)

    engines = engines_of(load)
    assert get(engines) is get(engines)
    assert list(engines.visit().ready("default")) == []
    assert loads == ["default"]


def test_a_failed_load_says_why_and_is_tried_again() -> None:
    attempts: list[str] = []

    def load(name: str, *, progress: Any) -> Loaded:
        attempts.append(name)
        if len(attempts) == 1:
            raise OSError("no room on the disk")
        return Loaded(name)

    engines = engines_of(load)
    with pytest.raises(LoadError, match="the model could not be loaded: no room on the disk"):
        list(engines.visit().ready("default"))
    assert list(engines.visit().ready("default")) == []
    assert len(attempts) == 2


def test_only_the_model_in_use_is_kept(second: str) -> None:
    engines = engines_of()
    first = get(engines)
    assert get(engines, second).name == second
    assert get(engines) is not first


def test_preloading_leaves_a_loaded_model_alone(second: str) -> None:
    engines = engines_of()
    loaded = get(engines, second)
    engines.preload()
    assert get(engines, second) is loaded
    fresh = engines_of()
    fresh.preload()
    assert get(fresh).name == "default"


@pytest.mark.parametrize("name", ["gpt", None, ["default"], "Qwen/Qwen2.5-32B-Instruct"])
def test_an_unknown_model_is_named(name: Any) -> None:
    """A visitor cannot make the server fetch what its owner does not offer."""
    with pytest.raises(SettingsError, match=r"model is .*; allowed: default$") as error:
        engines_of().load(name)
    assert repr(name) in str(error.value)


def test_what_the_owner_offers_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "Qwen/Qwen2.5-32B-Instruct"
    monkeypatch.setenv("BLOCKSCOPE_MODELS", name)
    assert get(engines_of(), name).name == name


def test_work_never_waits_for_who_listens_and_nothing_of_it_is_lost() -> None:
    engines, ended = engines_of(), Event()

    def work() -> Generator[int, None, None]:
        yield from range(500)
        ended.set()

    with engines.visit() as visit:
        driven = visit.drive(work())
        come = [next(driven)]  # and now nobody listens
        assert ended.wait(30)
        come += driven
    assert [item for items in come for item in items] == list(range(500))
    assert len(come) <= 3  # the first, what came until it had been sent, and the rest


def test_what_comes_within_a_frame_comes_together_and_the_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engines.FRAME", 600.0)

    def work() -> Generator[int, None, None]:
        for number in range(20):
            sleep(0.002)
            yield number

    with engines_of().visit() as visit:
        come = list(visit.drive(work()))
    assert len(come) <= 2  # what came at first, and after it all the rest, without waiting longer than for the end
    assert [item for items in come for item in items] == list(range(20))


def test_a_model_is_loaded_while_a_work_is_driven(second: str) -> None:
    engines = engines_of()
    with engines.visit() as visit:
        driven = visit.drive(forever())
        next(driven)
        assert engines.load(second).result(timeout=30).name == second  # type: ignore[attr-defined]
        before = next(driven)[-1]
        assert next(driven)[-1] > before


def test_a_listener_that_is_closed_while_a_model_loads_does_not_stop_the_server(second: str) -> None:
    """Closed as gradio closes it, on the event loop of the server: which must go on to answer others."""
    go_on, loads = Event(), Event()

    def load(name: str, *, progress: Any) -> Loaded:
        if name == second:
            loads.set()
            assert go_on.wait(60)
        return Loaded(name)

    engines = engines_of(load)

    def listen() -> Generator[list[int], None, None]:
        with engines.visit("me") as visit:
            ready(visit)
            yield from visit.drive(forever())

    async def serve() -> str:
        stream = SyncToAsyncIterator(listen(), CapacityLimiter(1))
        await stream.__anext__()
        engines.load(second)
        while not loads.is_set():
            await asyncio.sleep(0.01)
        await stream.aclose()
        return "answered"

    async def within(seconds: float) -> str:
        return await asyncio.wait_for(serve(), seconds)

    try:
        assert run_async(within(30)) == "answered"
        assert not go_on.is_set()
        assert engines.device.inside  # its last pass may not have ended
    finally:
        go_on.set()
    settle(engines.network)
    settle(engines.network)
    assert not engines.device.inside


def test_a_new_visit_ends_the_visitor_s_earlier_one_and_no_other() -> None:
    engines = engines_of()
    with engines.visit("me") as first, engines.visit("you") as other:
        mine, yours = first.drive(forever()), other.drive(forever())
        next(mine)
        next(yours)
        with engines.visit("me") as second:
            assert list(mine)[1:] == []  # what had come, and no more
            assert first.halted.is_set()
            assert next(yours)
            assert ready(second).name == "default"


def test_a_waiting_visit_knows_its_place_and_can_be_ended() -> None:
    engines = engines_of()
    with engines.visit("race", alone=True), engines.visit("a") as a, engines.visit("b") as b:
        assert next(a.ready("default")) == "Waiting for a race to end…"
        sentences = b.ready("default")
        assert next(sentences) == "Waiting for a race to end… 1 ahead of you in the line."
        engines.halt("a")
        assert next(sentences) == "Waiting for a race to end…"
        engines.halt("b")
        assert list(sentences) == []
        assert (a.engine, b.engine) == (None, None)
    assert not engines.device.inside
    assert not engines.device.line


def test_a_race_waits_for_runs_and_for_their_last_pass() -> None:
    engines = engines_of()
    run = engines.visit("run")
    driven = run.drive(forever())
    next(driven)
    with engines.visit("race", alone=True) as race:
        sentences = race.ready("default")
        assert next(sentences) == "Waiting for the other runs to end…"
        run.close()
        assert ready(race).name == "default"
        assert engines.device.racing


def test_no_model_is_loaded_while_a_race_is_timed(second: str) -> None:
    loads: list[str] = []

    def load(name: str, *, progress: Any) -> Loaded:
        loads.append(name)
        return Loaded(name)

    engines = engines_of(load)
    with engines.visit(alone=True) as race:
        ready(race)
        with engines.visit() as other:
            sentences = other.ready(second)
            assert "race" in next(sentences)
            assert loads == ["default"]
            race.close()
            list(sentences)
            assert loads == ["default", second]


@pytest.mark.parametrize(
    ("given", "count"),
    [({"BLOCKSCOPE_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3), ({"OMP_NUM_THREADS": "2"}, 2), ({}, 7)],
)
def test_the_page_leaves_a_core_unless_a_variable_is_set(
    given: dict[str, str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BLOCKSCOPE_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for available, expected in ((8, count), (1, count if given else 1)):
        monkeypatch.setattr("app.environment.cores", lambda available=available: available)
        assert threads() == expected


@pytest.mark.parametrize(
    ("text", "count"), [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8), (None, 8)]
)
def test_a_container_may_use_fewer_cores_than_there_are(
    text: str | None, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    if text:
        (tmp_path / "cpu.max").write_text(f"{text}\n")
    assert cores(tmp_path / "cpu.max") == count


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_threads_that_make_no_sense_are_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKSCOPE_THREADS", value)
    with pytest.raises(ValueError, match=f"BLOCKSCOPE_THREADS is '{value}'; allowed: a whole number from 1"):
        threads()
