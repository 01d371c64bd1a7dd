"""`bench --suite cpu` and `--suite gpu` on tiny networks: what is decoded and counted, not how fast it is."""

import gc
import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dllm.bench import passes
from dllm.bench.hardware import TITLES, Hardware, Network, Rate, Way
from dllm.bench.passes import Contender, measure
from dllm.bench.presets import CPU, GPU, PASSES, Preset
from dllm.bench.targets import tables, targets
from dllm.cli.main import main
from dllm.engine import Engine
from dllm.engine.run import model_sizes
from dllm.models import device
from dllm.models.families import FAST_DLLM_V2, LLADA, LLAMA, QWEN2, ModelSpec
from dllm.models.graph_cache import GraphCache
from dllm.models.loader import Model, tiny
from dllm.trace.cost import cost
from dllm.trace.schema import Environment
from tests.dllm.nets import MASK, STOP, hybrid_engine, shape_of
from tests.models.tape import taped

PRESET = replace(GPU, networks=GPU.networks[1:], rounds=2, prompt=32, answer=64, full_answer=32, batches=(1, 3))
SHORT = replace(GPU, rounds=1, prompt=8, answer=32, full_answer=8, batches=(1,))


def engine(name: str, spec: ModelSpec | None = None) -> Engine:
    spec = spec or (LLADA if "LLaDA" in name else FAST_DLLM_V2)
    net = tiny(shape_of(spec), mask_id=MASK)
    return Engine(Model(name, spec, net, None if spec.mask_id is None else MASK, (STOP,)))


class Prompted(Engine):
    """Takes text for the ids of a fixed prompt: a tiny network has no tokenizer."""

    def _ids(self, prompt: object) -> list[int]:
        return [1, 2, 3] if isinstance(prompt, str) else list(prompt)  # type: ignore[call-overload]


def last(load: Callable[[str], Engine], preset: Preset, report: Callable[[str], None] = lambda _: None) -> Hardware:
    *_, document = measure(load, preset, report)
    return document


def rate(network: Network, *key: Any, **more: Any) -> Rate:
    found = network.rate(*key, **more)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def found() -> tuple[list[Hardware], list[str]]:
    said: list[str] = []
    return list(measure(engine, PRESET, said.append)), said


@pytest.fixture
def causal(found: tuple[list[Hardware], list[str]]) -> Network:
    return found[0][-1].networks[0]


def test_a_document_comes_with_every_part(found: tuple[list[Hardware], list[str]]) -> None:
    documents, said = found
    parts = [sum(len(n.passes) + len(n.rates) for n in document.networks) for document in documents]
    assert parts == list(range(1, 11))  # 3 kinds of passes, transformers, 2 batches of 2; no cache and d2Cache
    assert [len(document.networks) for document in documents] == [1] * 8 + [2] * 2
    assert [n.name for n in documents[-1].networks] == list(PRESET.networks)
    assert all(line.startswith(PRESET.networks) for line in said)
    assert Hardware.model_validate_json(documents[-1].to_json()) == documents[-1]


def test_passes_are_counted_by_their_kind_and_width(causal: Network) -> None:
    counts = {(p.kind, p.queries): p.count for p in causal.passes}
    assert set(counts) == set(PASSES)
    assert counts["ar", 1] == 2 * 64 - 2  # the first token of a round is predicted by the pass over the prompt
    assert counts["denoise", 32] == 2 * (64 - 2)  # the first token of each block by what encodes the one before
    assert 0 < counts["denoise", 8] < 2 * (64 - 2)  # a sub-block whose first token is masked takes whole passes


def test_bytes_are_what_the_median_pass_moves(causal: Network) -> None:
    sizes = model_sizes(engine(PRESET.networks[0]).model)
    by_kind = {(p.kind, p.queries): p.bytes for p in causal.passes}
    assert by_kind["ar", 1] == pytest.approx(cost(1, 32 + 32, 1, sizes).bytes, rel=0.02)
    assert by_kind["denoise", 32] == pytest.approx(cost(32, 80, 8, sizes).bytes, rel=0.02)
    for timed in causal.passes:
        assert timed.seconds.low is not None
        assert timed.seconds.high is not None
        assert 0 < timed.seconds.low <= timed.seconds.value <= timed.seconds.high
        assert 0 < timed.host < 1
        assert timed.recorder is not None
        assert timed.recorder > 0


