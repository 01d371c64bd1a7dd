"""A merged adapter is the trained network, and the base stays as it was."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from dllm.engine.engine import DRAFTS, FULL, SHIPPED, TWIN
from dllm.models.adapter import FORMAT, merge
from dllm.models.base_model import BASE
from dllm.models.checkpoint import sha256_of
from dllm.models.families import LLAMA
from dllm.models.loader import Model, tiny
from dllm.models.transformer import rope_table
from dllm.training.lora import LoRALinear, save_adapter, wrap
from tests.dllm.nets import MASK, shape_of

TOKENS = torch.tensor([[1, 2, MASK, 4, MASK, 6]])
METADATA = {"format": FORMAT, "base_sha256": "ab" * 32, "rank": "3", "scale": "1.5", "mask_id": str(MASK)}


def base(tied: bool = True) -> Model:
    net = tiny(shape_of(LLAMA, tied=tied), seed=2)
    return Model("tiny", LLAMA, net, None, (1,), "ab" * 32)


def states(model: Model) -> torch.Tensor:
    n = TOKENS.shape[1]
    return model.net(TOKENS, rope_table(model.net.shape, n, torch.device("cpu")))


def trained(path: Path) -> Model:
    """A wrapped network with parameters away from their start, written to path in the shipped dtype."""
    model = base()
    parameters = wrap(model.net, rank=3, scale=1.5, mask_id=MASK)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in parameters.values():
            # bf16 values, so that the file holds them exactly
            p.copy_(torch.randn(p.shape, generator=generator).mul(0.3).bfloat16())
    save_adapter(path, parameters, METADATA)
    return model


def test_merged_equals_wrapped(tmp_path: Path) -> None:
    wrapped = trained(tmp_path / "a.safetensors")
    merged = merge(base(), tmp_path / "a.safetensors")
    torch.testing.assert_close(states(merged), states(wrapped), rtol=1e-4, atol=1e-5)
    assert (states(merged) - states(base())).abs().max() > 0.1


@pytest.mark.parametrize("tied", [True, False])
def test_base_is_shared_and_unchanged(tmp_path: Path, tied: bool) -> None:
    trained(tmp_path / "a.safetensors")
    model = base(tied)
    before = {name: t.clone() for name, t in model.net.state_dict().items()}
    merged = merge(model, tmp_path / "a.safetensors")
    after, other = model.net.state_dict(), merged.net.state_dict()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
        shared = "norm" in name or name in ("embed.weight", "head.weight")
        assert (after[name].data_ptr() == other[name].data_ptr()) is shared, name
    assert model.net.mask_vector is None
    assert model.spec.attentions == LLAMA.attentions


def test_what_decoding_must_know(tmp_path: Path) -> None:
    trained(tmp_path / "a.safetensors")
    merged = merge(base(), tmp_path / "a.safetensors")
    assert merged.mask_id == merged.net.mask_id == MASK
    assert merged.spec.attentions == ("block_causal", "bidirectional")
    assert merged.spec.shift == 1
    assert not any(p.requires_grad for p in merged.net.parameters())


def test_wrapping_changes_nothing_at_first() -> None:
    model = base()
    plain = states(model)
    wrap(model.net, rank=2, scale=2.0, mask_id=MASK - 1)  # the mask's own vector is new; no such token here
    torch.testing.assert_close(states(model), plain, rtol=0, atol=0)
    assert all(isinstance(layer.q, LoRALinear) for layer in model.net.layers)
    with pytest.raises(ValueError, match="rank is 0"):
        wrap(base().net, rank=0, scale=2.0, mask_id=MASK)


def test_another_base_is_refused(tmp_path: Path) -> None:
    trained(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"was made for weights with sha256 abab.*not cdcd"):
        merge(replace(base(), sha256="cd" * 32), tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"layers.0.q.a": torch.zeros(3, 5)}, r"adapter of layers\.0\.q"),
        ({"layers.0.q.a": torch.zeros(2, 16)}, r"adapter of layers\.0\.q"),
        ({"layers.9.q.a": torch.zeros(3, 16)}, r"has 'layers\.9\.q\.a'"),
        ({"layers.0.q.b": None}, r"has 'layers\.0\.q\.a'"),
        ({"mask_vector": None}, "is no adapter"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(tmp_path: Path, change: dict, what: str) -> None:
    parameters = {**wrap(base().net, rank=3, scale=1.5, mask_id=MASK), **change}
    save_adapter(tmp_path / "a.safetensors", {n: p for n, p in parameters.items() if p is not None}, METADATA)
    with pytest.raises(ValueError, match=what):
        merge(base(), tmp_path / "a.safetensors")


def test_no_file_and_no_adapter_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no adapter"):
        merge(base(), tmp_path / "none.safetensors")
    save_adapter(tmp_path / "a.safetensors", {"mask_vector": torch.zeros(16)}, {"format": "other"})
    with pytest.raises(ValueError, match="is no adapter: its format is 'other'"):
        merge(base(), tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("name", "attentions"), [(TWIN, ["block_causal"]), (DRAFTS, ["hybrid"]), (FULL, ["bidirectional"])]
)
def test_a_shipped_adapter_is_what_its_name_says(name: str, attentions: list[str]) -> None:
    path = SHIPPED / name
    assert path.stat().st_size <= 10_000_000
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict
    assert metadata["format"] == FORMAT
    assert json.loads(metadata["attentions"]) == attentions
    base = BASE.sha256
    if name != TWIN:  # made for the twin, which is the base and its adapter
        base = hashlib.sha256(f"{BASE.sha256} {sha256_of(SHIPPED / TWIN)}".encode()).hexdigest()
    assert metadata["base_sha256"] == base
    assert ("mask_vector" in shapes) == ("mask_id" in metadata) == (name != TWIN)
    assert shapes.get("mask_vector", (576,)) == (576,)
    rank = int(metadata["rank"])
    assert shapes["layers.29.down.a"] == (rank, 1536)
    assert shapes["layers.29.down.b"] == (576, rank)
