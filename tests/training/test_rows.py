"""Documents side by side are documents alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm.models.families import LLAMA
from dllm.models.kv_cache import KVCache
from dllm.models.loader import tiny
from dllm.models.transformer import Transformer, rope_table
from dllm.training.documents import Document
from dllm.training.rows import COMMON, PackedSequence, hidden_states
from tests.dllm.nets import VOCAB, shape_of

CPU = torch.device("cpu")
IDS = st.integers(0, VOCAB - 1)


@st.composite
def documents(draw: st.DrawFn) -> list[Document]:
    """Some that begin alike: with few ids to choose from they may go on alike, too."""
    start = draw(st.lists(IDS, max_size=5))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        prompt = start + draw(st.lists(st.integers(0, 2), min_size=1, max_size=5))
        found.append(Document(0, tuple(prompt), tuple(draw(st.lists(st.integers(0, 2), min_size=1, max_size=6)))))
    return found


def net() -> Transformer:
    return tiny(shape_of(LLAMA), seed=4).double()


def alone(net: Transformer, ids: tuple[int, ...], cache: KVCache | None = None) -> torch.Tensor:
    n = len(ids)
    rope, causal = rope_table(net.shape, n, CPU), torch.ones(n, n, dtype=torch.bool).tril()
    return net(torch.tensor([ids]), rope, mask=causal, cache=cache, at=slice(0, n), visible=n)[0]


def kept(net: Transformer, slots: int) -> KVCache:
    return KVCache.empty(net.shape, slots, batch=1, dtype=torch.float64, device=CPU)


@given(documents())
def test_a_row_is_its_documents_alone(found: list[Document]) -> None:
    model, row = net(), PackedSequence.of(found, CPU)
    cache = kept(model, len(row.tokens))
    together = hidden_states(model, row, cache)
    torch.testing.assert_close(hidden_states(model, row), together, rtol=0, atol=1e-12)
    for number, document in enumerate(found):
        ids = document.prompt_ids + document.answer_ids
        mine = kept(model, len(ids))
        want, at = alone(model, ids, mine), [row.slot(number, p) for p in range(len(ids))]
        assert row.tokens[at].tolist() == list(ids)
        assert row.positions[at].tolist() == list(range(len(ids)))
        torch.testing.assert_close(together[at], want, rtol=0, atol=1e-12)
        torch.testing.assert_close(cache.keys[:, :, :, at], mine.keys, rtol=0, atol=1e-12)
        torch.testing.assert_close(cache.values[:, :, :, at], mine.values, rtol=0, atol=1e-12)


@given(documents())
def test_what_is_shared_is_what_all_prompts_begin_with(found: list[Document]) -> None:
    row = PackedSequence.of(found, CPU)
    prompts = [d.prompt_ids for d in found]
    assert all(prompt[: row.common] == prompts[0][: row.common] for prompt in prompts)
    assert all(len(prompt) > row.common for prompt in prompts)  # the last id predicts the answer's first: never shared
    further = {(d.prompt_ids + d.answer_ids)[row.common] for d in found}
    assert len(further) > 1 or row.common == min(map(len, prompts)) - 1
    lengths = [len(d.prompt_ids) + len(d.answer_ids) - row.common for d in found]
    assert len(row.tokens) == row.common + sum(lengths)  # nothing twice, nothing padded
    assert row.owner.tolist() == [COMMON] * row.common + [n for n, size in enumerate(lengths) for _ in range(size)]


@given(documents(), st.data())
def test_who_sees_whom_by_definition(found: list[Document], data: st.DataObject) -> None:
    row = PackedSequence.of(found, CPU)
    asked = [
        (number, data.draw(st.integers(0, len(d.prompt_ids) + len(d.answer_ids) - 1))) for number, d in enumerate(found)
    ]
    owner, until = torch.tensor(asked).unbind(1)
    for (number, last), sees in zip(asked, row.sees(owner, until).tolist(), strict=True):
        wanted = {row.slot(number, p) for p in range(last + 1)}
        assert {slot for slot, seen in enumerate(sees) if seen} == wanted


def test_a_prompt_that_is_no_answers_beginning() -> None:
    """Two that are the same but for their last id share all before it."""
    row = PackedSequence.of([Document(0, (1, 2, 3), (4, 5)), Document(0, (1, 2, 3), (4, 6))], CPU)
    assert row.common == 2
    assert row.tokens.tolist() == [1, 2, 3, 4, 5, 3, 4, 6]
    assert [row.slot(1, p) for p in range(5)] == [0, 1, 5, 6, 7]


@pytest.mark.parametrize("prompt", [(1,), (1, 2, 3)])
def test_a_document_alone(prompt: tuple[int, ...]) -> None:
    row = PackedSequence.of([Document(0, prompt, (7,))], CPU)
    assert row.common == len(prompt) - 1
    assert row.tokens.tolist() == [*prompt, 7]
