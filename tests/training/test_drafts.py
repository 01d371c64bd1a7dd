"""The objective "drafts": what is trained is what decodes."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dllm.engine import Engine
from dllm.models.adapter import FORMAT, attach
from dllm.models.attention import AttentionMask
from dllm.models.families import LLAMA
from dllm.models.loader import Model, tiny
from dllm.models.transformer import KVView, Transformer, rope_table
from dllm.settings import Choice, Settings
from dllm.training.config import Config
from dllm.training.corpus import Corpus
from dllm.training.documents import Document
from dllm.training.drafts import BEHIND_THE_END, NO_LABEL, Drafts, MaskGroup
from dllm.training.lora import save_adapter
from dllm.training.outlook import Guessed
from dllm.training.rows import PackedSequence
from tests.dllm.nets import MASK, STOP, prompts, shape_of

CPU = torch.device("cpu")
SHA = "ab" * 32


def base() -> Model:
    return Model("tiny", LLAMA, tiny(shape_of(LLAMA), seed=2).double(), None, (STOP,), SHA)


def drafts(folder: Path, documents: list[Document] | None = None, **changes: Any) -> Drafts:
    """The objective over a tiny fp64 net, with parameters away from their start, in values that a file holds."""
    documents = documents or [Document(0, (n, 1), (2, 3, STOP)) for n in range(4)]
    lines = [json.dumps({"batch": 0, "prompt_ids": d.prompt_ids, "answer_ids": d.answer_ids}) for d in documents]
    (folder / "data.jsonl").write_text("".join(line + "\n" for line in lines))
    config = Config(
        data=(str(folder / "data.jsonl"),), work="", out="", objective="drafts", rank=3, scale=1.5, mask_id=MASK,
        held_out=1, rows=2, exclude=(),
    )  # fmt: skip
    config = replace(config, **changes)
    made = Drafts(base(), config, Corpus(config, stop_id=STOP))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters.values():
            p.copy_(torch.randn(p.shape, generator=generator).mul(0.3).bfloat16())
    return made


def attached(made: Drafts, folder: Path) -> Model:
    """What the decoder has of it: the saved adapter beside the base."""
    metadata = {
        "format": FORMAT, "base_sha256": SHA, "rank": "3", "scale": "1.5", "mask_id": str(MASK),
        "attentions": json.dumps(made.attentions),
    }  # fmt: skip
    save_adapter(folder / "a.safetensors", made.parameters, metadata)
    return attach(base(), folder / "a.safetensors")


@torch.no_grad()
def guessed_alone(net: Transformer, ids: tuple[int, ...], size: int) -> Tensor:
    """Hidden states (size, hidden) of masks behind known ids, in one pass of the attached net without a cache."""
    known, n = len(ids), len(ids) + size
    sees = torch.ones(n, n, dtype=torch.bool).tril()
    sees[known:] = True
    tokens = torch.tensor([[*ids, *[MASK] * size]])
    return net.forward_varlen(
        tokens, rope_table(net.shape, n, CPU), [KVView(AttentionMask(sees))], [n], masks=slice(known, n)
    )[0, known:]


IDS = st.integers(0, MASK)  # among them the mask's own id, which is a token like any other in a text


@st.composite
def rows_and_groups(draw: st.DrawFn) -> tuple[list[Document], list[MaskGroup]]:
    start = draw(st.lists(IDS, max_size=4))
    texts = st.lists(IDS, min_size=1, max_size=5)
    found = [Document(0, (*start, *draw(texts)), tuple(draw(texts))) for _ in range(draw(st.integers(1, 3)))]
    groups = []
    for _ in range(draw(st.integers(1, 5))):
        number = draw(st.integers(0, len(found) - 1))
        d = found[number]
        last = draw(st.integers(len(d.prompt_ids) - 1, len(d.prompt_ids) + len(d.answer_ids) - 1))
        groups.append(MaskGroup(number, last, draw(st.integers(1, 4))))
    return found, groups


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Drafts, Model]:
    folder = tmp_path_factory.mktemp("drafts")
    made = drafts(folder)
    return made, attached(made, folder)


@given(case=rows_and_groups())
def test_a_group_in_a_row_is_that_group_alone(
    pair: tuple[Drafts, Model], case: tuple[list[Document], list[MaskGroup]]
) -> None:
    """Whatever lies beside it: other documents, other groups at the same places, text behind its masks."""
    made, model = pair
    documents, groups = case
    with torch.no_grad():
        got = made.guesses(PackedSequence.of(documents, CPU), groups).split([g.size for g in groups])
    for group, states in zip(groups, got, strict=True):
        whole = documents[group.document].prompt_ids + documents[group.document].answer_ids
        want = guessed_alone(model.net, whole[: group.last + 1], group.size)
        torch.testing.assert_close(states, want, rtol=0, atol=1e-9)


@given(prompt=prompts(low=1, high=8), count=st.integers(1, 4))
def test_guesses_of_training_are_those_of_decoding(pair: tuple[Drafts, Model], prompt: list[int], count: int) -> None:
    """At every place where a case of decoding came true, its tokens and probabilities are what training saw there."""
    made, model = pair
    chosen = Settings(gen_length=14, unmask=Choice("verify", {"drafts": count, "least": 0.0}), stop_ids=())
    run = Engine(model).run(prompt, chosen)
    steps = list(run)
    document, known, seen = Document(0, tuple(prompt), tuple(run.canvas.output)), len(prompt), 0
    for step in steps:
        assert step.cases is not None
        for case in step.cases:
            if case.right >= len(step.committed):
                continue  # it held a wrong draft for known
            group = MaskGroup(0, known + case.right - 1, len(case.tokens))
            with torch.no_grad():
                probs = made.net.head(made.guesses(PackedSequence.of([document], CPU), [group])).softmax(-1)
            assert probs.gather(-1, torch.tensor(case.tokens)[:, None])[:, 0].tolist() == pytest.approx(
                list(case.confidence), abs=1e-6
            )
            probs[:, MASK] = 0  # never proposed
            assert probs.argmax(-1).tolist() == list(case.tokens)
            seen += 1
        known += len(step.committed)
    assert seen >= len(steps) - 2


def test_the_outlook_is_what_decoding_takes(pair: tuple[Drafts, Model]) -> None:
    """Passes foretold from guesses behind every place of an answer are those that the decoder makes."""
    made, model = pair
    engine, length, saved = Engine(model), 16, 0
    for start in range(10):
        for count in (1, 2, 4):
            chosen = Settings(gen_length=length, unmask=Choice("verify", {"drafts": count, "least": 0.0}))
            run = engine.run([start, 3], chosen)
            for _ in run:
                pass
            document = Document(0, (start, 3), tuple(run.canvas.output))
            places = range(len(document.answer_ids))
            # a decoder's group ends before the last place, and masks see each other
            groups = [MaskGroup(0, 1 + n, max(1, min(count, length - 2 - n))) for n in places]
            with torch.no_grad():
                logits = made.net.head(made.guesses(PackedSequence.of([document], CPU), groups))
            logits[:, MASK] = -torch.inf  # never proposed
            tokens = [part.tolist() for part in logits.argmax(-1).split([g.size for g in groups])]
            assert len(run.records) == Guessed(document.answer_ids, tokens, []).passes(count)
            saved += len(run.canvas.output) - len(run.records)
    assert saved > 10


def test_what_is_held_out_is_guessed_behind_every_place(tmp_path: Path) -> None:
    made = drafts(tmp_path)
    model = attached(made, tmp_path)
    document = Document(0, (1, 2, 3), (4, 5, 6, STOP))
    found = made._guessed(document)
    assert found.answer == document.answer_ids
    ids = document.prompt_ids + document.answer_ids
    for place, (tokens, sure) in enumerate(zip(found.tokens, found.confidence, strict=True)):
        probs = model.net.head(guessed_alone(model.net, ids[: 3 + place], 4)).softmax(-1)
        assert tokens == probs.argmax(-1).tolist()
        assert sure == pytest.approx(probs.max(-1).values.tolist(), abs=1e-6)
    assert set(made.measure(ThreadPoolExecutor(1))) >= {"accuracy", "verified"}


def test_the_loss_by_definition(tmp_path: Path) -> None:
    """Every place of every answer: cross entropy of the attached net's masks, each behind the clean text before it."""
    documents = [
        Document(0, (n, 1, 5), tuple((n + i) % 30 for i in range(4 + n % 3))) for n in range(7)
    ]  # without an end: there is nothing to learn behind it
    made = drafts(tmp_path, documents, groups={"3": 1.0, "2": 0.0}, places=50)
    net = attached(made, tmp_path).net
    for number in range(3):
        loss, measure = made.loss(number, sharpen=0.0)
        want, labels = 0.0, 0
        for d in made.corpus.micro_batch(number):
            ids, start = d.prompt_ids + d.answer_ids, len(d.prompt_ids)
            for last in range(start - 1, len(ids) - 2):
                logits = net.head(guessed_alone(net, ids[: last + 1], 3))
                for depth in range(3):
                    if last + 2 + depth < len(ids):
                        want += F.cross_entropy(logits[depth], torch.tensor(ids[last + 2 + depth])).item()
                        labels += 1
        assert measure.labels == labels
        assert loss.item() == pytest.approx(want, rel=1e-5)


