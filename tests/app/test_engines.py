import weakref
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from threading import Event, Thread, current_thread
from time import monotonic, sleep
from typing import Any

import pytest

from app.engines import TOLD, Device, Driven, Engines, LoadError
from dllm.cards import MODELS
from dllm.models.families import FAST_DLLM_V2
from dllm.settings import Settings, SettingsError
from tests.dllm.nets import engine_of


class Loaded:
    def __init__(self, name: str, *, progress: Any = None) -> None:
        self.name, self.warmed = name, 0

    def warm(self) -> None:
        self.warmed += 1


def test_a_load_says_how_far_it_is() -> None:
    go_on, told = Event(), Event()

    def load(name: str, *, progress: Any) -> Loaded:
        progress("Fetching the model", 25_000_000, 100_000_000)
        told.set()
        assert go_on.wait(60)
        return Loaded(name)

    engines = Engines(load)
    words = engines.loading("default")
    engines.begin("default")
    assert told.wait(60)
    assert next(words) == "Fetching the model: 25 of 100 MB"
    go_on.set()
    assert all(isinstance(word, str) for word in words)
    assert engines.get("default").warmed == 1


def test_a_model_is_loaded_once() -> None:
    loads: list[str] = []

    def load(name: str, *, progress: Any) -> Loaded:
        loads.append(name)
        return Loaded(name)

    engines = Engines(load)
    assert engines.get("default") is engines.get("default")
    assert list(engines.loading("default")) == []
    assert loads == ["default"]


def test_a_failed_load_says_why_and_is_tried_again() -> None:
    attempts: list[str] = []

    def load(name: str, *, progress: Any) -> Loaded:
        attempts.append(name)
        if len(attempts) == 1:
            raise OSError("no room on the disk")
        return Loaded(name)

    engines = Engines(load)
    with pytest.raises(LoadError, match="the model could not be loaded: no room on the disk"):
        list(engines.loading("default"))
    assert list(engines.loading("default")) == []
    assert len(attempts) == 2


def test_only_the_model_in_use_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "second", MODELS["default"])
    monkeypatch.setenv("BLOCKSCOPE_MODELS", "second")
    engines = Engines(Loaded)
    first = engines.get("default")
    assert engines.get("second").name == "second"
    assert engines.get("default") is not first


def test_preloading_leaves_a_loaded_model_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "second", MODELS["default"])
    monkeypatch.setenv("BLOCKSCOPE_MODELS", "second")
    engines = Engines(Loaded)
    second = engines.get("second")
    engines.preload()
    assert engines.get("second") is second
    fresh = Engines(Loaded)
    fresh.preload()
    assert fresh.get("default").name == "default"


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(SettingsError, match="model is 'gpt'; allowed: default"):
        Engines().begin("gpt")


def test_a_visitor_cannot_make_the_server_fetch_what_its_owner_does_not_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "Qwen/Qwen2.5-32B-Instruct"
    with pytest.raises(SettingsError, match=f"model is '{name}'; allowed: default$"):
        Engines(Loaded).begin(name)
    monkeypatch.setenv("BLOCKSCOPE_MODELS", name)
    assert Engines(Loaded).get(name).name == name


def test_work_is_done_in_one_thread_whoever_asks() -> None:
    """Torch keeps a team of threads for each thread that calls it; idle teams take time from the one that works."""
    seen: list[Thread] = []

    def load(name: str, *, progress: Any) -> Loaded:
        seen.append(current_thread())
        return Loaded(name)

    engines = Engines(load)

    def work() -> Generator[int, None, None]:
        for number in range(3):
            seen.append(current_thread())
            yield number

    driven = engines.drive(work())
    with ThreadPoolExecutor(1) as other:
        assert [*other.submit(next, driven).result(), *(item for items in driven for item in items)] == [0, 1, 2]
    engines.get("default")
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert seen[0] is not current_thread()


