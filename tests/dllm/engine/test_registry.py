"""The models that can be named: what their cards say, and how they are loaded by name."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dllm.engine import Engine
from dllm.engine.registry import MODELS, ModelEntry, memory, offered_models
from dllm.models.kv_cache import KVCache
from dllm.models.loader import load
from dllm.models.transformer import Transformer
from dllm.settings import Settings, SettingsError
from tests.goldens_io import GOLDENS

PUBLISHED = {  # billions of parameters, as their authors give them
    "default": 0.1345,
    "Efficient-Large-Model/Fast_dLLM_v2_1.5B": 1.54,
    "Efficient-Large-Model/Fast_dLLM_v2_7B": 7.62,
    "GSAI-ML/LLaDA-8B-Instruct": 8.02,
    "GSAI-ML/LLaDA-1.5": 8.02,
    "Dream-org/Dream-v0-Instruct-7B": 7.62,
    "Qwen/Qwen2.5-0.5B-Instruct": 0.494,
    "Qwen/Qwen2.5-1.5B-Instruct": 1.54,
    "Qwen/Qwen2.5-3B-Instruct": 3.09,
    "Qwen/Qwen2.5-7B-Instruct": 7.62,
    "Qwen/Qwen2.5-14B-Instruct": 14.8,
    "Qwen/Qwen2.5-32B-Instruct": 32.8,
}
V2 = "Efficient-Large-Model/Fast_dLLM_v2_1.5B"
SMALL = {
    "vocab_size": 151936, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "num_key_value_heads": 1, "tie_word_embeddings": True, "max_position_embeddings": 64,
}  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the model hub's client."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cached(cache: Path, name: str, revision: str) -> Path:
    """A small Fast-dLLM v2 where the client keeps what it has fetched."""
    folder = cache / f"models--{name.replace('/', '--')}" / "snapshots" / revision
    shutil.copytree(GOLDENS / "fast_dllm_v2_a", folder, ignore=shutil.ignore_patterns("logits*"))
    return folder


def test_parameters_follow_from_the_shape_and_are_those_published() -> None:
    assert set(PUBLISHED) == set(MODELS)
    for name, card in MODELS.items():
        with torch.device("meta"):
            net = Transformer(card.shape)
        head = net.head.weight.numel() if card.shape.tied else 0
        assert card.parameters == sum(p.numel() for p in net.parameters()) - head, name
        assert card.parameters / 1e9 == pytest.approx(PUBLISHED[name], rel=4e-3), name


def test_memory_is_that_of_the_weights_and_of_a_thousand_positions() -> None:
    assert memory(MODELS["GSAI-ML/LLaDA-8B-Instruct"]).weights / 1e9 == pytest.approx(16.03, abs=5e-3)
    assert memory(MODELS["Dream-org/Dream-v0-Instruct-7B"]).weights / 1e9 == pytest.approx(15.23, abs=5e-3)
    for card in MODELS.values():
        for dtype in (torch.bfloat16, torch.float32):
            kv = KVCache.empty(card.shape, 1000, batch=1, dtype=dtype, device=torch.device("meta"))
            needed = memory(card, dtype.itemsize)
            assert needed.cache == kv.keys.nbytes + kv.values.nbytes
            assert needed.weights == card.parameters * dtype.itemsize


@pytest.mark.parametrize("name", MODELS)
def test_what_a_card_says_can_be(name: str) -> None:
    card = MODELS[name]
    ids = [*card.spec.stop_ids, *([] if card.spec.mask_id is None else [card.spec.mask_id])]
    assert all(0 <= i < card.shape.vocab for i in ids)
    assert card.shape.heads % card.shape.kv_heads == 0
    assert card.title
    assert card.about.endswith(".")
    assert card.licence
    if name != "default":  # its weights are known by their sha256
        assert re.fullmatch("[0-9a-f]{40}", card.revision or "")


def test_the_default_models_card_is_true_of_it() -> None:
    engine, card = Engine.load(device="cpu"), MODELS["default"]
    assert engine.model.parameters == card.parameters
    assert (engine.model.mask_id, engine.model.stop_ids) == (card.spec.mask_id, card.spec.stop_ids)
    assert engine.traits.attentions == card.spec.attentions
    epsilon = engine.model.net.shape.norm_eps  # a float32 in the file
    assert epsilon == pytest.approx(card.shape.norm_eps)
    assert engine.model.net.shape == replace(card.shape, norm_eps=epsilon)


def test_cards_need_no_torch() -> None:
    code = "import sys, dllm.engine.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_page_offers_what_its_owner_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BLOCKSCOPE_MODELS", raising=False)
    assert list(offered_models()) == ["default"]
    monkeypatch.setenv("BLOCKSCOPE_MODELS", f" {V2} ,default,")
    assert offered_models() == {"default": MODELS["default"], V2: MODELS[V2]}
    monkeypatch.setenv("BLOCKSCOPE_MODELS", "Qwen/Qwen2.5-7B")
    with pytest.raises(SettingsError, match=r"BLOCKSCOPE_MODELS names 'Qwen/Qwen2.5-7B'; allowed: default, Eff"):
        offered_models()


def test_a_name_is_loaded_from_the_hubs_cache_at_its_commit(cache: Path) -> None:
    revision = MODELS[V2].revision
    assert revision
    told: list[tuple[str, int, int]] = []
    size = (cached(cache, V2, revision) / "model.safetensors").stat().st_size
    engine = Engine.load(V2, device="cpu", progress=lambda *words: told.append(words))
    run = engine.run([1, 2, 3], Settings(gen_length=4, block_size=4))
    list(run)
    assert json.loads(run.trace().to_json())["model"]["id"] == f"{V2}@{revision}"
    assert told == [("Loading the weights", 0, size)]


def test_another_commit_in_the_cache_is_not_taken(cache: Path) -> None:
    cached(cache, V2, "0" * 40)
    with pytest.raises(OSError, match=f"{V2} at {MODELS[V2].revision} could not be had: "):
        Engine.load(V2, device="cpu")
    assert load(f"{V2}@{'0' * 40}", device="cpu").id == f"{V2}@{'0' * 40}"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_random_weights_take_a_cards_place(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "org/small", ModelEntry("Small", "none", "A test.", "Fast_dLLM_Qwen", SMALL, "0" * 40))
    engine = Engine.load("random:org/small", device="cpu", dtype=dtype)
    model = engine.model
    assert (model.id, model.sha256, model.dtype, model.tokenizer) == ("random:org/small", None, dtype, None)
    assert (model.mask_id, model.stop_ids, model.net.mask_id) == (151665, (151645,), 151665)
    assert model.parameters == MODELS["org/small"].parameters
    assert model.net.head.weight is model.net.embed.weight
    assert model.net.embed.weight.float().std().item() == pytest.approx(0.02, rel=0.02)
    assert set(model.net.norm.weight.tolist()) == {1.0}
    again = Engine.load("random:org/small", device="cpu", dtype=dtype).model.net
    assert all(torch.equal(p, q) for p, q in zip(model.net.parameters(), again.parameters(), strict=True))
    run = engine.run([1, 2, 3], Settings(gen_length=4, block_size=4, stop_ids=()))
    list(run)
    assert len(run.trace().output) == 4


@pytest.mark.parametrize("name", ["random:default", "random:", "random:gpt"])
def test_random_weights_have_the_shape_of_a_card(name: str) -> None:
    with pytest.raises(ValueError, match=f"model is '{name}'; allowed: random: before one of Efficient"):
        Engine.load(name, device="cpu")
