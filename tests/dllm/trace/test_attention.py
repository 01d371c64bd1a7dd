import io
import json
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.models.families import LLADA
from dllm.settings import Choice, Settings
from dllm.trace import attention
from dllm.trace.attention import MAX_BYTES, Maps, MapsWriter, quantise, restore
from tests.dllm.nets import engine_of


def random_maps(*shape: int, seed: int = 0) -> np.ndarray:
    p = np.random.default_rng(seed).exponential(size=shape) ** 3
    return (p / p.sum(-1, keepdims=True)).astype(np.float16)


def written(steps: int, cap: int = MAX_BYTES) -> bytes:
    file = io.BytesIO()
    with MapsWriter(file, cap) as writer:
        for step in range(steps):
            writer.add(step, random_maps(2, 3, 4, 5 + step, seed=step))
    return file.getvalue()


def changed(data: bytes, change: Callable[[dict[str, bytes]], object]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@given(st.lists(st.floats(0, 1), min_size=1))
def test_quantising_is_as_exact_as_it_says(values: list[float]) -> None:
    p = np.array(values)
    error = np.abs(restore(quantise(p)).astype(float) - p)
    assert (error <= np.sqrt(p) / 255 + 510.0**-2 + 1e-7).all()
    assert (restore(quantise(p))[p < 510.0**-2 * 0.999] == 0).all()


def test_every_code_survives() -> None:
    codes = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(quantise(restore(codes)), codes)


def test_what_is_read_is_what_was_written() -> None:
    maps = Maps.open(written(3))
    assert (maps.layers, maps.heads, maps.steps, maps.dropped, maps.note) == (2, 3, [0, 1, 2], 0, "")
    for step in maps.steps:
        wanted = random_maps(2, 3, 4, 5 + step, seed=step).astype(float)
        for layer in range(2):
            found = maps.layer(step, layer)
            assert found.dtype == np.float32
            # twice the bound: once for the entry, once for the sum of its row
            np.testing.assert_allclose(found, wanted[layer], atol=2 / 255)
            np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
        mean = maps.mean(step)
        assert mean.dtype == np.float32
        np.testing.assert_allclose(mean, [maps.layer(step, n).sum(0) / 3 for n in range(2)], atol=1e-6)


def test_a_row_of_zeros_stays() -> None:
    file = io.BytesIO()
    with MapsWriter(file) as writer:
        writer.add(0, np.stack([np.eye(3)[None] * [[[1], [0], [1]]]]))
    np.testing.assert_array_equal(Maps.open(file.getvalue()).layer(0, 0)[0], np.diag([1, 0, 1]))


def test_nothing_is_kept_from_the_step_that_exceeds_the_cap() -> None:
    sizes = [2 * 3 * 4 * (5 + step) for step in range(4)]
    maps = Maps.open(written(4, sum(sizes[:2])))
    assert (maps.steps, maps.dropped) == ([0, 1], 2)
    assert maps.note == "Attention was kept for steps 1-2 of 4: the cap of 0.000252 MiB, or of 65536 maps, was reached."
    assert Maps.open(written(4, sum(sizes[:2]) - 1)).steps == [0]
    assert Maps.open(written(4, sum(sizes))).note == ""
    file = io.BytesIO()
    with MapsWriter(file, 10) as writer:  # a smaller step after a dropped one is dropped too
        writer.add(0, random_maps(1, 1, 2, 6))
        writer.add(1, random_maps(1, 1, 1, 1))
    assert Maps.open(file.getvalue()).note.startswith("Attention was kept for none of 2:")
    with pytest.raises(ValueError, match=f"cap is {MAX_BYTES + 1} bytes; allowed: 0 to {MAX_BYTES}"):
        MapsWriter(io.BytesIO(), MAX_BYTES + 1)


def test_a_run_that_was_cut_off_leaves_a_whole_file(tmp_path: Path) -> None:
    def cut_off() -> None:
        with MapsWriter(tmp_path / "a.npz") as writer:
            writer.add(0, random_maps(1, 1, 2, 2))
            raise KeyError

    with pytest.raises(KeyError):
        cut_off()
    assert Maps.open(tmp_path / "a.npz").steps == [0]
    with MapsWriter(tmp_path / "b.npz") as writer:
        writer.close()
    assert Maps.open(str(tmp_path / "b.npz")).steps == []


def test_a_layer_is_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, names = Maps.open(written(2)), []
    opened = zipfile.ZipFile.open
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda self, name, *a: names.append(name) or opened(self, name, *a))
    maps.layer(1, 0)
    assert names == ["s1l0.npy"]


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(written(6))
    maps, wrong = Maps.open(tmp_path / "a.npz"), []
    wanted = {(step, layer): maps.layer(step, layer) for step in range(6) for layer in range(2)}

    def read() -> None:
        wrong.extend(key for _ in range(5) for key, value in wanted.items() if (maps.layer(*key) != value).any())

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("step", "layer", "message"),
    [
        (2, 0, "step is 2; allowed: 0 to 1"),
        (-1, 0, "step is -1; allowed: 0 to 1"),
        (0, 2, "layer is 2; allowed: 0 to 1"),
    ],
)
def test_an_unknown_step_or_layer_is_named(step: int, layer: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Maps.open(written(2)).layer(step, layer)


def about(**fields: object) -> Callable[[dict[str, bytes]], object]:
    return lambda m: m.update({"about.json": json.dumps({**json.loads(m["about.json"]), **fields}).encode()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("about.json"), "about.json"),
        (lambda m: m.pop("s1l0.npy"), "s1l0.npy is missing"),
        (about(schema="other"), "schema: Input should be 'blockscope.attention/1'"),
        (about(steps=[0, 0]), "steps in about.json are not ascending; allowed: each once, in order"),
        (about(more=1), "more: Extra inputs"),
        (about(layers=10**12), "s0l2.npy is missing"),
        (about(cap=10**12), "cap: "),
        (lambda m: m.update({"about.json": b" " * (2**20 + 1)}), "more than 1048576 bytes"),
        (lambda m: m.update({"about.json": b"{"}), "not a valid attention file"),
    ],
)
def test_a_bad_file_is_refused_as_it_is_opened(change: Callable[[dict[str, bytes]], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Maps.open(changed(written(2), change))


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((1, 2**13, 2**13 + 1)), "unpacks to 67117056 bytes; allowed: 67108864"),
        (header((3, 10**9, 10**9)), "allowed: 67108864"),
        (header((3, 4, 5)) + b"1234", "ends after 4 of 60 bytes"),
        (header((-3, -4, 5)) + b"1" * 60, "not a valid attention file"),
        (header((4, 5)) + b"1" * 20, "allowed: three axes"),
        (npy(np.zeros((3, 4, 5), np.float64)), "an array of float64; allowed: uint8"),
        (npy(np.array([[[{}]]], dtype=object)), "an array of object; allowed: uint8"),
        (npy(np.asfortranarray(np.zeros((3, 4, 5), np.uint8))), "by columns"),
        (b"\x93NUMPY\x01\x00", "not a valid attention file"),
        (b"", "not a valid attention file"),
    ],
)
def test_a_bad_member_is_refused_as_it_is_read(content: bytes, message: str) -> None:
    maps = Maps.open(changed(written(1), lambda m: m.update({"s0l0.npy": content})))
    with pytest.raises(ValueError, match=message):
        maps.layer(0, 0)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = changed(written(1), lambda m: m.update({"s0l0.npy": header((1, 1, 10)) + bytes(2**26)}))
    assert len(data) < 2**18
    unpacked, read = [], zipfile.ZipExtFile._read1  # type: ignore[attr-defined]

    def counted(self: object, n: int) -> bytes:
        unpacked.append(found := read(self, n))
        return found

    monkeypatch.setattr(zipfile.ZipExtFile, "_read1", counted)
    assert Maps.open(data).layer(0, 0).shape == (1, 1, 10)
    assert sum(map(len, unpacked)) < 2**14