def test_closing_ends_the_work_and_an_error_reaches_who_asked() -> None:
    ended, engines = [], Engines()

    def work(error: Exception | None) -> Generator[int, None, None]:
        try:
            yield 1
            if error:
                raise error
            yield 2
        finally:
            ended.append(1)

    driven = engines.drive(work(None))
    assert next(driven)[0] == 1
    driven.close()
    assert ended == [1]
    come: list[int] = []
    with pytest.raises(SettingsError, match="no"):
        come.extend(item for items in engines.drive(work(SettingsError("no"))) for item in items)
    assert (come, ended) == ([1], [1, 1])  # what came before it is not lost


def test_work_never_waits_for_who_listens_and_nothing_of_it_is_lost() -> None:
    engines, ended = Engines(), Event()

    def work() -> Generator[int, None, None]:
        yield from range(500)
        ended.set()

    driven = engines.drive(work())
    come = [next(driven)]  # and now nobody listens
    assert ended.wait(30)
    come += driven
    assert [item for items in come for item in items] == list(range(500))
    assert len(come) <= 3  # the first, what came until it had been told, and the rest


def test_what_comes_within_a_frame_comes_together_and_the_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engines.FRAME", 600.0)

    def work() -> Generator[int, None, None]:
        for number in range(20):
            sleep(0.002)
            yield number

    come = list(Engines().drive(work()))
    assert len(come) <= 2  # what came at first, and after it all the rest, without waiting longer than for the end
    assert [item for items in come for item in items] == list(range(20))


def test_works_go_on_in_step() -> None:
    """So that they share passes, and none keeps another waiting."""
    engines, seen, begin = Engines(), [], Event()

    def work(name: str) -> Generator[str, None, None]:
        for _ in range(50):
            seen.append(name)
            yield name

    def hold() -> Generator[None, None, None]:
        begin.wait(30)
        yield

    held = Thread(target=list, args=[engines.drive(hold())])
    both = [Thread(target=list, args=[engines.drive(work(name))]) for name in "ab"]
    for thread in (held, *both):
        thread.start()
    until = monotonic() + 30
    while engines._pool._work_queue.qsize() < 2 and monotonic() < until:
        sleep(0.01)
    begin.set()
    for thread in (held, *both):
        thread.join()
    assert len(seen) == 100
    assert all(set(seen[n : n + 2]) == {"a", "b"} for n in range(0, 100, 2))


def test_a_work_that_is_left_goes_and_the_others_stay() -> None:
    engines, freed = Engines(), []

    def work(name: str) -> Generator[int, None, None]:
        try:
            yield from count()
        finally:
            freed.append(name)

    left, stays = engines.drive(work("left")), engines.drive(work("stays"))
    next(left)
    next(stays)
    left.close()
    assert freed == ["left"]
    before = next(stays)[-1]
    assert next(stays)[-1] > before
    assert engines._pool.submit(lambda: "served").result() == "served"  # other work has its turn
    stays.close()
    assert freed == ["left", "stays"]


def driven_together(engines: Engines, *works: Generator[Any, None, None]) -> list[Driven[Any]]:
    """Works that all begin in the same round: the thread is held until they stand in line."""
    begin = Event()
    engines._pool.submit(begin.wait, 30)
    driven = [Driven(work, engines._pool) for work in works]
    begin.set()
    return driven


def take_all(driven: Driven[Any]) -> list[Any]:
    return [item for items in iter(driven.take, []) for item in items]


def test_runs_that_are_driven_at_once_share_passes() -> None:
    engine, engines = engine_of(FAST_DLLM_V2), Engines()
    runs = [engine.run(prompt, Settings(gen_length=16, stop_ids=())) for prompt in ([1, 2, 3], [7] * 9)]
    both = driven_together(engines, *map(engine.steps, runs))  # type: ignore[arg-type]
    for driven, run in zip(both, runs, strict=True):
        assert [step.index for step in take_all(driven)] == list(range(len(run.records)))
        trace = run.trace()
        assert (trace.environment.rows, trace.stop_reason) == (2, "length")


