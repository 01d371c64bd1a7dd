"""The objective "ar" is cross entropy of the whole causal forward, a document at a time."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from dllm.models.families import LLAMA
from dllm.models.loader import Model, tiny
from dllm.models.transformer import rope_table
from dllm.training.autoregressive import Autoregressive
from dllm.training.config import Config
from dllm.training.corpus import Corpus
from dllm.training.documents import Document
from dllm.training.sampling import continue_all, greedy
from tests.dllm.nets import STOP, shape_of


def build(folder: Path, documents: list[Document]) -> Autoregressive:
    lines = [json.dumps({"batch": 0, "prompt_ids": d.prompt_ids, "answer_ids": d.answer_ids}) for d in documents]
    (folder / "data.jsonl").write_text("".join(line + "\n" for line in lines))
    config = Config(
        data=(str(folder / "data.jsonl"),), work="", out="", objective="ar", rank=3, scale=1.5, held_out=3, rows=4,
        exclude=(),
    )  # fmt: skip
    model = Model("tiny", LLAMA, tiny(shape_of(LLAMA), seed=2).double(), None, (STOP,), "ab")
    made = Autoregressive(model, config, Corpus(config, stop_id=STOP))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters.values():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.3)
    return made


@pytest.fixture
def objective(tmp_path: Path) -> Autoregressive:
    """Over answers of which every other begins as the network itself would."""
    documents = [Document(0, (7, 8, n, 1), (2, n, *range(n % 4), *((STOP,) if n % 2 else ()))) for n in range(11)]
    net = build(tmp_path, documents).net
    for n in range(0, 11, 2):
        said = continue_all(net, [documents[n].prompt_ids], stop_id=STOP, limit=3, pick=greedy)[0]
        documents[n] = replace(documents[n], answer_ids=(*said, 5))
    return build(tmp_path, documents)


def naive(made: Autoregressive, documents: list[Document]) -> tuple[float, int, int, float]:
    """Cross entropy, labels, hits, and the entropy of the guesses that hit."""
    loss, labels, hits, doubt = 0.0, 0, 0, 0.0
    for d in documents:
        ids, start = d.prompt_ids + d.answer_ids, len(d.prompt_ids)
        n = len(ids)
        causal = torch.ones(n, n, dtype=torch.bool).tril()
        logits = made.net.head(
            made.net(torch.tensor([ids]), rope_table(made.net.shape, n, torch.device("cpu")), mask=causal)
        )
        for p in range(start, n):
            row = logits[0, p - 1]
            loss += F.cross_entropy(row, torch.tensor(ids[p])).item()
            hit = int(row.argmax()) == ids[p]
            labels, hits = labels + 1, hits + hit
            doubt += hit * -(row.softmax(-1) * row.log_softmax(-1)).sum().item()
    return loss, labels, hits, doubt


@pytest.mark.parametrize("sharpen", [0.0, 1.5])
def test_the_loss_by_definition(objective: Autoregressive, sharpen: float) -> None:
    hit = 0
    for number in range(4):
        loss, measure = objective.loss(number, sharpen=sharpen)
        want, labels, hits, doubt = naive(objective, objective.corpus.micro_batch(number))
        assert loss.item() == pytest.approx(want + sharpen * doubt, rel=1e-5)
        assert (measure.labels, measure.hits) == (labels, hits)
        assert measure.loss == pytest.approx(want, rel=1e-5)
        hit += hits
    assert hit


def test_what_is_held_out_is_measured(objective: Autoregressive) -> None:
    found = objective.measure(ThreadPoolExecutor(1))
    want, labels, hits, _ = naive(objective, objective.corpus.held_out)
    assert found["loss"] == pytest.approx(want / labels, rel=1e-5)
    assert (found["labels"], found["accuracy"]) == (labels, hits / labels)


def test_there_is_no_mask(objective: Autoregressive) -> None:
    assert "mask_vector" not in objective.parameters
    assert objective.net.mask_id is None
    assert objective.attentions == ("block_causal",)
