"""Training data: seeded, resumable, and free of what nobody should learn from."""

import gzip
import random
import string
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dllm.models.families import CHATML, LLAMA
from dllm.models.loader import Model, tiny
from dllm.models.tokenizer import Tokenizer
from dllm.models.transformer import rope_table
from dllm.training import distill, tasks, topics
from dllm.training.distill import (
    Recipe,
    Source,
    _prompts,
    answered,
    generated,
    good_answer,
    good_turn,
    own,
    repetition,
)
from dllm.training.documents import Batch, Document, read_documents, write_documents
from dllm.training.sampling import continue_all, greedy
from tests.dllm.nets import shape_of
from tests.goldens_io import GOLDENS

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


@pytest.fixture(scope="module")
def asked(model: Model, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose prompts are to be answered."""
    file = tmp_path_factory.mktemp("asked") / "own.jsonl"
    write_documents(file, partial(own, model, tokenizer, RECIPE, 7), documents=40)
    return file


KINDS = ("own", "tasks", "answers")


@pytest.fixture
def batches(model: Model, tokenizer: Tokenizer, asked: Path) -> Callable[[str, int], Batch]:
    """The batches of a kind and a seed."""

    def of(kind: str, seed: int) -> Batch:
        if kind == "own":
            return partial(own, model, tokenizer, RECIPE, seed)
        if kind == "tasks":
            return partial(generated, model, tokenizer, seed)
        return partial(answered, model, tokenizer, RECIPE, _prompts((asked,), seed))

    return of


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_file_equals_one_written_at_once(
    tmp_path: Path, kind: str, batches: Callable[[str, int], Batch]
) -> None:
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    count = write_documents(whole, batches(kind, 1), documents=20)
    assert len(read_documents(whole)) == count >= 20
    torn.write_bytes(whole.read_bytes()[: len(whole.read_bytes()) * 2 // 3])
    assert not torn.read_text().endswith("\n")
    assert write_documents(torn, batches(kind, 1), documents=20) == count
    assert torn.read_bytes() == whole.read_bytes()
    (packed := tmp_path / "whole.jsonl.gz").write_bytes(gzip.compress(whole.read_bytes()))
    assert read_documents(packed) == read_documents(whole)
    write_documents(other := tmp_path / "other.jsonl", batches(kind, 2), documents=20)
    assert other.read_bytes() != whole.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_documents_are_conversations_and_none_twice(
    tmp_path: Path, kind: str, batches: Callable[[str, int], Batch], tokenizer: Tokenizer
) -> None:
    lines: list[str] = []
    out = tmp_path / "new" / "data.jsonl"
    write_documents(out, batches(kind, 0), documents=30, report=lines.append)
    documents = read_documents(out)
    assert len({d.prompt_ids for d in documents}) == len(documents)
    assert len(lines) == documents[-1].batch + 1
    start, end = tokenizer.encode("<|im_start|>"), tokenizer.encode("<|im_start|>assistant\n")
    for d in documents:
        assert list(d.prompt_ids[:1]) == start
        assert list(d.prompt_ids[-len(end) :]) == end
        assert len(d.answer_ids) >= 1
        assert kind == "tasks" or len(d.answer_ids) <= RECIPE.answer_limit
        assert not set(d.answer_ids[:-1]) & {0, 1, 2}


def test_turns_seen_before_are_not_answered_again(model: Model, tokenizer: Tokenizer) -> None:
    first = list(own(model, tokenizer, RECIPE, 4, 0))
    again = list(own(model, tokenizer, RECIPE, 4, 0, seen={first[0].prompt_ids}))
    assert [d.prompt_ids for d in again] == [d.prompt_ids for d in first[1:]]


def test_tasks_are_answered_rightly_and_end(model: Model, tokenizer: Tokenizer) -> None:
    """Every document is one of the tasks that may be drawn for training, in its words, with its answer."""
    found = list(generated(model, tokenizer, 3, 0))
    rng = random.Random("3/0")
    drawn = {}
    for _ in range(500):
        task = tasks.draw(rng, held_out=False)
        drawn.setdefault(tuple(tokenizer.chat(task.prompt)), task.answer)
    assert [d.prompt_ids for d in found] == list(drawn)
    assert all(d.answer_ids == (*tokenizer.encode(drawn[d.prompt_ids]), 2) for d in found)
    less = list(generated(model, tokenizer, 3, 0, seen={found[0].prompt_ids}))
    assert less == found[1:]


def test_prompts_are_answered_by_the_network_once_each(model: Model, tokenizer: Tokenizer, asked: Path) -> None:
    prompts = _prompts((asked, asked), 1)
    assert sorted(prompts) == sorted({d.prompt_ids for d in read_documents(asked)})
    assert prompts != _prompts((asked,), 2)
    batches = [answered(model, tokenizer, RECIPE, prompts, n) for n in range(-(-len(prompts) // RECIPE.batch))]
    found = [d for batch in batches for d in batch or ()]
    assert answered(model, tokenizer, RECIPE, prompts, len(batches)) is None
    assert len({d.prompt_ids for d in found}) == len(found)
    limit = RECIPE.answer_limit
    for d in found:
        (alone,) = continue_all(model.net, [d.prompt_ids], stop_id=2, limit=limit, pick=greedy)
        assert list(d.answer_ids) == alone
    some = list(answered(model, tokenizer, RECIPE, prompts, 0, seen={found[0].prompt_ids}) or ())
    assert found[0].prompt_ids not in {d.prompt_ids for d in some}


def test_a_file_of_answers_ends_with_its_prompts(
    tmp_path: Path, batches: Callable[[str, int], Batch], asked: Path
) -> None:
    out = tmp_path / "a.jsonl"
    count = write_documents(out, batches("answers", 1), documents=10_000)
    assert 0 < count <= len(read_documents(asked))
    assert write_documents(out, batches("answers", 1), documents=10_000) == count


def test_the_likeliest_answer_is_kept(monkeypatch: pytest.MonkeyPatch, model: Model, tokenizer: Tokenizer) -> None:
    """By the mean log-probability of its tokens, by the definition; none that is less likely than `least`."""
    # a first answer of second best ids, so that a sampled one can be likelier
    monkeypatch.setattr(distill, "greedy", lambda logits: logits.topk(2).indices[:, 1])
    recipe = replace(RECIPE, batch=40, answers=6, answer_temperature=0.1, answer_top_p=1.0, least=-1000.0)
    one = {d.prompt_ids: d for d in own(model, tokenizer, replace(recipe, answers=0), 5, 0)}
    best = {d.prompt_ids: d for d in own(model, tokenizer, recipe, 5, 0)}
    assert set(one) <= set(best)

    def likely(d: Document) -> float:
        ids, start = d.prompt_ids + d.answer_ids, len(d.prompt_ids)
        n = len(ids)
        causal = torch.ones(n, n, dtype=torch.bool).tril()
        rope = rope_table(model.net.shape, n, torch.device("cpu"))
        logs = model.net.head(model.net(torch.tensor([ids]), rope, mask=causal))[0].log_softmax(-1)
        return sum(float(logs[p - 1, ids[p]]) for p in range(start, n)) / (n - start)

    scores = {prompt: likely(d) for prompt, d in best.items()}
    assert all(scores[prompt] >= likely(d) - 1e-5 for prompt, d in one.items())
    assert any(best[prompt].answer_ids != d.answer_ids for prompt, d in one.items())
    middle = sorted(scores.values())[len(scores) // 2]
    kept = {d.prompt_ids for d in own(model, tokenizer, replace(recipe, least=middle), 5, 0)}
    assert kept == {prompt for prompt, score in scores.items() if score > middle + 1e-6}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "books"}, "kind is 'books'; allowed: own, tasks, answers"),
        ({"kind": "answers"}, "kind is 'answers' with 0 files of prompts; allowed: one or more with 'answers'"),
        ({"kind": "own", "prompts": (Path("a"),)}, "kind is 'own' with 1 files of prompts; allowed"),
    ],
)
def test_a_source_that_cannot_be_is_refused(source: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source(**source)


def test_a_base_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no tokenizer, and user turns are text"):
        distill.distill(tmp_path / "d.jsonl", source=Source(base=GOLDENS / "fast_dllm_v2_a"), device="cpu")


def test_a_bad_file_and_a_bad_number_are_refused(tmp_path: Path, batches: Callable[[str, int], Batch]) -> None:
    (tmp_path / "bad.jsonl").write_text('{"batch": 0, "prompt_ids": [1], "answer_ids": [2]}\n{"batch": 0}\n')
    with pytest.raises(ValueError, match="line 2 is not a document"):
        read_documents(tmp_path / "bad.jsonl")
    with pytest.raises(ValueError, match="documents is 0"):
        write_documents(tmp_path / "d", batches("own", 0), documents=0)


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
    drawn = [topics.draw_topic(rng) for _ in range(600)]
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
