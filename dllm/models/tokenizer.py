"""Text to ids and back. Chat templates are the checkpoint's own, else the family's.

Tokenizer files are read directly; custom classes that they name are ignored, because their code would have to run.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from transformers import PreTrainedTokenizerFast

from dllm.models.families import ModelSpec
from dllm.models.gguf_file import GGUFFile

_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# `tokenizer.ggml.pre` of a GGUF file, `split` of a family → how text is split before BPE
SPLITS = {
    "smollm": pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "qwen2": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
}
_NORMALIZERS = {"qwen2": normalizers.NFC()}
# how byte-level BPE spells bytes: printable ones as themselves, the others as U+0100 and up
_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_OTHERS = (byte for byte in range(0x100) if byte not in _PRINTABLE)
BYTES = {chr(byte): byte for byte in _PRINTABLE} | {chr(0x100 + n): byte for n, byte in enumerate(_OTHERS)}
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_NAMED = ("bos_token", "eos_token", "pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


class Tokenizer:
    """A thin wrapper of the `tokenizers` library."""

    def __init__(self, backend: PreTrainedTokenizerFast, template: str | None, *, mask_id: int | None = None) -> None:
        """template: used where the backend brings none. mask_id: taken for control even where it is not declared so."""
        self.backend = backend
        own = backend.chat_template
        self.template: str | None = own if isinstance(own, str) else template
        added = backend.added_tokens_decoder
        self.control = [token.content for i, token in added.items() if token.special or i == mask_id]
        self._byte_level = b'"ByteLevel"' in (backend.backend_tokenizer.decoder or decoders.Fuse()).__getstate__()
        self.piece = lru_cache(maxsize=65536)(self._piece)

    def chat(self, text: str) -> list[int]:
        """Ids of a conversation with one user turn, ready for the answer.

        Raises:
            ValueError: the tokenizer has no chat template.
        """
        if self.template is None:
            raise ValueError("the tokenizer has no chat template; give prompt_ids")
        turns = [{"role": "user", "content": self._harmless(text)}]
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

    def bytes_of(self, token: int) -> bytes:
        """The bytes of an id: from byte-level BPE, Llama's byte tokens, or its text."""
        spelled = self.backend.convert_ids_to_tokens(token)
        if isinstance(spelled, str) and token not in self.backend.added_tokens_decoder:
            if self._byte_level and all(char in BYTES for char in spelled):
                return bytes(BYTES[char] for char in spelled)
            if byte := _BYTE_TOKEN.fullmatch(spelled):
                return bytes.fromhex(byte[1])
        return self.piece(token).encode()

    def fragment(self, token: int) -> bytes | None:
        """The bytes of an id if they are not valid UTF-8 by themselves, else None."""
        if "\ufffd" not in self.piece(token):
            return None
        found = self.bytes_of(token)
        return None if found.decode("utf-8", "ignore").encode() == found else found

    def texts(self, ids: Iterable[int]) -> tuple[dict[int, str], dict[int, str]]:
        """`piece` by id, and `fragment` in hex of the ids that have one: as a trace keeps them."""
        known = sorted(set(ids))
        return {i: self.piece(i) for i in known}, {i: part.hex() for i in known if (part := self.fragment(i))}

    def _harmless(self, text: str) -> str:
        """A user's text with spelled-out control tokens broken up, so that it cannot end its own turn."""
        normalizer = self.backend.backend_tokenizer.normalizer
        plain = normalizer.normalize_str(text) if normalizer else text  # to which a Kelvin sign is a K
        if any(special in plain for special in self.control):
            text = plain
        for special in self.control:
            text = text.replace(special, special[0] + "\u200b" + special[1:])
        return text

    def _piece(self, token: int) -> str:
        """The text of one id; a partial character is U+FFFD."""
        if self.backend.convert_ids_to_tokens(token) is None:
            return f"<{token}>"  # vocabularies are padded past the tokenizer
        return str(self.backend.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))


def load_tokenizer(source: Path | GGUFFile, spec: ModelSpec) -> Tokenizer:
    """The tokenizer of a folder or GGUF file (a path, or an open file: reading one takes a second).

    Raises:
        ValueError: an unknown pre-tokenizer, or files of a folder that contradict each other.
        OSError: the folder has no tokenizer.
    """
    if isinstance(source, Path) and source.suffix == ".gguf":
        source = GGUFFile(source)
    return _from_gguf(source, spec) if isinstance(source, GGUFFile) else _from_folder(source, spec)


def _from_gguf(file: GGUFFile, spec: ModelSpec) -> Tokenizer:
    tokens, merges, control, split = file.vocabulary()
    backend = _bpe({t: i for i, t in enumerate(tokens)}, merges, split)
    backend.add_special_tokens([tokens[i] for i in sorted(control)])
    return _tokenizer(backend, {"chat_template": file.chat_template}, spec)


def _from_folder(folder: Path, spec: ModelSpec) -> Tokenizer:
    config: dict[str, Any] = _json(folder / "tokenizer_config.json")
    if (jinja := folder / "chat_template.jinja").exists():
        config["chat_template"] = jinja.read_text(encoding="utf-8")
    added = {i: AddedToken(token, special=True) for token, i in _json(folder / "added_tokens.json").items()}
    added |= {int(i): AddedToken(**token) for i, token in config.get("added_tokens_decoder", {}).items()}
    if (file := folder / "tokenizer.json").exists():
        try:
            backend = Backend.from_file(str(file))
        except Exception as error:  # the library raises no narrower one
            raise ValueError(f"{file} cannot be read: {error}") from None
    else:
        vocab = _json(folder / "vocab.json") | {token.content: i for i, token in added.items()}
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
        backend = _bpe(vocab, [line for line in lines if line and not line.startswith("#version")], spec.split)
    backend.add_tokens([added[i] for i in sorted(added)])
    for i, token in added.items():
        if (got := backend.token_to_id(token.content)) != i:
            raise ValueError(f"{token.content!r} has the id {got} in {folder.name}; its tokenizer_config.json says {i}")
    return _tokenizer(backend, config, spec)


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _bpe(vocab: dict[str, int], merges: Iterable[str], split: str | None) -> Backend:
    """Byte-level BPE; raises ValueError if `split` is unknown."""
    if split not in SPLITS:
        raise ValueError(f"the tokenizer's way of splitting text is {split!r}; allowed: {', '.join(SPLITS)}")
    backend = Backend(models.BPE(vocab, [(a, b) for a, b in (m.split(" ") for m in merges)]))
    backend.normalizer = _NORMALIZERS.get(split, normalizers.Sequence([]))
    backend.pre_tokenizer = SPLITS[split]
    backend.decoder = decoders.ByteLevel()
    return backend


def _tokenizer(backend: Backend, config: Mapping[str, Any], spec: ModelSpec) -> Tokenizer:
    """`config`: names of special tokens, which templates speak of, and the chat template."""
    named = {}
    for name in _NAMED:
        token = config.get(name)
        content = token["content"] if isinstance(token, dict) else token
        if content and backend.token_to_id(content) is not None:
            named[name] = content
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, clean_up_tokenization_spaces=False, **named)
    own = config.get("chat_template")
    if isinstance(own, list):  # several by name
        own = {each["name"]: each["template"] for each in own}.get("default")
    fast.chat_template = own
    return Tokenizer(fast, spec.template, mask_id=spec.mask_id)
