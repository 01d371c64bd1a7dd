"""`bench --suite gpu` on tiny networks: what it decodes and counts, not how fast it is."""

import gc
import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dllm import gpu
from dllm.aims import aims, table
from dllm.benchmark import AR
from dllm.cli import main
from dllm.cost import cost
from dllm.engine import Engine
from dllm.gpu import NETWORKS, TOGETHER, Plan, measure
from dllm.hardware import BLOCKS, D2, NO_CACHE, THEIRS, Hardware, Network
from dllm.models import memory
from dllm.models.families import FAST_DLLM_V2, LLADA, QWEN2, ModelSpec
from dllm.models.graphs import Graphs
from dllm.models.loader import Model, tiny
from dllm.run import sizes_of
from tests.dllm.nets import MASK, STOP, shape_of
from tests.models.tape import taped

PLAN = Plan(rounds=2, prompt=32, causal=64, whole=32, batches=(1, 3))
Load = Callable[[str], Engine]


def engine(name: str, spec: ModelSpec | None = None) -> Engine:
    spec = spec or (LLADA if "LLaDA" in name else FAST_DLLM_V2)
    net = tiny(shape_of(spec), mask_id=MASK)
    return Engine(Model(name, spec, net, None if spec.mask_id is None else MASK, (STOP,)))


@pytest.fixture(scope="module")
def found() -> tuple[list[Hardware], list[str]]:
    said: list[str] = []
    return list(measure(engine, (NETWORKS[1], NETWORKS[2]), said.append, plan=PLAN)), said


@pytest.fixture
def causal(found: tuple[list[Hardware], list[str]]) -> Network:
    return found[0][-1].networks[0]


def test_every_part_is_given_as_soon_as_it_is_there(found: tuple[list[Hardware], list[str]]) -> None:
    documents, said = found
    parts = [sum(len(n.passes) + len(n.rates) for n in document.networks) for document in documents]
    assert parts == list(range(1, 11))  # 3 kinds of passes, transformers, 2 batches of 2; no cache and d2Cache
    assert [len(document.networks) for document in documents] == [1] * 8 + [2] * 2
    assert [n.name for n in documents[-1].networks] == [NETWORKS[1], NETWORKS[2]]
    assert all(line.startswith((NETWORKS[1], NETWORKS[2])) for line in said)
    assert len(said) == 10 + 2 * 2  # each part, and of each network that it is loaded and warmed up
    assert Hardware.model_validate_json(documents[-1].to_json()) == documents[-1]


def test_passes_are_counted_by_their_kind_and_width(causal: Network) -> None:
    counts = {(p.kind, p.queries): p.count for p in causal.passes}
    assert set(counts) == {("ar", 1), ("denoise", 32), ("denoise", 8)}
    assert counts["ar", 1] == 2 * 64 - 2  # the first token of a round is predicted by the pass over the prompt
    assert counts["denoise", 32] == 2 * (64 - 2)  # the first token of each block by what encodes the one before
    assert 0 < counts["denoise", 8] < 2 * (64 - 2)  # a sub-block whose first token is masked takes whole passes


def test_bytes_are_what_the_median_pass_moves(causal: Network) -> None:
    sizes = sizes_of(engine(NETWORKS[1]).model)
    by_kind = {(p.kind, p.queries): p.bytes for p in causal.passes}
    assert by_kind["ar", 1] == pytest.approx(cost(1, 32 + 32, 1, sizes).bytes, rel=0.02)
    assert by_kind["denoise", 32] == pytest.approx(cost(32, 80, 8, sizes).bytes, rel=0.02)
    for timed in causal.passes:
        assert timed.seconds.low is not None
        assert timed.seconds.high is not None
        assert 0 < timed.seconds.low <= timed.seconds.value <= timed.seconds.high
        assert 0 < timed.host < 1


