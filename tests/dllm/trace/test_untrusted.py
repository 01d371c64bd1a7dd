"""Strangers' traces: refused before they are built, and read where they can harm nobody."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from dllm.models.families import LLADA
from dllm.trace import Trace, TraceError
from dllm.trace import schema as room
from dllm.trace.schema import UPLOAD, Limits, ModelRecord
from dllm.trace.untrusted import read_untrusted
from tests.dllm.traces import decoded, large, made
from tests.visualize.records import step


def small() -> Trace:
    return decoded(LLADA, "dual", [1, 2, 3])


def of_steps(count: int, length: int = 4) -> dict[str, Any]:
    """A trace of passes that write nothing."""
    data = made(step(0, {}), gen_length=length, block_size=length, sub_block_size=length).as_dict()
    return data | {"steps": [data["steps"][0] | {"index": n} for n in range(count)]}


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(1000, 9, 999), "it has more than 1000 bytes, which is the most allowed"),
        (Limits(10**6, 2, 999), "it has 3 steps; allowed: 2"),
        (Limits(10**6, 3, 23), "3 steps of 8 positions are 24 cells; allowed: 23"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_is_too_large_is_refused_before_it_is_built(
    monkeypatch: pytest.MonkeyPatch, limits: Limits, message: str, pack: Any
) -> None:
    raw = json.dumps(of_steps(3)).encode()
    assert len(Trace.from_json(raw, limits=Limits(10**6, 3, 24)).steps) == 3
    monkeypatch.setattr(room.Trace, "model_validate", lambda *_: pytest.fail("it was built"))
    with pytest.raises(TraceError, match=message):
        Trace.from_json(pack(raw), limits=limits)


def test_an_upload_is_refused_by_its_cells_though_its_file_is_small(tmp_path: Path) -> None:
    """What once took 12 seconds and 0.4 GB, in a file of some kilobytes."""
    data = of_steps(8000, 4096)
    (tmp_path / "t.json.gz").write_bytes(gzip.compress(json.dumps(data).encode()))
    assert (tmp_path / "t.json.gz").stat().st_size < 400_000
    with pytest.raises(TraceError, match=f"8000 steps of 4100 positions are .* cells; allowed: {UPLOAD.cells}"):
        read_untrusted([tmp_path / "t.json.gz"])


def test_traces_come_out_of_the_other_process_as_they_are_read_here(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json.gz"]
    small().save(paths[0])
    decoded(LLADA, "d2", [1, 2]).save(paths[1])
    assert read_untrusted(paths) == [Trace.load(path) for path in paths]


@pytest.mark.parametrize("raw", [b"", b"[" * 10**6, b"{}", b"\x1f\x8b nonsense"])
def test_a_refusal_is_the_same_sentence(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "t.json").write_bytes(raw)
    with pytest.raises(TraceError) as here:
        Trace.from_json(raw)
    with pytest.raises(TraceError) as there:
        read_untrusted([tmp_path / "t.json"])
    assert str(there.value) == str(here.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read"):
        read_untrusted([tmp_path / "none.json"])


def test_time_and_memory_are_limited(tmp_path: Path) -> None:
    small().save(tmp_path / "t.json")
    with pytest.raises(TraceError, match=r"more than 0\.01 seconds, which is the most allowed"):
        read_untrusted([tmp_path / "t.json"], seconds=0.01)
    (tmp_path / "t.json").write_bytes(b"[" + b"[]," * 2_600_000 + b"[]]")
    with pytest.raises(TraceError, match="more than 224 MiB of memory, which is the most allowed"):
        read_untrusted([tmp_path / "t.json"], memory=224 * 2**20)


def test_the_size_in_memory_is_about_right() -> None:
    whole = large().model_copy(update={"output": [7] * 512})
    for trace in (whole, small(), decoded(LLADA, "d2", [1] * 40, gen_length=64, block_size=64)):
        text = trace.to_json()
        tracemalloc.start()
        again = Trace.from_json(text)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 0.5 < again.nbytes / taken < 2


def test_the_shift_is_the_models_and_of_older_traces_that_of_the_family() -> None:
    fields = {"id": "m", "dtype": "float32", "parameters": 1, "layers": 1, "heads": 1}
    assert [ModelRecord(family=name, **fields).shift for name in ("llada", "dream", "llama")] == [0, 1, 1]
    assert ModelRecord(family="llada", shift=1, **fields).shift == 1
    assert small().model.shift == small().as_dict()["model"]["shift"] == LLADA.shift
