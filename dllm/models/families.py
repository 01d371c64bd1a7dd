"""Model families as plain data: names in config.json, names of tensors, and what decoding depends on.

To add one, write a `ModelSpec` and enter it in `FAMILIES`. Sources: the checkpoints' own configs; ids and layouts of
Fast-dLLM v2 (arXiv 2509.26328), LLaDA (2502.09992) and Dream (2508.15487).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one network."""

    vocab: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    rope_theta: float
    norm_eps: float
    tied: bool
    qkv_bias: bool
    context: int  # maximum number of positions

    @property
    def parameters(self) -> int:
        """Number of parameters; a tied head counts once."""
        width, kv_width = self.heads * self.head_dim, 2 * self.kv_heads * self.head_dim
        attention = self.hidden * (2 * width + kv_width) + self.qkv_bias * (width + kv_width)
        layer = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden
        return (1 if self.tied else 2) * self.vocab * self.hidden + self.layers * layer + self.hidden


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One family.

    keys: names in config.json where they are not Qwen2's. rename: checkpoint tensor name → ours; what starts
    with a dot is replaced inside a name, the rest only at its start.
    attentions: what it was trained for, the preferred one first. shift: position p is predicted at query p - shift.
    mask_id None: the family is autoregressive and decodes with block size 1 only. stop_ids: what ends an answer.
    template: chat template used when the tokenizer brings none. split: how text is split before BPE where there is
    no tokenizer.json (a name of `dllm.models.tokenizer.SPLITS`).
    """

    name: str
    attentions: tuple[str, ...]
    shift: int
    qkv_bias: bool
    rename: Mapping[str, str]
    keys: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    mask_id: int | None = None
    stop_ids: tuple[int, ...] = ()
    template: str | None = None
    split: str | None = None

    def shape(self, config: Mapping[str, Any]) -> Shape:
        """Read the sizes out of a config.json.

        Raises:
            ValueError: a key is missing, or the config asks for something this network does not do.
        """
        config = {**self.defaults, **config}

        def get(key: str, default: Any = None) -> Any:
            value = config.get(self.keys.get(key, key), config.get(key))
            if value is None and default is None:
                raise ValueError(f"config.json has no {self.keys.get(key, key)!r}, which {self.name} needs")
            return default if value is None else value

        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        if rope.get("rope_type", rope.get("type", "default")) != "default":
            raise ValueError(f"config.json asks for rope scaling {rope!r}; supported: none")
        hidden, heads = get("hidden_size"), get("num_attention_heads")
        return Shape(
            vocab=get("vocab_size"),
            hidden=hidden,
            layers=get("num_hidden_layers"),
            heads=heads,
            kv_heads=get("num_key_value_heads", heads),
            head_dim=get("head_dim", hidden // heads),
            intermediate=get("intermediate_size"),
            rope_theta=float(rope.get("rope_theta") or get("rope_theta")),
            norm_eps=get("rms_norm_eps"),
            tied=bool(get("tie_word_embeddings", False)),
            qkv_bias=self.qkv_bias,
            context=get("max_position_embeddings", 4096),
        )

    def tensor_name(self, name: str) -> str:
        """Our name of a checkpoint's tensor."""
        for theirs, ours in self.rename.items():
            if theirs.startswith("."):
                name = name.replace(theirs, ours)
            elif name.startswith(theirs):
                name = ours + name.removeprefix(theirs)
        return name


# ours → Hugging Face's names of tensors, those of LLaDA's checkpoints (of the code base they grew from), llama.cpp's
_TENSORS = {
    "embed.": ("model.embed_tokens.", "model.transformer.wte.", "token_embd."),
    "layers.": ("model.layers.", "model.transformer.blocks.", "blk."),
    "norm.": ("model.norm.", "model.transformer.ln_f.", "output_norm."),
    "head.": ("lm_head.", "model.transformer.ff_out.", "output."),
    ".attention_norm.": (".input_layernorm.", ".attn_norm.", ".attn_norm."),
    ".mlp_norm.": (".post_attention_layernorm.", ".ff_norm.", ".ffn_norm."),
    ".q.": (".self_attn.q_proj.", ".q_proj.", ".attn_q."),
    ".k.": (".self_attn.k_proj.", ".k_proj.", ".attn_k."),
    ".v.": (".self_attn.v_proj.", ".v_proj.", ".attn_v."),
    ".o.": (".self_attn.o_proj.", ".attn_out.", ".attn_output."),
    ".gate.": (".mlp.gate_proj.", ".ff_proj.", ".ffn_gate."),
    ".up.": (".mlp.up_proj.", ".up_proj.", ".ffn_up."),
    ".down.": (".mlp.down_proj.", ".ff_out.", ".ffn_down."),
}
HUGGING_FACE, _LLADA, _GGUF = ({theirs[i]: ours for ours, theirs in _TENSORS.items()} for i in range(3))

CHATML = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LLADA_CHAT = (
    "<|startoftext|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)

QWEN2 = ModelSpec(
    "qwen2", ("block_causal",), shift=1, qkv_bias=True, rename=HUGGING_FACE, stop_ids=(151645, 151643),
    template=CHATML, defaults={"rope_theta": 1e6, "rms_norm_eps": 1e-6}, split="qwen2",
)  # fmt: skip
FAST_DLLM_V2 = replace(QWEN2, name="fast_dllm_v2", mask_id=151665, stop_ids=(151645,))
LLAMA = ModelSpec(
    "llama", ("block_causal",), shift=1, qkv_bias=False, rename=HUGGING_FACE, stop_ids=(2,), template=CHATML,
    defaults={"rope_theta": 1e4, "rms_norm_eps": 1e-5},
)  # fmt: skip
LLADA = ModelSpec(
    "llada", ("bidirectional",), shift=0, qkv_bias=False, rename=_LLADA, mask_id=126336, stop_ids=(126081, 126348),
    template=_LLADA_CHAT, defaults={"rope_theta": 5e5, "rms_norm_eps": 1e-5},
    keys={
        "hidden_size": "d_model", "num_attention_heads": "n_heads", "num_key_value_heads": "n_kv_heads",
        "num_hidden_layers": "n_layers", "intermediate_size": "mlp_hidden_size", "vocab_size": "embedding_size",
        "max_position_embeddings": "max_sequence_length", "tie_word_embeddings": "weight_tying",
    },
)  # fmt: skip
DREAM = replace(QWEN2, name="dream", attentions=("bidirectional",), mask_id=151666, stop_ids=(151643, 151645))

# `model_type` in config.json → family
FAMILIES: dict[str, ModelSpec] = {
    "qwen2": QWEN2,
    "Fast_dLLM_Qwen": FAST_DLLM_V2,
    "llama": LLAMA,
    "llada": LLADA,
    "Dream": DREAM,
}
# `general.architecture` of a GGUF file → family. Llama files hold q and k with the rows of each head interleaved.
GGUF_FAMILIES = {"llama": replace(LLAMA, rename=_GGUF), "qwen2": replace(QWEN2, rename=_GGUF)}
