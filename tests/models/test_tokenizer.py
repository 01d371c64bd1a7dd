"""Tokenizers of published folders, read without their code, against ids that are known.

`tests/goldens/qwen2-tokenizer` is a small part of Qwen2's vocabulary, with ids of a few texts under the whole of it.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, LLAMA, QWEN2, ModelSpec
from dllm.models.loader import load
from dllm.models.tokenizer import Tokenizer, load_tokenizer
from tests.goldens_io import GOLDENS

QWEN2_FILES = GOLDENS / "qwen2-tokenizer"
TEXTS: dict[str, list[int]] = json.loads((QWEN2_FILES / "texts.json").read_text())
END, START, STOP = 151643, 151644, 151645
MASKS = {"fast_dllm_v2": "|<MASK>|", "dream": "<|mask|>", "llada": "<|mdm_mask|>"}
HI = [
    *(START, 8948, 198, 2610, 525, 264, 10950, 17847, 13, STOP, 198),  # system: You are a helpful assistant.
    *(START, 872, 198, 6023, STOP, 198, START, 77091, 198),
]
QWEN_CHAT = (  # what a conversation without tools meets in Qwen2.5's own
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}"
    "{%- else %}{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    "<|im_end|>\\n' }}{%- endif %}\n{%- for message in messages %}\n"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n{{- '<|im_start|>assistant\\n' }}\n{%- endif %}"
)


def token(content: str, *, special: bool = True) -> dict[str, Any]:
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {"content": content, "special": special, **flags}


def added(spec: ModelSpec, *, special: bool = True) -> dict[str, dict[str, Any]]:
    """What tokenizer_config.json declares; `special` is of the mask."""
    tokens = {END: token("<|endoftext|>"), START: token("<|im_start|>"), STOP: token("<|im_end|>")}
    if spec is DREAM:
        tokens[151665] = token("<|beginoftext|>")
    if spec.mask_id is not None:
        tokens[spec.mask_id] = token(MASKS[spec.name], special=special)
    return {str(i): each for i, each in tokens.items()}


def qwen_folder(path: Path, spec: ModelSpec, *, special: bool = True, **config: Any) -> Path:
    """vocab.json and merges.txt, as Qwen2's, Fast-dLLM v2's and Dream's folders have them."""
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(QWEN2_FILES / name, path)
    declared = {"added_tokens_decoder": added(spec, special=special), "eos_token": "<|endoftext|>", **config}
    (path / "tokenizer_config.json").write_text(json.dumps(declared))
    return path


