"""Reading a GGUF file: its config in Hugging Face's words, its tensors dequantised, its tokenizer.

Layout: github.com/ggml-org/ggml docs/gguf.md, read through the `gguf` package.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from torch import Tensor


class _Reader(GGUFReader):
    """Reads the file as a plain array over the same memory map: each slice of a memmap takes numpy a long time.

    There are 200,000 slices in a vocabulary; reading one takes a quarter of the time.
    """

    @property
    def data(self) -> np.ndarray:  # type: ignore[override] - an attribute there
        return self._data

    @data.setter
    def data(self, value: np.ndarray) -> None:
        self._data = np.asarray(value)


class GGUFFile:
    """One model file."""

    def __init__(self, path: Path) -> None:
        self.reader = _Reader(path)
        self.architecture: str = self._get("general.architecture")

    def _get(self, key: str, default: Any = None) -> Any:
        f = self.reader.get_field(key)
        if f is None and default is None:
            raise ValueError(f"the GGUF file has no {key!r}")
        return default if f is None else f.contents()

    def config(self) -> dict[str, Any]:
        """config.json's keys as Qwen2 and Llama name them."""
        a = self.architecture
        names = {t.name for t in self.reader.tensors}
        return {
            "vocab_size": len(self._get("tokenizer.ggml.tokens")),
            "hidden_size": self._get(f"{a}.embedding_length"),
            "num_hidden_layers": self._get(f"{a}.block_count"),
            "num_attention_heads": self._get(f"{a}.attention.head_count"),
            "num_key_value_heads": self._get(f"{a}.attention.head_count_kv"),
            "intermediate_size": self._get(f"{a}.feed_forward_length"),
            "rope_theta": self._get(f"{a}.rope.freq_base", 1e4),
            "rms_norm_eps": self._get(f"{a}.attention.layer_norm_rms_epsilon"),
            "max_position_embeddings": self._get(f"{a}.context_length"),
            "tie_word_embeddings": "output.weight" not in names,
        }

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Names and float32 values. Llama files interleave the two halves of each head's rotation: undone here."""
        heads = {
            ".attn_q.": self._get(f"{self.architecture}.attention.head_count"),
            ".attn_k.": self._get(f"{self.architecture}.attention.head_count_kv"),
        }
        for t in self.reader.tensors:
            if t.name == "rope_freqs.weight":
                continue
            values = torch.from_numpy(np.array(dequantize(t.data, t.tensor_type), dtype=np.float32))
            for part, count in heads.items():
                if part in t.name and self.architecture == "llama":
                    values = values.view(count, -1, 2, *values.shape[1:]).transpose(1, 2).reshape(values.shape)
            yield t.name, values

    @property
    def eos_id(self) -> int:
        """The token that ends a turn."""
        return int(self._get("tokenizer.ggml.eos_token_id"))

    @property
    def chat_template(self) -> str | None:
        """The Jinja template, where the file has one."""
        return self._get("tokenizer.chat_template", "") or None

    def vocabulary(self) -> tuple[list[str], list[str], set[int], str]:
        """Token strings, BPE merges, ids of control tokens, and the name of the pre-tokenizer."""
        kinds = self._get("tokenizer.ggml.token_type")
        control = {i for i, kind in enumerate(kinds) if kind == 3}
        tokens, merges = self._get("tokenizer.ggml.tokens"), self._get("tokenizer.ggml.merges")
        return tokens, merges, control, self._get("tokenizer.ggml.pre", "gpt-2")
