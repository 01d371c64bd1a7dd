"""Text to ids and back. Chat templates are the checkpoint's own, else the family's."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from dllm.models.families import ModelSpec
from dllm.models.gguf_file import GGUFFile

# `tokenizer.ggml.pre` of a GGUF file → how text is split before BPE
SPLITS = {
    "smollm": pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
}


class Tokenizer:
    """A thin face over the `tokenizers` library."""

    def __init__(self, backend: PreTrainedTokenizerFast, template: str | None) -> None:
        self.backend = backend
        own = backend.chat_template
        self.template: str | None = (own.get("default") if isinstance(own, dict) else own) or template
        self.piece = lru_cache(maxsize=65536)(self._piece)

    def chat(self, text: str) -> list[int]:
        """Ids of a conversation with one user turn, ready for the answer.

        Raises:
            ValueError: the tokenizer has no chat template.
        """
        if self.template is None:
            raise ValueError("the tokenizer has no chat template; give prompt_ids")
        text = self._harmless(text)
        turns = [{"role": "user", "content": text}]
        rendered = self.backend.apply_chat_template(
            turns, chat_template=self.template, tokenize=False, add_generation_prompt=True
        )
        return self.encode(str(rendered))

    def encode(self, text: str) -> list[int]:
        """Ids of text, special tokens written as they are spelled."""
        return self.backend.encode(text, add_special_tokens=False)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens left out."""
        return str(self.backend.decode(list(ids), skip_special_tokens=True))

    def _harmless(self, text: str) -> str:
        """A user's text with spelled-out control tokens broken up, so that it cannot end its own turn."""
        for special in self.backend.all_special_tokens:
            text = text.replace(special, special[0] + "\u200b" + special[1:])
        return text

    def _piece(self, token: int) -> str:
        """What one id looks like on the canvas; half a character shows as U+FFFD."""
        if token >= len(self.backend):
            return f"<{token}>"  # vocabularies are padded past the tokenizer
        return str(self.backend.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))


def load_tokenizer(source: Path | GGUFFile, spec: ModelSpec) -> Tokenizer:
    """The tokenizer beside a folder's weights or inside a GGUF file.

    An open file may be given: reading one takes a second.

    Raises:
        ValueError: a GGUF file splits text in a way not known here.
        OSError: the folder has no tokenizer.
    """
    if isinstance(source, GGUFFile):
        return _from_gguf(source, spec)
    if source.suffix == ".gguf":
        return _from_gguf(GGUFFile(source), spec)
    return Tokenizer(AutoTokenizer.from_pretrained(source, trust_remote_code=False, use_fast=True), spec.template)


def _from_gguf(file: GGUFFile, spec: ModelSpec) -> Tokenizer:
    tokens, merges, control, split = file.vocabulary()
    if split not in SPLITS:
        raise ValueError(f"the GGUF file's pre-tokenizer is {split!r}; allowed: {', '.join(SPLITS)}")
    backend = Backend(
        models.BPE({t: i for i, t in enumerate(tokens)}, [(a, b) for a, b in (m.split(" ") for m in merges)])
    )
    backend.normalizer = normalizers.Sequence([])
    backend.pre_tokenizer = SPLITS[split]
    backend.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, clean_up_tokenization_spaces=False)
    fast.add_special_tokens({"additional_special_tokens": [tokens[i] for i in sorted(control)]})
    fast.chat_template = file.chat_template
    return Tokenizer(fast, spec.template)
