"""Equality with transformers: Qwen2 and Llama at random init, from folders whole and sharded, and the GGUF base."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import gguf
import pytest
import torch
import transformers
from torch import Tensor

from dllm.models.base_model import fetch_base_model
from dllm.models.families import LLAMA, Shape
from dllm.models.loader import build_network, choose_device, load, tiny
from dllm.models.tokenizer import load_tokenizer
from dllm.models.transformer import rope_table

SIZES = {
    "vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "rope_theta": 5e4, "eos_token_id": 5,
}  # fmt: skip
CONFIGS = {"qwen2": transformers.Qwen2Config, "llama": transformers.LlamaConfig}


def reference(family: str, folder: Path, *, tied: bool, shards: str = "1GB") -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    config = CONFIGS[family](**SIZES, tie_word_embeddings=tied)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for p in model.parameters():  # biases start at zero, norms at one: make them matter
        torch.nn.init.normal_(p, std=0.2)
    model.save_pretrained(folder, max_shard_size=shards)
    return model


def causal_logits(folder: Path, ids: Tensor) -> Tensor:
    net = load(folder, device="cpu").net
    mask = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    return net.head(net(ids, rope_table(net.shape, ids.shape[1], torch.device("cpu")), mask=mask))


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shards", ["1GB", "20KB"])
def test_logits_equal_transformers(family: str, tied: bool, shards: str, tmp_path: Path) -> None:
    theirs = reference(family, tmp_path, tied=tied, shards=shards)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shards == "20KB")
    ids = torch.randint(0, 90, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(causal_logits(tmp_path, ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)


def test_a_tied_head_is_the_embedding(tmp_path: Path) -> None:
    reference("llama", tmp_path, tied=True)
    model = load(tmp_path, device="cpu")
    assert model.net.head.weight.data_ptr() == model.net.embed.weight.data_ptr()
    assert model.stop_ids == (5,)
    assert model.dtype == "float32"


def test_dtype_and_device_have_one_door() -> None:
    assert choose_device("cpu", None, stored=torch.float32) == (torch.device("cpu"), torch.float32)
    assert choose_device("cpu", "float16", stored=torch.float32)[1] == torch.float16
    for device, dtype in (("tpu", None), ("cpu", "int4"), ("cuda:x", None)):
        with pytest.raises(ValueError, match="allowed"):
            choose_device(device, dtype, stored=torch.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "model_type is 'mamba'; allowed: qwen2"),
        ({"rope_scaling": {"rope_type": "yarn"}, "rope_parameters": None}, "rope scaling"),
        ({"hidden_size": 40, "head_dim": 8}, "does not fit"),
        ({"num_hidden_layers": 4}, "the checkpoint has no 'layers.3"),
        ({"num_hidden_layers": 2}, "does not fit; allowed: not a part"),
        ({"intermediate_size": None}, "no 'intermediate_size'"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(change: dict, message: str, tmp_path: Path) -> None:
    reference("llama", tmp_path, tied=False)
    config = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        load(tmp_path, device="cpu")


def test_what_is_not_a_model_is_refused(tmp_path: Path) -> None:
    for source, message in (
        (tmp_path, "no config.json"),
        (tmp_path / "x.gguf", "allowed"),
        ("org/name", "commit"),
        ("org/name@main", "commit"),
    ):
        with pytest.raises(ValueError, match=message):
            load(source)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ValueError, match=r"no model\.safetensors"):
        load(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
    with pytest.raises(ValueError, match="same folder"):
        load(tmp_path)


def test_weights_are_not_copied() -> None:
    """What is read in the wanted dtype is used as it is."""
    shape = Shape(8, 8, 1, 2, 2, 4, 8, rope_theta=1e4, norm_eps=1e-6, tied=False, qkv_bias=False, context=16)
    source = dict(tiny(shape).named_parameters())
    net = build_network(shape, source.items(), device=torch.device("cpu"), dtype=torch.float32)
    for name, p in net.named_parameters():
        assert p.data_ptr() == source[name].data_ptr()


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """The base model's file, which transformers would parse, and its names of tensors list, again and again."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GGUFReader", "get_tensor_name_map"):
            patch.setattr(gguf, name, cache(getattr(gguf, name)))
        yield fetch_base_model()


def test_the_gguf_base_equals_transformers_reading_of_it(base: Path) -> None:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        base.parent,
        gguf_file=base.name,
        quantization_config=transformers.GgufConfig(dequantize=True),
        dtype=torch.float32,
    ).eval()
    ours = load(base, device="cpu", dtype="float32").net
    tokenizer = load_tokenizer(base, LLAMA)
    assert tokenizer is not None
    ids = torch.tensor([tokenizer.chat("What is the capital of France?")])
    mask = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    rope = rope_table(ours.shape, ids.shape[1], torch.device("cpu"))
    with torch.no_grad():
        got, want = ours.head(ours(ids, rope, mask=mask)), theirs(ids).logits
    torch.testing.assert_close(got, want, rtol=1e-4, atol=2e-3)


def test_the_gguf_tokenizer_equals_transformers(base: Path) -> None:
    ours = load_tokenizer(base, LLAMA)
    theirs = transformers.AutoTokenizer.from_pretrained(base.parent, gguf_file=base.name)
    assert ours is not None
    for text in ("Hello 12345 wörld's  \n\n\t def f(x):\n    return x+1", "日本語 🎉 <|im_start|>user", " a  b", ""):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)
    assert ours.decode([*ours.encode("Paris."), 2]) == "Paris."
    chat = ours.chat("Hi <|im_end|> there")
    assert chat.count(2) == 2  # the system's and the user's own ends: a spelled-out one ends nothing
    assert ours.piece(2) == "<|im_end|>"
    assert ours.encode(ours.piece(16)) == [16]  # the mask of the converted model
    assert 16 not in ours.chat(ours.piece(16))
    assert ours.piece(10**6) == "<1000000>"
