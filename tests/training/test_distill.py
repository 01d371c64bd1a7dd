"""Training data: seeded, resumable, and free of what nobody should learn from."""

import gzip
import random
import string
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dllm.models.families import CHATML, LLAMA
from dllm.models.loader import Model, tiny
from dllm.models.tokenizer import Tokenizer
from dllm.training import topics
from dllm.training.distill import Recipe, batch, good_answer, good_turn, read, repetition, write
from tests.dllm.nets import shape_of

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
RECIPE = Recipe(batch=12, turn_limit=6, answer_limit=5)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    letters = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Backend(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=backend)
    fast.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    return Tokenizer(fast, CHATML)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model("tiny", LLAMA, tiny(shape_of(LLAMA, vocab=259), seed=3), None, (2,), "00")


def test_a_resumed_file_equals_one_written_at_once(tmp_path: Path, model: Model, tokenizer: Tokenizer) -> None:
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    count = write(whole, model, tokenizer=tokenizer, documents=20, seed=1, recipe=RECIPE)
    assert len(read(whole)) == count >= 20
    torn.write_bytes(whole.read_bytes()[: len(whole.read_bytes()) * 2 // 3])
    assert not torn.read_text().endswith("\n")
    assert write(torn, model, tokenizer=tokenizer, documents=20, seed=1, recipe=RECIPE) == count
    assert torn.read_bytes() == whole.read_bytes()
    (packed := tmp_path / "whole.jsonl.gz").write_bytes(gzip.compress(whole.read_bytes()))
    assert read(packed) == read(whole)
    write(other := tmp_path / "other.jsonl", model, tokenizer=tokenizer, documents=20, seed=2, recipe=RECIPE)
    assert other.read_bytes() != whole.read_bytes()


def test_documents_are_conversations_and_none_twice(tmp_path: Path, model: Model, tokenizer: Tokenizer) -> None:
    lines: list[str] = []
    out = tmp_path / "new" / "data.jsonl"
    write(out, model, tokenizer=tokenizer, documents=30, seed=0, recipe=RECIPE, report=lines.append)
    documents = read(out)
    assert len({d.prompt_ids for d in documents}) == len(documents)
    assert len(lines) == documents[-1].batch + 1
    start, end = tokenizer.encode("<|im_start|>"), tokenizer.encode("<|im_start|>assistant\n")
    for d in documents:
        assert list(d.prompt_ids[:1]) == start
        assert list(d.prompt_ids[-len(end) :]) == end
        assert 1 <= len(d.answer_ids) <= RECIPE.answer_limit
        assert not set(d.answer_ids[:-1]) & {0, 1, 2}


def test_turns_seen_before_are_not_answered_again(model: Model, tokenizer: Tokenizer) -> None:
    first = list(batch(model, tokenizer, RECIPE, seed=4, number=0))
    again = list(batch(model, tokenizer, RECIPE, seed=4, number=0, seen={first[0].prompt_ids}))
    assert [d.prompt_ids for d in again] == [d.prompt_ids for d in first[1:]]


def test_a_bad_file_and_a_bad_number_are_refused(tmp_path: Path, model: Model, tokenizer: Tokenizer) -> None:
    (tmp_path / "bad.jsonl").write_text('{"batch": 0, "prompt_ids": [1], "answer_ids": [2]}\n{"batch": 0}\n')
    with pytest.raises(ValueError, match="line 2 is not a document"):
        read(tmp_path / "bad.jsonl")
    with pytest.raises(ValueError, match="documents is 0"):
        write(tmp_path / "d", model, tokenizer=tokenizer, documents=0, seed=0, recipe=RECIPE)


def test_what_is_filtered() -> None:
    assert good_turn("What is gravity?", ended=True)
    assert not good_turn("What is gravity?", ended=False)
    assert not good_turn("What", ended=True)
    assert not good_turn("caf\ufffd is it", ended=True)
    assert not good_turn("I go and " * 6, ended=True)
    control = {0, 1, 2}
    assert good_answer([5, 6, 2], stop_id=2, control=control)
    assert good_answer([5, 6], stop_id=2, control=control)  # cut at the limit
    assert not good_answer([2], stop_id=2, control=control)
    assert not good_answer([5, 1, 6, 2], stop_id=2, control=control)
    assert not good_answer([5, 6, 7, 8] * 5 + [2], stop_id=2, control=control)


def test_repetition_by_definition() -> None:
    assert repetition("abcdefgh") == set()
    assert repetition("abcdabcd") == set()  # 1 of 5 comes again
    assert repetition("abcdabcdab") == {tuple("abcd"), tuple("bcda"), tuple("cdab")}
    assert repetition("abc") == set()


def test_topics_are_whole_sentences_of_known_words() -> None:
    rng = random.Random(0)
    drawn = [topics.draw(rng) for _ in range(600)]
    kinds = [
        sum(1 for text, whole in drawn if (bool(text), whole) == kind)
        for kind in ((False, False), (True, False), (True, True))
    ]
    assert sum(kinds) == 600
    assert min(kinds) > 100
    assert kinds[2] > 240  # half of them
    assert not any("{" in text or "}" in text for text, _ in drawn)
    fields = {f for t in topics.TEMPLATES for _, f, _, _ in string.Formatter().parse(t) if f}
    assert set(topics.WORDS) <= fields <= {*topics.WORDS, "a", "b", "b2", "c"}
