"""Results are written whole or not at all, and never over what is read."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dllm.files import atomic_write, check_output, is_same_file, write_file
from dllm.trace import Trace
from dllm.trace.drift import Drift
from dllm.training.lora import save_adapter
from tests.visualize.runs import recorded

ROOT = Path(__file__).parents[2]


class FailureError(Exception):
    """Something that goes wrong in the middle."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "result"
    path.write_bytes(b"old")
    return path


def write_half(path: Path, error: BaseException, *, written: bool = True, keep_on: Any = ()) -> None:
    with atomic_write(path, keep_on=keep_on) as part:
        if written:
            part.write_bytes(b"half")
        raise error


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_new_only_when_it_is_whole(old: Path) -> None:
    with atomic_write(old) as part:
        part.write_bytes(b"new")
        assert old.read_bytes() == b"old"
    assert old.read_bytes() == b"new"
    assert listed(old.parent) == ["result"]


def test_a_failure_leaves_the_old_file(old: Path) -> None:
    with pytest.raises(FailureError):
        write_half(old, FailureError())
    assert old.read_bytes() == b"old"
    assert listed(old.parent) == ["result"]


@pytest.mark.parametrize("written", [True, False])
def test_what_was_written_is_kept_where_that_was_asked_for(old: Path, written: bool) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_half(old, KeyboardInterrupt(), written=written, keep_on=(KeyboardInterrupt,))
    assert old.read_bytes() == (b"half" if written else b"old")
    assert listed(old.parent) == ["result"]


def test_a_killed_process_leaves_the_old_file(old: Path) -> None:
    script = f"""
import os, signal
from dllm.files import atomic_write
with atomic_write({str(old)!r}) as part:
    part.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_mode_bits_are_kept(old: Path, mode: int) -> None:
    old.chmod(mode)
    write_file(old, "new")
    assert old.stat().st_mode & 0o7777 == mode


def test_a_new_file_has_the_mode_that_open_gives(tmp_path: Path) -> None:
    write_file(tmp_path / "ours", "é")
    (tmp_path / "theirs").write_text("é", encoding="utf-8")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_a_symbolic_link_stays_one(old: Path) -> None:
    link = old.with_name("link")
    link.symlink_to(old)
    write_file(link, "new")
    assert link.is_symlink()
    assert old.read_text() == "new"


def test_the_other_name_of_a_hard_link_keeps_its_content(old: Path) -> None:
    other = old.with_name("other")
    other.hardlink_to(old)
    write_file(old, "new")
    assert other.read_bytes() == b"old"


def test_a_device_is_written_as_it_is() -> None:
    write_file(os.devnull, "gone")
    assert Path(os.devnull).is_char_device()


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"directory"):
        write_file(tmp_path, "new")


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*/none/result'"):
        write_file(tmp_path / "none" / "result", "new")


def test_a_name_may_be_as_long_as_is_allowed(tmp_path: Path) -> None:
    write_file(tmp_path / ("x" * 255), "new")
    assert listed(tmp_path) == ["x" * 255]


def test_one_file_by_several_paths(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = old.parent
    (folder / "soft").symlink_to(old)
    (folder / "hard").hardlink_to(old)
    (folder / "copy").write_bytes(b"old")
    monkeypatch.chdir(folder)
    same = [Path("result"), folder / "soft", folder / "hard", folder / "." / "result"]
    assert all(is_same_file(path, old) and is_same_file(old, path) for path in same)
    others = [folder / "copy", folder / "none", folder, Path(os.devnull)]
    assert not any(is_same_file(path, old) or is_same_file(old, path) for path in others)
    assert not is_same_file(Path(os.devnull), Path(os.devnull))


def test_a_place_for_a_result_is_a_file_in_a_folder(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = old.parent
    monkeypatch.chdir(folder)
    for place in (folder, Path(), folder / "none" / "x", old / "x"):
        with pytest.raises(ValueError, match=r"out is '.*'; allowed: a file in a folder that exists"):
            check_output("out", place)
    with pytest.raises(ValueError, match=r"out is 'result', the same file as requests '.*result'; allowed: another"):
        check_output("out", Path("result"), {"model": folder / "none", "requests": old})
    check_output("out", Path("new"), {"requests": old})
    check_output("out", Path("result"), {})


def failing(*args: object, **options: object) -> None:
    raise FailureError


def test_a_trace_a_drift_and_an_adapter_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (trace,) = recorded().traces.values()
    half = np.zeros((1, 1, 1), np.float16)
    drift = Drift(half, half, np.zeros((1, 1, 1, 2), np.float16), ())
    writers = {
        "a.json": trace.save,
        "a.json.gz": trace.save,
        "a.drift.npz": drift.save,
        "a.safetensors": lambda path: save_adapter(path, {"x": torch.zeros(2, 2)}, {"format": "x"}),
    }
    for name in writers:
        (tmp_path / name).write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        for name, write in writers.items():
            with pytest.raises(FailureError):
                write(tmp_path / name)
    assert {name: (tmp_path / name).read_bytes() for name in listed(tmp_path)} == dict.fromkeys(writers, b"old")
    for name, write in writers.items():
        write(tmp_path / name)
    assert listed(tmp_path) == sorted(writers)
    assert Trace.load(tmp_path / "a.json.gz") == Trace.load(tmp_path / "a.json") == trace
    assert Drift.load(tmp_path / "a.drift.npz").keys.shape == (1, 1, 1)
