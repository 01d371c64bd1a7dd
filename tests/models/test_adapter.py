"""An adapter beside a base: the base, bit by bit, at known tokens; the merged network's products at masks."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dllm.models.adapter import FORMAT, attach, merge
from dllm.models.attention import AttentionMask
from dllm.models.families import LLAMA
from dllm.models.kv_cache import KVCache
from dllm.models.linear import LowRank, PackedLinear, packable
from dllm.models.loader import Model, tiny
from dllm.models.runner import pack_weights
from dllm.models.transformer import KVView, Transformer, rope_table
from dllm.training.lora import TARGETS, save_adapter, wrap
from tests.dllm.nets import MASK, shape_of

CPU = torch.device("cpu")
SHA = "ab" * 32


def base(dtype: torch.dtype = torch.float64) -> Model:
    return Model("tiny", LLAMA, tiny(shape_of(LLAMA), seed=2).to(dtype), None, (1,), SHA)


def saved(path: Path, *, mask: int | None = MASK, attentions: tuple[str, ...] = ("hybrid",), first: int = 0) -> Path:
    """An adapter with parameters away from their start, in values that its file holds exactly."""
    parameters = wrap(base().net, rank=3, scale=1.5, mask_id=mask, first=first)
    generator = torch.Generator().manual_seed(7)
    tensors = {n: torch.randn(p.shape, generator=generator).mul(0.3).bfloat16() for n, p in parameters.items()}
    metadata = {"format": FORMAT, "base_sha256": SHA, "rank": "3", "scale": "1.5", "attentions": json.dumps(attentions)}
    save_adapter(path, tensors, metadata | ({} if mask is None else {"mask_id": str(mask)}))
    return path


@torch.inference_mode()
def states(net: Transformer, tokens: list[int], sees: Tensor, masks: slice | Tensor | None = None) -> Tensor:
    """Hidden states (n, hidden) where each token sees what `sees` (n, n) says."""
    n = len(tokens)
    rope = rope_table(net.shape, n, CPU)
    return net.forward_varlen(torch.tensor([tokens]), rope, [KVView(AttentionMask(sees))], [n], masks=masks)[0]


def hybrid_sees(n: int, masks: list[int]) -> Tensor:
    sees = torch.ones(n, n, dtype=torch.bool).tril()
    sees[:, masks] = False
    sees[masks] = True
    return sees


def test_known_tokens_are_the_base_bit_by_bit(tmp_path: Path) -> None:
    model, tokens, masks = base(), [1, 2, 3, 4, 5, MASK, MASK], [5, 6]
    net = attach(model, saved(tmp_path / "a.safetensors")).net
    got = states(net, tokens, hybrid_sees(7, masks), slice(5, 7))
    want = states(model.net, tokens[:5], torch.ones(5, 5, dtype=torch.bool).tril())
    torch.testing.assert_close(got[:5], want, rtol=0, atol=1e-14)  # a sum over more columns may round differently
    for layer, plain in zip(net.layers, model.net.layers, strict=True):
        x = torch.randn(1, 7, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        for (product, parts), (bare, own) in zip(layer.projections(), plain.projections(), strict=True):
            wide = x if parts[0].in_features == 16 else x.repeat(1, 1, 2)[..., : parts[0].in_features]
            assert torch.equal(product(wide, *parts, adapted=slice(5, 7))[:, :5], bare(wide, *own)[:, :5])


def merged_exactly(path: Path) -> Transformer:
    """W + scale · B A in fp64, where `merge` computes in fp32."""
    model, pairs = base(), {name: t.double() for name, t in load_file(path).items()}
    for index, layer in enumerate(model.net.layers):
        for name in TARGETS:
            low = pairs[f"layers.{index}.{name}.b"] @ pairs[f"layers.{index}.{name}.a"]
            getattr(layer, name).weight.data += 1.5 * low
    model.net.mask_id, model.net.mask_vector = MASK, pairs["mask_vector"]
    return model.net


def test_masks_are_the_merged_network(tmp_path: Path) -> None:
    """Were all tokens masks, it would be the merged network with the mask's vector everywhere."""
    path = saved(tmp_path / "a.safetensors")
    net, merged = attach(base(), path).net, merged_exactly(path)
    whole = torch.ones(6, 6, dtype=torch.bool)
    got = states(net, [MASK] * 6, whole, slice(0, 6))
    torch.testing.assert_close(got, states(merged, [MASK] * 6, whole), rtol=0, atol=1e-12)
    for layer, other in zip(net.layers, merged.layers, strict=True):
        for (product, parts), (_, dense) in zip(layer.projections(), other.projections(), strict=True):
            x = torch.randn(1, 5, parts[0].in_features, dtype=torch.float64)
            want = torch.cat([x @ part.weight.T for part in dense], dim=-1)
            torch.testing.assert_close(product(x, *parts, adapted=slice(0, 5)), want, rtol=0, atol=1e-12)


