"""Text of tokens against decoding their bytes at once, and against the tokenizer of the default model."""

import json
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.models.base_model import fetch_base_model
from dllm.models.families import LLAMA
from dllm.models.tokenizer import Tokenizer, load_tokenizer
from dllm.trace import Trace, TraceError
from dllm.trace.text import spans, text
from tests.dllm.traces import made
from tests.visualize.records import step
from visualize.replay import Replay

ANSWERS = ["😀👩‍👧‍👦", "ما هي عاصمة فرنسا؟", "안녕하세요, 세계!", "naïve café — 你好 🏳️‍🌈", "plain words\n\tand tabs"]


def split(data: bytes, cuts: list[int]) -> tuple[list[int], dict[int, str], dict[int, str]]:
    """Bytes cut into tokens 0, 1, …: their ids, pieces and fragments."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    pieces = {i: part.decode("utf-8", "replace") for i, part in enumerate(parts)}
    fragments = {i: part.hex() for i, part in enumerate(parts) if pieces[i].encode() != part}
    return list(range(len(parts))), pieces, fragments


@given(st.one_of(st.text(max_size=30).map(str.encode), st.binary(max_size=60)), st.lists(st.integers(0, 99)))
def test_however_bytes_are_cut_their_text_is_the_same(data: bytes, cuts: list[int]) -> None:
    assert text(*split(data, cuts)) == data.decode("utf-8", "replace")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.lists(st.integers(0, 99)))
def test_a_token_has_the_characters_that_it_has_bytes_of(whole: str, cuts: list[int]) -> None:
    ids, pieces, fragments = split(whole.encode(), cuts)
    owners = [n for n, char in enumerate(whole) for _ in char.encode()]
    at = 0
    for i, (start, end) in zip(ids, spans(ids, pieces, fragments), strict=True):
        size = len(bytes.fromhex(fragments[i]) if i in fragments else pieces[i].encode())
        own = owners[at : at + size]
        assert set(range(start, end)) == set(own)
        at += size


@given(st.binary(max_size=60), st.lists(st.integers(0, 99)))
def test_the_characters_of_invalid_bytes_are_somebodys_too(data: bytes, cuts: list[int]) -> None:
    ids, pieces, fragments = split(data, cuts)
    found = spans(ids, pieces, fragments)
    covered = {n for start, end in found for n in range(start, end)}
    assert covered == set(range(len(text(ids, pieces, fragments))))
    assert all(a <= c and b <= d for (a, b), (c, d) in pairwise(found))


def test_a_character_that_never_ends_is_not_shared_with_the_token_after_it() -> None:
    pieces, fragments = {0: "\ufffd", 1: "hi", 2: "\ufffd", 3: "\ufffd"}, {0: "f09f", 2: "e2", 3: "82ac"}
    assert text([0, 1, 2, 3], pieces, fragments) == "\ufffdhi€"
    assert spans([0, 1, 2, 3], pieces, fragments) == [(0, 1), (1, 3), (3, 4), (3, 4)]


def test_without_fragments_pieces_are_joined_as_before() -> None:
    assert text([1, 2, 9], {1: "a", 2: "\ufffd"}, {}) == "a\ufffd<9>"


@cache
def default() -> Tokenizer:
    return load_tokenizer(fetch_base_model(), LLAMA)


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_default_models_tokens_give_the_text_that_its_tokenizer_gives(answer: str) -> None:
    tokenizer = default()
    ids = tokenizer.encode(answer)
    pieces = {i: tokenizer.piece(i) for i in ids}
    fragments = {i: part.hex() for i in ids if (part := tokenizer.fragment(i))}
    assert text(ids, pieces, fragments) == tokenizer.decode(ids) == answer
    assert b"".join(map(tokenizer.bytes_of, ids)) == answer.encode()


@given(st.lists(st.integers(0, 49151), max_size=30))
def test_any_tokens_give_the_text_that_the_tokenizer_gives(ids: list[int]) -> None:
    tokenizer = default()
    ids = [i for i in ids if i not in tokenizer.backend.added_tokens_decoder]
    pieces = {i: tokenizer.piece(i) for i in ids}
    fragments = {i: part.hex() for i in ids if (part := tokenizer.fragment(i))}
    assert text(ids, pieces, fragments) == tokenizer.decode(ids)
    for i in ids:
        assert (i in fragments) == (pieces[i].encode() != tokenizer.bytes_of(i))


def emoji() -> Trace:
    """A trace whose answer is one emoji in two tokens."""
    trace = made(step(0, {4: 10, 5: 11}), unmask={"name": "threshold"})
    named = {"pieces": {10: "\ufffd", 11: "\ufffd"}, "fragments": {10: "f09f", 11: "9880"}, "output": [10, 11]}
    return trace.model_copy(update=named)


def test_a_trace_keeps_the_bytes_of_parts_of_characters() -> None:
    again = Trace.from_json(emoji().to_json())
    assert (again.pieces, again.fragments) == (emoji().pieces, emoji().fragments)
    assert again.as_dict()["bytes"] == {"10": "f09f", "11": "9880"}
    assert again.text(again.output) == "😀"
    assert "bytes" not in made().as_dict()


@pytest.mark.parametrize("wrong", ["f0f", "F0", "", "zz", 5, "00" * 600])
def test_bytes_that_are_none_are_refused(wrong: object) -> None:
    data = json.loads(emoji().to_json())
    data["bytes"]["10"] = wrong
    with pytest.raises(TraceError, match=r"bytes\.10"):
        Trace.from_json(json.dumps(data))


def test_the_viewer_is_sent_the_bytes_beside_the_pieces() -> None:
    message = json.loads(Replay({"diffusion": emoji()}).message("run"))
    assert message["bytes"] == {"10": [0xF0, 0x9F], "11": [0x98, 0x80]}
    assert "bytes" not in json.loads(
        Replay({"diffusion": emoji().model_copy(update={"fragments": None})}).message("run")
    )
