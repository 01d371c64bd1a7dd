from threading import Event
from typing import Any

import pytest

from app.engines import Engines, LoadError
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
