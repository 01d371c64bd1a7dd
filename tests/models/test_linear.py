from copy import deepcopy

import pytest
import torch

from dllm.models.families import QWEN2
from dllm.models.kv_cache import KVCache
from dllm.models.linear import PackedLinear, packable
from dllm.models.loader import tiny
from dllm.models.runner import pack_weights
from dllm.models.transformer import Transformer, rope_table
from tests.dllm.nets import shape_of

needs_packing = pytest.mark.skipif(not packable(torch.zeros(1, dtype=torch.bfloat16)), reason="oneDNN is not there")
CPU = torch.device("cpu")


def states(net: Transformer, n: int = 7) -> torch.Tensor:
    """Logits of n tokens in two passes over one KV cache, as decoding makes them."""
    ids = torch.arange(n)[None] % net.shape.vocab
    rope = rope_table(net.shape, n, CPU)
    cache = KVCache.empty(net.shape, n, batch=1, dtype=net.norm.weight.dtype, device=CPU)
    with torch.inference_mode():
        first = net(ids[:, :3], rope[:, :3], cache=cache, at=slice(0, 3), visible=3)
        second = net(ids[:, 3:], rope[:, 3:], cache=cache, at=slice(3, n), visible=n)
        return net.logits(torch.cat((first, second), dim=1)).float()


def bf16_net() -> Transformer:
    return tiny(shape_of(QWEN2), seed=3).bfloat16()


def packed_net() -> Transformer:
    net = bf16_net()
    pack_weights(net)
    return net


@needs_packing
def test_a_packed_network_says_what_it_said_before() -> None:
    plain, packed = bf16_net(), packed_net()
    wide = states(deepcopy(plain).float())
    apart = (states(packed) - wide).abs().max()
    assert packed.predict._packed is not None
    assert apart <= 2 * (states(plain) - wide).abs().max() + 0.02  # no further from fp32 than bf16 is anyway


@needs_packing
def test_what_changes_the_weights_unpacks_them() -> None:
    """A copy in another dtype must not answer by the weights it was made from."""
    wide = deepcopy(packed_net()).float()
    assert all(part._packed is None for part in wide.modules() if isinstance(part, PackedLinear))
    assert torch.equal(states(wide), states(bf16_net().float()))


@needs_packing
def test_training_sees_the_weights_themselves() -> None:
    net = packed_net().requires_grad_(True)
    ids, rope = torch.zeros(1, 4, dtype=torch.long), rope_table(net.shape, 4, CPU)
    net.logits(net(ids, rope)).float().sum().backward()
    assert net.layers[0].gate.weight.grad is not None
    assert net.head.weight.grad is not None


def test_only_bf16_on_a_cpu_is_packed() -> None:
    net = tiny(shape_of(QWEN2))
    pack_weights(net)
    assert all(part._packed is None for part in net.modules() if isinstance(part, PackedLinear))
    assert not packable(torch.zeros(1, dtype=torch.bfloat16, device="meta"))


def test_outputs_lie_side_by_side() -> None:
    left, right, x = torch.nn.Linear(4, 3), torch.nn.Linear(4, 5), torch.randn(2, 4)
    assert torch.equal(PackedLinear()(x, left, right), torch.cat((left(x), right(x)), dim=-1))


def joined(net: Transformer) -> Transformer:
    """As `pack` leaves it on a CUDA device."""
    for layer in net.layers:
        for product, parts in layer.projections():  # type: ignore[operator]
            product.join(*parts)
    return net


def test_a_joined_network_says_what_it_said_before() -> None:
    plain, together = tiny(shape_of(QWEN2), seed=3), joined(tiny(shape_of(QWEN2), seed=3))
    torch.testing.assert_close(states(together), states(plain))
    assert deepcopy(together).layers[0].qkv_proj._joined is None
    torch.testing.assert_close(states(deepcopy(together).double()).float(), states(plain))


def test_joined_weights_are_held_once_and_are_still_the_maps_own() -> None:
    layer = joined(tiny(shape_of(QWEN2))).layers[0]
    storages = {p.untyped_storage().data_ptr() for p in (layer.q.weight, layer.k.weight, layer.v.weight)}
    assert storages == {layer.qkv_proj._joined.untyped_storage().data_ptr()}
    layer.k.weight.data.zero_()
    x = torch.ones(1, 2, layer.shape.hidden)
    with torch.inference_mode():
        keys = layer.qkv_proj(x, layer.q, layer.k, layer.v).split((16, 8, 8), dim=-1)[1]
    assert torch.equal(keys, layer.k.bias.expand_as(keys))


def test_a_product_can_be_added_to_what_is_there() -> None:
    part, x, onto = torch.nn.Linear(4, 3, bias=False), torch.randn(1, 5, 4), torch.randn(1, 5, 3)
    want = onto + x @ part.weight.T
    product = PackedLinear()
    with torch.inference_mode():
        torch.testing.assert_close(product(x, part, onto=onto.clone()), want)
        product.join(part)
        torch.testing.assert_close(product(x, part, onto=onto.clone()), want)