def test_a_run_that_is_left_frees_its_cache_and_the_other_ends() -> None:
    engine, engines = engine_of(FAST_DLLM_V2), Engines()
    left, stays = (engine.run([1, 2, 3], Settings(gen_length=length, stop_ids=())) for length in (128, 64))
    sessions: list[weakref.ref[Any]] = []
    begin = left.session

    def noted() -> Any:
        session = begin()
        sessions.append(weakref.ref(session))
        return session

    left.session = noted  # type: ignore[method-assign]
    one, other = driven_together(engines, engine.steps(left), engine.steps(stays))  # type: ignore[arg-type]
    one.take()
    assert [session() is None for session in sessions] == [False]
    one.close()
    assert [session() is None for session in sessions] == [True]
    assert left.canvas.stop_reason is None
    take_all(other)
    assert stays.canvas.stop_reason == "length"


def test_a_work_that_is_forgotten_may_be_closed_in_the_network_s_own_thread() -> None:
    """The garbage collector runs in whatever thread allocates: waiting there for that very thread would never end."""
    engines, freed = Engines(), Event()

    def work() -> Generator[int, None, None]:
        try:
            yield from count()
        finally:
            freed.set()

    driven = engines.drive(work())
    next(driven)
    engines._pool.submit(driven.close).result(timeout=30)
    assert freed.wait(30)


def test_an_error_reaches_who_asked_for_that_work_and_no_one_else() -> None:
    engines = Engines()

    def work(error: Exception | None) -> Generator[int, None, None]:
        yield from range(3)
        if error:
            raise error
        yield from range(3, 6)

    broken, whole = driven_together(engines, work(ZeroDivisionError("a defect")), work(None))
    assert take_all(whole) == list(range(6))
    come: list[int] = []
    with pytest.raises(ZeroDivisionError, match="a defect"):
        come.extend(item for items in iter(broken.take, []) for item in items)
    assert come == [0, 1, 2]


def test_a_model_is_loaded_while_a_work_is_driven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "second", MODELS["default"])
    monkeypatch.setenv("BLOCKSCOPE_MODELS", "second")
    engines = Engines(Loaded)

    def work() -> Generator[int, None, None]:
        yield from count()

    driven = engines.drive(work())
    next(driven)
    assert engines.begin("second").result(timeout=30).name == "second"
    before = next(driven)[-1]
    assert next(driven)[-1] > before
    driven.close()


def test_a_work_that_wants_quiet_goes_on_when_all_was_told() -> None:
    engines, went_on = Engines(), Event()

    def work() -> Generator[int, None, None]:
        yield 1
        yield 2
        yield TOLD
        went_on.set()
        yield 3
        yield TOLD

    driven, come = engines.drive(work()), []
    while come != [1, 2]:
        come += next(driven)
    for _ in range(2):
        engines._pool.submit(lambda: None).result()  # the thread is free, and the work has had its turn
    assert not went_on.is_set()
    assert [item for items in driven for item in items] == [3]
    assert went_on.is_set()


def test_runs_share_the_device_and_a_race_has_it_alone() -> None:
    device = Device()
    with ExitStack() as race, ExitStack() as one, ExitStack() as two:
        assert device.enter(one)
        assert device.enter(two)
        assert not device.enter(race, alone=True)
        one.close()
        assert not device.enter(race, alone=True)
        two.close()
        assert device.enter(race, alone=True)
        assert not device.enter(one)
        assert not device.enter(two, alone=True)
        race.close()
        assert not device.busy


def test_a_race_that_waits_keeps_newcomers_out_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    device, now = Device(), [0.0]
    monkeypatch.setattr("app.engines.monotonic", lambda: now[0])
    with ExitStack() as race, ExitStack() as one, ExitStack() as two:
        assert device.enter(one)
        assert not device.enter(race, alone=True)
        assert not device.enter(two)  # else races would never begin where many decode
        now[0] = 100.0
        assert device.enter(two)  # who wished it may have left
        assert device.busy
    assert not device.busy


def test_who_waits_is_told_and_who_leaves_makes_room() -> None:
    engines = Engines(Loaded)
    with ExitStack() as race, ExitStack() as run:
        assert engines.device.enter(race, alone=True)
        waiting = engines.waiting(run)
        assert "race" in next(waiting)
        race.close()
        assert list(waiting) == []
        assert engines.device.busy
    assert not engines.device.busy