def test_rates_are_of_whole_answers(causal: Network) -> None:
    for batch in (1, 3):
        plain, blocks = rate(causal, Way.AR, batch), rate(causal, Way.BLOCK_32_K3, batch)
        assert plain.tokens == blocks.tokens == 64 * batch
        assert plain.tpf == 1
        assert blocks.tpf == 64 / 24  # 11 denoising passes and one that encodes, for each block of 32
        assert plain.repeats == blocks.repeats == 2
        assert plain.memory is None
    transformers = rate(causal, Way.AR, engine="transformers")
    assert (transformers.tokens, transformers.passes) == (64, None)


def test_a_masked_network_is_timed_with_and_without_cache(found: tuple[list[Hardware], list[str]]) -> None:
    full = found[0][-1].networks[1]
    assert [each.way for each in full.rates] == [Way.NO_CACHE, Way.D2]
    assert [(each.tokens, each.passes) for each in full.rates] == [(32, 32), (32, 32)]
    assert (full.prompt, full.answer, full.passes) == (32, 32, ())
    assert [target.name for target in targets(full)] == ["full attention, d2Cache ÷ full attention, no cache, tokens/s"]


@pytest.fixture(scope="module")
def cpu() -> tuple[Network, list[str]]:
    said: list[str] = []

    def load(_: str) -> Engine:
        return Prompted(Model("tiny", LLAMA, tiny(shape_of(LLAMA), mask_id=MASK), MASK, (STOP,)))

    return last(load, replace(CPU, rounds=2, answer=24), said.append).networks[0], said


def test_the_cpu_preset_times_all_its_ways_beside_transformers(cpu: tuple[Network, list[str]]) -> None:
    network, _ = cpu
    wanted = {(each, "blockscope") for each in CPU.ways if "verified" not in TITLES[each]}
    assert {(each.way, each.engine) for each in network.rates} == {*wanted, (Way.AR, "transformers")}
    assert (network.prompt, network.answer) == (3, 24)
    assert [each.queries for each in network.passes] == [1, 8]
    for each in network.rates:
        assert each.repeats == 2
        assert each.tokens <= 24
        assert each.seconds.low is not None
    for way, most in {Way.BLOCK_8_K2: 2, Way.BLOCK_32_8_K3: 3, Way.AR: 1}.items():
        tpf = rate(network, way).tpf
        assert tpf is not None
        assert 0 < tpf <= most
    names = [target.name for target in targets(network)]
    assert "AR ÷ AR (transformers), tokens/s" in names
    assert "recording ÷ decoding, the largest" in names


def test_verified_ways_are_timed_where_the_model_has_them() -> None:
    made = hybrid_engine(echo=True)
    made._ids = lambda prompt: [1, 2, 3] if isinstance(prompt, str) else list(prompt)  # type: ignore[method-assign]
    preset = replace(CPU, rounds=1, answer=8, ways=(Way.AR, Way.VERIFIED_2))
    (network,) = last(lambda _: made, preset).networks
    assert [(each.engine, each.way) for each in network.rates] == [
        ("transformers", Way.AR), ("blockscope", Way.AR), ("blockscope", Way.VERIFIED_2),
    ]  # fmt: skip


