"""What is asked of the model hub, and what is told meanwhile."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from dllm.models import hub
from dllm.models.loader import load
from tests.goldens_io import GOLDENS

COMMIT = "0a" * 20


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The last question; the answer is a small checkpoint in a folder named by its commit, as in the hub's cache."""
    question: dict[str, Any] = {}
    folder = tmp_path / "snapshots" / COMMIT
    shutil.copytree(GOLDENS / "llada", folder, ignore=shutil.ignore_patterns("forward*"))

    def download(name: str, **more: Any) -> str:
        question.update(name=name, **more)
        bar = more["tqdm_class"](name="huggingface_hub.snapshot_download", total=0, unit="B", unit_scale=True)
        other = more["tqdm_class"](desc="Fetching 3 files", total=3)
        bar.total += 30
        for done in (10, 20):
            bar.update(done)
            other.update(1)
            bar.set_description("words that only a terminal needs")
        other.close()
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    return question


def test_a_hub_name_is_pinned_and_brings_no_code(asked: dict[str, Any]) -> None:
    model = load(f"org/name@{COMMIT}", device="cpu")
    assert model.id == f"org/name@{COMMIT}"
    assert (asked["name"], asked["revision"]) == ("org/name", COMMIT)
    assert not any(pattern.endswith((".py", ".bin", "*", ".pt")) for pattern in asked["allow_patterns"])


def test_bytes_are_told_and_nothing_is_drawn(asked: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, int, int]] = []
    hub.fetch_checkpoint("org/name", COMMIT, lambda *words: told.append(words))
    assert told == [("Fetching name", 10, 30), ("Fetching name", 30, 30)]
    assert capfd.readouterr() == ("", "")
    hub.fetch_checkpoint("org/name", COMMIT)


@pytest.mark.parametrize(("value", "local"), [("0", True), ("1", False)])
def test_the_hub_can_be_kept_away_from(
    value: str, local: bool, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOCKSCOPE_HUB", value)
    hub.fetch_checkpoint("org/name", COMMIT)
    assert asked["local_files_only"] is local


def test_what_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OSError, match=f"org/name at {COMMIT} could not be had: "):
        load(f"org/name@{COMMIT}", device="cpu")
