from dataclasses import replace

import pytest
import torch

from dllm.models.baseline import transformers_generate
from dllm.models.families import FAST_DLLM_V2, LLADA, LLAMA, QWEN2, ModelSpec
from dllm.models.loader import Model, tiny
from tests.dllm.nets import hybrid_engine, naive_ar, shape_of


@pytest.mark.parametrize("spec", [LLAMA, QWEN2, FAST_DLLM_V2], ids=lambda spec: spec.name)
@pytest.mark.parametrize("tied", [False, True])
def test_it_writes_what_the_definition_writes(spec: ModelSpec, tied: bool) -> None:
    from dllm.engine import Engine

    net = tiny(shape_of(spec, tied=tied), seed=5)
    model = Model("tiny", spec, net, None, (38,))
    prompt = [1, 2, 3, 4]
    assert transformers_generate(model)(prompt, 12) == naive_ar(Engine(model), prompt, 12, stop=(38,))


@pytest.mark.parametrize("spec", [LLAMA, FAST_DLLM_V2], ids=lambda spec: spec.name)
def test_stop_ids_end_an_answer_and_without_any_all_is_written(spec: ModelSpec) -> None:
    from dllm.engine import Engine

    net, prompt = tiny(shape_of(spec), seed=5), [1, 2, 3, 4]
    whole = naive_ar(Engine(Model("tiny", spec, net, None, ())), prompt, 12)
    stop = whole[3]
    model = Model("tiny", spec, net, None, (stop,))
    assert transformers_generate(model)(prompt, 12) == whole[: whole.index(stop) + 1]
    assert transformers_generate(model, stop_ids=())(prompt, 12) == whole
    assert transformers_generate(model, stop_ids=(whole[1],))(prompt, 12) == whole[: whole.index(whole[1]) + 1]


def test_its_configuration_s_own_end_of_an_answer_is_no_end() -> None:
    net = tiny(shape_of(LLAMA), seed=5)
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.weight[2] = net.norm.weight  # 2 is what transformers' LlamaConfig takes for the end
    answer = transformers_generate(Model("tiny", LLAMA, net, None, ()), stop_ids=())([1, 2, 3], 6)
    assert len(answer) == 6
    assert set(answer) <= {0, 2}


def test_biases_that_transformers_network_has_not_are_refused() -> None:
    biased = replace(LLAMA, qkv_bias=True)
    with pytest.raises(ValueError, match=r"the model holds layers\.0\.k\.bias; allowed: what transformers' Llama"):
        transformers_generate(Model("tiny", biased, tiny(shape_of(biased)), None, (38,)))


def test_it_shares_the_weights() -> None:
    net = tiny(shape_of(LLAMA), seed=5)
    generate = transformers_generate(Model("tiny", LLAMA, net, None, (38,)))
    before = generate([1, 2, 3], 4)
    with torch.no_grad():
        net.head.weight.zero_()
    assert generate([1, 2, 3], 4) == [0] * 4 != before


def test_a_family_that_transformers_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: llama, qwen2, fast_dllm_v2"):
        transformers_generate(Model("tiny", LLADA, tiny(shape_of(LLADA)), 39, (38,)))


def test_an_adapter_for_masks_is_no_part_of_ar() -> None:
    engine = hybrid_engine(3)
    assert transformers_generate(engine.model)([1, 2, 3, 4], 12) == naive_ar(
        engine, [1, 2, 3, 4], 12, engine.model.stop_ids
    )