def llada_folder(path: Path, *, special: bool = True, **config: Any) -> Path:
    """A tokenizer.json of bytes with LLaDA's control tokens at their places; its own words cannot be had."""
    names = {
        126080: "<|startoftext|>", 126081: "<|endoftext|>", 126336: "<|mdm_mask|>", 126346: "<|start_header_id|>",
        126347: "<|end_header_id|>", 126348: "<|eot_id|>",
    }  # fmt: skip
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: i for i, letter in enumerate(letters)} | {name: i for i, name in names.items()}
    backend = Backend(models.BPE(vocab, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.save(str(path / "tokenizer.json"))
    decoder = {str(i): token(name, special=special or i != 126336) for i, name in names.items()}
    declared = {"added_tokens_decoder": decoder, "bos_token": "<|startoftext|>", **config}
    (path / "tokenizer_config.json").write_text(json.dumps(declared))
    return path


def folder(path: Path, spec: ModelSpec, **more: Any) -> Path:
    return llada_folder(path, **more) if spec is LLADA else qwen_folder(path, spec, **more)


def read(path: Path, spec: ModelSpec) -> Tokenizer:
    tokenizer = load_tokenizer(path, spec)
    assert tokenizer is not None
    return tokenizer


@pytest.mark.parametrize("spec", [QWEN2, FAST_DLLM_V2, DREAM], ids=lambda spec: spec.name)
def test_qwen2_words_have_their_known_ids(spec: ModelSpec, tmp_path: Path) -> None:
    tokenizer = read(qwen_folder(tmp_path, spec), spec)
    for text, ids in TEXTS.items():
        assert tokenizer.encode(text) == ids, text
        assert tokenizer.decode([START, *ids, STOP]) == text
    assert tokenizer.chat("hi") == HI


def test_words_are_those_of_transformers_own_qwen2(tmp_path: Path) -> None:
    tokenizer = read(qwen_folder(tmp_path, QWEN2), QWEN2)
    merges = [tuple(line.split(" ")) for line in (QWEN2_FILES / "merges.txt").read_text().splitlines()[1:]]
    theirs = transformers.Qwen2Tokenizer(json.loads((QWEN2_FILES / "vocab.json").read_text()), merges)
    for text in (*TEXTS, " ".join(TEXTS), "\n\n".join(TEXTS), "cafe\u0301", "it'S\r\n  12345 x"):
        assert tokenizer.encode(text) == theirs.encode(text, add_special_tokens=False), text


@pytest.mark.parametrize("place", ["tokenizer_config.json", "by name", "chat_template.jinja"])
def test_a_folders_own_template_comes_first(place: str, tmp_path: Path) -> None:
    named = [{"name": "tools", "template": "no"}, {"name": "default", "template": QWEN_CHAT}]
    written = {"tokenizer_config.json": QWEN_CHAT, "by name": named, "chat_template.jinja": "no"}
    path = qwen_folder(tmp_path, QWEN2, chat_template=written[place])
    if place == "chat_template.jinja":
        (path / place).write_text(QWEN_CHAT)
    line = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    assert read(path, QWEN2).chat("hi") == [*HI[:3], *TEXTS[line], *HI[9:]]


@pytest.mark.parametrize("own", [False, True])
def test_lladas_conversation_is_framed_by_its_ids(own: bool, tmp_path: Path) -> None:
    """Its own template begins with the tokenizer's bos, the family's spells it."""
    template = (
        "{% for m in messages %}{% set c = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + "
        "m['content'] | trim + '<|eot_id|>' %}{% if loop.first %}{% set c = bos_token + c %}{% endif %}{{ c }}"
        "{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    )
    path = llada_folder(tmp_path, **({"chat_template": template} if own else {}))
    tokenizer = read(path, LLADA)

    def letters(text: str) -> list[int]:
        vocab = json.loads((path / "tokenizer.json").read_text())["model"]["vocab"]
        return [vocab[{"\n": "Ċ", " ": "Ġ"}.get(letter, letter)] for letter in text]

    want = [126080, 126346, *letters("user"), 126347, *letters("\n\n"), *letters("hi there"), 126348]
    assert tokenizer.chat(" hi there\n") == [*want, 126346, *letters("assistant"), 126347, *letters("\n\n")]
    assert tokenizer.decode(want) == "user\n\nhi there"


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("spec", [FAST_DLLM_V2, DREAM, LLADA], ids=lambda spec: spec.name)
def test_a_user_cannot_type_the_mask_or_an_end(spec: ModelSpec, special: bool, tmp_path: Path) -> None:
    tokenizer = read(folder(tmp_path, spec, special=special), spec)
    mask = MASKS[spec.name]
    assert tokenizer.encode(mask) == [spec.mask_id]
    assert tokenizer.piece(spec.mask_id) == mask
    framing, ends = tokenizer.chat("hi"), [tokenizer.piece(i) for i in spec.stop_ids]
    typed = tokenizer.chat(f"hi {mask}{mask} {' '.join(ends)} hi")
    for i in (spec.mask_id, *spec.stop_ids):
        assert typed.count(i) == framing.count(i)
    assert spec.mask_id not in typed


def test_a_mask_cannot_be_typed_in_letters_that_become_it(tmp_path: Path) -> None:
    tokens = added(FAST_DLLM_V2, special=False)
    tokens["151665"]["normalized"] = True
    tokenizer = read(qwen_folder(tmp_path, FAST_DLLM_V2, added_tokens_decoder=tokens), FAST_DLLM_V2)
    typed = "|<MAS\N{KELVIN SIGN}>|"
    assert tokenizer.encode(typed) == [151665]
    assert 151665 not in tokenizer.chat(typed)


PLANTED = "from pathlib import Path\nPath({mark!r}).write_text('ran')\nclass {name}: pass\n"


@pytest.mark.parametrize(
    ("spec", "model_type", "tokenizer"),
    [(DREAM, "Dream", "DreamTokenizer"), (LLADA, "llada", "LLaDATokenizer"), (FAST_DLLM_V2, "Fast_dLLM_Qwen", "X")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_code_beside_a_tokenizer_does_not_run(
    spec: ModelSpec, model_type: str, tokenizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    auto = {"AutoTokenizer": [f"tokenization_dream.{tokenizer}", None]}
    path = folder(tmp_path, spec, auto_map=auto, tokenizer_class=tokenizer)
    config = {"model_type": model_type, "auto_map": {"AutoConfig": "configuration_dream.Config", **auto}}
    (path / "config.json").write_text(json.dumps(config))
    mark = tmp_path / "mark"
    (path / "tokenization_dream.py").write_text(PLANTED.format(mark=str(mark), name=tokenizer))
    (path / "configuration_dream.py").write_text(PLANTED.format(mark=str(mark), name="Config"))
    before = set(sys.modules)
    chat = read(path, spec).chat("hi")
    assert chat == HI if spec is not LLADA else chat[:2] == [126080, 126346]
    assert not mark.exists()
    assert not any("tokenization_dream" in name for name in set(sys.modules) - before)


def test_older_folders_list_their_added_tokens_apart(tmp_path: Path) -> None:
    path = qwen_folder(tmp_path, QWEN2, added_tokens_decoder={})
    tokens = {each["content"]: int(i) for i, each in added(FAST_DLLM_V2).items()}
    (path / "added_tokens.json").write_text(json.dumps(tokens))
    tokenizer = read(path, FAST_DLLM_V2)
    assert tokenizer.chat("hi") == HI
    assert tokenizer.encode("|<MASK>|") == [151665]
    assert tokenizer.piece(151664) == "<151664>"  # nothing is there


def test_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = llada_folder(tmp_path, added_tokens_decoder={"126337": token("<|mdm_mask|>")})
    with pytest.raises(
        ValueError, match=r"'<\|mdm_mask\|>' has the id 126336 in .*; its tokenizer_config.json says 1263"
    ):
        load_tokenizer(path, LLADA)


def test_words_are_not_split_in_a_way_that_nobody_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="way of splitting text is None; allowed: smollm, gpt-2, qwen2"):
        load_tokenizer(qwen_folder(tmp_path, LLAMA), LLAMA)


def test_the_mask_is_the_one_that_config_names(tmp_path: Path) -> None:
    shutil.copytree(GOLDENS / "llada", tmp_path, dirs_exist_ok=True)
    mask = json.loads((tmp_path / "config.json").read_text())["mask_token_id"]
    assert mask != LLADA.mask_id
    backend = Backend(models.BPE({"<": 0, "m": 1, ">": 2, "<m>": mask}, []))
    backend.save(str(tmp_path / "tokenizer.json"))
    declared = {"added_tokens_decoder": {str(mask): token("<m>", special=False)}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(declared))
    tokenizer = load(tmp_path, device="cpu").tokenizer
    assert tokenizer is not None
    assert tokenizer.encode("<m>") == [mask]
    assert mask not in tokenizer.chat("<m>")


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"')
    with pytest.raises(ValueError, match=r"tokenizer\.json cannot be read: "):
        load_tokenizer(tmp_path, LLADA)
