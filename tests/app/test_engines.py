from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from app.engines import Device, Engines, LoadError
from dllm.engine import MODELS
from dllm.settings import SettingsError


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
    engines = Engines(Loaded)
    first = engines.get("default")
    assert engines.get("second").name == "second"
    assert engines.get("default") is not first


def test_preloading_leaves_a_loaded_model_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "second", MODELS["default"])
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
        assert [next(driven), other.submit(next, driven).result(), next(driven)] == [0, 1, 2]
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
    assert next(driven) == 1
    driven.close()  # type: ignore[attr-defined]
    assert ended == [1]
    with pytest.raises(SettingsError, match="no"):
        list(engines.drive(work(SettingsError("no"))))
    assert ended == [1, 1]


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