def test_rows_in_a_run_and_rows_by_index_are_alike(tmp_path: Path) -> None:
    net = attach(base(), saved(tmp_path / "a.safetensors")).net
    tokens, sees = [1, 2, MASK, MASK, 3], hybrid_sees(5, [2, 3])
    run, listed = (states(net, tokens, sees, rows) for rows in (slice(2, 4), torch.tensor([2, 3])))
    torch.testing.assert_close(run, listed, rtol=0, atol=1e-14)
    assert (run - states(net, tokens, sees)).abs().max() > 0.1  # the adapter does something


def test_scattered_masks_are_each_as_alone(tmp_path: Path) -> None:
    net = attach(base(), saved(tmp_path / "a.safetensors")).net
    alone = torch.eye(5, dtype=torch.bool)
    got = states(net, [1, MASK, 2, MASK, 3], alone, torch.tensor([1, 3]))
    plain = states(base().net, [1, 5, 2, 5, 3], alone)
    mask = states(net, [MASK] * 5, alone, slice(0, 5))
    torch.testing.assert_close(got[[0, 2, 4]], plain[[0, 2, 4]], rtol=0, atol=1e-14)
    torch.testing.assert_close(got[[1, 3]], mask[[1, 3]], rtol=0, atol=1e-14)


def test_a_prompt_may_hold_the_masks_id(tmp_path: Path) -> None:
    """A mask is a state: the same id in a text is the base's own token, in passes with masks and without."""
    model = base()
    net = attach(model, saved(tmp_path / "a.safetensors")).net
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    want = states(model.net, [1, MASK, 2, MASK], causal)
    torch.testing.assert_close(states(net, [1, MASK, 2, MASK], causal), want, rtol=0, atol=0)
    beside = states(net, [1, MASK, 2, MASK, MASK], hybrid_sees(5, [4]), slice(4, 5))
    torch.testing.assert_close(beside[:4], want, rtol=0, atol=1e-14)


def test_a_copy_in_another_dtype_keeps_the_adapter(tmp_path: Path) -> None:
    """As drift is measured, for a network of fewer bits."""
    path = saved(tmp_path / "a.safetensors")
    tokens, sees = [1, 2, MASK, MASK], hybrid_sees(4, [2, 3])
    copied = deepcopy(attach(base(torch.float32), path).net).double()
    said, other = (states(net, tokens, sees, slice(2, 4)) for net in (copied, attach(base(torch.float32), path).net))
    torch.testing.assert_close(said.float(), other, rtol=1e-4, atol=1e-4)
    assert (said - states(copied, tokens, sees)).abs().max() > 0.1


def test_layers_below_the_first_keep_the_bases_products(tmp_path: Path) -> None:
    net = attach(base(), saved(tmp_path / "a.safetensors", first=1)).net
    lows = [[product.adapter is not None for product, _ in layer.projections()] for layer in net.layers]
    assert lows == [[False] * 4, [True] * 4]


