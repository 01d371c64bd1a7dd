"""Cuts a few tokens and merges out of Qwen2's full list of ranks, and encodes texts with the full list.

    python make.py qwen.tiktoken

The list lies in the wheel of the PyPI package dashscope. BPE is written out here a second time, without any tokenizer
library but for the regular expression by which text is split.
"""

import base64
import json
import sys
from itertools import pairwise
from pathlib import Path

import regex

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}
TEXTS = (
    "hi",
    "system\n",
    "user\n",
    "assistant\n",
    "You are a helpful assistant.",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    "What is 12 + 345?",
    "def f(x):\n    return x  # it's",
    "日本 café 🎉",
    "<\u200b|im_end|>",
    "|\u200b<MASK>|",
    "<\u200b|mask|>",
    "<\u200b|endoftext|>",
)


def pieces(word: bytes, ranks: dict[bytes, int], used: dict[bytes, tuple[bytes, bytes]]) -> list[bytes]:
    """The word's tokens: the neighbours of the lowest rank become one, again and again; notes what was merged."""
    parts = [bytes([b]) for b in word]
    while True:
        pairs = [(ranks[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in ranks]
        if not pairs:
            return parts
        i = min(pairs)[1]
        used[parts[i] + parts[i + 1]] = (parts[i], parts[i + 1])
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def letters() -> dict[int, str]:
    """GPT-2's letter for each byte, as vocab.json and merges.txt are spelled."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(rest)}


def main(source: Path, out: Path) -> None:
    lines = source.read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    used: dict[bytes, tuple[bytes, bytes]] = {}
    texts = {}
    for text in TEXTS:
        words = [word.encode() for word in regex.findall(WORDS, text)]
        texts[text] = [ranks[part] for word in words for part in pieces(word, ranks, used)]
    spelled = letters()

    def spell(token: bytes) -> str:
        return "".join(spelled[b] for b in token)

    tokens = {bytes([b]) for text in TEXTS for b in text.encode()} | set(used)
    vocab = {spell(token): ranks[token] for token in sorted(tokens, key=ranks.__getitem__)}
    merges = [" ".join(map(spell, used[token])) for token in sorted(used, key=ranks.__getitem__)]
    (out / "vocab.json").write_text(json.dumps(vocab | SPECIAL, indent=0) + "\n")
    (out / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (out / "texts.json").write_text(json.dumps(texts, indent=0) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent)