def test_rates_are_of_whole_answers(causal: Network) -> None:
    for batch in (1, 3):
        plain, blocks = causal.rate(AR, batch), causal.rate(BLOCKS, batch)
        assert plain is not None
        assert blocks is not None
        assert plain.tokens == blocks.tokens == 64 * batch
        assert plain.tpf == 1
        assert blocks.tpf == 64 / 24  # 11 denoising passes and one that encodes, for each block of 32
        assert plain.laps == blocks.laps == 2
        assert plain.memory is None
    theirs = causal.rate(THEIRS)
    assert theirs is not None
    assert (theirs.tokens, theirs.passes) == (64, None)


def test_a_masked_network_is_timed_with_and_without_cache(found: tuple[list[Hardware], list[str]]) -> None:
    whole = found[0][-1].networks[1]
    assert [rate.decoding for rate in whole.rates] == [NO_CACHE, D2]
    assert [(rate.tokens, rate.passes) for rate in whole.rates] == [(32, 32), (32, 32)]
    assert (whole.prompt, whole.answer, whole.passes) == (32, 32, ())
    assert [aim.what for aim in aims(whole)] == ["d2Cache ÷ no cache, tokens/s"]
    assert whole.environment.peak_bytes == 1e10


def test_prompts_hold_no_id_that_means_something_and_differ_by_row() -> None:
    bench = gpu._Measuring(engine(NETWORKS[0]), PLAN, print)
    prompts = [bench._prompt(row, 200) for row in range(3)]
    assert {len(prompt) for prompt in prompts} == {200}
    assert not {MASK, STOP} & {token for prompt in prompts for token in prompt}
    assert len({tuple(prompt) for prompt in prompts}) == 3
    assert prompts[1] == bench._prompt(1, 200)
    assert bench._prompt(0) == prompts[0][:32]


def test_no_token_ends_an_answer() -> None:
    def load(name: str) -> Engine:
        made = engine(name)
        return Engine(replace(made.model, stop_ids=tuple(range(20))))

    plan = Plan(rounds=1, prompt=8, causal=32, whole=32, batches=(1,))
    *_, document = measure(load, NETWORKS[1:], print, plan=plan)
    assert [rate.tokens for network in document.networks for rate in network.rates] == [32] * 5
    assert document.networks[0].passes[0].count == 31


def test_every_stretch_of_entries_is_warmed_up_the_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int, int]] = []

    def decode(self: Any, settings: Any, batch: int, prompt: int, length: int) -> None:
        made.append((batch, prompt, length))

    monkeypatch.setattr(gpu._Measuring, "_decode", decode)
    bench = gpu._Measuring(engine(NETWORKS[0]), Plan(), print)
    work = bench._together(TOGETHER[AR], 4, 512)
    assert made == [(4, 512, 32), (4, 256, 32)]
    work()
    assert made[2:] == [(4, 256, 512)]


@pytest.mark.parametrize("name", list(TOGETHER))
@pytest.mark.parametrize("batch", [1, 3])
def test_graphs_are_captured_before_the_clock_starts(name: str, batch: int) -> None:
    captures: list[None] = []

    def noted(body: Callable[[], Any], place: torch.device) -> Any:
        captures.append(None)
        return taped(body, place)

    made = engine(NETWORKS[0])
    made.model.net.graphs = Graphs(made.model.net, noted)
    work = gpu._Measuring(made, Plan(prompt=224), print)._together(TOGETHER[name], batch, 64)
    before = len(captures)
    assert before == 2  # entries up to 256, and up to 512
    work()
    assert len(captures) == before


def test_patience_ends_the_laps_and_one_is_always_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "PATIENCE", 0.0)
    *_, document = measure(engine, NETWORKS[2:], print, plan=PLAN)
    assert [(rate.laps, rate.seconds.low) for rate in document.networks[0].rates] == [(1, None), (1, None)]