def test_an_adapter_of_no_layer_is_refused(tmp_path: Path) -> None:
    for first in (-1, 2):
        with pytest.raises(ValueError, match=f"first_layer is {first}; allowed: 0 to 1"):
            saved(tmp_path / "a.safetensors", first=first)
    metadata = {"format": FORMAT, "base_sha256": SHA, "rank": "3", "scale": "1.5", "attentions": '["hybrid"]'}
    save_adapter(tmp_path / "b.safetensors", {"mask_vector": torch.zeros(16)}, metadata | {"mask_id": str(MASK)})
    for put in (attach, merge):
        with pytest.raises(ValueError, match=r"b\.safetensors changes no layer; allowed: at least one pair"):
            put(base(), tmp_path / "b.safetensors")


def test_all_weights_are_the_bases_own(tmp_path: Path) -> None:
    model = base()
    other = attach(model, saved(tmp_path / "a.safetensors"))
    for name, tensor in model.net.state_dict().items():
        assert other.net.state_dict()[name].data_ptr() == tensor.data_ptr(), name
    assert other.parameters == model.parameters
    assert (other.mask_id, other.spec.attentions, other.sha256) == (MASK, ("hybrid",), SHA)
    assert model.net.mask_vector is None
    assert all(product.adapter is None for layer in model.net.layers for product, _ in layer.projections())


@pytest.mark.skipif(not packable(torch.zeros(1, dtype=torch.bfloat16)), reason="oneDNN is not there")
def test_packed_weights_answer_as_plain_ones(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors")
    plain, packed = (attach(base(torch.bfloat16), path).net for _ in range(2))
    pack_weights(packed)
    exact = attach(base(torch.float32), path).net
    tokens, masks = [1, 2, 3, 4, MASK, MASK, MASK], [4, 5, 6]
    sees = hybrid_sees(7, masks)
    said = {name: states(n, tokens, sees, slice(4, 7)).float() for name, n in (("p", plain), ("q", packed))}
    want = states(exact, tokens, sees, slice(4, 7))
    bound = 2 * (said["p"] - want).abs().max() + 0.02
    assert (said["q"] - want).abs().max() <= bound
    assert packed.layers[0].qkv_proj._packed is not None
    assert packed.layers[0].qkv_proj.adapter is not None


def test_joined_weights_answer_as_plain_ones(tmp_path: Path) -> None:
    """As they lie on a CUDA device, where the residual is added by the product itself."""
    path = saved(tmp_path / "a.safetensors")
    plain, joined = (attach(base(), path).net for _ in range(2))
    for layer in joined.layers:
        for product, parts in layer.projections():
            product.join(*parts)
    tokens, sees = [1, 2, 3, MASK, MASK], hybrid_sees(5, [3, 4])
    for rows in (slice(3, 5), torch.tensor([3, 4])):
        torch.testing.assert_close(states(joined, tokens, sees, rows), states(plain, tokens, sees, rows))


@pytest.mark.parametrize("rows", [slice(1, 4), torch.tensor([0, 2, 4])])
def test_low_by_definition(rows: slice | Tensor) -> None:
    """x ↦ scale · B A x for each map at its own place, nothing for a map without a pair."""
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 6, generator=g), torch.randn(4, 2, generator=g)
    c, d = torch.randn(3, 6, generator=g), torch.randn(5, 3, generator=g)
    x, out = torch.randn(1, 5, 6, generator=g), torch.randn(1, 5, 16, generator=g)
    want = out.clone()
    want[0, rows, :4] += 0.5 * x[0, rows] @ a.T @ b.T
    want[0, rows, 11:] += 0.5 * x[0, rows] @ c.T @ d.T
    LowRank([(a, b), None, (c, d)], [4, 7, 5], 0.5).add(x, out, rows)
    torch.testing.assert_close(out, want)


def test_without_rows_the_adapter_is_silent() -> None:
    part, x = torch.nn.Linear(4, 3, bias=False), torch.randn(1, 5, 4)
    product = PackedLinear()
    product.adapter = LowRank([(torch.randn(2, 4), torch.randn(3, 2))], [3], 1.0)
    assert torch.equal(product(x, part), part(x))