def test_rows_take_turns_or_come_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[tuple[str, str]] = []
    decode = passes._Measuring._decode

    def noted(self: Any, row: Contender, prompt: int, length: int) -> Any:
        order.append((self.engine.model.id, row.way))
        return decode(self, row, prompt, length)

    monkeypatch.setattr(passes._Measuring, "_decode", noted)
    preset = replace(SHORT, networks=GPU.networks[:1], rounds=2)
    last(engine, preset)
    assert [way for _, way in order] == [Way.AR] * 3 + [Way.BLOCK_32_K3] * 3  # a warm-up, and two rounds
    order.clear()
    last(engine, replace(preset, in_turns=True))
    # transformers is the first row: it begins the first round, and ours the second
    a, b = Way.AR, Way.BLOCK_32_K3
    assert [way for _, way in order] == [a, b, a, b, a, b]


def test_prompts_hold_no_id_that_means_something_and_differ_by_row() -> None:
    bench = passes._Measuring(engine(GPU.networks[0]), PRESET, print)
    prompts = [bench._prompt(row, 200) for row in range(3)]
    assert {len(prompt) for prompt in prompts} == {200}
    assert not {MASK, STOP} & {token for prompt in prompts for token in prompt}
    assert len({tuple(prompt) for prompt in prompts}) == 3
    assert prompts[1] == bench._prompt(1, 200)
    assert bench._prompt(0) == prompts[0][:32]


def test_no_token_ends_an_endless_answer() -> None:
    def load(name: str) -> Engine:
        made = engine(name)
        return Engine(replace(made.model, stop_ids=tuple(range(20))))

    document = last(load, replace(SHORT, networks=GPU.networks[1:], full_answer=32))
    assert [each.tokens for network in document.networks for each in network.rates] == [32] * 5
    assert document.networks[0].passes[0].count == 31


def with_graphs(made: Engine) -> Engine:
    place = made.environment().model_copy(update={"graphs": True})
    made.environment = lambda: Environment.model_validate(place.model_dump())  # type: ignore[method-assign]
    return made


def test_every_stretch_of_entries_is_warmed_up_the_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int, int]] = []

    def decode(self: Any, row: Contender, prompt: int, length: int) -> None:
        made.append((row.batch, prompt, length))

    monkeypatch.setattr(passes._Measuring, "_decode", decode)
    work = passes._Measuring(with_graphs(engine(GPU.networks[0])), GPU, print)._warmed(
        Contender("blockscope", Way.AR, 4)
    )
    assert made == [(4, 512, 32), (4, 256, 32)]
    work()
    assert made[2:] == [(4, 256, 512)]


def test_patience_ends_the_rounds_and_one_is_always_made() -> None:
    document = last(engine, replace(PRESET, networks=GPU.networks[2:], patience=0.0))
    assert [(each.repeats, each.seconds.low) for each in document.networks[0].rates] == [(1, None), (1, None)]


def test_what_the_memory_does_not_hold_is_left_out_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = passes._Measuring._decode

    def full(self: Any, row: Contender, prompt: int, length: int) -> Any:
        if row.batch > 1 and row.way == Way.BLOCK_32_K3:
            raise torch.OutOfMemoryError("full")
        return decode(self, row, prompt, length)

    monkeypatch.setattr(passes._Measuring, "_decode", full)
    said: list[str] = []
    document = last(engine, replace(SHORT, networks=GPU.networks[:1], batches=(1, 2, 4)), said.append)
    network = document.networks[0]
    assert network.full == ("block 32, 3 tokens a pass at batch 2",)
    assert [(each.way, each.batch) for each in network.rates[1:]] == [
        (Way.AR, 1), (Way.BLOCK_32_K3, 1), (Way.AR, 2), (Way.AR, 4),
    ]  # fmt: skip
    assert any(line.endswith("block 32, 3 tokens a pass at batch 2 does not fit into memory") for line in said)
    assert "Did not fit into memory: block 32, 3 tokens a pass at batch 2." in tables(document)


def test_a_network_is_released_before_the_next_is_loaded() -> None:
    nets: list[weakref.ref[Any]] = []

    def load(name: str) -> Engine:
        gc.collect()
        assert all(net() is None for net in nets)
        made = engine(name)
        nets.append(weakref.ref(made.model.net))
        return made

    last(load, SHORT)
    assert len(nets) == 3


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="rounds is 0; allowed: 1 to 1000"):
        replace(GPU, rounds=0)
    with pytest.raises(ValueError, match="the model plain is autoregressive; allowed: one that decodes blocks"):
        last(lambda name: engine(name, QWEN2), replace(GPU, networks=("plain",)))
    with pytest.raises(ValueError, match="the model LLaDA decodes no causal blocks; allowed: one that does"):
        last(engine, replace(CPU, networks=("LLaDA",)))