def test_what_the_memory_does_not_hold_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = gpu._Measuring._decode

    def full(self: Any, settings: Any, batch: int, prompt: int, length: int) -> Any:
        if batch > 1 and settings.block_size == 32:
            raise torch.OutOfMemoryError("full")
        return decode(self, settings, batch, prompt, length)

    monkeypatch.setattr(gpu._Measuring, "_decode", full)
    said: list[str] = []
    plan = Plan(rounds=1, prompt=32, causal=32, batches=(1, 2, 4))
    *_, document = measure(engine, NETWORKS[:1], said.append, plan=plan)
    network = document.networks[0]
    assert network.full == (f"{BLOCKS} at batch 2",)
    assert [(rate.decoding, rate.batch) for rate in network.rates[1:]] == [(AR, 1), (BLOCKS, 1), (AR, 2), (AR, 4)]
    assert any(line.endswith(f"{BLOCKS} at batch 2 does not fit into memory") for line in said)
    assert f"Did not fit into memory: {BLOCKS} at batch 2." in table(document)


def test_a_network_is_let_go_before_the_next_is_loaded() -> None:
    nets: list[weakref.ref[Any]] = []

    def load(name: str) -> Engine:
        gc.collect()
        assert all(net() is None for net in nets)
        made = engine(name)
        nets.append(weakref.ref(made.model.net))
        return made

    plan = Plan(rounds=1, prompt=8, causal=32, whole=8, batches=(1,))
    for _ in measure(load, NETWORKS, print, plan=plan):
        pass
    assert len(nets) == 3


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="rounds is 0; allowed: 1 or more"):
        Plan(rounds=0)
    with pytest.raises(ValueError, match="the model plain is autoregressive; allowed: one that decodes blocks"):
        list(measure(lambda name: engine(name, QWEN2), ["plain"], print))


def test_only_running_out_of_memory_is_no_answer() -> None:
    def fail(error: Exception) -> Callable[[], int]:
        def work() -> int:
            raise error

        return work

    assert memory.unless_full(lambda: 3) == 3
    assert memory.unless_full(fail(torch.OutOfMemoryError("full"))) is None
    with pytest.raises(RuntimeError, match="other"):
        memory.unless_full(fail(RuntimeError("other")))
    assert memory.peak(torch.device("cpu")) is None


def test_the_command_needs_cuda_and_known_words(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(memory, "has_cuda", lambda: False)
    assert main(["bench", "--suite", "gpu"]) == 2
    assert "suite is 'gpu', but this machine has no CUDA device; allowed here: cpu" in capsys.readouterr().err
    assert main(["bench", "--suite", "gpu", "--only", "70B"]) == 2
    assert f"only is '70B'; allowed with suite gpu: a part of {NETWORKS[0]}" in capsys.readouterr().err


def test_the_command_saves_each_part_and_prints_the_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    asked: list[tuple[str, str, str]] = []

    def load(name: str, *, device: str, dtype: str) -> Engine:
        asked.append((name, device, dtype))
        return engine(name)

    saved: list[int] = []
    write = Path.write_text

    def noted(path: Path, text: str) -> int:
        saved.append(len(json.loads(text)["networks"][0]["rates"]))
        return write(path, text)

    monkeypatch.setattr(memory, "has_cuda", lambda: True)
    monkeypatch.setattr(memory, "release", lambda device=None: None)
    monkeypatch.setattr(Engine, "load", load)
    monkeypatch.setattr(Path, "write_text", noted)
    out = tmp_path / "gpu.json"
    assert main(["bench", "--suite", "gpu", "--only", "LLaDA", "--rounds", "1", "--out", str(out)]) == 0
    assert asked == [(NETWORKS[2], "cuda", "bfloat16")]
    assert saved == [1, 2]
    document = Hardware.load(out)
    assert document.rounds == 1
    assert (document.networks[0].prompt, document.networks[0].answer) == (256, 256)
    assert capsys.readouterr().out == table(document) + "\n"