@given(data=st.data())
def test_damage_is_a_value_error_or_goes_unseen(data: st.DataObject) -> None:
    raw = bytearray(written(1))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    for damaged in (bytes(raw), bytes(raw[:cut])):
        try:
            maps = Maps.open(damaged)
            for step in maps.steps:
                maps.mean(step)
        except ValueError:
            pass


def test_maps_of_a_run_fit_its_trace_and_no_other(tmp_path: Path) -> None:
    engine = engine_of(LLADA)
    traces, last = [], np.zeros(0)
    for length, cache in ((8, "d2"), (9, "dual")):
        run = engine.run(
            [1, 2, 3], Settings(gen_length=length, block_size=4, cache=Choice(cache), record=("attention",))
        )
        with MapsWriter(tmp_path / f"{cache}.npz") as writer:
            for step in run:
                writer.add(step.index, np.asarray(step.readout.attention))
                last = np.asarray(step.readout.attention).astype(float)
        maps = Maps.open(tmp_path / f"{cache}.npz")
        traces.append(run.trace())
        maps.check(traces[-1])
        np.testing.assert_allclose(maps.mean(maps.steps[-1]), last.mean(1), atol=2 / 255)
    with pytest.raises(ValueError, match="attention of step 0, layer 0 is"):
        Maps.open(tmp_path / "d2.npz").check(traces[1])
    with pytest.raises(ValueError, match=r"attention is of step 1; the trace has 1 steps"):
        maps.check(traces[1].model_copy(update={"steps": traces[1].steps[:1]}))
    with pytest.raises(ValueError, match="attention has 2 layers of 4 heads; the trace 3 of 4"):
        maps.check(traces[1].model_copy(update={"model": traces[1].model.model_copy(update={"layers": 3})}))


def test_more_arrays_than_can_be_checked_quickly_are_neither_written_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written(3)
    monkeypatch.setattr(attention, "MAX_MEMBERS", 5)
    with pytest.raises(ValueError, match="it has 7 members; allowed: 6"):
        Maps.open(whole)
    maps = Maps.open(written(3))
    assert (maps.steps, maps.dropped) == ([0, 1], 1)
