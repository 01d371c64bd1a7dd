"""A baseline for speed: transformers' own network and `generate` on the same weights."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import transformers

from dllm.models.families import HUGGING_FACE, Shape
from dllm.models.loader import Model

NETWORKS: dict[str, tuple[type, type]] = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "fast_dllm_v2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),  # the same network, trained on
}
Generate = Callable[[list[int], int], list[int]]


def transformers_generate(model: Model, *, stop_ids: Sequence[int] | None = None) -> Generate:
    """Greedy `generate` of transformers on the same weights (not copied), with its KV cache and default attention.

    Returns a function (prompt ids, max new tokens) → answer ids. stop_ids: instead of the model's own.

    Raises:
        ValueError: transformers has no network for the family, or the model has weights unknown to it.
    """
    if model.spec.name not in NETWORKS:
        raise ValueError(f"the model is of the family {model.spec.name!r}; allowed: {', '.join(NETWORKS)}")
    stops = list(model.stop_ids if stop_ids is None else stop_ids)
    make_config, make_network = NETWORKS[model.spec.name]
    config = make_config(**_config(model.net.shape))
    with torch.device("meta"):
        network = make_network(config)
    spec, weights = replace(model.spec, rename=HUGGING_FACE), model.net.state_dict()
    weights.pop("mask_vector", None)  # AR meets no mask
    if unknown := weights.keys() - {spec.tensor_name(name) for name in network.state_dict()}:
        raise ValueError(f"the model holds {min(unknown)}; allowed: what transformers' {make_network.__name__} holds")
    network.load_state_dict({name: weights[spec.tensor_name(name)] for name in network.state_dict()}, assign=True)
    network.model.rotary_emb = type(network.model.rotary_emb)(config).to(model.device)  # no weights to load
    network.eval()
    network.generation_config.eos_token_id = stops or None  # set in any case: else the config's own would end answers

    @torch.inference_mode()
    def generate(prompt: list[int], most: int) -> list[int]:
        ids = torch.tensor([prompt], device=model.device)
        whole = network.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=most,
            do_sample=False,
            pad_token_id=stops[0] if stops else 0,
        )
        return whole[0, len(prompt) :].tolist()

    return generate


def _config(shape: Shape) -> dict[str, object]:
    """A network's sizes by transformers' names."""
    return {
        "vocab_size": shape.vocab,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "tie_word_embeddings": shape.tied,
    }