def test_what_is_not_for_masks_alone_is_refused(tmp_path: Path) -> None:
    for name, attentions, message in (
        ("full", ("bidirectional",), "full.safetensors is for bidirectional attention; allowed: hybrid"),
        ("both", ("block_causal", "bidirectional"), "is for block_causal, bidirectional attention; allowed: hybrid"),
    ):
        with pytest.raises(ValueError, match=message):
            attach(base(), saved(tmp_path / f"{name}.safetensors", attentions=attentions))
    with pytest.raises(ValueError, match=r"for block_causal attention; allowed: hybrid"):
        attach(base(), saved(tmp_path / "ar.safetensors", mask=None, attentions=("block_causal",)))
    path = saved(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=f"made for weights with sha256 {SHA}, not cdcd"):
        attach(replace(base(), sha256="cd" * 32), path)
    with pytest.raises(ValueError, match="there is no adapter"):
        attach(base(), tmp_path / "none.safetensors")
    small = Model("small", LLAMA, tiny(shape_of(LLAMA, hidden=8), seed=2).double(), None, (1,), SHA)
    with pytest.raises(ValueError, match=r"adapter of layers\.0\.q"):
        attach(small, path)
    short = Model("short", LLAMA, tiny(shape_of(LLAMA, layers=1), seed=2).double(), None, (1,), SHA)
    with pytest.raises(ValueError, match=r"the adapter has 'layers\.1\.down\.a', which short has not"):
        attach(short, path)


def test_an_adapter_without_a_mask_makes_an_ar_model_of_an_ar_model(tmp_path: Path) -> None:
    model, path = base(), saved(tmp_path / "ar.safetensors", mask=None, attentions=("block_causal",))
    twin = merge(model, path)
    assert twin.mask_id is None
    assert twin.net.mask_vector is None
    assert twin.spec == model.spec
    assert twin.sha256 is not None
    assert len(twin.sha256) == 64
    assert twin.sha256 == merge(base(), path).sha256
    other = merge(replace(base(), sha256=SHA), saved(tmp_path / "b.safetensors", mask=None, first=1))
    assert len({twin.sha256, other.sha256, SHA}) == 3
    tokens = list(range(1, 6))
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    wrapped = base()
    parameters = wrap(wrapped.net.float(), rank=3, scale=1.5, mask_id=None)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for p in parameters.values():
            p.copy_(torch.randn(p.shape, generator=generator).mul(0.3).bfloat16())
    torch.testing.assert_close(
        states(twin.net, tokens, causal).float(), states(wrapped.net, tokens, causal), rtol=1e-4, atol=1e-4
    )


def test_adapters_of_the_twin_go_on_the_twin_only(tmp_path: Path) -> None:
    path = saved(tmp_path / "ar.safetensors", mask=None, attentions=("block_causal",))
    twin = merge(base(), path)
    with pytest.raises(ValueError, match="was made for weights"):
        attach(twin, saved(tmp_path / "a.safetensors"))


def test_a_cache_beside_masks_holds_what_ar_holds(tmp_path: Path) -> None:
    """Keys and values of known tokens, written in a pass with masks, are the base's."""
    model, tokens = base(), [1, 2, 3, 4, MASK, MASK]
    net = attach(model, saved(tmp_path / "a.safetensors")).net
    caches = [KVCache.empty(net.shape, 6, batch=1, dtype=torch.float64, device=CPU) for _ in range(2)]
    rope = rope_table(net.shape, 6, CPU)
    with torch.inference_mode():
        view = KVView(AttentionMask(hybrid_sees(6, [4, 5])), caches[0].layer_entries(6), slice(0, 6))
        net.forward_varlen(torch.tensor([tokens]), rope, [view], [6], masks=slice(4, 6))
        view = KVView(AttentionMask(torch.ones(4, 4, dtype=torch.bool).tril()), caches[1].layer_entries(4), slice(0, 4))
        model.net.forward_varlen(torch.tensor([tokens[:4]]), rope[:, :4], [view], [4])
    for ours, ar in zip((caches[0].keys, caches[0].values), (caches[1].keys, caches[1].values), strict=True):
        torch.testing.assert_close(ours[:, :, :, :4], ar[:, :, :, :4], rtol=0, atol=1e-14)