def test_only_running_out_of_memory_is_no_answer() -> None:
    def fail(error: Exception) -> Callable[[], int]:
        def work() -> int:
            raise error

        return work

    assert device.none_if_oom(lambda: 3) == 3
    assert device.none_if_oom(fail(torch.OutOfMemoryError("full"))) is None
    with pytest.raises(RuntimeError, match="other"):
        device.none_if_oom(fail(RuntimeError("other")))
    assert device.peak_memory(torch.device("cpu")) is None


def test_the_gpu_command_needs_cuda_and_known_words(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(device, "has_cuda", lambda: False)
    assert main(["bench", "--suite", "gpu"]) == 2
    assert "suite is 'gpu', but this machine has no CUDA device; allowed here: cpu" in capsys.readouterr().err
    assert main(["bench", "--suite", "gpu", "--only", "70B"]) == 2
    assert f"only is '70B'; allowed with suite gpu: a part of {GPU.networks[0]}" in capsys.readouterr().err


def test_the_gpu_command_saves_each_part_and_prints_the_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    asked: list[tuple[str, str, str]] = []

    def load(name: str, *, device: str, dtype: str) -> Engine:
        asked.append((name, device, dtype))
        return engine(name)

    saved: list[int] = []

    def write(path: Path, text: str) -> None:
        saved.append(len(json.loads(text)["networks"][0]["rates"]))
        path.write_text(text)

    monkeypatch.setattr(device, "has_cuda", lambda: True)
    monkeypatch.setattr(device, "free_memory", lambda device=None: None)
    monkeypatch.setattr(Engine, "load", load)
    monkeypatch.setattr("dllm.cli.bench.write_file", write)
    out = tmp_path / "gpu.json"
    assert main(["bench", "--suite", "gpu", "--only", "LLaDA", "--rounds", "1", "--out", str(out)]) == 0
    assert asked == [(GPU.networks[2], "cuda", "bfloat16")]
    assert saved == [1, 2]
    document = Hardware.load(out)
    assert document.rounds == 1
    assert (document.networks[0].prompt, document.networks[0].answer) == (256, 256)
    assert capsys.readouterr().out == tables(document) + "\n"


def test_the_cpu_command_measures_the_model_it_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    def load(name: str, **_: Any) -> Engine:
        return Prompted(replace(engine(name).model, stop_ids=()))

    monkeypatch.setattr(Engine, "load", load)
    out = tmp_path / "cpu.json"
    words = ["--suite", "cpu", "--model", "mine", "--only", "block 8, 3", "--rounds", "1", "--out", str(out)]
    assert main(["bench", *words]) == 0
    (network,) = Hardware.load(out).networks
    assert network.name == "mine"
    assert {each.way for each in network.rates} == {Way.AR, Way.BLOCK_8_K3}
    assert "| AR (transformers)" in capsys.readouterr().out


@pytest.mark.parametrize("way", GPU.ways)
@pytest.mark.parametrize("batch", [1, 3])
def test_graphs_are_captured_before_the_clock_starts(way: Way, batch: int) -> None:
    captures: list[None] = []

    def noted(body: Callable[[], Any], place: torch.device) -> Any:
        captures.append(None)
        return taped(body, place)

    made = engine(GPU.networks[0])
    made._runner.executor = GraphCache(made.model.net, noted)
    preset = replace(GPU, prompt=224, answer=64)
    work = passes._Measuring(made, preset, print)._warmed(Contender("blockscope", way, batch))
    before = len(captures)
    assert before == 2  # entries up to 256, and up to 512
    work()
    assert len(captures) == before
