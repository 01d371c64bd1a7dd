"""Models that can be loaded by name: which commit of the hub, which shape, and how much memory that needs.

The sizes are those of the published config.json; parameters and memory are computed from them. `random:NAME` is a
network of the same shape without its weights (`Engine.load`).
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dllm.models.families import FAMILIES, ModelSpec, Shape
from dllm.settings import SettingsError

_OFFERED = "BLOCKSCOPE_MODELS"  # names beside "default", separated by commas


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that can be loaded by name.

    model_type, config: the part of its config.json that gives the shape. revision: commit at the hub; None if the
    weights are pinned by sha256 (`dllm.models.base_model`). changes: fields that differ from its family's.
    """

    title: str
    licence: str
    about: str
    model_type: str
    config: Mapping[str, Any]
    revision: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> ModelSpec:
        """Its family, with `changes`."""
        return replace(FAMILIES[self.model_type], **self.changes)

    @property
    def shape(self) -> Shape:
        """Its sizes."""
        return self.spec.shape(self.config)

    @property
    def parameters(self) -> int:
        """Number of parameters; a tied head counts once."""
        return self.shape.parameters


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on the device: the weights, and keys and values of 1,000 positions."""

    weights: int
    cache: int


def memory(entry: ModelEntry, size: int = 2) -> Memory:
    """Memory that a model needs at `size` bytes per number (2: bfloat16)."""
    shape = entry.shape
    return Memory(size * shape.parameters, size * 2 * shape.layers * shape.kv_heads * shape.head_dim * 1000)


def describe(entry: ModelEntry) -> dict[str, Any]:
    """An entry as plain data: memory in bytes, in bfloat16."""
    return {
        "title": entry.title,
        "family": entry.spec.name,
        "attentions": list(entry.spec.attentions),
        "mask_id": entry.spec.mask_id,
        "stop_ids": list(entry.spec.stop_ids),
        "parameters": entry.parameters,
        "memory": asdict(memory(entry)),
        "licence": entry.licence,
        "revision": entry.revision,
        "about": entry.about,
    }


def offered_models() -> dict[str, ModelEntry]:
    """The models the page offers: "default", and those in BLOCKSCOPE_MODELS. Visitors cannot load others.

    Raises:
        SettingsError: the variable names an unknown model.
    """
    names = [name.strip() for name in os.environ.get(_OFFERED, "").split(",")]
    for name in filter(None, names):
        if name not in MODELS:
            raise SettingsError(f"{_OFFERED} names {name!r}; allowed: {', '.join(MODELS)}")
    return {name: MODELS[name] for name in ("default", *names) if name}


def _qwen(hidden: int, layers: int, heads: int, kv_heads: int, intermediate: int) -> dict[str, Any]:
    """Sizes of a Qwen2.5: the small ones tie their head, the large ones have a larger vocabulary."""
    tied = hidden < 3000
    return {
        "vocab_size": 151936 if tied else 152064,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": intermediate,
        "tie_word_embeddings": tied,
        "max_position_embeddings": 32768,
    }


_QWEN_1_5B, _QWEN_7B = _qwen(1536, 28, 12, 2, 8960), _qwen(3584, 28, 28, 4, 18944)
_LLADA_8B = {
    "d_model": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 32, "mlp_hidden_size": 12288,
    "embedding_size": 126464, "weight_tying": False, "max_sequence_length": 4096,
}  # fmt: skip
_SMOLLM2 = {
    "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
    "num_key_value_heads": 3, "intermediate_size": 1536, "tie_word_embeddings": True,
    "max_position_embeddings": 8192, "rope_theta": 1e5,
}  # fmt: skip

_FAST_DLLM = "Qwen2.5-Instruct converted to block diffusion by its authors; it sees nothing behind the block it writes."
_LLADA = "A masked diffusion model from the start; all positions see all others, so a cache is never exact."
_QWEN = "Writes one token at a time: what Fast-dLLM v2 and Dream were made from, and are compared with."

MODELS: dict[str, ModelEntry] = {
    "default": ModelEntry(
        "SmolLM2-135M-Instruct, fine-tuned and converted", "Apache-2.0",
        "An adapter at masks makes its drafts, another full attention; AR is the same weights without them.",
        "llama", _SMOLLM2, changes={"mask_id": 16, "attentions": ("hybrid", "bidirectional")},
    ),
    "Efficient-Large-Model/Fast_dLLM_v2_1.5B": ModelEntry(
        "Fast-dLLM v2 1.5B", "Apache-2.0", _FAST_DLLM, "Fast_dLLM_Qwen", _QWEN_1_5B,
        "da5608172d2b74380e4e780baa19c71645e4f981",
    ),
    "Efficient-Large-Model/Fast_dLLM_v2_7B": ModelEntry(
        "Fast-dLLM v2 7B", "Apache-2.0", _FAST_DLLM, "Fast_dLLM_Qwen", _QWEN_7B,
        "0661abf5f9f0ee338970d091052a26c8efa51974",
    ),
    "GSAI-ML/LLaDA-8B-Instruct": ModelEntry(
        "LLaDA 8B Instruct", "MIT", _LLADA, "llada", _LLADA_8B, "08b83a6feb34df1a6011b80c3c00c7563e963b07"
    ),
    "GSAI-ML/LLaDA-1.5": ModelEntry(
        "LLaDA 1.5 8B", "MIT",
        "LLaDA 8B after preference optimisation; all positions see all others, so a cache is never exact.",
        "llada", _LLADA_8B, "43716255dd5ce01192bcfc073a2557e969a2f271",
    ),
    "Dream-org/Dream-v0-Instruct-7B": ModelEntry(
        "Dream v0 Instruct 7B", "Apache-2.0",
        "Qwen2.5-7B trained on as a masked diffusion model; all positions see all others, so a cache is never exact.",
        "Dream", {**_QWEN_7B, "max_position_embeddings": 131072}, "05334cb9faaf763692dcf9d8737c642be2b2a6ae",
    ),
    "Qwen/Qwen2.5-0.5B-Instruct": ModelEntry(
        "Qwen2.5 0.5B Instruct", "Apache-2.0", _QWEN, "qwen2", _qwen(896, 24, 14, 2, 4864),
        "7ae557604adf67be50417f59c2c2f167def9a775",
    ),
    "Qwen/Qwen2.5-1.5B-Instruct": ModelEntry(
        "Qwen2.5 1.5B Instruct", "Apache-2.0", _QWEN, "qwen2", _QWEN_1_5B,
        "989aa7980e4cf806f80c7fef2b1adb7bc71aa306",
    ),
    "Qwen/Qwen2.5-3B-Instruct": ModelEntry(
        "Qwen2.5 3B Instruct", "Qwen Research, non-commercial", _QWEN, "qwen2", _qwen(2048, 36, 16, 2, 11008),
        "aa8e72537993ba99e69dfaafa59ed015b17504d1",
    ),
    "Qwen/Qwen2.5-7B-Instruct": ModelEntry(
        "Qwen2.5 7B Instruct", "Apache-2.0", _QWEN, "qwen2", _QWEN_7B, "a09a35458c702b33eeacc393d103063234e8bc28"
    ),
    "Qwen/Qwen2.5-14B-Instruct": ModelEntry(
        "Qwen2.5 14B Instruct", "Apache-2.0", _QWEN, "qwen2", _qwen(5120, 48, 40, 8, 13824),
        "cf98f3b3bbb457ad9e2bb7baf9a0125b6b88caa8",
    ),
    "Qwen/Qwen2.5-32B-Instruct": ModelEntry(
        "Qwen2.5 32B Instruct", "Apache-2.0", _QWEN, "qwen2", _qwen(5120, 64, 40, 8, 27648),
        "5ede1c97bbab6ce5cda5812749b4c0bdf79b18dd",
    ),
}  # fmt: skip