def test_places_are_drawn_and_are_places_of_the_answer(tmp_path: Path) -> None:
    documents = [Document(0, (n, 1, 5), tuple(range(10))) for n in range(7)]
    made = drafts(tmp_path, documents, groups={"2": 1.0, "4": 1.0}, places=3)
    seen: list[tuple[int, ...]] = []
    sizes: set[int] = set()

    def noted(row: PackedSequence, groups: list[MaskGroup]) -> Tensor:
        for n in range(len(row.documents)):
            seen.append(tuple(g.last for g in groups if g.document == n))
        sizes.update(g.size for g in groups)
        return Drafts.guesses(made, row, groups)

    made.guesses = noted  # type: ignore[method-assign]
    for number in range(9):
        made.loss(number, sharpen=0.0)
        first = len(seen)
        made.loss(number, sharpen=0.0)
        assert seen[first:] == seen[first - 2 : first]  # a micro-batch draws the same every time
    assert all(len(set(places)) == 3 and list(places) == sorted(places) for places in seen)
    assert {p for places in seen for p in places} == set(range(2, 11))  # something is left to guess behind each
    assert sizes == {2, 4}


def test_what_follows_the_end_is_the_end_and_seldom_asked(tmp_path: Path) -> None:
    made, rng = drafts(tmp_path), random.Random(0)
    ended, cut = Document(0, (1, 2), (3, 4, STOP)), Document(0, (1, 2), (3, 4, 5))
    assert made._labels(ended, MaskGroup(0, 1, 2), rng) == [4, STOP]
    drawn = [made._labels(ended, MaskGroup(0, 2, 4), rng) for _ in range(2000)]
    assert all(labels[0] == STOP and set(labels[1:]) <= {STOP, NO_LABEL} for labels in drawn)
    share = sum(label != NO_LABEL for labels in drawn for label in labels[1:]) / 6000
    assert abs(share - BEHIND_THE_END) < 0.02
    assert made._labels(cut, MaskGroup(0, 2, 3), rng) == [5, NO_LABEL, NO_LABEL]


def test_clean_text_takes_no_gradients_and_no_adapter(tmp_path: Path) -> None:
    made = drafts(tmp_path)
    own = {name: t.data_ptr() for name, t in made.clean.state_dict().items()}
    assert own["layers.0.q.weight"] == made.net.layers[0].q.base.weight.data_ptr()
    loss, _ = made.loss(0, sharpen=0.0)
    grads = torch.autograd.grad(loss, list(made.parameters.values()))
    assert all(g.abs().sum() > 0 for g in grads)


def test_layers_below_the_first_are_not_trained(tmp_path: Path) -> None:
    made = drafts(tmp_path, first_layer=1)
    assert {name.split(".")[1] for name in made.parameters if name != "mask_vector"} == {"1"}
