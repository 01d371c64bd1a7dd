import pytest
import torch

from dllm.models.baseline import baseline
from dllm.models.families import LLADA, LLAMA, QWEN2, ModelSpec
from dllm.models.loader import Model, tiny
from tests.dllm.nets import naive_ar, shape_of


@pytest.mark.parametrize("spec", [LLAMA, QWEN2], ids=lambda spec: spec.name)
@pytest.mark.parametrize("tied", [False, True])
def test_it_writes_what_the_definition_writes(spec: ModelSpec, tied: bool) -> None:
    from dllm.engine import Engine

    net = tiny(shape_of(spec, tied=tied), seed=5)
    model = Model("tiny", spec, net, None, (38,))
    prompt = [1, 2, 3, 4]
    assert baseline(model)(prompt, 12) == naive_ar(Engine(model), prompt, 12, stop=(38,))


def test_it_shares_the_weights() -> None:
    net = tiny(shape_of(LLAMA), seed=5)
    generate = baseline(Model("tiny", LLAMA, net, None, (38,)))
    before = generate([1, 2, 3], 4)
    with torch.no_grad():
        net.head.weight.zero_()
    assert generate([1, 2, 3], 4) == [0] * 4 != before


def test_a_family_that_transformers_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: llama, qwen2"):
        baseline(Model("tiny", LLADA, tiny(shape_of(LLADA)), 39, (38,)))
