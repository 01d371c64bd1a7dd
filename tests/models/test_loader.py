"""Checkpoints of several files: how they are read, what is held meanwhile, and what is said of broken ones."""

import gc
import json
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dllm.models import checkpoint, loader
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, LLAMA, QWEN2, ModelSpec, Shape
from dllm.models.loader import load
from tests.goldens_io import GOLDENS

BYTES = 40_000


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """The golden LLaDA in several files."""
    source = GOLDENS / "llada"
    weights, files, place = load_file(source / "model.safetensors"), [{}], {}
    for name, tensor in weights.items():
        if sum(t.nbytes for t in files[-1].values()) + tensor.nbytes > BYTES:
            files.append({})
        files[-1][name] = tensor
        place[name] = f"model-{len(files)}.safetensors"
    for i, part in enumerate(files):
        save_file(part, tmp_path / f"model-{i + 1}.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": place}))
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    return tmp_path


def test_shards_are_one_checkpoint(shards: Path) -> None:
    told: list[tuple[str, int, int]] = []
    whole, parts = load(GOLDENS / "llada", device="cpu"), load(shards, device="cpu", progress=lambda *w: told.append(w))
    for (name, p), q in zip(whole.net.named_parameters(), parts.net.parameters(), strict=True):
        assert torch.equal(p, q), name
    sizes = [file.stat().st_size for file in sorted(shards.glob("*.safetensors"))]
    assert len(sizes) > 2
    assert told == [("Loading the weights", sum(sizes[:i]), sum(sizes)) for i in range(len(sizes))]


def test_where_the_dtype_changes_one_tensor_is_held_beside_the_weights(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[weakref.ref[Tensor]] = []
    held: list[int] = []

    class Watched:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.file = safe_open(*args, **kwargs)

        def __enter__(self) -> "Watched":
            self.file.__enter__()
            return self

        def __exit__(self, *args: Any) -> None:
            self.file.__exit__(*args)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def get_tensor(self, name: str) -> Tensor:
            held.append(sum(each() is not None for each in read))
            tensor = self.file.get_tensor(name)
            read.append(weakref.ref(tensor))
            return tensor

    monkeypatch.setattr(checkpoint, "safe_open", Watched)
    gc.disable()  # nothing may wait for it
    try:
        model = load(shards, device="cpu", dtype="bfloat16")
    finally:
        gc.enable()
    assert len(held) == len(list(model.net.parameters()))
    assert set(held) == {0}
    assert not any(each() is not None for each in read)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(truncate, "cannot be read: "), (empty, "cannot be read: "), (Path.unlink, "is missing; model.safetensors.index")],
)
@pytest.mark.parametrize("shard", [1, 2])
def test_a_broken_shard_is_named(shard: int, spoil: Callable[[Path], None], message: str, shards: Path) -> None:
    spoil(shards / f"model-{shard}.safetensors")
    with pytest.raises(ValueError, match=rf"model-{shard}\.safetensors {message}"):
        load(shards, device="cpu")


def ours_to_theirs(spec: ModelSpec, name: str) -> str:
    for theirs, ours in spec.rename.items():
        if ours in name and (theirs.startswith(".") or name.startswith(ours)):
            name = name.replace(ours, theirs, 1)
    return name


@pytest.mark.parametrize(
    ("model_type", "spec", "eos", "stops"),
    [
        ("llada", LLADA, 126081, (126081, 126348)),  # as published: the end of a turn is not named
        ("Dream", DREAM, 151643, (151643, 151645)),
        ("Fast_dLLM_Qwen", FAST_DLLM_V2, 151645, (151645,)),
        ("qwen2", QWEN2, 151645, (151645, 151643)),
        ("qwen2", QWEN2, [7, 8], (7, 8)),
        ("llama", LLAMA, None, (2,)),
    ],
)
def test_an_answer_ends_where_the_family_ends_it(
    model_type: str, spec: ModelSpec, eos: int | list[int] | None, stops: tuple[int, ...], tmp_path: Path
) -> None:
    sizes = {
        "vocab_size": 151936, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "num_key_value_heads": 1, "tie_word_embeddings": True,
    }  # fmt: skip
    config = {spec.keys.get(key, key): value for key, value in sizes.items()}
    net = loader.tiny(spec.shape(config))
    weights = {ours_to_theirs(spec, name): p for name, p in net.named_parameters()}
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type, "eos_token_id": eos, **config}))
    model = load(tmp_path, device="cpu")
    assert model.stop_ids == stops
    assert model.mask_id == spec.mask_id


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_random_weights_are_made_as_they_stay(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill, made = loader.build_network, {}

    def watched(shape: Shape, named: Iterable[tuple[str, Tensor]], **more: Any) -> Any:
        return fill(shape, ((name, made.setdefault(name, weight)) for name, weight in named), **more)

    monkeypatch.setattr(loader, "build_network", watched)
    shape = Shape(64, 8, 2, 2, 1, 4, 16, rope_theta=1e4, norm_eps=1e-6, tied=True, qkv_bias=True, context=8)
    net = loader.load_random("a", QWEN2, shape, device="cpu", dtype=dtype).net
    assert set(made) == {name for name, _ in net.named_parameters()}
    for name, weight in net.named_parameters():
        assert weight.dtype == loader.DTYPES[dtype]
        assert weight.data_ptr() == made[name].data_ptr()
        assert (weight == 1).all() == ("norm" in name)
